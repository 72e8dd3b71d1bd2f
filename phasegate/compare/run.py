"""The benchmarks of a run: one `pytest benchmarks` in a process of its own per data set.

Reads the seeded databases; writes `<out>/<users>.json` (BenchmarkRecord) and
`<out>/<users>.pytest-benchmark.json`, each pair whole or not at all; `add_replica` adds to the
first and writes `<out>/<users>.replica.pytest-benchmark.json`.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from phasegate.compare.p95_topup import beyond
from phasegate.compare.subprocess_protocol import DSN_VARIABLE, FAILURE, PROGRESS, REPLICA_VARIABLE
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.project import VARIABLE, Project, TechniqueFolder, load_project
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord, Comparison

# The statements of a large data set take longer, and its answer matters more: time is shared by
# the size's power of this. 1k : 10k : 100k is then about 1 : 2.2 : 5.
SHARE_EXPONENT = 0.35

# Below this there are not even six blocks of each technique on the smallest data set.
BUDGET_S_MIN = 3.0

# What a session can only measure where it is told of a replica.
REPLICA = "replica"
"""The route, and part of the file's name."""
OWN_SESSION = (
    "measured in a session of its own, after the others, with the server's settings of level 3 "
    "(wal_level=replica) and a replica made for it"
)

# A session that takes this many times its budget and this much more hangs.
OVERRUN_MAX = 4.0
OVERHEAD_S_MAX = 300.0

PLUGIN = "phasegate.compare.pytest_plugin"

# An interrupted session finishes the statement it is in and goes back to the level it found.
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class _Session:
    """What all sessions of a run have in common."""

    seed: int
    out: Path
    on_progress: Callable[[str], None]
    project: Project


def run_benchmarks(
    databases: Mapping[int, str],
    *,
    seed_sha256: Mapping[int, str],
    seed: int,
    out: Path,
    budget_s: float,
    slo_ms_p95: float = math.inf,
    on_progress: Callable[[str], None] | None = None,
    stay_raised: bool = False,
    project: Project | None = None,
    only: Mapping[int, Collection[str]] | None = None,
) -> tuple[BenchmarkRecord, ...]:
    """Measure every technique on every data set, the smallest first.

    Args:
        databases: DSN per number of registered users.
        seed_sha256: of each data set, which the database's marker must name as well.
        seed: of the drawn parameters and of the order within blocks.
        out: folder for the files, created if need be.
        budget_s: seconds for all sizes together, set-up and the fewest blocks apart.
        slo_ms_p95: what N* is found against: above it no time is spent on bounding a p95.
        on_progress: told what is being measured.
        stay_raised: leave the largest with the parts that the arms need, for `add_replica`.
        project: whose techniques these are; the one here if None.
        only: the techniques to measure on each data set; every one if None.

    Raises:
        ConfigurationError: the budget is too small to say anything.
        CannotMeasure: a session failed or a database holds other data; its files are not written.
    """
    if budget_s < BUDGET_S_MIN * len(databases):
        raise ConfigurationError(
            f"A budget of {budget_s:g} s for {len(databases)} data sets is too small to "
            "measure anything",
            untouched="Nothing was measured",
            then=f"Give at least {BUDGET_S_MIN * len(databases):g} s",
        )
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + budget_s
    session = _Session(seed, out, on_progress or (lambda _: None), project or load_project())
    sizes = sorted(databases)
    settled: set[str] = set()
    records = []
    for place, users in enumerate(sizes):
        weights = [
            size**SHARE_EXPONENT * (len(only[size]) if only else 1) for size in sizes[place:]
        ]
        left_s = max(deadline - time.monotonic(), BUDGET_S_MIN * len(weights))
        last = place + 1 == len(sizes)
        options = [f"--settled={','.join(sorted(settled))}"] if settled else []
        options += ["--stay-raised"] if stay_raised and last else []
        options += [f"--only={','.join(only[users])}"] if only else []
        with _measured(
            session,
            databases[users],
            users=users,
            sha256=seed_sha256[users],
            budget_s=left_s * weights[0] / sum(weights),
            options=options,
        ) as (record, files):
            files[1].rename(out / f"{users}.pytest-benchmark.json")
            files[0].rename(out / f"{users}.json")
        settled |= beyond(record.comparisons, slo_ms_p95)
        records.append(record)
    return tuple(records)


