"""The one error tree. Each leaf says what happened, what was left untouched, what to do next.

    PhasegateError            exit code
    ├── UsageError            2  the call is wrong
    ├── ConfigurationError    2  a setting, file or environment variable is wrong
    │   └── Refused           2  the call is well-formed, but carrying it out would do harm
    ├── DoesNotHold           1  measured fairly, and the answer is no
    ├── CannotMeasure         3  INVALID: could not be measured fairly
    └── Unforeseen           70  a defect of phasegate itself; the traceback is kept in a file

`__main__.main` is the one place that catches them, prints the message and exits.
What is none of these becomes one of them by `records.faults.explained`.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process status means, for every verb."""

    HOLDS = 0
    DOES_NOT_HOLD = 1
    WRONG_CALL = 2
    INVALID = 3
    UNFORESEEN = 70  # EX_SOFTWARE of sysexits.h: no verdict of any kind


class PhasegateError(Exception):
    """Base of every error that a user is meant to read.

    Args:
        what: what happened, in one sentence without a final full stop.
        untouched: what was left as it was; empty where that is self-evident.
        then: what to do next.
    """

    exit_code: ExitCode = ExitCode.WRONG_CALL

    def __init__(self, what: str, *, untouched: str = "", then: str = "") -> None:
        self.what = what
        self.untouched = untouched
        self.then = then
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The message as one line."""
        parts = (self.what, self.untouched, self.then)
        return ". ".join(part.rstrip(".") for part in parts if part) + "."


class UsageError(PhasegateError):
    """The call itself is wrong: an unknown flag, a count that is not positive."""


class ConfigurationError(PhasegateError):
    """A setting, a file, an environment variable or the machine does not allow the call."""


class Refused(ConfigurationError):
    """The call is well-formed but would harm something that is not ours."""


class DoesNotHold(PhasegateError):
    """It was measured fairly, and the answer is no: FAIL, NO-GO, regression."""

    exit_code = ExitCode.DOES_NOT_HOLD


class CannotMeasure(PhasegateError):
    """INVALID: the thing asked about could not be measured fairly."""

    exit_code = ExitCode.INVALID


class Unforeseen(PhasegateError):
    """A defect of phasegate: nobody foresaw what happened, and it says nothing of the target."""

    exit_code = ExitCode.UNFORESEEN
