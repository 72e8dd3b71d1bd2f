"""What each technique saves a month, or why that cannot be told. Takes findings, reads no file.

The workload's clicks come from the load that was driven, the time of a call from the benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from phasegate.model.capacity import Profile
from phasegate.model.catalogue import Catalogue
from phasegate.model.savings import Calls, Saving, saving
from phasegate.records.benchmark import Arm
from phasegate.records.load import LoadRecord
from phasegate.records.project import ProjectNote
from phasegate.report.effects import Technique
from phasegate.report.format import listed, plain, significant, users
from phasegate.report.tables import Table

ASSUMED = (
    "Assumed: a call's time is processor time of one core, sessions click as the load did, the data"
    " lie in memory. Keeping a technique up (writes, refreshes) is not deducted."
)
NEVER_ASKED = "the modelled sessions never ask for it"
CORE_SHOWN_FROM = 0.01
"""Of a core; less is nothing that a compute size could tell."""


@dataclass(frozen=True)
class Saves:
    """One technique: what it saves at each number of users, or why nobody can say."""

    technique: str
    title: str
    at: tuple[tuple[int, Saving], ...]
    untold: str
    """Why `at` is empty; else empty."""


def clicks_per_session(loads: Sequence[LoadRecord], names: Sequence[str]) -> float:
    """How often a session clicks any of `names`; 0 where no session was counted."""
    counted = [load for load in loads if load.sessions and load.sessions.finished]
    sessions = sum(load.sessions.finished for load in counted if load.sessions)
    clicks = sum(a.requests for load in counted for a in load.actions if a.name in names)
    return clicks / sessions if sessions else 0.0


def _seconds(arm: Arm) -> float:
    return median(arm.call_ns or arm.block_ns) / 1e9


def _calls(technique: Technique, per_session: float) -> Calls | None:
    timed = [e for e in technique.effects if e.ratio is not None]
    if not timed:
        return None
    return Calls(
        per_session=per_session,
        before=[(e.users, _seconds(e.comparison.before)) for e in timed],
        after=[(e.users, _seconds(e.comparison.after)) for e in timed],
    )


def _of(
    technique: Technique,
    project: ProjectNote,
    loads: Sequence[LoadRecord],
    profiles: dict[int, Profile],
    sizes: Sequence[int],
    catalogue: Catalogue,
) -> Saves:
    name, title = technique.technique, plain(technique.title, 80)
    entry = project.techniques.get(name)
    if entry is None or not entry.clicks:
        untold = entry.saves_nothing if entry and entry.saves_nothing else NEVER_ASKED
        return Saves(name, title, (), untold)
    per_session = clicks_per_session(loads, entry.clicks) / entry.clicks_per_call
    if not per_session:
        return Saves(name, title, (), "no load with such clicks was driven")
    calls = _calls(technique, per_session)
    if calls is None:
        return Saves(name, title, (), "it was not timed")
    first = project.level_with(name)
    level = first or _level_to_compare(profiles)
    profile = profiles.get(level)
    found = [
        (size, saved)
        for size in sizes
        if profile is not None
        and (saved := saving(size, calls, profile, catalogue, included=first is not None))
    ]
    untold = "" if found else f"the processor time of level {level} was not sampled"
    return Saves(name, title, tuple(found), untold)


def _level_to_compare(profiles: dict[int, Profile]) -> int:
    """Whose bill is compared where no level has a technique: the last one on a single server."""
    single = [level for level, each in profiles.items() if not each.replicas]
    return max(single, default=1)


def savings(
    techniques: Sequence[Technique],
    loads: Sequence[LoadRecord],
    profiles: Sequence[Profile],
    sizes: Sequence[int],
    catalogue: Catalogue,
    project: ProjectNote,
) -> tuple[Saves, ...]:
    """Every technique at every one of `sizes` (registered users), those that save most first."""
    by_level = {profile.level: profile for profile in profiles}
    found = [_of(each, project, loads, by_level, sizes, catalogue) for each in techniques]
    return tuple(
        sorted(found, key=lambda one: -max((abs(s.cores) for _, s in one.at), default=-1.0))
    )


def said(saved: Saving) -> str:
    """`4.7 cores: micro, not 2xl: $400 a month`, or that its cores change no size."""
    if not _matters(saved):
        return "nothing"
    noun = "core" if abs(saved.cores) < 1 else "cores"
    much = f"{significant(saved.cores)} {noun}"
    with_it, without = saved.with_it, saved.without
    if without is None:
        return f"{much}; no plan without it" if with_it else f"{much}; no plan either way"
    if with_it is None:
        return f"{much}; no plan with it"
    usd = saved.usd_per_month or 0.0
    if with_it.compute == without.compute:
        return f"{much}; {with_it.compute} either way"
    return f"{much}: {with_it.compute}, not {without.compute}: ${usd:,.0f} a month"


def _matters(saved: Saving) -> bool:
    return abs(saved.cores) >= CORE_SHOWN_FROM


def _telling(found: Sequence[Saves]) -> list[Saves]:
    """Those that save or cost something at one size at least."""
    return [one for one in found if any(_matters(saved) for _, saved in one.at)]


def table(found: Sequence[Saves]) -> Table:
    """A row per technique that saves something, a column per number of users."""
    told = _telling(found)
    sizes = [size for size, _ in told[0].at] if told else []
    rows = [(one.title, *(said(saved) for _, saved in one.at)) for one in told]
    return Table(("Technique", *(f"{users(size)} users" for size in sizes)), tuple(rows))


def untold(found: Sequence[Saves]) -> tuple[str, ...]:
    """What saves nothing, and why the others cannot be told: a sentence for each reason."""
    nothing = [one.technique for one in found if one.at and one not in _telling(found)]
    said = [f"Less than {CORE_SHOWN_FROM} of a core: {listed(nothing)}."] if nothing else []
    reasons = dict.fromkeys(one.untold for one in found if one.untold)
    said += [
        f"Not told, since {why}: {listed([one.technique for one in found if one.untold == why])}."
        for why in reasons
    ]
    return tuple(said)


def lines(found: Sequence[Saves]) -> tuple[str, ...]:
    """For `phasegate cost --users N`, with the one number of users that `found` is for."""
    told = [f"  {one.technique}: {said(one.at[0][1])}" for one in _telling(found)]
    if not any(one.at for one in found):
        return untold(found)
    return ("What a technique saves:", *told, f"  {ASSUMED}", *(f"  {w}" for w in untold(found)))
