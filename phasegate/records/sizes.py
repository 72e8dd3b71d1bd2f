"""The record of the search for a compute size: what was driven under which, and how it went."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.model.verdict import Reason, code_of
from phasegate.records.matrix import Outcome
from phasegate.records.run import Machine
from phasegate.records.store import Part, Record

Mode = Literal["sustained", "burst"]
Cache = Literal["cold", "warm"]


class SizeUse(Part, frozen=True, kw_only=True):
    """What the database used in a stage; null where it is in no control group that counts it."""

    cores: float | None
    """The mean over the stage."""
    operations_per_s: float | None
    """That reached the disk, reads and writes."""
    sessions: float
    """That came from the first request on, warm-up included: what follows is of these."""
    reads: int | None
    """That reached the disk."""
    blocks_hit: int
    """Found in shared buffers."""
    blocks_read: int
    """Not found there."""
    blocks_read_first: int
    """Of those, in the first half of that time."""


class SizeDrive(Part, frozen=True, kw_only=True):
    """One stage of load under one size."""

    stage: str
    """Its files: `sizes/load/<stage>.json` and `sizes/sampler/<stage>.json`."""
    size: str
    mode: Mode
    """Whether what it may use for ever was in force, or its maximum, from full credits on."""
    cache: Cache
    """Whether the server began without a page of the data in memory, or with what fits."""
    verdict: Outcome
    reasons: tuple[str, ...]
    latency_ms_p95: float | None
    clicks: int
    sessions: int
    """That were due."""
    rate_sessions_per_s: float
    bound_by: str | None
    used: SizeUse | None
    """Null where it could not be sampled."""
    latency_ms_p95_between: tuple[float, float] | None = None
    """The 95% interval of the p95 by the parts of a stage that was driven longer, since a short one
    lay near the objective; null where the short one lay clear of it, and in older records."""

    @property
    def is_on_the_edge(self) -> bool:
        """Whether it was driven longer and chance still decides: no PASS and no FAIL."""
        return any(code_of(reason) == Reason.ON_THE_EDGE for reason in self.reasons)


class SizeAnswer(Part, frozen=True, kw_only=True):
    """Which size holds so many users, with these parts."""

    users: int
    level: int
    """The highest that the parts are all of."""
    parts: tuple[str, ...]
    sizes: tuple[str, ...]
    """That were searched, ascending: those that this machine can put in force."""
    sustained: str | None
    """The smallest that holds for ever; null where none was seen to."""
    burst: str | None
    """The smallest that holds while its burst lasts; null where none was seen to."""
    burst_cores: float | None
    """Used at the modelled peak by that one, in its burst; null where not sampled."""
    burst_operations_per_s: float | None
    """Of the disk, likewise."""
    drives: tuple[SizeDrive, ...]
    not_in_force: tuple[str, ...]
    """What of the sizes this machine could not put in force: no size then counts as holding."""
    left_out: tuple[str, ...]
    """What no emulation puts in force, so that the answer rests on an assumption."""

    def drive(self, size: str | None, mode: Mode, cache: Cache) -> SizeDrive | None:
        """The stage that was driven so; None where it was not."""
        return next(
            (d for d in self.drives if (d.size, d.mode, d.cache) == (size, mode, cache)), None
        )


class SizesRecord(Record, frozen=True, kw_only=True):
    """`sizes.json`, in the folder of a run. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    measured_at: str
    """ISO 8601, UTC."""
    machine: Machine
    seed: int
    head_room: float
    """Stages were driven at this multiple of the modelled peak."""
    answers: tuple[SizeAnswer, ...]
    """By users, ascending."""
