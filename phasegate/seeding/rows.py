"""Some rows of one table: who they are, when they were made, and whom they belong to.

Pure. A row's `counter` is what its columns are drawn from: one number for each row of a table, the
same whatever the number of users.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64, hashed
from phasegate.project.declared import Table
from phasegate.seeding.counts import most_rows
from phasegate.seeding.entity import I64, Entity, Indices, home_of

if TYPE_CHECKING:
    from phasegate.seeding.population import Population

Places = Indices | slice


class Rows:
    """Rows of `table`, in the order that they lie in memory.

    Args:
        population: that they are of.
        table: theirs.
        slots: their numbers in the entity, where rows of the table are kept.
        counter: as above; the slots where None.
        moment_us: when they were made, as timestamptz; the entity knows where None.
        parent: the owner's row of each, where rows are not kept.
        ordinal: the number of each in the table, 0 = first; made of slots or parents where None.
        number: the place within its owner of each, 0 = first; likewise.
        created_ms: as `moment_us`, since the year's start, where it is at hand.
    """

    def __init__(
        self,
        population: Population,
        table: Table,
        *,
        slots: Indices | None = None,
        counter: U64 | None = None,
        moment_us: I64 | None = None,
        parent: Rows | None = None,
        ordinal: I64 | None = None,
        number: I64 | None = None,
        created_ms: I64 | None = None,
    ) -> None:
        self.population = population
        self.table = table
        self._slots = slots
        self._counter = counter
        self._moment_us = moment_us
        self._parent = parent
        self._ordinal = ordinal
        self._number = number
        self._created_ms = created_ms
        self.memo: dict[Any, Any] = {}
        """What columns have worked out about these rows, for the others."""

    @cached_property
    def entity(self) -> Entity:
        """The entity that keeps them."""
        return self.population.entity(self.table.name)

    @property
    def slots(self) -> Indices:
        """Their numbers in the entity."""
        if self._slots is None:
            raise TypeError(f"rows of {self.table.name} are not kept")
        return self._slots

    @cached_property
    def counter(self) -> U64:
        """What their columns are drawn from."""
        return self.slots.view(np.uint64) if self._counter is None else self._counter

    @property
    def parent(self) -> Rows | None:
        """The owner's row of each, where rows are not kept."""
        return self._parent

    @property
    def size(self) -> int:
        """How many."""
        return int(self.counter.size)

    @cached_property
    def moment_us(self) -> I64:
        """When they were made: µs of timestamptz."""
        return self.entity.timestamps(self.slots) if self._moment_us is None else self._moment_us

    @cached_property
    def created_ms(self) -> I64:
        """When they were made: ms since the year's start."""
        if self._created_ms is not None:
            return self._created_ms
        if self._slots is not None:
            return self.entity.created_ms.take(self._slots)
        return (self.moment_us - self.population.year.postgres_us) // 1000

    @cached_property
    def ordinal(self) -> I64:
        """A number of each in its table, from 0 on: owner by owner, so that more users change none.

        Rows of an event leave gaps: as many numbers as an event can have rows.
        """
        if self._ordinal is not None:
            return self._ordinal
        if self._parent is not None:
            return self._parent.ordinal * most_rows(self.table) + self.number
        return self.slots.astype(np.int64)

    @cached_property
    def number(self) -> I64:
        """The place within its owner of each, 0 = first."""
        return self.entity.number(self.slots) if self._number is None else self._number

    def up(self, name: str) -> Rows:
        """The row of `name` that each belongs to: itself, an ancestor, or its user's group."""
        if name == self.table.name:
            return self
        found: Rows | None = self.memo.get(("up", name))
        if found is None:
            if self._parent is not None:
                found = self._parent.up(name)
            elif name not in self.table.ancestors:
                users = self.population.declared.users_table
                home = home_of(self.population.entity(name), users, self.user())
                found = self.population.rows(name, home)
            else:
                found = self.population.rows(
                    name, self.entity.above[name].take(self.slots).astype(np.intp)
                )
            self.memo["up", name] = found
        return found

    def user(self) -> Indices:
        """The number of the user that each belongs to."""
        return self.up(self.population.declared.users_table).slots

    def hashes(self, key: int) -> U64:
        """A hash of each row under `key` (from `Population.key`)."""
        return hashed(key, self.counter)

    def select(self, places: Places) -> Rows:
        """Those at `places`."""

        def of(values: NDArray[Any] | None) -> Any:
            return None if values is None else values[places]

        return Rows(
            self.population,
            self.table,
            slots=of(self._slots),
            counter=of(self._counter),
            moment_us=of(self._moment_us),
            parent=None if self._parent is None else self._parent.select(places),
            ordinal=of(self._ordinal),
            number=of(self._number),
            created_ms=of(self._created_ms),
        )

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """All `parts`, one behind the other; they are of one table."""
        first = parts[0]
        if len(parts) == 1:
            return first

        def of(name: str) -> Any:
            values = [getattr(part, name) for part in parts]
            return None if values[0] is None else np.concatenate(values)

        parents = [parent for part in parts if (parent := part.parent) is not None]
        return Rows(
            first.population,
            first.table,
            slots=of("_slots"),
            counter=of("_counter"),
            moment_us=of("_moment_us"),
            parent=Rows.joined(parents) if parents else None,
            ordinal=of("_ordinal"),
            number=of("_number"),
            created_ms=of("_created_ms"),
        )
