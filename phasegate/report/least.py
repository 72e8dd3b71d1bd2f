"""The least that will do, as the page, the five lines and the gate say it. Reads no file."""

from __future__ import annotations

from dataclasses import replace

from phasegate.model.capacity import Profile, bill_at
from phasegate.records.advice import AdviceRecord
from phasegate.records.least import LeastRecord, LeastStack, Needed
from phasegate.records.matrix import Probe
from phasegate.records.project import ProjectNote
from phasegate.report.figures import Findings
from phasegate.report.format import listed, milliseconds, plain, users
from phasegate.report.money import described
from phasegate.report.profiles import cold
from phasegate.report.sizing import daily
from phasegate.report.tables import Table

SOURCE = "least.json"
OF_THE_CLIENT = frozenset({"N+1", "offset", "exact count", "wide rows", "live aggregate"})
"""Kinds of candidates for which clients must ask in another way, unless one was driven."""

TITLES_MAX = 2
"""Parts that a heading names; more are counted."""


def stack_for(record: LeastRecord | None, size: int) -> LeastStack | None:
    """The stack found for `size` users; None where none was seen to hold there."""
    stacks = record.stacks if record else ()
    return next((s for s in stacks if s.users == size and s.outcome == "holds"), None)


def parts_of(stack: LeastStack) -> tuple[str, ...]:
    """All that it adds to how the client reads."""
    return (*(needed.part for needed in stack.needed), *stack.kept_up_by)


def level_with(project: ProjectNote, parts: tuple[str, ...]) -> int:
    """The lowest level that has all of `parts` that the client does not bring; else the last."""
    listed_parts = {part for level in project.levels for part in level.parts}
    wanted = set(parts) & listed_parts - set(project.client_parts)
    having = (n for n, level in enumerate(project.levels, 1) if wanted <= set(level.parts))
    return next(having, len(project.levels))


def proposes(stack: LeastStack) -> bool:
    """Whether it has a candidate, which no level has."""
    return any(needed.proposed for needed in stack.needed)


def profile_of(found: Findings, stack: LeastStack) -> Profile | None:
    """What a bill for the stack rests on: the lowest level that has its parts.

    With a candidate the stack is no level: what its own stage took of the processor stands for it.
    """
    level = level_with(found.project, parts_of(stack))
    profile = next((p for p in found.profiles if p.level == level), None)
    if profile is None or not proposes(stack) or found.run.least is None:
        return profile
    parts = {*found.run.least.always, *parts_of(stack)}
    answers = found.run.sizes.answers if found.run.sizes else ()
    sized = [each for each in answers if each.users == stack.users and set(each.parts) == parts]
    used = stack.cpu_s_per_session
    return replace(
        profile,
        cpu_s_per_session=() if used is None else ((stack.users, used),),
        cpu_factors=None,
        held_users=float(stack.users),
        broke_users=None,
        cold=cold(sized),
        sizes=tuple(
            (each.users, size)
            for each in sized
            if (size := daily(each, found.catalogue)) is not None and not each.not_in_force
        ),
    )


def _p95(probe: Probe | None) -> str:
    if probe is None:
        return "not driven"
    if probe.latency_ms_p95 is None:
        return probe.verdict
    return f"{probe.verdict}, p95 {milliseconds(probe.latency_ms_p95)}"


def title_of(needed: Needed, project: ProjectNote) -> str:
    """Of a part of the project, or of a candidate; else its name."""
    note = project.techniques.get(needed.part)
    return plain(note.title if note else needed.proposed or needed.part, 80)


def command_for(needed: Needed, project: ProjectNote) -> str | None:
    """Prints its migration; None where there is none to print."""
    known = needed.part in project.techniques or needed.proposed
    return f"phasegate sql {needed.part}" if known else None


def newly_needed(stack: LeastStack, below: LeastStack | None) -> tuple[Needed, ...]:
    """What `stack` needs that the next smaller number of users does not."""
    had = {needed.part for needed in below.needed} if below else set()
    return tuple(needed for needed in stack.needed if needed.part not in had)


