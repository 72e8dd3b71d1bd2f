"""The gate between phases: GO, NO-GO or INVALID, why, what to do next and what not yet. Pure.

Takes `Findings`, returns a `GateRecord`; reads no file.

A fair no stands: NO-GO, whatever else could not be measured. Without one, anything that could not
be measured fairly makes it INVALID. Only then it is a GO.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from phasegate.model.catalogue import Catalogue, Phase
from phasegate.model.errors import UsageError
from phasegate.records.advice import AdviceRecord, Finding
from phasegate.records.gate import Decision, GateRecord, NextTechnique, NotYet, Reason, Why
from phasegate.records.least import LeastStack, Needed
from phasegate.records.project import ProjectNote
from phasegate.records.run import RENAMED, StackPart
from phasegate.report import advice as told
from phasegate.report import gate_reasons as reasons_for
from phasegate.report import least
from phasegate.report.effects import Advice, Technique
from phasegate.report.figures import Findings
from phasegate.report.format import listed, milliseconds, plain, speed, users
from phasegate.report.headline import needed_from
from phasegate.report.matrix_table import chosen
from phasegate.report.traffic import StageTraffic

# A sentence with its cause and remedy; a step's note is never longer than what a terminal shows.
REASON_LENGTH_MAX = 600

WEIGHT = {"fails": 0, "cost": 1, "invalid": 2, "missing": 3, "alert": 4, "note": 5}
WHY_NOT: dict[Advice, Why] = {
    "slower": "harmful here",
    "not needed yet": "can wait",
    "no difference": "no difference",
}


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


def _step_to(needed: Needed, size: int, project: ProjectNote) -> NextTechnique:
    return NextTechnique(
        technique=needed.part,
        title=least.title_of(needed, project),
        effect=f"needed by {users(size)} users; driven without it and with it",
        command=least.command_for(needed, project),
    )


def _step_after(found: Findings, size: int, had: Collection[str]) -> NextTechnique | None:
    """What the next larger number of users needs that this one does not; None where nothing."""
    record = found.run.least
    stack = least.stack_for(record, size)
    larger = [s for s in record.stacks if s.users > size and s.outcome == "holds"] if record else []
    for above in larger:
        for needed in least.newly_needed(above, stack):
            if needed.part not in had:
                return _step_to(needed, above.users, found.project)
    return None


def _advised_by(finding: Finding, size: int) -> bool:
    """Whether a candidate is needed by `size` users, as far as was measured."""
    low = finding.needed_from or finding.needed_from_low or 0.0
    return finding.advice == "needed" and low <= size


def _step_advised(
    record: AdviceRecord | None, size: int, had: Collection[str]
) -> NextTechnique | None:
    """The candidate to act on first that the database does not have; None where there is none."""
    for finding in record.findings if record else ():
        technique = finding.covered_by or finding.id
        if _advised_by(finding, size) and technique not in had:
            return NextTechnique(
                technique=technique,
                title=plain(finding.title, 120),
                effect="; ".join(filter(None, (told.effect(finding), told.since(finding)))),
                command=f"phasegate sql {technique}",
            )
    return None


def _advised_not_yet(record: AdviceRecord | None, had: Collection[str]) -> tuple[NotYet, ...]:
    """Candidates that can wait, change nothing or would harm."""
    said = []
    for finding in record.findings if record else ():
        why = WHY_NOT.get("slower" if finding.advice == "harmful" else finding.advice)  # type: ignore[arg-type]
        technique = finding.covered_by or finding.id
        if why is not None and technique not in had:
            said.append(NotYet(technique=technique, title=plain(finding.title, 120), why=why))
    return tuple(said)


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
    lacking: tuple[Needed, ...] = ()
    """Of the simplest stack's parts, those that the user's database does not have."""


def _judged(
    found: Findings, to: int, size: int, level: int | None, had: Mapping[str, str] | None
) -> _Judged:
    levels = len(found.project.levels)
    judged = level_of(to, level, levels)
    driven = {stage.level for stage in found.stages}
    if level is None and had is not None and found.run.target and len(driven) == 1:
        (judged,) = driven  # chosen by what the target was found to have
    if not 1 <= judged <= levels:
        raise UsageError(
            f"There is no stack level {judged}",
            untouched="Nothing was judged",
            then=f"Choose one of 1 to {levels}",
        )
    simplest = least.stack_for(found.run.least, size) if level is None else None
    if simplest is not None:
        judged = least.level_with(found.project, least.parts_of(simplest))
    lacking = () if simplest is None or had is None else _lacking(simplest, found.project, had)
    return _Judged(judged, chosen(found.stages, judged, size), simplest, lacking)


def _lacking(stack: LeastStack, project: ProjectNote, had: Mapping[str, str]) -> tuple[Needed, ...]:
    """Parts that a database would show, and that one does not have."""
    shown = (n for n in stack.needed if n.proposed or n.part in project.techniques)
    return tuple(needed for needed in shown if needed.part not in had)


def _of_load(found: Findings, judged: _Judged, size: int) -> list[Reason]:
    asked = found.catalogue.gate.head_room
    if judged.simplest is not None:
        return reasons_for.of_simplest(judged.simplest, size, asked, judged.lacking)
    use = next((u for u in found.uses if u.stage == judged.stage), None)
    return reasons_for.of_cell(judged.stage, use, judged.level, size, asked)


def _step(
    found: Findings, judged: _Judged, size: int, there: Collection[str]
) -> NextTechnique | None:
    """`there` is what the user's database has."""
    if judged.lacking:
        return _step_to(judged.lacking[0], size, found.project)
    if judged.simplest is not None:
        return _step_after(found, size, there)
    parts = found.run.run.levels.get(judged.level, ())
    had = had_by(found.project, judged.level, parts, judged.stage.arm if judged.stage else None)
    step = next_technique(found.techniques, size, had | set(there), found.project)
    return step or _step_advised(found.run.advice, size, had | set(there))


