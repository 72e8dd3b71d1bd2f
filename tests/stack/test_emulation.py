"""A server under a compute size: what it can use, measured by the control group's own counters.

Rates are what was used over the time it took, not latencies: a busy machine does not matter.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from phasegate.model import catalogue
from phasegate.model.credits import Budget
from phasegate.stack import emulation as module
from phasegate.stack.binaries import give_to_service_user, programs
from phasegate.stack.compute import find_compute, server_settings
from phasegate.stack.control_group_files import Limits, Place, limited_cores
from phasegate.stack.credit_keeper import Balance, Folder, Task, start_keeper
from phasegate.stack.emulation import Emulation, confine
from phasegate.stack.postgres import PostgresServer, running_postgres

pytestmark = pytest.mark.integration

CATALOGUE = catalogue.load()
MICRO = find_compute(CATALOGUE, "micro")
WITHIN = 0.05
BUSY = "select count(*) from generate_series(1, 20000)"
DATA_MB = 192
WINDOWS_MAX = 8


@dataclass(frozen=True)
class Confined:
    server: PostgresServer
    emulation: Emulation
    data: Path
    """A file of the server's, larger than anything the kernel reads ahead."""


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


def _rates(found: Emulation, seconds: float) -> tuple[float, float]:
    """Cores, and operations of the disk per second, used over the next `seconds`."""

    first, began = found.used(), time.monotonic()
    time.sleep(seconds)
    last, ended = found.used(), time.monotonic()
    assert None not in (first.cpu_s, last.cpu_s, first.reads, last.reads)
    took = ended - began
    return (last.cpu_s - first.cpu_s) / took, (last.reads - first.reads) / took  # type: ignore[operator]


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


def test_the_processor_is_the_baseline_of_both_cores(micro: Confined) -> None:
    micro.emulation.enforce()
    running = _pgbench(micro, BUSY, clients=4, seconds=60)
    seen: list[float] = []
    try:
        time.sleep(0.5)
        # On a busy machine it may not get its share; more than that it never gets.
        while max(seen, default=0.0) < 0.2 * (1 - WITHIN) and len(seen) < WINDOWS_MAX:
            seen.append(_rates(micro.emulation, 2.0)[0])
    finally:
        running.terminate()
        running.wait()
    assert max(seen) == pytest.approx(0.2, rel=WITHIN)


def test_disk_operations_are_the_baseline_and_larger_sizes_have_more(micro: Confined) -> None:
    group, device = micro.emulation.group, micro.emulation.device
    blocks = (DATA_MB << 20) // 8192
    at = f"(random() * {blocks - 2})::int * 8192::bigint"
    read = f"select pg_read_binary_file('{micro.data}', {at}, 8192)"
    seen = []
    running = _pgbench(micro, read, clients=8, seconds=20)
    try:
        for name in ("nano", "micro", "small"):
            size = find_compute(CATALOGUE, name)
            module.drop_page_cache(micro.server.data_dir)
            # The processor is left to it: what is measured here is the disk alone.
            group.limit(Limits(operations_per_s=size.iops), ("cpu", "io"), device)
            time.sleep(0.5)  # what the kernel saved up is spent
            seen.append(_rates(micro.emulation, 3.0 if name == "nano" else 2.0)[1])
    finally:
        running.terminate()
        running.wait()
    assert seen == [pytest.approx(rate, rel=WITHIN) for rate in (250, 500, 1000)]
    assert seen == sorted(seen)


def test_a_burst_ends_at_the_baseline_when_its_credits_are_spent(micro: Confined) -> None:
    group, nothing = micro.emulation.group, Budget(1e9, 1e9, 0.0)
    folders = tuple(
        Folder(kind, place.version, str(path)) for kind, (place, path) in group.found.items()
    )
    task = Task(folders, None, Budget(0.2, 2.0, 1.5), nothing, nothing, share_left=1.0)
    running = _pgbench(micro, BUSY, clients=4, seconds=40)
    before = micro.emulation.used().cpu_s
    keeper = start_keeper(task)
    try:
        _until(lambda: _limit(micro) == 2.0)
        _until(lambda: _limit(micro) == 0.2)
        after = micro.emulation.used().cpu_s
    finally:
        keeper.terminate()
        keeper.wait()
        running.terminate()
        running.wait()
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


def test_a_machine_with_less_than_the_size_is_said(
    monkeypatch: pytest.MonkeyPatch, micro: Confined
) -> None:
    monkeypatch.setattr(module, "disk_operations_per_s", lambda _: 120.0)
    monkeypatch.setattr(module, "available_memory_bytes", lambda: 1 << 29)
    monkeypatch.setattr(module, "available_cores", lambda: 0.1)
    said = module.smaller(micro.emulation, micro.server.data_dir)
    assert said == (
        "0.1 cores of 0.2",
        "0.5 of 1 GiB of memory",
        "a disk of 120 reads/s, not 500",
    )
