"""What `phasegate seed --describe` prints: the population's parameters, and what comes of them.

Reads the catalogue; draws a sample of the population in memory. Opens no database.
"""

from __future__ import annotations

from phasegate.model.catalogue import Population
from phasegate.seeding.distributions import drawn
from phasegate.seeding.plan import make_plan
from phasegate.seeding.tables import Tables
from phasegate.seeding.users import make_users

# The first users of the data set that are drawn: enough for smooth bars, made within half a second.
SAMPLE_USERS = 10_000


def describe(
    users: int,
    seed: int,
    *,
    locales: tuple[str, ...] | None = None,
    population: Population | None = None,
) -> str:
    """The population of a data set, as text: expected rows, parameters, distributions.

    The distributions are those of its first `SAMPLE_USERS` users.

    Raises:
        UsageError: a number or locale that makes no sense.
    """
    plan = make_plan(users, seed, locales, population)
    chosen = plan.population
    sample = min(users, SAMPLE_USERS)
    tables = Tables(make_users(seed, sample, chosen))
    for blocks in (tables.tasks(), tables.logs()):
        for _ in blocks:
            pass
    parts = [
        f"{users:,} users, seed {seed}, {chosen.days} days from {chosen.start}",
        "Expected rows\n"
        + "\n".join(f"  {name:<26} {rows:>14,}" for name, rows in plan.rows_by_table.items()),
        "Parameters (model/catalogue.toml, [population])\n"
        + "\n".join(f"  {name:<32} {_shown(value)}" for name, value in _fields(chosen)),
        f"Distributions of the first {sample:,} users",
        *(drawn(histogram) for histogram in tables.histograms()),
    ]
    return "\n\n".join(parts)


def _fields(population: Population) -> list[tuple[str, object]]:
    return [(name, getattr(population, name)) for name in population.__struct_fields__]


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {weight:g}" for key, weight in value.items())
    if isinstance(value, tuple):
        return " ".join(str(one) for one in value)
    return str(value)
