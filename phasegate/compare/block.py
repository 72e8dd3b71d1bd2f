"""One block: every arm on the same parameters, in random order, in a transaction rolled back.

Sends what the arms and their arrangement say; keeps the times in the `Side`s given. Arms that see
the same state of affairs over the same connection take turns call by call, so that a disturbance of
milliseconds hits both; others take turns block by block.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from phasegate.compare.background_load import running_beside
from phasegate.compare.connection import Connection
from phasegate.compare.libpq import Row, Session, StatementError
from phasegate.compare.technique import Arm, Parameters, Role, Technique
from phasegate.model.errors import CannotMeasure

Statement = tuple[str, tuple[str | None, ...]]
"""SQL and its arguments."""


@dataclass
class Side:
    """What one arm has given so far."""

    arm: Arm
    caller: Connection
    beside: Session | None = None
    """Where the statement beside this arm runs."""
    first: Statement | None = None
    """The first statement of the last call, with its arguments."""
    drawn: Parameters | None = None
    """Of the last call: the user that its statement is asked about."""
    block_ns: list[float] = field(default_factory=list)
    call_ns: list[int] = field(default_factory=list)
    round_trips: list[int] = field(default_factory=list)
    answers: list[Sequence[Row]] = field(default_factory=list)
    """Of the last block, one per call."""
    alone_ns: list[int] = field(default_factory=list)
    """Calls made without the other arm."""
    warm_up: bool = True
    """Whether an untimed call goes before those of a block, where the block has warm-ups at all."""

    def forget(self) -> None:
        """Drop the times of rehearsals."""
        self.block_ns.clear()
        self.call_ns.clear()
        self.round_trips.clear()

    @property
    def rows(self) -> int:
        """Rows of the last block."""
        return sum(map(len, self.answers))


@contextmanager
def arranged(technique: Technique, side: Side, drawn: Parameters) -> Iterator[None]:
    """A transaction with this arm's state of affairs and rights, rolled back at the end.

    Raises:
        CannotMeasure: a statement fails; the arm is named.
    """
    caller = side.caller
    try:
        if not technique.requests:  # whose arms open transactions of their own
            caller.execute("begin")
            if side.arm.arrange:
                caller.execute(side.arm.arrange)
            if technique.role is Role.USER:
                caller.become(drawn.sub)
        yield
    except StatementError as error:
        raise CannotMeasure(
            f"{technique.id}: the statement of arm {side.arm.name!r} fails: {error.what}",
            untouched="Its transaction was rolled back, and nothing of it was saved",
            then="Correct the statement in the technique's folder",
        ) from error
    finally:
        caller.rollback()


def _call(technique: Technique, side: Side, drawn: Parameters, *, timed: bool) -> None:
    """One call: its time, its round trips, its rows. What it wrote is undone."""
    caller = side.caller
    if not technique.requests and technique.role is Role.USER:
        caller.become(drawn.sub)
    if technique.writes:
        caller.execute("savepoint before_call")
    caller.first = None
    trips, start_ns = caller.round_trips, caller.busy_ns
    answer = side.arm.body(caller, drawn)
    took_ns, trips = caller.busy_ns - start_ns, caller.round_trips - trips
    if technique.writes:
        caller.execute("rollback to before_call")
    if timed:
        side.first, side.drawn = caller.first, drawn
        side.call_ns.append(took_ns)
        side.round_trips.append(trips)
        side.answers.append(answer())


def together(sides: Sequence[Side]) -> bool:
    """Whether the arms can take turns call by call."""
    return all(side.caller is sides[0].caller for side in sides) and not any(
        side.arm.arrange or side.arm.beside for side in sides
    )


def run_block(
    technique: Technique,
    sides: Sequence[Side],
    drawn: Sequence[Parameters],
    rng: random.Random,
    *,
    warm_up: bool,
) -> None:
    """Every arm once per drawn parameters; an untimed call before makes the plans anew.

    Raises:
        CannotMeasure: a statement fails, or the arms answer differently.
    """
    for side in sides:
        side.answers.clear()
    shuffled = rng.sample(sides, len(sides))
    for group in [shuffled] if together(sides) else [[side] for side in shuffled]:
        _run_group(technique, group, drawn, rng, warm_up=warm_up)
    for side in sides:
        # The ratio of two geometric means is the mean of the calls' own ratios: each user weighs
        # alike, and one late wake-up does not decide a block.
        side.block_ns.append(statistics.geometric_mean(side.call_ns[-len(drawn) :]))
    _check_equal(technique, sides)


def run_alone(
    technique: Technique, side: Side, drawn: Sequence[Parameters], rng: random.Random
) -> None:
    """One arm once per drawn parameters, in the state of affairs of its blocks: to `alone_ns`.

    Raises:
        CannotMeasure: a statement fails; the arm is named.
    """
    spare = Side(side.arm, side.caller, side.beside, warm_up=side.warm_up)
    _run_group(technique, [spare], drawn, rng, warm_up=True)
    side.alone_ns += spare.call_ns


def _run_group(
    technique: Technique,
    group: Sequence[Side],
    drawn: Sequence[Parameters],
    rng: random.Random,
    *,
    warm_up: bool,
) -> None:
    beside = group[0].arm.beside
    with (
        arranged(technique, group[0], drawn[0]),
        running_beside(group[0].beside, beside.sql if beside else ""),
    ):
        for side in group:
            if warm_up and side.warm_up:
                _call(technique, side, drawn[0], timed=False)
        for parameters, order in zip(drawn, _orders(group, len(drawn), rng), strict=True):
            for side in order:
                _call(technique, side, parameters, timed=True)


def _orders(group: Sequence[Side], calls: int, rng: random.Random) -> list[Sequence[Side]]:
    """Who goes first in each turn: each arm equally often, at random.

    The second call with the same parameters finds the caches warm, and was a quarter quicker than
    the first at 40 µs. With the turns balanced within a block, that cancels out of its mean.
    """
    ways = [list(group), list(reversed(group))]
    orders = [ways[turn % 2] for turn in range(calls)]
    if calls % 2:
        orders[-1] = rng.choice(ways)
    rng.shuffle(orders)
    return [*orders]


def _check_equal(technique: Technique, sides: Sequence[Side]) -> None:
    first, second = sides[0], sides[-1]  # the nightly holds an arm against itself, in turns
    if not technique.same_rows or first.answers == second.answers:
        return
    raise CannotMeasure(
        f"{technique.id}: the arms return different rows: {first.arm.name!r} gave {first.rows} "
        f"rows, {second.arm.name!r} gave {second.rows}"
        + (", with different contents" if first.rows == second.rows else ""),
        untouched="The comparison was not saved",
        then="Make both arms return the same rows in the same order",
    )
