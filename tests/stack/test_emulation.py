"""A server under a compute size: what it can use, measured by the control group's own counters.

Rates are what was used over the time it took, not latencies: a busy machine does not matter.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path

import pytest

from phasegate.model import catalogue
from phasegate.model.credits import Budget, of_bytes, of_operations
from phasegate.model.prices import Compute, Disk
from phasegate.stack import emulation as module
from phasegate.stack.binaries import give_to_service_user, programs
from phasegate.stack.compute import find_compute, server_settings
from phasegate.stack.control_group_files import Limits, Place, limited_cores
from phasegate.stack.control_groups import make_group
from phasegate.stack.credit_keeper import Balance, Folder, Task, start_keeper
from phasegate.stack.emulation import Emulation, confine
from phasegate.stack.postgres import PostgresServer, running_postgres

pytestmark = pytest.mark.integration

CATALOGUE = catalogue.load()
ASCENDING = [find_compute(CATALOGUE, name) for name in ("nano", "micro", "small")]
MICRO = ASCENDING[1]
WITHIN = 0.05
BUSY = "select count(*) from generate_series(1, 20000)"
DATA_MB = 192
WINDOWS_MAX = 8
EMULATED_RATIO = 1.5
"""A machine that does less than so many times a limit without it need not reach the limit: on an
emulated processor eight backends read 500 pages a second at the most."""


@dataclass(frozen=True)
class Confined:
    server: PostgresServer
    emulation: Emulation
    data: Path
    """A file of the server's, larger than anything the kernel reads ahead."""


@dataclass(frozen=True)
class Rates:
    """What a group used, each second."""

    cores: float
    operations_per_s: float
    bytes_per_s: float


@pytest.fixture(scope="module")
def micro() -> Iterator[Confined]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        home = Path(name)
        home.chmod(0o755)  # as root, the server runs as another user
        with running_postgres(home / "data", settings=server_settings(MICRO)) as server:
            data = server.data_dir / "base" / "some.data"
            with data.open("wb") as opened:
                for _ in range(DATA_MB):
                    opened.write(os.urandom(1 << 20))
                os.fsync(opened.fileno())
            give_to_service_user(data)
            found = confine(server.data_dir, MICRO, CATALOGUE.disk, "sustained")
            try:
                if found.missing:
                    pytest.skip(f"not in force here: {found.not_in_force}")
                yield Confined(server, found, data)
            finally:
                found.close()
                assert not found.group.folders


