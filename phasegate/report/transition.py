"""The gate between phases: GO, NO-GO or INVALID, why, what to do next and what not yet. Pure.

Takes `Findings`, returns a `GateRecord`; reads no file.

A fair no stands: NO-GO, whatever else could not be measured. Without one, anything that could not
be measured fairly makes it INVALID. Only then it is a GO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phasegate.model.capacity import Profile, bill_at, demand_at, missing
from phasegate.model.catalogue import Catalogue, Phase
from phasegate.model.cost import GB
from phasegate.model.errors import UsageError
from phasegate.model.verdict import Verdict
from phasegate.records.gate import Decision, GateRecord, Kind, NextTechnique, NotYet, Reason, Why
from phasegate.records.host_metrics import alerts, summary
from phasegate.records.least import LeastStack
from phasegate.records.planner_settings import information, warnings
from phasegate.records.project import ProjectNote
from phasegate.records.run import RENAMED, StackPart
from phasegate.records.target import TargetRecord
from phasegate.report import format as words
from phasegate.report import least
from phasegate.report.effects import Advice, Technique
from phasegate.report.figures import Findings
from phasegate.report.format import listed, milliseconds, plain, speed, users
from phasegate.report.headline import needed_from
from phasegate.report.matrix_table import chosen
from phasegate.report.money import dollars
from phasegate.report.profiles import of_target
from phasegate.report.resource_usage import StageUse
from phasegate.report.run_files import Run
from phasegate.report.traffic import StageTraffic

# A sentence with its cause and remedy; a step's note is never longer than what a terminal shows.
REASON_LENGTH_MAX = 600

WEIGHT = {"fails": 0, "cost": 1, "invalid": 2, "missing": 3, "alert": 4, "note": 5}
WHY_NOT: dict[Advice, Why] = {
    "slower": "harmful here",
    "not needed yet": "can wait",
    "no difference": "no difference",
}
USERS_SHARE_MIN = 0.95
"""Of the phase's upper bound, registered users that a staging database must have: a twentieth fewer
changes no plan, and the planner's estimate may be off by as much."""

HEAD_ROOM_ROUNDING = 1e-6
"""Rates go through JSON and division; a stage driven at 1.25 must not fall short of 1.25."""


def phase_to_enter(catalogue: Catalogue, number: int) -> Phase:
    """The phase of that number.

    Raises:
        UsageError: there is no transition to it.
    """
    known = {phase.number: phase for phase in catalogue.phases}
    if number not in known or number == min(known):
        raise UsageError(
            f"There is no transition to phase {number}",
            untouched="Nothing was measured",
            then=f"Choose one of {', '.join(str(n) for n in sorted(known)[1:])}",
        )
    return known[number]


def level_of(to: int, level: int | None, levels: int) -> int:
    """The stack level that is judged for phase `to`: as asked, else that of the phase's number.

    Args:
        to: the phase to be entered.
        level: as asked; None for the phase's own.
        levels: of the project: with fewer than phases, the last one serves all later phases.
    """
    return min(to, levels) if level is None else level


def _of_cell(
    stage: StageTraffic | None, use: StageUse | None, level: int, size: int, asked: float
) -> list[Reason]:
    """What the cell (level, phase's upper bound) says."""
    at = f"Level {level} at {users(size)} users"
    if stage is None:
        text = f"{at} was not driven"
        return [Reason(kind="missing", text=text, sources=())]
    sources = (stage.source,)
    verdict, why = stage.judgement.verdict, "; ".join(stage.judgement.reasons)
    if verdict is Verdict.FAIL:
        text = f"{at} FAILs: {plain(why)}"
        if use is None:
            return [Reason(kind="fails", text=text, sources=sources)]
        text += f"; {use.reason}"
        return [Reason(kind="fails", text=text, sources=(*sources, use.source))]
    if verdict is Verdict.INVALID:
        text = f"{at} could not be judged: {plain(why)}"
        return [Reason(kind="invalid", text=text, sources=sources)]
    held = f"{at} holds with a p95 of {milliseconds(stage.latency_ms[95.0])}"
    if stage.head_room is None:
        text = f"{held}, but at an unknown share of the modelled peak"
        return [Reason(kind="missing", text=text, sources=sources)]
    if stage.head_room < asked - HEAD_ROOM_ROUNDING:
        text = f"{held}, but was driven at {stage.head_room:.2f}× the peak, not {asked:g}×"
        return [Reason(kind="missing", text=text, sources=sources)]
    text = f"{held} at {stage.head_room:.2f}× the modelled peak"
    return [Reason(kind="note", text=text, sources=sources)]