def line(record: LeastRecord | None) -> str:
    """`1k and 10k users nothing; 100k idx_orders_customer`; empty where it was not searched."""
    if record is None or not record.stacks:
        return ""
    said: list[tuple[list[str], str]] = []
    below = None
    for stack in record.stacks:
        what = f"{stack.outcome}"
        if stack.outcome == "holds":
            nothing = "nothing more" if stack.needed else "nothing"
            what = ", ".join(n.part for n in newly_needed(stack, below)) or nothing
            below = stack
        if said and said[-1][1] == what:
            said[-1][0].append(users(stack.users))
        else:
            said.append(([users(stack.users)], what))
    return "; ".join(f"{listed(sizes)}: {what}" for sizes, what in said)


def title(record: LeastRecord | None, project: ProjectNote) -> str:
    """The answer in one sentence, for the most users that were seen to hold; empty without any."""
    held = [stack for stack in record.stacks if stack.outcome == "holds"] if record else []
    if not held:
        return ""
    names = [title_of(needed, project) for needed in held[-1].needed]
    what = "nothing added" if not names else f"{len(names)} parts"
    if 0 < len(names) <= TITLES_MAX:
        what = f"{listed(names)} and nothing else"
    return f"{users(held[-1].users)} users hold with {what}"


def table(found: Findings) -> Table:
    """A row for each number of users: what to do, what happens without it, what a month costs."""
    record = found.run.least
    rows = []
    below = None
    for stack in record.stacks if record else ():
        do, without = _do(stack, below, found.project, found.run.advice)
        rows.append(
            (f"{users(stack.users)} users", do, _p95(stack.probe), without, _bill(found, stack))
        )
        below = stack if stack.outcome == "holds" else below
    head = ("For", "Do", "Then", "Without it", "A month")
    return Table(head, tuple(rows))


def _do(
    stack: LeastStack,
    below: LeastStack | None,
    project: ProjectNote,
    advice: AdviceRecord | None,
) -> tuple[str, str]:
    if stack.outcome == "does not hold":
        tried = ", ".join(needed.part for needed in stack.needed) or "no part"
        driven = {part for trial in stack.trials for part in trial.parts}
        asks = "; ".join(
            f"{plain(each.title, 80)} (phasegate sql {each.id})"
            for each in (advice.findings if advice else ())
            if each.kind in OF_THE_CLIENT and each.advice == "needed" and each.id not in driven
        )
        more = f". What clients send must change, which no stack can: {asks}" if asks else ""
        return f"nothing that the project has is enough (tried {tried}){more}", "–"
    if stack.outcome == "cannot tell":
        return "cannot tell: a stage could not be judged, or too many would be needed", "–"
    new = newly_needed(stack, below)
    if not new:
        return "nothing more" if stack.needed else "nothing", "–"
    said = []
    for needed in new:
        command = command_for(needed, project)
        said.append(title_of(needed, project) + (f" ({command})" if command else ""))
    upkeep = [part for part in stack.kept_up_by if below is None or part not in below.kept_up_by]
    if upkeep:
        said.append(f"kept up to date by {listed(upkeep)}")
    return "; ".join(said), "; ".join(f"{each.part}: {_p95(each.without)}" for each in new)


def _bill(found: Findings, stack: LeastStack) -> str:
    if stack.outcome != "holds":
        return "–"
    profile = profile_of(found, stack)
    if profile is None or profile.database is None:
        return "not measured"
    alike = "" if proposes(stack) else f" (as level {profile.level})"
    return f"{described(bill_at(stack.users, profile, found.catalogue))}{alike}"


def not_needed(found: Findings) -> str:
    """Parts of the levels that no number of users asked for, in one sentence; empty without any."""
    record = found.run.least
    holding = [s for s in record.stacks if s.outcome == "holds"] if record else []
    if record is None or not holding:
        return ""
    top = holding[-1]
    passed = {*parts_of(top), *record.always}
    listed_parts = (part for level in found.project.levels for part in level.parts)
    others = [part for part in dict.fromkeys(listed_parts) if part not in passed]
    if not others:
        return ""
    return (
        f"Not needed up to {users(top.users)} users, although a level has them: {listed(others)}."
    )
