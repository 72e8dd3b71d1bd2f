"""What clicks and requests expect of their answers, and why one is a failure. Pure.

A request says which form its answer has (`Rows`, `Fields`): one of another form is a failure,
whatever its status. A click says how often it shows something (`ALWAYS`, `USUALLY`): answers that
are fast because they are empty are no success.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from phasegate.model.api_refusals import (
    FAILS_FROM,
    NOT_MODIFIED,
    REDIRECTS,
    is_page,
    redirected_to,
    said,
)

if TYPE_CHECKING:
    from phasegate.load.transport import Answer

NO_CONTENT = 204

# Of what a GraphQL server says: it may quote what was sent.
ERROR_WORDS_MAX = 80

PAGE = "a web page instead of JSON"
"""What is wrong with HTML."""

Types = tuple[type, ...]

ID: Types = (str, int)
TEXT: Types = (str,)
NUMBER: Types = (int, float)
NONE: Types = (type(None),)
OBJECT: Types = (dict,)
ANY: Types = (object,)

# Shares of clicks that show at least one row. Users who own nothing yet exist everywhere: of the
# seeded population's sessions 3 to 6% see an empty list, and 20% where every user comes equally
# often (a file of users). A quarter is more than either.
ALWAYS = 1.0
USUALLY = 0.75

# Of clicks that must always show something: as many as may fail by the shipped objective.
EMPTY_SHARE_FLOOR = 0.01
# Chance alone exceeds what is allowed in one stage of a hundred at most.
CHANCE_MAX = 0.01


class Failure(IntEnum):
    """Why a request failed; the number goes into the recorder's rows."""

    NONE = 0
    STATUS = 1
    """No answer, or a status of 400 or above."""
    REDIRECT = 2
    NOT_JSON = 3
    """A web page, say: the status was fine."""
    UNEXPECTED = 4
    """JSON of another form than the session can go on with."""
    REJECTED = 5
    """The locustfile said so (`catch_response`)."""


class Expected(Protocol):
    """The form of an answer's body."""

    def problem(self, body: Any) -> str:
        """What is wrong with the decoded `body`, as `an object instead of rows`; empty if right."""


@dataclass(frozen=True)
class Rows:
    """An array of objects that have at least these columns, each of one of its types."""

    columns: Mapping[str, Types] = field(default_factory=dict)

    def problem(self, body: Any) -> str:
        """See `Expected`."""
        if not isinstance(body, list):
            return f"{_kind(body)} instead of rows"
        for row in body:
            if not isinstance(row, dict):
                return f"{_kind(row)} instead of a row"
            wrong = _wrong(row, self.columns)
            if wrong:
                return f"rows {wrong}"
        return ""


@dataclass(frozen=True)
class Fields:
    """One object that has at least these fields, each of one of its types."""

    fields: Mapping[str, Types]

    def problem(self, body: Any) -> str:
        """See `Expected`."""
        if not isinstance(body, dict):
            return f"{_kind(body)} instead of an object"
        wrong = _wrong(body, self.fields)
        return f"an object {wrong}" if wrong else ""


@dataclass(frozen=True)
class Maybe:
    """What another form says, or no body at all."""

    form: Expected

    def problem(self, body: Any) -> str:
        """See `Expected`."""
        return "" if body is None else self.form.problem(body)


@dataclass(frozen=True)
class GraphQL:
    """What a GraphQL server answers: no errors, and `data` of a form."""

    form: Expected | None = None

    def problem(self, body: Any) -> str:
        """See `Expected`."""
        if not isinstance(body, dict) or ("data" not in body and "errors" not in body):
            return f"{_kind(body)} instead of a GraphQL answer"
        if body.get("errors"):
            return f"a GraphQL error: {str(body['errors'])[:ERROR_WORDS_MAX]}"
        return "" if self.form is None else self.form.problem(body.get("data"))


@dataclass(frozen=True)
class Anything:
    """Any body, a web page too; not even decoded."""

    def problem(self, body: Any) -> str:
        """See `Expected`."""
        return ""


ANYTHING = Anything()


def _wrong(found: dict[str, Any], wanted: Mapping[str, Types]) -> str:
    for name, types in wanted.items():
        if name not in found:
            return f"without {name!r}"
        if not isinstance(found[name], types):
            return f"whose {name!r} is {_kind(found[name])}"
    return ""


def _kind(value: Any) -> str:
    """`value` by its kind alone: what it holds may be somebody's."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return "a text" if isinstance(value, str) else "a number"


def is_too_empty(clicks: int, empty: int, shown_share: float) -> bool:
    """Whether `empty` of `clicks` are more than a click with `shown_share` allows, beyond chance.

    By the upper tail of the binomial distribution; all of them empty is too many at any number.
    """
    if not empty:
        return False
    if empty == clicks:
        return True
    allowed = max(1 - shown_share, EMPTY_SHARE_FLOOR)
    if empty <= clicks * allowed:
        return False
    log_p, log_q = math.log(allowed), math.log1p(-allowed)
    whole = math.lgamma(clicks + 1)
    tail = math.fsum(
        math.exp(
            whole
            - math.lgamma(n + 1)
            - math.lgamma(clicks - n + 1)
            + n * log_p
            + (clicks - n) * log_q
        )
        for n in range(empty, clicks + 1)
    )
    return tail < CHANCE_MAX


def failure_of(
    answer: Answer, expects: Expected | None, *, asked_if_changed: bool
) -> tuple[Failure, object, str]:
    """Why `answer` is a failure, its decoded body, and what exactly is wrong.

    Args:
        answer: what came back.
        expects: the form of its body; None where only the status and a body that is no page count.
        asked_if_changed: whether 304 is an answer.
    """
    if answer.status == 0 or answer.status >= FAILS_FROM:
        return Failure.STATUS, None, said(answer)
    if answer.status in REDIRECTS:
        if answer.status == NOT_MODIFIED and asked_if_changed:
            return Failure.NONE, None, ""
        return Failure.REDIRECT, None, redirected_to(answer)
    if expects is ANYTHING:
        return Failure.NONE, None, ""
    if expects is None and not (answer.body and is_page(answer)):
        return Failure.NONE, None, ""
    try:
        body = None if answer.status == NO_CONTENT else answer.json()
    except (ValueError, RecursionError):
        if answer.body and is_page(answer):
            return Failure.NOT_JSON, None, PAGE
        what = "an answer" if answer.body else "nothing"
        return Failure.NOT_JSON, None, f"{what} instead of JSON"
    problem = "" if expects is None else expects.problem(body)
    return (Failure.UNEXPECTED if problem else Failure.NONE), body, problem
