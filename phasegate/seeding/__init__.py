"""A deterministic population, like life, loaded into PostgreSQL as fast as COPY takes it.

    vocabulary → users → events → tables → lanes → worker → crew → dataset | embedded

Knows `phases`, `records` and `stack`; the only room that knows Faker.
"""

from phasegate.seeding.dataset import seed_database
from phasegate.seeding.describe import describe
from phasegate.seeding.plan import Progress
from phasegate.seeding.template_database import copy_dataset, drop_copy, ensure_dataset

__all__ = [
    "Progress",
    "copy_dataset",
    "describe",
    "drop_copy",
    "ensure_dataset",
    "seed_database",
]
