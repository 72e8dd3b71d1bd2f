"""Compares two runs: what changed in what was measured, and in the circumstances.

Takes two `Findings`, returns a `Compared`; reads no file, draws nothing. Runs are minutes or months
apart, so the machine's mood lies between them: where both measured the same arms, the ratio within
each run (after/before, interleaved) is what is compared, and never one time with another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from phasegate.model.errors import Refused
from phasegate.records.target import TargetRecord
from phasegate.report import reference_comparison
from phasegate.report.effects import Effect, Technique
from phasegate.report.figures import Findings
from phasegate.report.format import milliseconds, plain, significant, users
from phasegate.report.matrix_table import chosen
from phasegate.report.reference_comparison import OnReference, on_reference
from phasegate.report.run_files import Run
from phasegate.report.tables import Table
from phasegate.report.traffic import StageTraffic

Change = Literal["better", "worse", "no change shown", "cannot tell"]


@dataclass(frozen=True)
class Moved:
    """One technique at one size in both runs."""

    technique: str
    users: int
    first: Effect
    second: Effect
    ratio: float | None
    """Second run's after/before over the first's; None where either has no interval."""
    low: float | None
    high: float | None
    change: Change
    plan_changed: bool
    statements_changed: bool


@dataclass(frozen=True)
class Compared:
    """Everything that two runs share, and what they do not."""

    first: str
    second: str
    circumstances: tuple[str, ...]
    """What differs in machine, code, server, settings and data; each a sentence."""
    moved: tuple[Moved, ...]
    cells: tuple[tuple[str, str, str], ...]
    """Cell of the phase matrix, and what each run says of it."""
    unshared: tuple[str, ...]
    on_reference: OnReference


def _of_planners(first: Run, second: Run) -> list[tuple[str, str, str]]:
    """Planner settings by where they were set; nothing where one run's are not known."""
    if first.planner_settings is None or second.planner_settings is None:
        return []
    one, two = (
        {f"planner setting {each.name} ({each.source})": each.value for each in settings}
        for settings in (first.planner_settings, second.planner_settings)
    )
    return [(name, one.get(name, "default"), two.get(name, "default")) for name in {**one, **two}]


def machine_of(run: Run) -> tuple[str, int, str]:
    """What two runs must share to be compared: model and number of processors, and the target.

    A staging run measures its target: the machine of the generator alone would not tell them apart.
    """
    driven = sorted({load.target for load in run.loads if not _is_here(load.target)})
    return run.run.machine.cpu, run.run.machine.cores, ", ".join(driven)


def _is_here(target: str) -> bool:
    """Whether a target is the machine that drove it, whose ports differ from run to run."""
    host = target.partition("//")[2] or target
    return host.startswith(("127.0.0.1", "localhost", "[::1]"))


def _described(cpu: str, cores: int, target: str) -> str:
    if not cores:
        return "one that was not recorded"
    return f"{cores} × {plain(cpu, 60)}" + (f" driving {plain(target, 60)}" if target else "")


def _speed(found: Findings) -> str:
    return significant(found.machine.overall.estimate) if found.machine else "not measured"


def _circumstances(one_found: Findings, two_found: Findings) -> tuple[str, ...]:
    first, second = one_found.run, two_found.run
    one, two = first.run, second.run
    pairs = [
        ("processor", one.machine.cpu, two.machine.cpu),
        ("cores", str(one.machine.cores), str(two.machine.cores)),
        ("speed against the reference core", _speed(one_found), _speed(two_found)),
        ("kernel", one.machine.kernel, two.machine.kernel),
        ("Python", one.machine.python, two.machine.python),
        ("commit", one.commit or "unknown", two.commit or "unknown"),
        ("seed", str(one.seed), str(two.seed)),
        (
            "PostgreSQL",
            one.server.version if one.server else "none",
            two.server.version if two.server else "none",
        ),
    ]
    settings = [run.server.settings if run.server else {} for run in (one, two)]
    pairs += [
        (f"setting {name}", settings[0].get(name, "default"), settings[1].get(name, "default"))
        for name in sorted({*settings[0], *settings[1]})
    ]
    pairs += _of_planners(first, second)
    pairs += [
        (
            f"data of {users(size)} users",
            first.seeds[size].sha256[:12],
            second.seeds[size].sha256[:12],
        )
        for size in sorted(set(first.seeds) & set(second.seeds))
    ]
    pairs += [
        (name, _of_target(first.target, name), _of_target(second.target, name))
        for name in ("target", "target's PostgreSQL", "target's compute", "target's users")
    ]
    said = [f"{name}: {plain(a, 80)} → {plain(b, 80)}" for name, a, b in pairs if a != b]
    said += [
        f"{run.run_id} was measured with uncommitted changes" for run in (one, two) if run.dirty
    ]
    return tuple(plain(line, 200) for line in said)


def _of_target(target: TargetRecord | None, name: str) -> str:
    if target is None:
        return "none"
    database = target.database
    if name == "target":
        return target.host
    if name == "target's compute":
        return target.compute or "not known"
    if database is None:
        return "not looked at"
    return database.version if "PostgreSQL" in name else str(database.registered_users)


def change_of(low: float, high: float) -> Change:
    """The word for an interval of second/first; below 1 is better."""
    if high < 1:
        return "better"
    return "worse" if low > 1 else "no change shown"