def gate(
    found: Findings, to: int, level: int | None = None, had: Mapping[str, str] | None = None
) -> GateRecord:
    """The verdict on entering phase `to`.

    Args:
        found: what was measured.
        to: the phase to be entered.
        level: stack level to be judged; by default the simplest stack that was seen to hold, where
            it was searched, else the level of the phase's own number, or the last one.
        had: what the user's database has (`advise.found_parts`); what the run's target had if None.

    Raises:
        UsageError: there is no transition to that phase, or no such level.
    """
    catalogue = found.catalogue
    size = phase_to_enter(catalogue, to).users_max
    target = found.run.target
    if had is None and target is not None and target.database is not None:
        had = target.database.parts
    judged = _judged(found, to, size, level, had)
    profile = next((p for p in found.profiles if p.level == judged.level), None)
    if judged.simplest is not None:
        profile = least.profile_of(found, judged.simplest)
    reasons = [
        *_of_load(found, judged, size),
        *(reasons_for.of_found(had) if had is not None else ()),
    ]
    if target is not None:
        reasons += [*reasons_for.of_target(target, size), *reasons_for.of_host(target, catalogue)]
    if target is None or (profile is not None and profile.database is not None):
        reasons += reasons_for.of_money(profile, size, catalogue, _priced_from(found, judged.stage))
    reasons += reasons_for.of_planner(found.run)
    reasons += reasons_for.of_droppable(found.run.advice)
    if found.run.run.outcome != "complete":
        text = f"The run {found.run.ended}{_why_failed(found)}"
        reasons.append(Reason(kind="invalid", text=text, sources=("run.json",)))
    if not found.techniques and not found.run.advice:
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
        next_technique=_step(found, judged, size, had or ()),
        not_yet=_waiting(found, size, had or ()),
        parts=least.parts_of(simplest) if simplest else None,
        found=None if had is None else dict(had),
    )


def _waiting(found: Findings, size: int, had: Collection[str]) -> tuple[NotYet, ...]:
    """Of what the user's database has, nothing is left to wait for."""
    said = tuple(each for each in _not_yet(found.techniques, size) if each.technique not in had)
    return said or (_advised_not_yet(found.run.advice, had) if found.run.target else ())


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
