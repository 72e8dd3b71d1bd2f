"""The benchmarks of a run: one `pytest benchmarks` in a process of its own per data set.

Reads the seeded databases; writes `<out>/<users>.json` (BenchmarkRecord) and
`<out>/<users>.pytest-benchmark.json`, each pair whole or not at all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.agreed import DSN_VARIABLE, FAILURE, PROGRESS
from phases.errors import CannotMeasure, ConfigurationError
from records import store
from records.benchmark import BenchmarkRecord

FOLDER = Path(__file__).parent

# The statements of a large data set take longer, and its answer matters more: time is shared by
# the size's power of this. 1k : 10k : 100k is then about 1 : 2.2 : 5.
SHARE_EXPONENT = 0.35

# Below this there are not even six blocks of each technique on the smallest data set.
BUDGET_S_MIN = 3.0

# A session that takes this many times its budget and this much more hangs.
OVERRUN_MAX = 4.0
OVERHEAD_S_MAX = 300.0

# An interrupted session finishes the statement it is in and goes back to the level it found.
STOP_TIMEOUT_S = 60.0


def run_benchmarks(
    databases: Mapping[int, str],
    *,
    seed_sha256: Mapping[int, str],
    seed: int,
    out: Path,
    budget_s: float,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[BenchmarkRecord, ...]:
    """Measure every technique on every data set, the smallest first.

    Args:
        databases: DSN per number of registered users.
        seed_sha256: of each data set, which the database's marker must name as well.
        seed: of the drawn parameters and of the order within blocks.
        out: folder for the files, created if need be.
        budget_s: seconds for all sizes together, set-up and the fewest blocks apart.
        on_progress: told what is being measured.

    Raises:
        ConfigurationError: the budget is too small to say anything.
        CannotMeasure: a session failed or a database holds other data; its files are not written.
    """
    if budget_s < BUDGET_S_MIN * len(databases):
        raise ConfigurationError(
            f"A budget of {budget_s:g} s for {len(databases)} data sets is too small to say "
            f"anything",
            untouched="Nothing was measured",
            then=f"Give at least {BUDGET_S_MIN * len(databases):g} s",
        )
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + budget_s
    sizes = sorted(databases)
    records = []
    for place, users in enumerate(sizes):
        weights = [size**SHARE_EXPONENT for size in sizes[place:]]
        left_s = max(deadline - time.monotonic(), BUDGET_S_MIN * len(weights))
        records.append(
            _session(
                databases[users],
                users=users,
                sha256=seed_sha256[users],
                seed=seed,
                out=out,
                budget_s=left_s * weights[0] / sum(weights),
                on_progress=on_progress or (lambda _: None),
            )
        )
    return tuple(records)


def _session(
    dsn: str,
    *,
    users: int,
    sha256: str,
    seed: int,
    out: Path,
    budget_s: float,
    on_progress: Callable[[str], None],
) -> BenchmarkRecord:
    """One data set's benchmarks, in a child process; both files appear, or neither."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=out) as folder:
        beside = Path(folder)
        record_path, json_path = beside / "record.json", beside / "pytest-benchmark.json"
        command = [
            *(sys.executable, "-m", "pytest", str(FOLDER), "-q", "-s", "-x"),
            *("-p", "no:cacheprovider", "-p", "no:xdist"),
            f"--rootdir={FOLDER.parent}",
            f"--budget={budget_s:.1f}",
            f"--users={users}",
            f"--data-sha256={sha256}",
            f"--draw-seed={seed}",
            f"--record={record_path}",
            f"--benchmark-json={json_path}",
            "--benchmark-quiet",
        ]
        _follow(command, dsn, budget_s, on_progress)
        record = store.read(record_path, BenchmarkRecord)
        json_path.rename(out / f"{users}.pytest-benchmark.json")
        record_path.rename(out / f"{users}.json")
    return record


def _follow(
    command: list[str], dsn: str, budget_s: float, on_progress: Callable[[str], None]
) -> None:
    """Run the session, passing on what it measures; the DSN goes by the environment."""
    said: list[str] = []
    child = subprocess.Popen(
        command,
        env={**os.environ, DSN_VARIABLE: dsn},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=FOLDER.parent,
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
            return line[at + len(FAILURE) :]
    spoken = [line for line in said if line]
    ends = [line for line in spoken if "Exit: " in line]
    return (ends or spoken or ["The benchmarks ended without a word"])[-1].strip("! ")
