"""How the tables of a load are shared out: among processes, and among a process's connections.

Pure. What is heaviest is given first, each to whoever has least; the same rows for two tables are
encoded once, unless there are processes to spare.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from phasegate.project.declared import Declared
from phasegate.seeding.population import Population

# A process keeps two connections busy: while one waits for its server, the other gets its rows.
LANES_PER_PROCESS_ALONE = 2


class Destination(msgspec.Struct, frozen=True):
    """A table that rows are loaded into."""

    table: str
    is_partitioned: bool = False
    is_monthly: bool = False
    """Its partitions are the seeder's own, one a month: rows go straight to each."""


class Unit(msgspec.Struct, frozen=True):
    """A declared table, with those destinations that one process fills."""

    table: str
    destinations: tuple[Destination, ...]


Lane = tuple[Unit, ...]
"""Tables that are loaded one after the other."""


def destinations_of(declared: Declared, partitioned: frozenset[str]) -> dict[str, Destination]:
    """Every table that is loaded, in order; `partitioned`: those that have partitions."""
    monthly = set(declared.monthly)
    return {
        name: Destination(name, name in partitioned, name in monthly)
        for name in declared.destinations
    }


def share_out(
    population: Population, partitioned: frozenset[str], processes: int
) -> tuple[tuple[Lane, ...], ...]:
    """The lanes of each process; fewer than `processes` where there is less to do."""
    declared = population.declared
    destinations = destinations_of(declared, partitioned)
    weights = {
        name: max(1.0, population.rows_expected(table)) for name, table in declared.tables.items()
    }
    units = [
        Unit(name, tuple(destinations[one] for one in table.destinations))
        for name, table in declared.tables.items()
    ]

    def weight(unit: Unit) -> float:
        return weights[unit.table] * len(unit.destinations)

    # What is encoded once and sent twice is parted where a process would have nothing to do.
    while len(units) < processes or processes > LANES_PER_PROCESS_ALONE:
        heaviest = max(units, key=weight)
        if len(heaviest.destinations) == 1:
            break
        units.remove(heaviest)
        units += [Unit(heaviest.table, (one,)) for one in heaviest.destinations]
    wanted = LANES_PER_PROCESS_ALONE if processes == 1 else processes
    order = {name: place for place, name in enumerate(declared.tables)}
    lanes = _balanced(units, wanted, weight)
    sorted_lanes = [tuple(sorted(lane, key=lambda unit: order[unit.table])) for lane in lanes]
    if processes == 1:
        return (tuple(sorted_lanes),)
    return tuple((lane,) for lane in sorted_lanes)


def _balanced(units: list[Unit], count: int, weight: Callable[[Unit], float]) -> list[list[Unit]]:
    lanes: list[list[Unit]] = [[] for _ in range(count)]
    heavy: list[float] = [0.0] * count
    for unit in sorted(units, key=weight, reverse=True):
        least = heavy.index(min(heavy))
        lanes[least].append(unit)
        heavy[least] += weight(unit)
    return [lane for lane in lanes if lane]
