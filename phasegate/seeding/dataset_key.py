"""What makes a data set the same one as another: the digest of all that its bytes depend on.

Reads the SQL of tables and keys, the catalogue's [population] and Faker's version. Writes nothing.
"""

from __future__ import annotations

import hashlib

import msgspec

from phasegate.model.catalogue import Population
from phasegate.project import SeedFolder
from phasegate.seeding.vocabulary import faker_version
from phasegate.stack.database import read_sql

# Raised by one whenever a change of this room's code changes the data.
DATA_VERSION = 1


def dataset_key(seed: int, users: int, population: Population) -> str:
    """Identifies a data set: 32 hexadecimal digits."""
    parts = {
        "data_version": DATA_VERSION,
        "faker": faker_version(),
        "population": population,
        "schema": [read_sql(SeedFolder().schema), read_sql(SeedFolder().keys)],
        "seed": seed,
        "users": users,
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
