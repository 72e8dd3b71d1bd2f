"""The project that is measured: found, read, checked. `docs/project.md` is its contract.

Reads `phasegate.toml`, `benchmarks/*/technique.toml` and the SQL beside them; writes nothing.
"""

from phasegate.project.contract import (
    ENGINE_PARTS,
    ON_THE_SPOT,
    About,
    ApiFile,
    ArmFile,
    ClientPart,
    CostFile,
    FollowUp,
    JobFile,
    Level,
    Partitions,
    Refresh,
    RequestFile,
)
from phasegate.project.find import VARIABLE, find_project
from phasegate.project.load import Project, load_project, read_techniques, without_folder
from phasegate.project.seed_folder import SeedFolder
from phasegate.project.technique import TechniqueFolder, transactional

__all__ = [
    "ENGINE_PARTS",
    "ON_THE_SPOT",
    "VARIABLE",
    "About",
    "ApiFile",
    "ArmFile",
    "ClientPart",
    "CostFile",
    "FollowUp",
    "JobFile",
    "Level",
    "Partitions",
    "Project",
    "Refresh",
    "RequestFile",
    "SeedFolder",
    "TechniqueFolder",
    "find_project",
    "load_project",
    "read_techniques",
    "transactional",
    "without_folder",
]