def moved(name: str, first: Effect, second: Effect) -> Moved:
    """One technique at one size in two runs: what changed between them."""
    one, two = first.ratio, second.ratio
    ratio = low = high = None
    change: Change = "cannot tell"
    if one is not None and two is not None:
        # Each ratio has an interval of its own and the runs are independent: on the log axis, half
        # widths add as squares.
        half = math.hypot(one.log_half_width, two.log_half_width)
        ratio = two.estimate / one.estimate
        low, high = ratio * math.exp(-half), ratio * math.exp(half)
        change = change_of(low, high)
    arms = [(e.comparison.before, e.comparison.after) for e in (first, second)]
    plans, statements = (
        [tuple(getattr(arm, field) for arm in pair) for pair in arms]
        for field in ("plan_hash", "statements")
    )
    return Moved(
        technique=name,
        users=first.users,
        first=first,
        second=second,
        ratio=ratio,
        low=low,
        high=high,
        change=change,
        plan_changed=plans[0] != plans[1],
        statements_changed=statements[0] != statements[1],
    )


def _effects(techniques: tuple[Technique, ...]) -> dict[tuple[str, int], Effect]:
    return {(t.technique, effect.users): effect for t in techniques for effect in t.effects}


def _said(stage: StageTraffic | None) -> str:
    if stage is None:
        return "not driven"
    p95 = f" p95 {milliseconds(stage.latency_ms[95.0])}" if stage.latency_ms else ""
    return f"{stage.judgement.verdict}{p95}"


def compare(first: Findings, second: Findings, *, any_machine: bool = False) -> Compared:
    """What two runs share, first against second.

    Args:
        first: the older, or the baseline.
        second: what is held against it.
        any_machine: compare runs of different machines all the same.

    Raises:
        Refused: they ran on different machines, and `any_machine` is not set.
    """
    machines = [machine_of(found.run) for found in (first, second)]
    unknown = not all(cores for _, cores, _ in machines)
    if (unknown or machines[0] != machines[1]) and not any_machine:
        described = [_described(*machine) for machine in machines]
        raise Refused(
            f"The runs are of different machines: {described[0]} and {described[1]}",
            untouched="Nothing was compared",
            then="Measure both on one machine, or compare anyway with --any-machine",
        )
    one, two = _effects(first.techniques), _effects(second.techniques)
    shared = [key for key in one if key in two]
    cells = sorted({(s.level, s.users) for f in (first, second) for s in f.stages})
    ids = (first.run.run.run_id, second.run.run.run_id)
    unshared = []
    for name, size in sorted({*one, *two} - set(shared)):
        only = plain(ids[0] if (name, size) in one else ids[1], 80)
        unshared.append(f"{plain(name, 60)} at {users(size)} users is in {only} only")
    return Compared(
        first=plain(ids[0], 80),
        second=plain(ids[1], 80),
        circumstances=_circumstances(first, second),
        moved=tuple(moved(key[0], one[key], two[key]) for key in shared),
        cells=tuple(
            (
                f"level {level}, {users(size)} users",
                _said(chosen(first.stages, level, size)),
                _said(chosen(second.stages, level, size)),
            )
            for level, size in cells
        ),
        unshared=tuple(unshared),
        on_reference=on_reference(first, second, one_machine=machines[0] == machines[1]),
    )


def table(found: Compared) -> Table:
    """A row per technique and size that both runs measured."""
    rows = tuple(
        (
            plain(moved.technique, 60),
            users(moved.users),
            _ratio(moved.first),
            _ratio(moved.second),
            _span(moved),
            moved.change,
            _marks(moved) or "–",
        )
        for moved in found.moved
    )
    head = ("Technique", "Users", "First", "Second", "Second ÷ first", "Change", "Changed too")
    return Table(head, rows)


def _marks(moved: Moved) -> str:
    """What changed apart from the times: almost free of noise, and often the cause."""
    marks = (("plan", moved.plan_changed), ("statements per call", moved.statements_changed))
    return ", ".join(word for word, shown in marks if shown)


def _span(moved: Moved) -> str:
    if moved.ratio is None or moved.low is None or moved.high is None:
        return "–"
    low, high = significant(moved.low, 3), significant(moved.high, 3)
    return f"{significant(moved.ratio, 3)} ({low} to {high})"


def _ratio(effect: Effect) -> str:
    return "–" if effect.ratio is None else significant(effect.ratio.estimate, 3)


def lines(found: Compared) -> tuple[str, ...]:
    """A comparison for a terminal: what differs around it, what moved, what the matrix says."""
    said = [f"{found.first} → {found.second}"]
    said.append("Circumstances:" if found.circumstances else "Circumstances: the same.")
    said += [f"  {line}" for line in found.circumstances]
    shown = [m for m in found.moved if m.change in ("better", "worse") or _marks(m)]
    if shown:
        said.append("Moved (after ÷ before of each run):")
        said += [_line(moved) for moved in shown]
    still = len(found.moved) - len(shown)
    said.append(f"No change shown, or cannot tell: {still} of {len(found.moved)} comparisons.")
    said += [f"{cell}: {one} → {two}" for cell, one, two in found.cells if one != two]
    return (*said, *reference_comparison.lines(found.on_reference), *found.unshared)


def _line(moved: Moved) -> str:
    name = f"{plain(moved.technique, 60)} at {users(moved.users)} users"
    text = f"  {moved.change}: {name}: {_ratio(moved.first)} → {_ratio(moved.second)}"
    marks = _marks(moved)
    return f"{text}, × {_span(moved)}" + (f"; changed too: {marks}" if marks else "")
