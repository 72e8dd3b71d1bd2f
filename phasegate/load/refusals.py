"""Why an answer to a session's request is a failure. Pure.

What its status and message mean, and what to do about them: `model.api_refusals`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasegate.load.expectations import ANYTHING, Expected, Failure
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

# Different ones that are counted: more would be one for each request, by its number or its time.
MESSAGES_MAX = 5

NO_CONTENT = 204


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
        page = "a web page" if is_page(answer) else "an answer"
        return Failure.NOT_JSON, None, f"{page if answer.body else 'nothing'} instead of JSON"
    problem = "" if expects is None else expects.problem(body)
    return (Failure.UNEXPECTED if problem else Failure.NONE), body, problem
