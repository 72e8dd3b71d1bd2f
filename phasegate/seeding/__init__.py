"""A deterministic population, like life, loaded into PostgreSQL as fast as COPY takes it.

    declarations → population (entity, events) → streams of rows → columns → tables → table_loader
    → worker → process_pool → dataset | template_database

Knows `model`, `project`, `records` and `stack`; the only room that knows Faker.
"""

from phasegate.seeding.dataset import seed_database
from phasegate.seeding.dataset_spec import Progress
from phasegate.seeding.describe import describe
from phasegate.seeding.template_database import copy_dataset, drop_copy, ensure_dataset

__all__ = [
    "Progress",
    "copy_dataset",
    "describe",
    "drop_copy",
    "ensure_dataset",
    "seed_database",
]
