"""A deterministic population, like life, loaded into PostgreSQL as fast as COPY takes it.

    vocabulary → users → events → tables → lanes → worker → crew → dataset | embedded

Knows `phases`, `records` and `stack`; the only room that knows Faker.
"""

from seed.dataset import seed_database
from seed.describe import describe
from seed.embedded import copy_dataset, drop_copy, ensure_dataset
from seed.plan import Progress

__all__ = [
    "Progress",
    "copy_dataset",
    "describe",
    "drop_copy",
    "ensure_dataset",
    "seed_database",
]
