"""How well the yardstick carries a statement's time to another machine (`instruments yardstick`).

The project's techniques are measured on this machine as it is, again, and on the machines that can
be made of it: with half a core, with the core shared, with the memory's bandwidth used up, and with
another build of PostgreSQL. From each, the time on the first is computed by the yardstick and held
against the time that was measured there. Works in our own cluster; writes nothing that stays.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from phasegate import seeding
from phasegate.compare.run import run_benchmarks
from phasegate.model.catalogue import Catalogue, Reference
from phasegate.model.yardstick import ROUND_TRIP
from phasegate.records.benchmark import Arm, BenchmarkRecord, Yardstick
from phasegate.report.yardstick import shares_of, speeds_of
from phasegate.stack.binaries import BIN_VARIABLE, programs, server_version
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.control_group_files import Limits
from phasegate.stack.control_groups import make_group
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres
from phasegate.stack.processes import postmaster_of
from phasegate.stats.yardstick import blended, trimmed_mean

# What waits for the scheduler is no work; above this a statement is what N* is about.
MS_MIN = 0.5

FARTHEST = 6

SPIN = "while True: pass"
COPY = "import numpy as n; a = n.ones(32_000_000); b = a.copy()\nwhile True: b[:] = a"
"""Twice 256 MB, more than any cache."""


@dataclass(frozen=True)
class Carried:
    """Arms of one condition: ln(time as computed / as measured), and without the yardstick."""

    condition: str
    speeds: Mapping[str, float]
    errors: tuple[float, ...]
    plain: tuple[float, ...]
    farthest: tuple[str, ...]
    """Arms whose computed time is farthest off."""


@contextmanager
def _beside(code: str, *, on_the_core: bool) -> Iterator[None]:
    """A program that runs without end, on the core that is measured on or on the others."""
    cores = sorted(os.sched_getaffinity(0))
    chosen = {cores[-1]} if on_the_core else set(cores[:-1]) or {cores[-1]}
    hog = subprocess.Popen(
        [sys.executable, "-c", code], preexec_fn=lambda: os.sched_setaffinity(0, chosen)
    )
    try:
        yield
    finally:
        hog.kill()
        hog.wait()


@contextmanager
def _with_cores(server: PostgresServer, cores: float) -> Iterator[None]:
    """The server may use so much of a core."""
    pid = postmaster_of(server.data_dir)
    group = make_group(pid)
    try:
        group.enter(pid)
        group.limit(Limits(cores=cores), ("cpu",))
        yield
    finally:
        group.close()


def _measured(server: PostgresServer, users: int, seed: int, budget_s: float) -> BenchmarkRecord:
    dsn, data = seeding.ensure_dataset(server, users=users, seed=seed)
    with tempfile.TemporaryDirectory(prefix="phasegate-yardstick-") as folder:
        (record,) = run_benchmarks(
            {users: dsn},
            seed_sha256={users: data.sha256},
            seed=seed,
            out=Path(folder),
            budget_s=budget_s,
        )
    return record


def as_reference(yardstick: Yardstick) -> dict[str, float]:
    """What the yardstick took, as the catalogue states it: milliseconds by kind."""
    return {
        kind: trimmed_mean(np.array(times, dtype=float)) / 1e6
        for kind, times in yardstick.times_ns.items()
    }


def carried(name: str, base: BenchmarkRecord, other: BenchmarkRecord, like: Reference) -> Carried:
    """How well times of `base` are computed from those of `other`, arm by arm of one plan.

    Raises:
        ValueError: one of them has no yardstick.
    """
    if base.yardstick is None or other.yardstick is None:
        raise ValueError("both need a yardstick")
    reference = msgspec.structs.replace(like, yardstick_ms=as_reference(base.yardstick))
    speeds = speeds_of(other.yardstick, reference)
    if speeds is None:
        raise ValueError("too few rounds")
    trip_ms = as_reference(other.yardstick)[ROUND_TRIP]
    errors, plain, names = [], [], []
    for here, there in zip(base.comparisons, other.comparisons, strict=True):
        for one, two in ((here.before, there.before), (here.after, there.after)):
            one_ms, two_ms = (_ms(arm) for arm in (one, two))
            if one_ms < MS_MIN or one.delay_ms or one.plan_hash != two.plan_hash:
                continue
            computed_ms = two_ms * blended(speeds, shares_of(two, trip_ms), 0.0).estimate
            errors.append(math.log(computed_ms / one_ms))
            plain.append(math.log(two_ms / one_ms))
            names.append(f"{here.technique}/{one.name} {one_ms:.1f} ms × {two_ms / one_ms:.2f}")
    known = {kind: speeds[kind].estimate for kind in reference.yardstick_ms if kind in speeds}
    order = sorted(range(len(errors)), key=lambda place: -abs(errors[place]))
    farthest = tuple(f"{names[i]}, off by {math.exp(errors[i]):.2f}" for i in order[:FARTHEST])
    return Carried(name, known, tuple(errors), tuple(plain), farthest)


def _ms(arm: Arm) -> float:
    """A mean as the yardstick's is: a median passes over what interrupts one call in three."""
    return trimmed_mean(np.array(arm.call_ns, dtype=float)) / 1e6


def evaluate(
    users: int,
    budget_s: float,
    other_bin: str | None,
    only: str,
    catalogue: Catalogue,
    say: Callable[[str], None],
) -> tuple[Carried, ...]:
    """Measure every condition; what it says line by line is the result in words."""
    seed, found = catalogue.run.seed, []
    with locked(cache_dir(), "instruments yardstick"):
        with running_postgres(cluster_dir()) as server:
            base = _measured(server, users, seed, budget_s)
            if base.yardstick is not None:
                for kind, ms in as_reference(base.yardstick).items():
                    say(f'"{kind}" = {ms:.4g}')
            conditions: dict[str, Callable[[], AbstractContextManager[None]]] = {
                "again": nullcontext,
                "half a core": lambda: _with_cores(server, 0.5),
                "core shared": lambda: _beside(SPIN, on_the_core=True),
                "memory bandwidth used up": lambda: _beside(COPY, on_the_core=False),
            }
            for name, condition in conditions.items():
                if only not in name:
                    continue
                with condition():
                    other = _measured(server, users, seed, budget_s)
                found.append(carried(name, base, other, catalogue.reference))
                say(_line(found[-1]))
        if other_bin is not None:
            os.environ[BIN_VARIABLE] = other_bin
            programs.cache_clear()
            server_version.cache_clear()
            with running_postgres(cluster_dir()) as server:
                other = _measured(server, users, seed, budget_s)
            found.append(carried(other.server_version, base, other, catalogue.reference))
            say(_line(found[-1]))
    return tuple(found)


def _line(found: Carried) -> str:
    speeds = ", ".join(f"{kind} {value:.2f}" for kind, value in found.speeds.items())
    parts = []
    for name, logs in (("with the yardstick", found.errors), ("without", found.plain)):
        off = np.exp(np.abs(logs))
        parts.append(
            f"{name}: mean {math.exp(float(np.mean(logs))):.2f}, sd {float(np.std(logs)):.2f}, "
            f"within 1.25: {float(np.mean(off <= 1.25)):.0%}"
        )
    said = f"{found.condition} ({len(found.errors)} arms): {'; '.join(parts)} [{speeds}]"
    return "\n  ".join((said, *found.farthest))