def _of_simplest(stack: LeastStack, size: int, asked: float) -> list[Reason]:
    """What the simplest stack that holds says: it was driven, and without each of its parts too."""
    sources = (least.SOURCE,)
    probe, names = stack.probe, listed(list(least.parts_of(stack)))
    p95 = milliseconds(probe.latency_ms_p95) if probe.latency_ms_p95 else "unknown"
    head_room = probe.rate_over_peak
    what = f"With {names}" if names else "With nothing added"
    text = f"{what}, {users(size)} users hold with a p95 of {p95}"
    if head_room is None or head_room < asked - HEAD_ROOM_ROUNDING:
        text += ", but were not driven with enough head-room"
        return [Reason(kind="missing", text=text, sources=sources)]
    found = [Reason(kind="note", text=f"{text} at {head_room:.2f}× the peak", sources=sources)]
    for needed in stack.needed:
        without = needed.without
        if without is not None:
            worse = f"p95 {milliseconds(without.latency_ms_p95)}" if without.latency_ms_p95 else ""
            text = f"Without {needed.part}: {without.verdict}{', ' if worse else ''}{worse}"
            found.append(Reason(kind="note", text=text, sources=sources))
    return found


def _step_after(found: Findings, size: int) -> NextTechnique | None:
    """What the next larger number of users needs that this one does not; None where nothing."""
    record = found.run.least
    stack = least.stack_for(record, size)
    larger = [s for s in record.stacks if s.users > size and s.outcome == "holds"] if record else []
    for above in larger:
        for part in least.new_parts(above, stack):
            note = found.project.techniques.get(part)
            return NextTechnique(
                technique=part,
                title=plain(note.title if note else part, 120),
                effect=f"needed by {users(above.users)} users; driven without it and with it",
                command=f"phasegate sql {part}" if note else None,
            )
    return None


def _of_target(target: TargetRecord, size: int) -> list[Reason]:
    """What a staging run's target says about the right to speak for `size` users."""
    sources = ("target.json",)
    found: list[Reason] = []
    database = target.database
    have = database.registered_users if database else None
    if database is None:
        text = "How many users are registered is not known: give --database-url"
        found.append(Reason(kind="missing", text=text, sources=sources))
    elif have is None:
        text = "How many users are registered is not known: no table of users could be read"
        found.append(Reason(kind="missing", text=text, sources=sources))
    elif have < USERS_SHARE_MIN * size:
        text = f"{users(have)} users are registered, too few to speak for {users(size)}"
        found.append(Reason(kind="missing", text=text, sources=sources))
    for sentence in (database.unguarded or ()) if database else ():
        text = f"No fair load: {sentence}"
        found.append(Reason(kind="invalid", text=text, sources=sources))
    asked, there = target.acting_users, target.acting_users_found
    if asked is not None and there is not None and there < asked:
        text = f"{asked - there} of {asked} users that sessions acted as are not registered"
        found.append(Reason(kind="invalid", text=text, sources=sources))
    if target.compute is None:
        text = "The target's compute size is not known, nor its price: name it with --compute"
        found.append(Reason(kind="missing", text=text, sources=sources))
    fitted = of_target(target)
    if fitted is not None and target.compute is not None:
        each = words.size(fitted.per_user.estimate)
        text = (
            f"Priced by {each} of database a user, in proportion, and no less than {target.compute}"
        )
        found.append(Reason(kind="note", text=text, sources=sources))
    if target.reads_only:
        text = "Sessions only read; --allow-writes drives those that write too"
        found.append(Reason(kind="note", text=text, sources=sources))
    return found