def add_replica(
    record: BenchmarkRecord,
    dsn: str,
    replica_dsn: str,
    *,
    seed: int,
    out: Path,
    budget_s: float,
    on_progress: Callable[[str], None] | None = None,
    project: Project | None = None,
) -> BenchmarkRecord:
    """Measure the techniques that need a replica, and add them to `record` and its file.

    In a session of its own after all others, so that nothing else was measured while a replica
    replayed what they wrote.

    Args:
        record: of the same data set.
        dsn: of its database, on a primary that feeds the replica.
        replica_dsn: of the same database there.
        seed: of the drawn parameters and of the order within blocks.
        out: folder of the files.
        budget_s: seconds for the comparison.
        on_progress: told what is being measured.
        project: whose techniques these are; the one here if None.

    Raises:
        CannotMeasure: the session failed; the files are as they were.
    """
    here = project or load_project()
    techniques = on_replica(here)
    if not techniques:
        return record
    session = _Session(seed, out, on_progress or (lambda _: None), here)
    with _measured(
        session,
        dsn,
        users=record.users,
        sha256=record.sha256,
        budget_s=budget_s,
        options=[f"--only={','.join(techniques)}"],
        environment={REPLICA_VARIABLE: replica_dsn},
    ) as (found, files):
        added = {each.technique for each in found.comparisons}
        whole = msgspec.structs.replace(
            record,
            comparisons=(*record.comparisons, *map(_noted, found.comparisons)),
            skipped=(
                *(each for each in record.skipped if each.technique not in {*techniques, *added}),
                *found.skipped,
            ),
        )
        store.write(out / f"{record.users}.json", whole)
        files[1].rename(out / f"{record.users}.{REPLICA}.pytest-benchmark.json")
    return whole


def on_replica(project: Project) -> tuple[str, ...]:
    """The techniques with an arm, or a statement beside it, that goes to a replica."""

    def asks(technique: TechniqueFolder) -> bool:
        arms = (technique.file.before, technique.file.after)
        return any(arm and REPLICA in (arm.via, arm.beside_via) for arm in arms)

    return tuple(id_ for id_, technique in project.techniques.items() if asks(technique))


def _noted(comparison: Comparison) -> Comparison:
    return msgspec.structs.replace(comparison, notes=(*comparison.notes, OWN_SESSION))


@contextmanager
def _measured(
    session: _Session,
    dsn: str,
    *,
    users: int,
    sha256: str,
    budget_s: float,
    options: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[BenchmarkRecord, tuple[Path, Path]]]:
    """One data set's benchmarks, in a child process: the record, and both files until the end."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=session.out) as folder:
        record_path, json_path = Path(folder, "record.json"), Path(folder, "pytest-benchmark.json")
        root = session.project.root
        command = [
            *(sys.executable, "-m", "pytest", str(session.project.benchmarks), "-q", "-s", "-x"),
            # A project's own settings of pytest are for its own tests.
            *("-c", os.devnull, f"--rootdir={root}", "-p", PLUGIN),
            *("-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib"),
            *("-p", "no:faker"),  # its plugin takes longer to import than all of ours
            f"--budget={budget_s:.1f}",
            f"--users={users}",
            f"--data-sha256={sha256}",
            f"--draw-seed={session.seed}",
            f"--record={record_path}",
            f"--benchmark-json={json_path}",
            "--benchmark-quiet",
            *options,
        ]
        secrets = {DSN_VARIABLE: dsn, VARIABLE: str(root), **(environment or {})}
        _follow(command, secrets, budget_s, session.on_progress, root)
        yield store.read(record_path, BenchmarkRecord), (record_path, json_path)


def _follow(
    command: list[str],
    secrets: Mapping[str, str],
    budget_s: float,
    on_progress: Callable[[str], None],
    root: Path,
) -> None:
    """Run the session, passing on what it measures; addresses go by the environment."""
    said: list[str] = []
    child = subprocess.Popen(
        command,
        env={**os.environ, **secrets},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=root,
        start_new_session=True,  # Ctrl-C is for us: we pass it on once, and let it clean up
    )
    limit_s = budget_s * OVERRUN_MAX + OVERHEAD_S_MAX
    patience = threading.Timer(limit_s, child.send_signal, (signal.SIGINT,))
    patience.start()
    try:
        for line in child.stdout or ():
            said.append(line.strip())
            at = line.find(PROGRESS)
            if at >= 0:
                on_progress(line[at + len(PROGRESS) :].strip())
        status = child.wait()
    finally:
        late = not patience.is_alive()
        patience.cancel()
        _stop(child)
    if late:
        raise CannotMeasure(f"The benchmarks did not end within {limit_s:.0f} s")
    if status != 0:
        raise CannotMeasure(_reason(said), untouched="Nothing of this data set was saved", then="")


def _stop(child: subprocess.Popen[str]) -> None:
    """Interrupt a session that still runs: it ends its pooler and proxies, and undoes its level."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _reason(said: list[str]) -> str:
    """The first failure that a session named, or the last words of one that named none."""
    for line in said:
        at = line.find(FAILURE)
        if at >= 0:
            return line[at + len(FAILURE) :].strip("! ")  # pytest frames what ends it early
    spoken = [line for line in said if line]
    ends = [line for line in spoken if "Exit: " in line]
    return (ends or spoken or ["The benchmarks ended without a word"])[-1].strip("! ")
