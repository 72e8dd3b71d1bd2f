"""The answer in plain words: the top of the page, and the five closing lines.

Takes what `effects` and `traffic` found, returns text; reads no file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from phasegate.model.catalogue import Catalogue
from phasegate.model.verdict import Verdict
from phasegate.records.advice import AdviceRecord
from phasegate.records.run import RunRecord
from phasegate.report.effects import Advice, Technique
from phasegate.report.format import (
    duration,
    listed,
    milliseconds,
    plain,
    rounded,
    significant,
    speed,
    users,
)
from phasegate.report.traffic import StageTraffic
from phasegate.report.yardstick import Elsewhere
from phasegate.stats.crossover import Crossover, Outcome

Tone = Literal["needed", "later", "slower", "unclear"]


LINE_CHARS = 100
"""Of each closing line: what a terminal and a commit comment show unbroken."""

ITEMS_SHOWN = 4
"""Of one kind of advice, before the rest is folded or counted: what a glance takes in."""


@dataclass(frozen=True)
class Item:
    """One technique as the verdict names it."""

    name: str
    detail: str
    """As `from 10k users; 8.1× faster at 100k`; empty where there is nothing to add."""

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})" if self.detail else self.name


@dataclass(frozen=True)
class Advised:
    """One kind of advice, and the techniques it is given for."""

    tone: Tone
    lead: str
    items: tuple[Item, ...]
    because: str


def needed_from(crossed: Crossover) -> str:
    """N* in words, with its interval: `from 23k users (19k to 28k)`."""
    if crossed.outcome is Outcome.BELOW:
        return f"from {users(crossed.smallest)} users or fewer"
    if crossed.outcome is Outcome.ABOVE:
        return f"not up to {users(crossed.largest)} users"
    low = users(rounded(crossed.low)) if crossed.low else f"below {users(crossed.smallest)}"
    high = users(rounded(crossed.high)) if crossed.high else f"above {users(crossed.largest)}"
    if crossed.users is None:
        return f"from between {low} and {high} users, where its plan changes"
    return f"from {users(rounded(crossed.users))} users ({low} to {high})"


def on_sizes(found: Elsewhere) -> str:
    """N* on each compute size, those alike together: `Micro 2.1k · Small, Medium 4.3k`."""
    said = []
    for crossed, names in found.alike():
        name = f"{names[0].title()} to {names[-1].upper()}" if len(names) > 2 else ""
        name = name or ", ".join(each.title() for each in names)
        said.append(f"{name} {short_from(crossed)}")
    return " · ".join(said)


def _item(technique: Technique, *, size: int | None = None) -> Item:
    found = technique.largest.ratio
    details = [] if size is None else [f"helps from {users(size)} users"]
    if technique.advice == "needed" and technique.crossed is not None:
        details.append(needed_from(technique.crossed))
        if technique.elsewhere is not None:
            details.append(f"{short_from(technique.elsewhere.reference)} on the reference core")
    if found is not None and technique.advice not in ("no difference", "cannot tell"):
        details.append(f"{speed(found.estimate)} at {users(technique.largest.users)}")
    if technique.advice == "needed" and not technique.enough:
        details.append("not enough by itself")
    return Item(plain(technique.title, longest=80), "; ".join(details))


def _of(techniques: tuple[Technique, ...], *advice: Advice) -> list[Technique]:
    """Those of an advice, the largest effect first."""
    found = [technique for technique in techniques if technique.advice in advice]
    return sorted(found, key=_effect, reverse=True)


def _effect(technique: Technique) -> float:
    """How far a technique moves a call at the largest size, either way; 0 where unknown."""
    found = technique.largest.ratio
    return abs(math.log(found.estimate)) if found is not None else 0.0


def verdict(techniques: tuple[Technique, ...], slo_ms_p95: float) -> tuple[Advised, ...]:
    """One entry per kind of advice; only those that are given for a technique."""
    largest = users(max((t.largest.users for t in techniques), default=0))
    budget = milliseconds(slo_ms_p95)
    given = (
        Advised(
            "needed",
            "Needed",
            tuple(_item(t) for t in _of(techniques, "needed")),
            f"Without it, the p95 of the statement is over its {budget}.",
        ),
        Advised(
            "later",
            "Helps, not needed yet",
            tuple(_item(t, size=t.helps_from) for t in _of(techniques, "not needed yet")),
            f"Without it, the statement still keeps its {budget} at {largest} users.",
        ),
        Advised(
            "slower",
            "Harmful here",
            tuple(_item(t) for t in _of(techniques, "slower")),
            "Slower with it than without.",
        ),
        Advised(
            "unclear",
            "No difference",
            tuple(_item(t) for t in _of(techniques, "no difference")),
            "Within 5% either way.",
        ),
        Advised(
            "unclear",
            "Cannot tell",
            tuple(_item(t) for t in _of(techniques, "cannot tell")),
            "The interval is too wide, or there were too few blocks. A larger budget narrows it.",
        ),
    )
    return tuple(advised for advised in given if advised.items)


def title(techniques: tuple[Technique, ...], stages: tuple[StageTraffic, ...] = ()) -> str:
    """The answer in one sentence: of the techniques, or where none was compared, of the load."""
    if not techniques and stages:
        top = max(stage.level for stage in stages)
        said = _level([stage for stage in stages if stage.level == top])
        return said[:1].upper() + said[1:]
    if not techniques:
        return "No technique was compared"
    largest = users(max(technique.largest.users for technique in techniques))
    needed = len(_of(techniques, "needed"))
    later = len(_of(techniques, "not needed yet"))
    slower = len(_of(techniques, "slower"))
    verb = "is" if needed < 2 else "are"
    first = f"{needed or 'None'} of {len(techniques)} techniques {verb} needed by {largest} users"
    rest = [f"{later} can wait"] if later else []
    rest += [f"{slower} would harm"] if slower else []
    return f"{first}; {listed(rest)}" if rest else first


def load_sentence(stages: tuple[StageTraffic, ...], catalogue: Catalogue) -> str:
    """How many users each stack level was seen to hold, and what it did at the largest size."""
    if not stages:
        return "No load was driven."
    levels = dict.fromkeys(sorted(stage.level for stage in stages))
    limit = milliseconds(catalogue.slo.request_latency_ms_p95)
    said = [_level([stage for stage in stages if stage.level == level]) for level in levels]
    return f"{'; '.join(said)}. To hold is a p95 within {limit}."


def _level(stages: list[StageTraffic]) -> str:
    """`level 1 holds 10k users (p95 170 ms), INVALID at 100k`."""
    name = f"level {stages[0].level}"
    passed = [stage for stage in stages if stage.judgement.verdict is Verdict.PASS]
    top = max(stages, key=lambda stage: stage.users)
    held = f"{name} was not seen to hold"
    if passed:
        best = max(passed, key=lambda stage: stage.users)
        held = f"{name} holds {users(best.users)} users (p95 {milliseconds(best.latency_ms[95.0])})"
    if top.judgement.verdict is Verdict.PASS:
        return held
    p95 = f" with {milliseconds(top.latency_ms[95.0])}" if top.latency_ms else ""
    return f"{held}, {top.judgement.verdict} at {users(top.users)}{p95}"


def lines(
    run: RunRecord,
    techniques: tuple[Technique, ...],
    stages: tuple[StageTraffic, ...],
    least: str = "",
    advice: AdviceRecord | None = None,
) -> tuple[str, str, str, str, str]:
    """The five lines that close a run: what `phasegate sql` and the page call the techniques.

    As many as a terminal's line takes are named, and the others counted.

    Args:
        run: its circumstances.
        techniques: compared in it.
        stages: driven in it.
        least: what must be done at the least (`report.least.line`); empty where nobody searched.
        advice: candidates that stand for the techniques where the project has none; what of them
            can be dropped is said either way.
    """
    dropped = _dropped(advice)
    wall = duration(sum(stage.wall_s for stage in run.stages))
    sizes = listed([users(size) for size in run.sizes]) or "no"
    needed = sorted(_of(techniques, "needed"), key=_needed_at)
    slower = [f"{_id(t)}{_times(t)}" for t in _of(techniques, "slower")]
    same, unclear = (
        [_id(t) for t in _of(techniques, kind)] for kind in ("no difference", "cannot tell")
    )
    undecided = f". No difference: {_some(same, LINE_CHARS // 4)}" if same else ""
    undecided += f". Cannot tell: {_some(unclear, LINE_CHARS // 4)}" if unclear else ""
    longest = LINE_CHARS - len(undecided) - len(dropped)
    lead = f"Needed ({len(needed)} of {len(techniques)}), from N users"
    first = f"{plain(run.run_id, 60)}: {run.outcome}, {sizes} users, {wall}"
    needs = _line(
        lead if needed else "Needed",
        [f"{_id(t)} {short_from(t.crossed)}" for t in needed],
    )
    waiting = [f"{_id(t)}{_times(t)}" for t in _of(techniques, "not needed yet")]
    harmful = _line("Harmful here", slower, longest) + undecided + dropped
    load = f"Load: {_load_line(stages)}"
    if least and advice is not None and advice.findings and not techniques:
        return first, f"Do for {least}", *_of_candidates(advice, least), load
    if not least:
        return first, needs, _line("Can wait", waiting), harmful, load
    return first, f"Do for {least}", needs, _rest(waiting, slower, dropped), load


def _of_candidates(advice: AdviceRecord, least: str) -> tuple[str, str]:
    """What was measured of them, with fewer users than the load may have."""

    def ids(kind: str) -> list[str]:
        return [plain(each.id, 40) for each in advice.findings if each.advice == kind]

    up_to = users(max(advice.sizes))
    needed, harmful = ids("needed"), ids("harmful")
    lead = f"Needed ({len(needed)} of {len(advice.findings)} candidates) up to {up_to} users"
    needs = _line(lead, needed) if needed else f"{lead}: none"
    waiting = [each for each in ids("not needed yet") if each not in least]
    return needs, _rest(waiting, harmful, _dropped(advice))


def _rest(waiting: list[str], harmful: list[str], dropped: str) -> str:
    slow = f". {_line('Harmful here', harmful, (LINE_CHARS - len(dropped)) // 2)}"
    end = slow * bool(harmful or not dropped) + dropped
    return _line("Can wait", waiting, LINE_CHARS - len(end)) + end


def _dropped(advice: AdviceRecord | None) -> str:
    """A sentence for the end of a line; empty where no index can go."""
    ids = [plain(each.id, 40) for each in advice.droppable] if advice is not None else []
    return f". Can be dropped: {_some(ids, LINE_CHARS // 3)}" if ids else ""


def _line(lead: str, items: list[str], longest: int = LINE_CHARS) -> str:
    return f"{lead}: {_some(items, longest - len(lead) - 2)}"


def _some(items: list[str], longest: int) -> str:
    """As many of `items` as fit into `longest` characters, and how many more there are."""
    if not items:
        return "nothing that was measured"
    shown = len(items)
    while True:
        more = f", {len(items) - shown} more" if shown < len(items) else ""
        text = ", ".join(items[:shown]) + more
        if len(text) <= longest or shown == 1:
            return text
        shown -= 1


def _id(technique: Technique) -> str:
    return plain(technique.technique, 40)


def _needed_at(technique: Technique) -> float:
    crossed = technique.crossed
    if crossed is None or crossed.outcome is Outcome.BELOW:
        return 0.0
    return crossed.users or crossed.low or crossed.smallest


def short_from(crossed: Crossover | None) -> str:
    """N* as short as it can be said: `≤1k`, `57k`, `1k–100k`, `>100k`."""
    if crossed is None:
        return "?"
    if crossed.outcome is Outcome.ABOVE:
        return f">{users(crossed.largest)}"
    if crossed.outcome is Outcome.BELOW:
        return f"≤{users(crossed.smallest)}"
    if crossed.users is None:
        low = users(rounded(crossed.low or crossed.smallest))
        return f"{low}–{users(rounded(crossed.high or crossed.largest))}"
    return users(rounded(crossed.users))


def _times(technique: Technique) -> str:
    """` 5.7×`: by how much it moves a call at the largest size, whichever way its line says."""
    found = technique.largest.ratio
    if found is None:
        return ""
    return f" {significant(max(found.estimate, 1 / found.estimate))}×"


def _load_line(stages: tuple[StageTraffic, ...]) -> str:
    """`level 1 holds 10k (p95 56 ms), FAIL at 100k; 2 holds 100k (12 ms)`."""
    if not stages:
        return "none was driven"
    said: list[str] = []
    for level in dict.fromkeys(sorted(stage.level for stage in stages)):
        mine = [stage for stage in stages if stage.level == level]
        top = max(mine, key=lambda stage: stage.users)
        passed = [stage for stage in mine if stage.judgement.verdict is Verdict.PASS]
        name = str(level) if said else f"level {level}"
        text = f"{name} was not seen to hold"
        if passed:
            best = max(passed, key=lambda stage: stage.users)
            p95 = milliseconds(best.latency_ms[95.0])
            text = f"{name} holds {users(best.users)}"
            text += f" ({p95})" if said else f" (p95 {p95})"
        if top.judgement.verdict is not Verdict.PASS:
            text += f", {top.judgement.verdict} at {users(top.users)}"
        said.append(text)
    return "; ".join(said)