def _of_host(target: TargetRecord, catalogue: Catalogue) -> list[Reason]:
    """What the host of the database told of itself, and what ends with its credits."""
    host = target.host_metrics
    if host is None:
        return []
    size = next((size for size in catalogue.compute if size.name == target.compute), None)
    sources = ("target.json",)
    found = [Reason(kind="alert", text=text, sources=sources) for text in alerts(host, size)]
    if text := summary(host):
        found.append(Reason(kind="note", text=text, sources=sources))
    return found


def _of_planner(run: Run) -> list[Reason]:
    """What the planner was told that another server's is not."""
    sources = ("target.json",) if run.target else ("run.json",)
    settings = run.planner_settings or ()
    return [
        *(Reason(kind="alert", text=text, sources=sources) for text in warnings(settings)),
        *(Reason(kind="note", text=text, sources=sources) for text in information(settings)),
    ]


def _of_money(
    profile: Profile | None, size: int, catalogue: Catalogue, sources: tuple[str, ...]
) -> list[Reason]:
    """What a month at the phase's upper bound costs, and the alerts that would have fired."""
    if profile is None or profile.database is None:
        text = "Nothing was seeded, so neither capacity nor cost is known"
        return [Reason(kind="missing", text=text, sources=())]
    bill = bill_at(size, profile, catalogue)
    demand = demand_at(size, profile, catalogue)
    at = f"{users(size)} users"
    held = profile.held_users
    # Beyond what was held, the bill is extrapolated: it may warn, but it is no fair no.
    no: Kind = "cost" if held is not None and size <= held else "missing"
    beyond = "" if no == "cost" else " (extrapolated: so many were not held)"
    if bill is None or demand is None:
        text = f"No plan on the price list is enough for {at}{beyond}"
        return [Reason(kind=no, text=text, sources=sources)]
    budget = catalogue.alerts.budget_usd_per_month
    # What was not measured counts as none: the sum is then a lower bound, and says so.
    least = "At least " if missing(profile) else ""
    cost = f"{least}{dollars(bill)} a month ({bill.plan}, {bill.compute}) at {at}"
    fired = [s for s in catalogue.alerts.budget_shares if bill.usd_per_month >= s * budget]
    found = []
    if bill.usd_per_month > budget:
        text = f"{cost} is over the budget of ${budget:,.0f}{beyond}"
        found.append(Reason(kind=no, text=text, sources=sources))
    elif fired:
        text = f"{cost} sets off the budget alert at {max(fired):.0%} of ${budget:,.0f}"
        found.append(Reason(kind="alert", text=text, sources=sources))
    else:
        found.append(Reason(kind="note", text=f"{cost} is within the budget", sources=sources))
    plan = next(plan for plan in catalogue.prices.plans if plan.name == bill.plan)
    share = demand.database_bytes / GB / plan.disk_gb
    if share >= catalogue.alerts.database_size_share:
        text = f"The database fills {share:.0%} of {plan.name}'s {plan.disk_gb:g} GB at {at}"
        kind: Kind = "alert" if plan.sells_more else "cost"
        found.append(Reason(kind=kind, text=text, sources=sources))
    return found


def _needed_by(technique: Technique, size: int) -> bool:
    """Whether the old way breaks its SLO at `size` users or fewer, as far as was measured."""
    crossed = technique.crossed
    if technique.advice != "needed" or crossed is None:
        return False
    at = crossed.users or crossed.low or crossed.smallest
    return at <= size


