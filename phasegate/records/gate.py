"""The verdict on a transition to the next phase: what `phasegate gate --json` prints."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.store import Part, Record

Decision = Literal["GO", "NO-GO", "INVALID"]
Why = Literal["harmful here", "can wait", "needed later", "no difference"]
Kind = Literal["fails", "cost", "invalid", "missing", "alert", "note"]


class Reason(Part, frozen=True, kw_only=True):
    """One reason, as weighty as its place in the list."""

    kind: Kind
    """`fails`, `cost`: a fair no. `invalid`, `missing`: could not be told. `alert`, `note`: does
    not decide."""
    text: str
    sources: tuple[str, ...]
    """Files of the run that it rests on."""


class NextTechnique(Part, frozen=True, kw_only=True):
    """The technique to apply next."""

    technique: str
    title: str
    effect: str
    """Measured, in words."""
    command: str | None
    """Prints its migration, or the query of the client; null for a technique of nobody's."""


class NotYet(Part, frozen=True, kw_only=True):
    """A technique to leave alone."""

    technique: str
    title: str
    why: Why
    """`can wait`: it helps, but its old way held up to the largest size measured. `needed later`:
    its old way breaks beyond the phase's upper bound."""


class GateRecord(Record, frozen=True, kw_only=True):
    """A verdict. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    run_id: str
    decision: Decision
    phase: int
    """To be entered."""
    users: int
    """Registered users at its upper bound."""
    level: int
    """Stack level judged; the lowest that has them where `parts` are."""
    reasons: tuple[Reason, ...]
    """The weightiest first; a GO may have notes."""
    next_technique: NextTechnique | None
    """Null where nothing that was measured is needed by then."""
    not_yet: tuple[NotYet, ...]
    """Techniques that can wait, change nothing or would harm."""
    parts: tuple[str, ...] | None = None
    """The simplest stack that holds, where that was judged: what it adds; null where a level was
    judged, and in records older than this field."""
    found: dict[str, str] | None = None
    """What the user's database has of it, and of the project's techniques: by id, what does the
    same where it has another name, else empty; null where no database was looked at."""
