"""`phasegate size` as a user meets it, with a size really in force, and after a run was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import pytest

from phasegate.model import catalogue
from phasegate.project import VARIABLE
from phasegate.records.sizes import SizesRecord
from phasegate.stack.control_group_files import Place, limited_cores, limited_memory, places
from phasegate.stack.control_groups import PREFIX, make_group
from phasegate.stack.processes import noted_pid

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
MEDIUM = next(size for size in catalogue.load().compute if size.name == "medium")
USERS = 120

# So busy a few users that a cell of two seconds has enough sessions at their own peak.
BUSY = """
[workload]
daily_active_share = 1.0
sessions_per_day = 1600.0
[run]
cell_s = 1.5
"""
ASKED = ("size", "--users", str(USERS), "--level", "2", "--sizes", "medium", "--json")


@dataclass(frozen=True)
class Home:
    """A cache folder, and a copy of the task app with few, busy users."""

    cache: Path
    environment: dict[str, str]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "phasegate", *ASKED], env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    @property
    def server(self) -> int | None:
        """Process id of the PostgreSQL in the cache folder."""
        found = [noted_pid(path) for path in self.cache.glob("cluster-*/data")]
        return found[0] if found else None

    def groups(self) -> dict[Path, Place]:
        """Folders of the control groups that are named after that server."""
        return {
            folder: Place(place.version, folder, folder)
            for place in places().values()
            for parent in {place.own, place.top}
            for folder in parent.glob(f"{PREFIX}{self.server}-*")
        }


@pytest.fixture(scope="module")
def home(environment: dict[str, str]) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the server runs as another user
        project, cache = folder / "project", folder / "cache"
        for part in ("seed", "loadtests", "benchmarks"):
            shutil.copytree(ROOT / part, project / part)
        (project / "phasegate.toml").write_text((ROOT / "phasegate.toml").read_text() + BUSY)
        own = {VARIABLE: str(project), "PHASEGATE_CACHE_DIR": str(cache)}
        yield Home(cache, {**environment, **own})


@pytest.fixture(scope="module")
def rights() -> None:
    tried = make_group(os.getpid())
    missing = dict(tried.missing)
    tried.close()
    if missing:
        pytest.skip(f"no control group can be made here: {missing}")


def _until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.02)


@pytest.mark.usefixtures("rights")
def test_what_a_killed_search_left_behind_is_cleared_away_by_the_next_which_answers(
    home: Home,
) -> None:
    killed = home.start()
    try:
        _until(lambda: home.server and _cores(home) == MEDIUM.cores * MEDIUM.cpu_baseline_share,
               "the size's processor in force")  # fmt: skip
        assert 4 << 30 in {limited_memory(each) for each in home.groups().values()}
        family = psutil.Process(killed.pid).children(recursive=True)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    left = home.groups()
    assert left
    done = home.start()
    said, complaint = done.communicate(timeout=120)
    assert not any(folder.exists() for folder in left)
    assert not home.groups()
    assert home.server is None
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive, "they end by themselves when the caller is killed"

    assert done.returncode in (0, 3), complaint  # 3: others had the machine
    (answer,) = msgspec.json.decode(said, type=SizesRecord).answers
    assert answer.not_in_force == ()
    assert [(each.size, each.mode, each.cache) for each in answer.drives[:2]] == [
        ("medium", "sustained", "cold"),
        ("medium", "sustained", "warm"),
    ]
    cold, warm = answer.drives[:2]
    assert cold.used is not None
    assert warm.used is not None
    assert cold.used.blocks_read > warm.used.blocks_read
    assert cold.clicks > 72
    if done.returncode == 0:
        assert answer.sustained == answer.burst == "medium"


def _cores(home: Home) -> float | None:
    """That the server's group may use at the moment."""
    found = [limited_cores(each) for each in home.groups().values()]
    return next((cores for cores in found if cores is not None), None)