def _gain_ms(technique: Technique) -> float:
    return technique.largest.before_ms_p95 - technique.largest.after_ms_p95


def next_technique(
    techniques: tuple[Technique, ...], size: int, had: frozenset[str], project: ProjectNote
) -> NextTechnique | None:
    """Of those needed by `size` users and not `had` already, what takes most off the p95."""
    wanted = [
        technique
        for technique in techniques
        if technique.technique not in had and _needed_by(technique, size)
    ]
    if not wanted:
        return None
    best = max(wanted, key=_gain_ms)
    effect = best.largest
    words = [f"p95 {milliseconds(effect.before_ms_p95)} → {milliseconds(effect.after_ms_p95)}"]
    if effect.ratio is not None:
        words.append(speed(effect.ratio.estimate))
    if best.crossed is not None:
        words.append(f"needed {needed_from(best.crossed)}")
    known = best.technique in project.techniques
    command = f"phasegate sql {best.technique}" if known else None
    at = f"at {users(effect.users)} users"
    return NextTechnique(
        technique=best.technique,
        title=plain(best.title, 120),
        effect=f"{', '.join(words)}; {at}",
        command=command,
    )


def had_by(
    project: ProjectNote, level: int, parts: Sequence[StackPart], arm: str | None
) -> frozenset[str]:
    """The techniques that a stack has, or has no use for beside a part that it has.

    Args:
        project: says which part of a stack, or of a client, a technique adds.
        level: of the stack. Its definition speaks where the record of it names no such part.
        parts: of the stack, as recorded; a part that was skipped is not there.
        arm: the client's parts, joined by +; None where no load was driven.
    """
    there = {RENAMED.get(part.name, part.name): part.outcome != "skipped" for part in parts}

    def has(technique: str) -> bool:
        if there.get(project.techniques[technique].superseded_by):
            return True
        names = project.techniques[technique].parts
        if arm is not None and any(name in project.client_parts for name in names):
            return any(part in names for part in arm.split("+"))
        recorded = [there[name] for name in names if name in there]
        first = project.level_with(technique)
        return any(recorded) if recorded else first is not None and first <= level

    return frozenset(technique for technique in project.techniques if has(technique))


def _not_yet(techniques: tuple[Technique, ...], size: int) -> tuple[NotYet, ...]:
    said = []
    for technique in techniques:
        why = WHY_NOT.get(technique.advice)
        if technique.advice == "needed" and not _needed_by(technique, size):
            why = "needed later"
        if why is not None:
            title = plain(technique.title, 120)
            said.append(NotYet(technique=technique.technique, title=title, why=why))
    return tuple(said)


def _priced_from(found: Findings, stage: StageTraffic | None) -> tuple[str, ...]:
    """The files that a bill rests on most: the largest data set, or the target, and the cell."""
    files = ["target.json"] if found.run.target else []
    if not files and found.run.seeds:
        files = [f"seed/{max(found.run.seeds)}.json"]
    return (*files, stage.source) if stage else tuple(files)


def _why_failed(found: Findings) -> str:
    """What the step that failed said, behind a colon; empty where none did."""
    said = [
        stage.note for stage in found.run.run.stages if stage.outcome == "failed" and stage.note
    ]
    return f": {plain(said[-1], REASON_LENGTH_MAX)}" if said else ""


def _decision(reasons: Sequence[Reason]) -> Decision:
    kinds = {reason.kind for reason in reasons}
    if kinds & {"fails", "cost"}:
        return "NO-GO"
    return "INVALID" if kinds & {"invalid", "missing"} else "GO"


@dataclass(frozen=True)
class _Judged:
    """What a verdict is about: a level, or the simplest stack that holds."""

    level: int
    stage: StageTraffic | None
    """The level's cell at the phase's upper bound."""
    simplest: LeastStack | None
    """None where a level is judged."""


