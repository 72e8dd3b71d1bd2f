"""What makes a data set the same one as another: the digest of all that its bytes depend on.

Reads the project's `seed/` and Faker's version. Writes nothing.
"""

from __future__ import annotations

import hashlib

import msgspec

from phasegate.project import SeedFolder
from phasegate.seeding.population import Population
from phasegate.seeding.vocabulary import faker_version
from phasegate.stack.database import read_sql

# Raised by one whenever a change of this room's code changes the data.
# 2: tables are declared, columns drawn by name: docs/decisions/0011-seeding-is-declared.md
DATA_VERSION = 2


def dataset_key(folder: SeedFolder, population: Population) -> str:
    """Identifies a data set: 32 hexadecimal digits."""
    code = population.declared.code
    parts = {
        "code": code.read_text(encoding="utf-8") if code is not None else "",
        "data_version": DATA_VERSION,
        "faker": faker_version(),
        "population": population.declared.file,
        "schema": [read_sql(folder.schema), read_sql(folder.keys)],
        "seed": population.seed,
        "users": population.users,
        "users_table": population.declared.users_table,
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
