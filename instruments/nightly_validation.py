"""`make perf-nightly`: how often the nightly raises a false alarm, and how soon it finds 5%.

Records HEAD beside itself in fresh processes, draws months of nights from the recordings
(`instruments.nightly_simulation`), and holds our detectors beside rules that compare with the night
before, on the same data. Writes `results/<time>-perf-nightly/nightly-proof.json`; Otava's
environment is made in the cache folder if it is not there.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from instruments import nightly_simulation as simulation
from instruments.detector_eval import Effort, goals, power, simulate
from instruments.nightly_validation_record import ProofRecord, Round
from phasegate import seeding
from phasegate.model.errors import CannotMeasure
from phasegate.nightly import drift
from phasegate.nightly import paired_runs as pairing
from phasegate.nightly.machine_noise import Shares, Watch, quarantine
from phasegate.nightly.measure import SECOND_ROUNDS
from phasegate.nightly.worktrees import ROOT, Tree
from phasegate.records import store
from phasegate.records.run import Machine, Server
from phasegate.stack.machine import describe_server, machine
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.processes import postmaster_of
from phasegate.stats.self_check import INJECTIONS

PEERS_NOTE = (
    "{} series, {} repeats minutes apart: from one day to the next, and from one rented machine to "
    "another, one side's times differ more than here, which flatters the rules that compare with "
    "the night before."
)
DRIFT_NOTE = (
    "A drift of 5% is read as an equal part of it in each of 7 nights, after "
    f"{simulation.NIGHTS_BEFORE} quiet ones, found by the seventh at the latest."
)

SERIES_MIN = 2
REPEATS_MIN = 1 + SECOND_ROUNDS  # no round is in both measurements of a night
REPEATS_MAX = 12


def record(
    server: PostgresServer,
    *,
    users: int,
    seed: int,
    effort: Effort,
    on_round: Callable[[str], None] = lambda _: None,
) -> tuple[Round, ...]:
    """HEAD against itself: repeats of all chosen series, each in the nightly's rounds.

    Raises:
        CannotMeasure: a side does not start, or no series could be measured twice.
    """
    tree = Tree.of(ROOT)
    found: list[Round] = []
    began = time.monotonic()
    for repeat in range(REPEATS_MAX):
        for room in pairing.MODULES:
            rig = pairing.Rig(server, users, seed + repeat)
            for number in range(rig.rounds[room]):
                on_round(f"repeat {repeat + 1}, {room}, round {number + 1}")
                found += _round(rig, room, tree, repeat, number, effort)
        each_s = (time.monotonic() - began) / (repeat + 1)
        if repeat + 1 >= REPEATS_MIN and (repeat + 2) * each_s > effort.record_s:
            break
    return tuple(found)


def _round(
    rig: pairing.Rig, room: str, tree: Tree, repeat: int, number: int, effort: Effort
) -> Iterable[Round]:
    half_width = pairing.HALF_WIDTH_WANTED * math.sqrt(rig.rounds[room])
    with pairing.sitting(rig, room, (tree, tree), swapped=(repeat + number) % 2 > 0) as both:
        ids = sorted(both.series)
        for series in ids[:: min(effort.stride, max(1, len(ids) // SERIES_MIN))]:
            measured = both.measure(series, effort.round_s, half_width=half_width)
            if measured.logs:
                yield Round(
                    series=series,
                    repeat=repeat,
                    number=number,
                    logs=measured.logs,
                    head_ns=measured.head_ns,
                )


def recorded(rounds: Sequence[Round]) -> tuple[simulation.Recorded, ...]:
    """Rounds by series; series that not every repeat has whole are left out.

    Raises:
        CannotMeasure: none is left, or there are too few repeats.
    """
    repeats = {one.repeat for one in rounds}
    found = []
    for series in sorted({one.series for one in rounds}):
        own = [one for one in rounds if one.series == series]
        each = len({one.number for one in own})
        if len(repeats) >= REPEATS_MIN and len(own) == each * len(repeats):
            found.append(
                simulation.Recorded(
                    series,
                    tuple(one.logs for one in own),
                    each,
                    tuple(one.head_ns for one in own),
                    tuple(one.repeat for one in own),
                )
            )
    if not found:
        raise CannotMeasure(
            f"No series was recorded in {REPEATS_MIN} repeats",
            then="Give it more time, or a quieter machine",
        )
    return tuple(found)


@dataclass(frozen=True)
class Origin:
    """Where the recordings come from."""

    started_at: str
    phasegate_version: str
    commit: str | None
    machine: Machine
    server: Server | None
    users: int
    shares: Shares


def prove(rounds: Sequence[Round], origin: Origin, effort: Effort) -> ProofRecord:
    """Everything that the recordings say; CannotMeasure as `recorded` and `nightly.drift.ask`."""
    found = recorded(rounds)
    bank = simulation.bank(found, np.random.default_rng(0), effort.measurements)
    outcome = simulate(bank, effort)
    steps = round(float(power(bank, np.random.default_rng(0)).mean()) * INJECTIONS)
    quarantined = quarantine(origin.shares, same_alarmed=(), found=steps, injections=INJECTIONS)
    deviations = bank.first.estimate.std(axis=1)
    blocks = [statistics.median(map(len, one.rounds)) * one.each for one in found]
    repeats = len({one.repeat for one in rounds})
    return ProofRecord(
        format_version=ProofRecord.FORMAT_VERSION,
        started_at=origin.started_at,
        phasegate_version=origin.phasegate_version,
        commit=origin.commit,
        machine=origin.machine,
        server=origin.server,
        users=origin.users,
        steal_share=origin.shares.steal,
        busy_share=origin.shares.busy,
        quarantine=quarantined,
        deviation=float(np.median(deviations)),
        deviation_max=float(deviations.max()),
        raw_deviation=float(np.median([raw.std() for raw in bank.raw])),
        blocks=float(statistics.median(blocks)),
        rates=outcome.rates,
        steps=outcome.steps,
        drifts=outcome.drifts,
        power_lowest=outcome.power_lowest,
        power_lowest_series=outcome.power_lowest_series,
        goals=goals(outcome),
        rounds=tuple(rounds),
        notes=(PEERS_NOTE.format(len(found), repeats), DRIFT_NOTE),
    )


def measure(
    server: PostgresServer,
    results: Path,
    *,
    users: int,
    seed: int,
    phasegate_version: str,
    commit: str | None,
    effort: Effort | None = None,
    on_round: Callable[[str], None] = lambda _: None,
) -> tuple[ProofRecord, Path]:
    """Record, simulate and store; the record and its path.

    Raises:
        CannotMeasure: nothing could be recorded, or Otava's environment cannot be had.
    """
    chosen = effort or Effort()
    drift.install()
    begun = datetime.now(UTC)
    seeding.ensure_dataset(server, users=users, seed=seed)
    here = machine()
    postmaster = postmaster_of(server.data_dir)
    watch = Watch(postmaster)
    rounds = record(server, users=users, seed=seed, effort=chosen, on_round=on_round)
    origin = Origin(
        started_at=begun.isoformat(timespec="seconds"),
        phasegate_version=phasegate_version,
        commit=commit,
        machine=here,
        server=asyncio.run(describe_server(server)),
        users=users,
        shares=watch.shares(),
    )
    on_round("simulating")
    proof = prove(rounds, origin, chosen)
    path = results / f"{begun:%Y-%m-%dT%H%M%SZ}-perf-nightly" / "nightly-proof.json"
    store.write(path, proof)
    return proof, path


def table(proof: ProofRecord) -> str:
    """The record as lines for a terminal."""
    measured = (
        f"One measurement: {proof.blocks:.0f} blocks, deviation {proof.deviation:.2%} over fresh "
        f"processes (noisiest series {proof.deviation_max:.2%}); one side's median alone "
        f"{proof.raw_deviation:.1%}"
    )
    lines = [
        measured,
        *(f"A night like this would not count: {reason}" for reason in proof.quarantine),
        "",
        "False alarms a month, of 40 series and 30 nights",
        *(
            f"  {rate.a_month:9.3f}  (≤ {rate.a_month_max:.3f}; {rate.alarms} in {rate.months} "
            f"months)  {rate.name}"
            for rate in proof.rates
        ),
    ]
    for title, those in (
        ("A step of 5%", proof.steps),
        ("A drift of 5% over 7 nights", proof.drifts),
    ):
        lines += ["", f"{title}: found the next night, within 7 nights, median nights"]
        for one in those:
            nights = "–" if one.nights_median is None else f"{one.nights_median:.0f}"
            lines.append(
                f"  {one.share_next_night:7.1%}  {one.share_week:7.1%}  {nights:>3}  {one.name}"
            )
    lines += [
        f"  lowest power of a series: {proof.power_lowest:.1%} ({proof.power_lowest_series})",
        "",
        *(
            f"{'holds ' if goal.holds else 'MISSED'}  {goal.name}: {goal.value:.3f} ({goal.goal})"
            for goal in proof.goals
        ),
        *proof.notes,
    ]
    return "\n".join(lines)