def _pgbench(micro: Confined, sql: str, *, clients: int, seconds: float) -> subprocess.Popen[str]:
    script = micro.server.data_dir.with_name("script.sql")
    script.write_text(f"{sql};\n")
    return subprocess.Popen(
        [programs() / "pgbench", "--no-vacuum", f"--client={clients}", f"--time={seconds:.0f}",
         f"--file={script}"],
        env=micro.server.libpq_environment(), stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def _rates(found: Emulation, seconds: float) -> Rates:
    """What was used over the next `seconds`."""
    first, began = found.used(), time.monotonic()
    time.sleep(seconds)
    last, took = found.used(), time.monotonic() - began

    def of(name: str) -> float:
        return float(getattr(last, name) - getattr(first, name)) / took

    return Rates(of("cpu_s"), of("reads"), of("read_bytes"))


@contextmanager
def _working(micro: Confined, sql: str, *, clients: int) -> Iterator[None]:
    running = _pgbench(micro, sql, clients=clients, seconds=90)
    try:
        time.sleep(0.5)
        yield
    finally:
        running.terminate()
        running.wait()


def test_memory_is_that_of_the_size_page_cache_included(micro: Confined) -> None:
    large = micro.data.with_name("hole.data")
    large.touch()
    os.truncate(large, 1_400 << 20)  # reading a hole fills the page cache like any other file
    give_to_service_user(large)
    read = f"select sum(length(pg_read_binary_file('{large}', n * 8388608::bigint, 8388608)))"
    subprocess.run(
        [programs() / "psql", "-qc", f"{read} from generate_series(0, 174) n"],
        env=micro.server.libpq_environment(), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    large.unlink()
    found = micro.emulation.used()
    assert found.memory_bytes_max is not None
    assert (1 - WITHIN) * (1 << 30) < found.memory_bytes_max <= (1 << 30)
    assert found.killed == 0


def test_the_processor_is_the_baseline_of_both_cores_and_larger_sizes_have_more(
    micro: Confined,
) -> None:
    micro.emulation.enforce()
    assert _limit(micro) == 0.2
    seen = []
    with _working(micro, BUSY, clients=4):
        for size, share in zip(ASCENDING, (0.1, 0.2, 0.4), strict=True):
            cores = size.cores * size.cpu_baseline_share
            micro.emulation.group.limit(Limits(cores=cores), ("cpu",))
            windows: list[float] = []
            # On a busy machine it may not get its share; more than that it never gets.
            time.sleep(0.2)  # what a period under the limit before left is spent
            while max(windows, default=0.0) < share * (1 - WITHIN) and len(windows) < WINDOWS_MAX:
                windows.append(_rates(micro.emulation, 5.0).cores)  # a period is 2% of it
            seen.append(max(windows))
            assert seen[-1] == pytest.approx(share, rel=WITHIN)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("bytes_each", "unit", "budget", "expected"),
    [
        (8192, "operations_per_s", of_operations, (250, 500, 1000)),
        (1 << 16, "bytes_per_s", of_bytes, (5e6, 11e6)),
    ],
)
def test_the_disk_is_the_baseline_and_larger_sizes_have_more(
    micro: Confined,
    bytes_each: int,
    unit: str,
    budget: Callable[[Compute, Disk], Budget],
    expected: tuple[float, ...],
) -> None:
    group, device = micro.emulation.group, micro.emulation.device
    pieces = (DATA_MB << 20) // bytes_each
    at = f"(random() * {pieces - 2})::int * {bytes_each}::bigint"
    read = f"select length(pg_read_binary_file('{micro.data}', {at}, {bytes_each}))"
    seen = []
    with _working(micro, read, clients=8):
        for size in ASCENDING[: len(expected)]:
            module.drop_page_cache(micro.server.data_dir)
            baseline = budget(size, CATALOGUE.disk).baseline_per_s
            # The processor is left to it: what is measured here is the disk alone.
            group.limit(Limits(**{unit: baseline}), ("cpu", "io"), device)
            before = micro.emulation.used().reads
            _until(lambda: micro.emulation.used().reads > before)  # noqa: B023 - asked at once
            time.sleep(0.5)  # what the kernel saved up is spent
            seen.append(getattr(_rates(micro.emulation, 2.0), unit))
        group.limit(Limits(), ("io",), device)
        free = inf
        if seen[-1] < expected[-1] * (1 - WITHIN):  # a machine that cannot do as much
            free = getattr(_rates(micro.emulation, 2.0), unit)
    for rate, limit in zip(seen, expected, strict=True):
        assert rate <= limit * (1 + WITHIN)
        assert rate >= limit * (1 - WITHIN) or free < limit * EMULATED_RATIO
    assert seen[0] == pytest.approx(expected[0], rel=WITHIN)


def test_a_burst_ends_at_the_baseline_when_its_credits_are_spent(micro: Confined) -> None:
    group, nothing = micro.emulation.group, Budget(1e9, 1e9, 0.0)
    folders = tuple(
        Folder(kind, place.version, str(path)) for kind, (place, path) in group.found.items()
    )
    task = Task(folders, None, Budget(0.2, 2.0, 1.5), nothing, nothing, share_left=1.0)
    with _working(micro, BUSY, clients=4):
        before = micro.emulation.used().cpu_s
        keeper = start_keeper(task)
        try:
            _until(lambda: _limit(micro) == 2.0)
            _until(lambda: _limit(micro) == 0.2)
            after = micro.emulation.used().cpu_s
        finally:
            keeper.terminate()
            keeper.wait()
    assert before is not None
    assert after is not None
    assert after - before >= 1.5  # all credits, and what was earned meanwhile


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _limit(micro: Confined) -> float | None:
    """Cores that the group may use at the moment."""
    place, folder = micro.emulation.group.found["cpu"]
    return limited_cores(Place(place.version, folder, folder))


def test_a_balance_in_debt_is_paid_back_before_it_bursts_again() -> None:
    balance = Balance(Budget(0.2, 2.0, 100.0), 0.1)
    assert balance.look(5.0, 0.0) == 2.0
    assert balance.look(5.5, 0.25) == 0.2  # 0.1 + 0.05 earned - 0.5 used: 0.35 in debt
    assert balance.look(5.5, 1.5) == 0.2  # 0.3 earned
    assert balance.look(5.5, 0.5) == 2.0  # 0.1 more


SMALLER = """
import sys
from pathlib import Path
from phasegate.model import catalogue
from phasegate.model.credits import of_bytes, of_operations, of_processor
from phasegate.stack.compute import find_compute
from phasegate.stack.control_groups import ControlGroup
from phasegate.stack.emulation import Emulation, smaller
sys.stdin.readline()
known = catalogue.load()
size = find_compute(known, "large")
of = of_processor(size), of_operations(size, known.disk), of_bytes(size, known.disk)
found = Emulation(size, "sustained", ControlGroup("none"), None, *of)
print("\\n".join(smaller(found, Path(sys.argv[1]))))
"""


def test_a_machine_with_less_than_the_size_is_said(micro: Confined) -> None:
    """One core, half a gigabyte and a slow disk, for the process that asks."""
    asking = subprocess.Popen(
        ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0))),
         sys.executable, "-c", SMALLER, micro.server.data_dir],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    group = make_group(asking.pid)
    try:
        group.enter(asking.pid)
        limits = Limits(memory_bytes=1 << 29, operations_per_s=120)
        group.limit(limits, ("memory", "io"), micro.emulation.device)
        said, _ = asking.communicate("\n", timeout=60)
    finally:
        asking.kill()
        asking.wait()
        group.close()
    cores, memory, disk = said.splitlines()
    assert cores == "1 cores of 2"
    assert memory == "0.5 of 8 GiB of memory"
    measured = re.fullmatch(r"a disk of (\d+) reads/s, not 3,000", disk)
    assert measured is not None, disk
    assert 60 < int(measured[1]) < 240


def test_an_account_without_rights_is_told_what_is_not_in_force(micro: Confined) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    code = "from phasegate.stack.control_groups import make_group as m; print(m(1).missing)"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    for kind in ("cpu", "memory", "io"):
        assert f"'{kind}': 'no right to make a control group (Permission denied)" in done.stdout
    assert "systemd-run --user --scope" in done.stdout
