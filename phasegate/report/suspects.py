"""Which events of a server coincide with slow clicks, more often than chance would have it.

Takes events and counts of clicks by interval; returns values. The test is
`stats.recurrence.coincidence`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from phasegate.records.server_events import EventKind, ServerEvent
from phasegate.stats.recurrence import PVALUE_MAX, Array, Coincidence, coincidence, covered

EVENTS_MIN = 2
SLOW_MORE_MIN = 3.0
"""Slow clicks in the windows beyond those that are slow elsewhere."""
SHARE_RATIO_MIN = 2.0
"""Of the share of slow clicks in the windows to that beside them."""
LONG_S = 5.0
"""What lasts for longer has a begin, an end and a middle, which are tried apart."""
ABOUT_S = 1.0
"""After a moment, what it did shows within so long; what ends does its last work within it."""
BEFORE_S = 0.1
"""Clicks that were due just before were still under way."""
COVERED_MAX = 0.5
"""Of the stage: what is at work for longer cannot be told from what is not."""
GROUPS_MAX = 25
"""Kinds of events that are tried, those with the most events: each costs certainty."""
REGULAR = 0.15
"""Of the median gap: events come in a rhythm where no more than this lies between it and"""
REGULAR_SHARE = 0.7
"""so many of their gaps."""
SYMPTOMS: frozenset[EventKind] = frozenset({"lock", "reconnect"})
SYMPTOM_WEIGHT = 0.5
"""As these the work of others shows: where both coincide, the work is named first."""

Aspect = str
"""`while`, `as it begins` or `as it ends`."""


@dataclass(frozen=True)
class Trial:
    """A kind of event with the windows in which its effect would show."""

    kind: EventKind
    what: str
    aspect: Aspect
    events: tuple[ServerEvent, ...]
    windows_s: Array
    """Begin and end of each, shape (events, 2)."""

    @property
    def gap_s(self) -> float:
        """The median time from one event to the next."""
        begins = sorted(event.begin_s for event in self.events)
        return median(b - a for a, b in itertools.pairwise(begins))

    def covered(self, length_s: float) -> float:
        """Share of the stage in the windows."""
        return float((self.windows_s[:, 1] - self.windows_s[:, 0]).sum()) / length_s


@dataclass(frozen=True)
class Suspect:
    """A kind of event with which slow clicks coincide."""

    trial: Trial
    hits: int
    """Events about which clicks were slow."""
    clicks: int
    slow: int
    """Of clicks due in the windows."""
    share_outside: float
    pvalue: float
    """Corrected for everything that was tried."""

    @property
    def events(self) -> tuple[ServerEvent, ...]:
        """All of its kind."""
        return self.trial.events

    @property
    def slow_more(self) -> float:
        """Slow clicks beyond those that would be slow elsewhere."""
        return self.slow - self.share_outside * self.clicks

    @property
    def period_s(self) -> float | None:
        """From one event to the next; None where they come in no rhythm."""
        begins = sorted(event.begin_s for event in self.events)
        gaps = [b - a for a, b in itertools.pairwise(begins)]
        middle = median(gaps)
        regular = sum(abs(gap - middle) <= REGULAR * middle for gap in gaps)
        return middle if len(gaps) > 1 and regular >= REGULAR_SHARE * len(gaps) else None

    def windows(self) -> list[tuple[float, float]]:
        """Begin and end of each, in seconds."""
        return [(float(begin), float(end)) for begin, end in self.trial.windows_s]

    def covers(self, begin_s: float, end_s: float) -> bool:
        """Whether a window and a stretch have a moment in common."""
        windows = self.trial.windows_s
        return bool(np.any((windows[:, 0] < end_s) & (windows[:, 1] > begin_s)))


def on_trial(events: Sequence[ServerEvent], length_s: float, width_s: float) -> tuple[Trial, ...]:
    """What to try: each kind, and each kind of one table, view or job, with its windows.

    Args:
        events: times since the stage began.
        length_s: of the stage.
        width_s: of its intervals.
    """
    groups: dict[tuple[EventKind, str], list[ServerEvent]] = {}
    for event in events:
        if 0 <= event.begin_s < length_s or (event.end_s and 0 < event.end_s < length_s):
            groups.setdefault((event.kind, event.what), []).append(event)
            if event.what:
                groups.setdefault((event.kind, ""), []).append(event)
    alone = {key for key, mine in groups.items() if len(mine) >= EVENTS_MIN}
    # A kind that has one table alone is tried as that table's.
    for kind, what in list(alone):
        if what and len(groups[kind, what]) == len(groups[kind, ""]):
            alone.discard((kind, ""))
    chosen = sorted(alone, key=lambda key: (-len(groups[key]), key))[:GROUPS_MAX]
    before_s = max(BEFORE_S, width_s)
    return tuple(
        trial
        for kind, what in chosen
        for trial in _aspects(kind, what, groups[kind, what], before_s)
        if trial.covered(length_s) <= COVERED_MAX
    )


def _aspects(
    kind: EventKind, what: str, events: Sequence[ServerEvent], before_s: float
) -> list[Trial]:
    known = [event for event in events if event.end_s is not None]
    lasts_s = median((event.end_s or 0) - event.begin_s for event in known) if known else 0.0

    def trial(aspect: Aspect, chosen: Sequence[ServerEvent], windows: list[list[float]]) -> Trial:
        return Trial(kind, what, aspect, tuple(chosen), np.array(windows))

    def from_begin(event: ServerEvent) -> float:
        return event.begin_s - event.within_s - before_s

    begins = trial("as it begins", events, [[from_begin(e), e.begin_s + ABOUT_S] for e in events])
    if len(known) < EVENTS_MIN:
        return [begins]
    meanwhile = trial("while", known, [[from_begin(e), (e.end_s or 0) + before_s] for e in known])
    if lasts_s < LONG_S:
        return [meanwhile]
    ends = trial(
        "as it ends",
        known,
        [[(e.end_s or 0) - ABOUT_S, (e.end_s or 0) + ABOUT_S] for e in known],
    )
    return [meanwhile, begins, ends]


def suspects_of(
    clicks: Array, slow: Array, width_s: float, trials: Sequence[Trial]
) -> list[tuple[Suspect, tuple[Suspect, ...]]]:
    """Suspects, those first that explain most, each with what coincides just as well.

    What is found is taken out, and the rest is tried again: what then shows nothing more of its own
    only coincided with what was found.
    """
    found: list[tuple[Suspect, tuple[Suspect, ...]]] = []
    clicks, slow, rest = clicks.copy(), slow.copy(), list(trials)

    def accepted(among: Sequence[Trial]) -> list[Suspect]:
        tried = [_tried(trial, clicks, slow, width_s, len(trials)) for trial in among]
        return sorted((one for one in tried if one is not None), key=_weight, reverse=True)

    while ranked := accepted(rest):
        best = ranked[0]
        beside = best.trial.windows_s + np.array([-width_s, width_s])
        inside = covered(beside, len(clicks), width_s)
        clicks[inside] = slow[inside] = 0
        rest = [trial for trial in rest if not _are_one(trial, best.trial)]
        others = [one for one in ranked if not _are_one(one.trial, best.trial)]
        still = {id(one.trial) for one in accepted([one.trial for one in others])}
        also: list[Suspect] = []
        for one in others:
            if id(one.trial) not in still and not any(_are_one(one.trial, a.trial) for a in also):
                also.append(one)
        rest = [trial for trial in rest if not any(_are_one(trial, one.trial) for one in also)]
        found.append((best, tuple(also)))
    return found


def _are_one(one: Trial, other: Trial) -> bool:
    """Whether they are of the same events, or the one's are among the other's."""
    return one.kind == other.kind and (one.what == other.what or not (one.what and other.what))


def _weight(suspect: Suspect) -> float:
    """How much it explains: slow clicks, times the share of its events that have any about them."""
    reach = suspect.slow_more * suspect.hits / len(suspect.events)
    return reach * (SYMPTOM_WEIGHT if suspect.trial.kind in SYMPTOMS else 1.0)


def _tried(trial: Trial, clicks: Array, slow: Array, width_s: float, tests: int) -> Suspect | None:
    """The suspect, where its coincidence is neither chance nor small."""
    result = coincidence(clicks, slow, width_s, trial.windows_s, trial.gap_s)
    suspect = _suspect(trial, result, tests)
    enough = (
        suspect.pvalue <= PVALUE_MAX
        and suspect.hits >= EVENTS_MIN
        and suspect.slow_more >= SLOW_MORE_MIN
        and result.share_inside >= SHARE_RATIO_MIN * result.share_outside
    )
    return suspect if enough else None


def _suspect(trial: Trial, result: Coincidence, tests: int) -> Suspect:
    return Suspect(
        trial=trial,
        hits=result.hits,
        clicks=result.clicks,
        slow=result.slow,
        share_outside=result.share_outside,
        pvalue=min(1.0, result.pvalue * tests),
    )
