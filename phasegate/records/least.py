"""The record of the simplest stack that holds: what was driven to find it."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.matrix import Probe
from phasegate.records.store import Part, Record


class Trial(Part, frozen=True, kw_only=True):
    """One set of parts under load."""

    parts: tuple[str, ...]
    """By name; what every trial of the search has is left out."""
    probe: Probe


class Needed(Part, frozen=True, kw_only=True):
    """A part of the simplest stack."""

    part: str
    without: Probe | None
    """The same stack without it, driven; null where the search had no time left for that."""
    proposed: str = ""
    """Title of a candidate of `advice.json`; empty for a part that the project has, and in records
    older than this field."""


class LeastStack(Part, frozen=True, kw_only=True):
    """The smallest set of parts with which one number of users was seen to hold."""

    users: int
    outcome: Literal["holds", "does not hold", "cannot tell"]
    """`does not hold`: not with all parts that there are either. `cannot tell`: the search met a
    stage that could not be judged, or ran out of trials."""
    needed: tuple[Needed, ...]
    """In the order in which they were added; a smaller number of users may have asked for them
    already. Where nothing holds, what was tried last."""
    kept_up_by: tuple[str, ...]
    """Parts that keep the needed ones up to date, as a scheduled refresh."""
    probe: Probe
    """The stack itself."""
    cpu_s_per_session: float | None = None
    """Processor seconds that the database spent on a session of it; null where nothing was sampled,
    and in records older than this field."""
    trials: tuple[Trial, ...]
    """In the order driven; the first one is what the smaller number of users asked for."""


class LeastRecord(Record, frozen=True, kw_only=True):
    """`least.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    head_room: float
    """As in `matrix.json`."""
    always: tuple[str, ...]
    """Parts that every trial had: how the client of the first level reads."""
    left_out: tuple[str, ...]
    """Parts that were not tried, since they were measured to be slower."""
    stacks: tuple[LeastStack, ...]
    """By users, ascending."""
