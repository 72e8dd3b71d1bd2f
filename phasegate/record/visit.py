"""A visit as it will be written: clicks, their requests, loops, where each value comes from. Pure.

Nothing here is text of Python yet; `record.write` makes that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from phasegate.record.personal import Person
from phasegate.record.sign_in import SignIn
from phasegate.record.sources import Date
from phasegate.record.template import JsonPath, Request

# From so many on, a loop is called N+1: two are often meant.
N_PLUS_1_MIN = 3


@dataclass(frozen=True)
class Own:
    """The user's: `id`, `email`, `token`, or another claim."""

    what: str


@dataclass(frozen=True)
class From:
    """Of the answer of step `step`, at `path`; `*` stands for the loop's own row."""

    step: int
    path: JsonPath


@dataclass(frozen=True)
class Each:
    """The value of a loop's turn: at `path` below the row."""

    path: JsonPath


@dataclass(frozen=True)
class Fresh:
    """An id that the client makes: the number-th of the visit."""

    number: int


@dataclass(frozen=True)
class Secret:
    """One that only the environment may tell."""

    name: str


@dataclass(frozen=True)
class Drawn:
    """A key that no earlier answer named."""

    resource: str
    column: str
    value: Any = field(repr=False)


@dataclass(frozen=True)
class Typed:
    """A text that somebody wrote: so many characters of another take its place."""

    length: int


@dataclass(frozen=True)
class Constant:
    """The recorded value; `someone` where it was an e-mail address."""

    value: Any


Value = Own | From | Each | Fresh | Secret | Drawn | Typed | Constant | Date


@dataclass(frozen=True)
class Over:
    """What a loop goes over, or a list is made of: an answer's rows, or a value of each."""

    step: int
    """Whose answer."""
    rows: JsonPath
    """To the rows: `*` for each place in a list, the last step being one."""
    value: JsonPath | None
    """Below the row, where its values alone are asked for; None: the rows themselves."""
    distinct: bool = False
    """Each value once."""
    count: int | None = None
    """The first so many; None for all."""


@dataclass
class Step:
    """One request of a click, or a loop of the same."""

    request: Request
    """The first of them."""
    numbers: list[int]
    """Of the visit's requests."""
    values: list[Value] = field(default_factory=list)
    """Of the request's places, in their order."""
    over: Over | None = None
    """What the loop goes over; None where the same is sent each time."""
    each: dict[int, Each] = field(default_factory=dict)
    """Places that differ from turn to turn, by their number."""
    lists: dict[int, Over] = field(default_factory=dict)
    """Lists of values (`in.(…)`) that come from one answer, by the number of their first place."""

    @property
    def is_loop(self) -> bool:
        """Whether it is sent several times."""
        return len(self.numbers) > 1

    @property
    def creates_row(self) -> bool:
        """Whether it creates a row whose `id` its answer tells, so that it can be removed."""
        request, answer = self.request, self.request.exchange.answer
        if request.method != "POST" or not request.writes or request.is_call or request.is_graphql:
            return False
        if "resolution=" in request.exchange.header("prefer"):
            return False  # it may change a row that was there
        row = answer[0] if isinstance(answer, list) and answer else answer
        return isinstance(row, dict) and isinstance(row.get("id"), str | int) and not self.is_loop


@dataclass
class Click:
    """What the user did, and the requests that it sent."""

    think_s: float
    """From the last answer before to its first request."""
    steps: list[int]


@dataclass
class Visit:
    """One visit of one user."""

    person: Person
    requests: list[Request]
    steps: list[Step]
    clicks: list[Click]
    own_id_guessed_by: str = ""
    """What the user's id was called, where no token or answer told it."""
    sign_in: SignIn | None = None
    """How users get their token, where none can be minted."""

    @property
    def writes(self) -> bool:
        """Whether a request of it changes something."""
        return any(request.writes for request in self.requests)

    @property
    def shape(self) -> tuple[Any, ...]:
        """Equal for visits that do the same."""
        return tuple(
            tuple(
                (self.steps[step].request.shape, self.steps[step].is_loop) for step in click.steps
            )
            for click in self.clicks
        )