def _judged(found: Findings, to: int, size: int, level: int | None) -> _Judged:
    levels = len(found.project.levels)
    judged = level_of(to, level, levels)
    if not 1 <= judged <= levels:
        raise UsageError(
            f"There is no stack level {judged}",
            untouched="Nothing was judged",
            then=f"Choose one of 1 to {levels}",
        )
    simplest = least.stack_for(found.run.least, size) if level is None else None
    if simplest is not None:
        judged = least.level_with(found.project, least.parts_of(simplest))
    return _Judged(judged, chosen(found.stages, judged, size), simplest)


def _of_load(found: Findings, judged: _Judged, size: int) -> list[Reason]:
    asked = found.catalogue.gate.head_room
    if judged.simplest is not None:
        return _of_simplest(judged.simplest, size, asked)
    use = next((u for u in found.uses if u.stage == judged.stage), None)
    return _of_cell(judged.stage, use, judged.level, size, asked)


def _step(found: Findings, judged: _Judged, size: int) -> NextTechnique | None:
    if judged.simplest is not None:
        return _step_after(found, size)
    parts = found.run.run.levels.get(judged.level, ())
    had = had_by(found.project, judged.level, parts, judged.stage.arm if judged.stage else None)
    return next_technique(found.techniques, size, had, found.project)


def gate(found: Findings, to: int, level: int | None = None) -> GateRecord:
    """The verdict on entering phase `to`.

    Args:
        found: what was measured.
        to: the phase to be entered.
        level: stack level to be judged; by default the simplest stack that was seen to hold, where
            it was searched, else the level of the phase's own number, or the last one.

    Raises:
        UsageError: there is no transition to that phase, or no such level.
    """
    catalogue = found.catalogue
    size = phase_to_enter(catalogue, to).users_max
    judged = _judged(found, to, size, level)
    profile = next((p for p in found.profiles if p.level == judged.level), None)
    reasons = _of_load(found, judged, size)
    target = found.run.target
    if target is not None:
        reasons += [*_of_target(target, size), *_of_host(target, catalogue)]
    if target is None or (profile is not None and profile.database is not None):
        reasons += _of_money(profile, size, catalogue, _priced_from(found, judged.stage))
    reasons += _of_planner(found.run)
    if found.run.run.outcome != "complete":
        text = f"The run {found.run.ended}{_why_failed(found)}"
        reasons.append(Reason(kind="invalid", text=text, sources=("run.json",)))
    if not found.techniques:
        text = "No technique was compared, so none can be named as the next"
        reasons.append(Reason(kind="note", text=text, sources=()))
    simplest = judged.simplest
    return GateRecord(
        format_version=GateRecord.FORMAT_VERSION,
        run_id=found.run.run.run_id,
        decision=_decision(reasons),
        phase=to,
        users=size,
        level=judged.level,
        reasons=tuple(sorted(reasons, key=lambda reason: WEIGHT[reason.kind])),
        next_technique=_step(found, judged, size),
        not_yet=_not_yet(found.techniques, size),
        parts=least.parts_of(simplest) if simplest else None,
    )


def lines(record: GateRecord) -> tuple[str, ...]:
    """A verdict for a terminal."""
    size, level = users(record.users), record.level
    on = f"on stack level {level}"
    if record.parts is not None:
        on = f"with {listed(list(record.parts))}" if record.parts else "with nothing added"
    said = [f"{record.decision}: phase {record.phase}, up to {size} users, {on}"]
    said += [f"  {reason.kind}: {reason.text}" for reason in record.reasons]
    if record.next_technique is not None:
        step = record.next_technique
        said.append(f"Next: {step.title} ({step.effect})")
        if step.command:
            said.append(f"  {step.command}")
    for why in dict.fromkeys(one.why for one in record.not_yet):
        titles = [one.title for one in record.not_yet if one.why == why]
        said.append(f"Not yet, {why}: {'; '.join(titles)}")
    return tuple(said)
