"""A compute size's memory, processor and disk, in force for a server of ours and its pooler.

Reads the catalogue's sizes and what this machine has; makes a control group named after the
server's process, and for a burst a process that keeps its credits (`stack.credit_keeper`). What
cannot be put in force is said, and so is where this machine has less than the size.

On Supabase a project's machine also runs PostgREST, auth and the rest of its services
(github.com/supabase/postgres, ansible/playbook.yml). PgBouncer is there too and is confined with
the server. phasegate's own API is left outside, since its processor time says nothing about
PostgREST's, and so is a project's own, unless the project says that it runs on that machine
(`[api] on_database_machine`). What is outside is said.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal

import psutil

from phasegate.model.credits import Budget, of_bytes, of_operations, of_processor
from phasegate.model.prices import Compute, Disk
from phasegate.stack.control_group_files import (
    Kind,
    Limits,
    Used,
    limited_cores,
    limited_memory,
    places,
    swaps,
)
from phasegate.stack.control_groups import (
    ControlGroup,
    block_device,
    clear_leftovers,
    make_group,
)
from phasegate.stack.credit_keeper import Folder, Task, start_keeper
from phasegate.stack.disk_watch import Watched
from phasegate.stack.processes import postmaster_of

Mode = Literal["sustained", "burst"]
"""What of a size that bursts is in force: what it may use for ever, or from full credits on."""

OTHERS = "what the operating system and Supabase's other services take of its memory"
"""What no emulation here puts in force."""

API_OUTSIDE = "the API: PostgREST shares the size's processor and memory, the driven one does not"
OWN_API_OUTSIDE = "the API: taken to run on another machine than the database"

WHAT: dict[Kind, str] = {
    "cpu": "processor: statements run as fast as this machine's cores",
    "memory": "memory and page cache: as large as this machine's",
    "io": "disk: this machine's, without the size's operations and throughput",
}

# The probe of the disk: operations of PostgreSQL's size, as many at once as it has backends busy.
PROBE_BYTES = 8192
PROBE_THREADS = 16
PROBE_S = 0.3
PROBE_FILE_BYTES_MIN = 1 << 22
"""A smaller file lies in so few places that a disk answers from its own memory."""


@dataclass
class Emulation:
    """A size in force for a server; `enforce` comes last, when everything has started."""

    size: Compute
    mode: Mode
    group: ControlGroup
    device: str | None
    cores: Budget
    operations: Budget
    throughput: Budget
    missing: dict[Kind, str] = field(default_factory=dict)
    """Why the processor, the memory or the disk is not in force."""
    smaller: tuple[str, ...] = ()
    """What this machine has less of than the size: a miss then says nothing about the size."""
    left_out: tuple[str, ...] = (API_OUTSIDE, OTHERS)
    """What shares a size's machine, or might, and does not share the group."""
    keeper: subprocess.Popen[bytes] | None = None

    @property
    def limits(self) -> Limits:
        """What is in force: the baselines, or at first the maxima."""
        burst = self.mode == "burst"
        cores, operations, size = (
            each.max_per_s if burst else each.baseline_per_s
            for each in (self.cores, self.operations, self.throughput)
        )
        return Limits(cores, int(self.size.memory_gb * (1 << 30)), operations, size)

    @property
    def not_in_force(self) -> tuple[str, ...]:
        """What of the size is not, a sentence each; empty where all of it is."""
        return tuple(f"{WHAT[kind]} ({why})" for kind, why in self.missing.items())

    def enforce(self) -> None:
        """Put processor and disk in force; until now the server could be made ready in haste."""
        self.group.limit(self.limits, ("cpu", "io"), self.device)
        self.note_missing()
        if self.mode == "burst" and any(
            each.bursts for each in (self.cores, self.operations, self.throughput)
        ):
            self.keeper = start_keeper(
                Task(
                    folders=_folders(self.group),
                    device=self.device,
                    cores=self.cores,
                    operations=self.operations,
                    throughput=self.throughput,
                    share_left=1.0,
                )
            )

    @contextmanager
    def relaxed(self) -> Iterator[None]:
        """Without the limits on processor and disk, as for reading the data into memory."""
        self.group.limit(Limits(), ("cpu", "io"), self.device)
        try:
            yield
        finally:
            self.group.limit(self.limits, ("cpu", "io"), self.device)

    @property
    def watched(self) -> Watched:
        """The control group, as the sampler is told of it."""
        return Watched(_folders(self.group), self.device)

    def used(self) -> Used:
        """What server and pooler have used since the group was made."""
        return self.group.used(self.device)

    def close(self) -> None:
        """Let everything go on without limits."""
        self.group.close()
        if self.keeper is not None:  # it sees that the group is gone; nobody else collects it
            self.keeper.terminate()
            self.keeper.wait()

    def sentence(self) -> str:
        """What is in force and what is not, for the record of the stack."""
        limits, said = self.limits, []
        if "cpu" not in self.missing:
            said.append(f"{limits.cores:g} cores")
        if "memory" not in self.missing:
            said.append(f"{self.size.memory_gb:g} GiB with page cache")
        if "io" not in self.missing:
            disk = f"{limits.operations_per_s:,.0f} operations/s"
            said.append(f"{disk} and {(limits.bytes_per_s or 0) / 1e6:g} MB/s of disk each way")
        how = "for ever" if self.mode == "sustained" else "from full credits on"
        text = f"in force {how}: {', '.join(said) or 'connections and settings alone'}"
        not_in_force = "; ".join((*self.not_in_force, *self.left_out))
        text += f"; not emulated: {not_in_force}"
        return text + "".join(f"; smaller than {self.size.name}: {each}" for each in self.smaller)

    def note_missing(self) -> None:
        """Take over what the group could not have."""
        for kind in WHAT:
            if kind in self.group.missing:
                self.missing.setdefault(kind, self.group.missing[kind])


def _folders(group: ControlGroup) -> tuple[Folder, ...]:
    return tuple(
        Folder(kind, place.version, str(folder)) for kind, (place, folder) in group.found.items()
    )


def confine(data_dir: Path, size: Compute, disk: Disk, mode: Mode) -> Emulation:
    """Take the server that runs on `data_dir` into a control group with the memory of `size`.

    Pages of its files that this machine still holds are dropped, so that what it reads from now on
    counts as its own. Processor and disk are limited by `Emulation.enforce`.

    Raises:
        CannotMeasure: no server runs there.
    """
    clear_leftovers()
    pid = postmaster_of(data_dir)
    device = block_device(data_dir)
    emulation = Emulation(
        size=size,
        mode=mode,
        group=make_group(pid),
        device=device,
        cores=of_processor(size),
        operations=of_operations(size, disk),
        throughput=of_bytes(size, disk),
    )
    try:
        if device is None:
            emulation.missing["io"] = "its files lie on no disk of their own (tmpfs, overlay)"
        emulation.smaller = smaller(emulation, data_dir)
        emulation.group.enter(pid)
        emulation.group.limit(emulation.limits, ("memory",))
        _note_swap(emulation)
        emulation.note_missing()
        drop_page_cache(data_dir)
    except BaseException:
        emulation.close()
        raise
    return emulation


def _note_swap(emulation: Emulation) -> None:
    if "memory" in emulation.group.found and swaps(*emulation.group.found["memory"]):
        emulation.missing["memory"] = "this machine swaps beyond it: switch swap off (`swapoff -a`)"


def smaller(emulation: Emulation, data_dir: Path) -> tuple[str, ...]:
    """What this machine, or the container that this runs in, has less of than the size."""
    limits, found = emulation.limits, list[str]()
    cores, memory = available_cores(), available_memory_bytes()
    if limits.cores is not None and cores < limits.cores:
        found.append(f"{cores:g} cores of {limits.cores:g}")
    if limits.memory_bytes is not None and memory < limits.memory_bytes:
        found.append(f"{memory / (1 << 30):.1f} of {emulation.size.memory_gb:g} GiB of memory")
    speed = disk_operations_per_s(data_dir)
    wanted = limits.operations_per_s
    if speed is not None and wanted is not None and speed < wanted:
        found.append(f"a disk of {speed:,.0f} reads/s, not {wanted:,.0f}")
    return tuple(found)


def available_cores() -> float:
    """Cores that this process may use: of the machine, or of the container that it is in."""
    machine = float(len(os.sched_getaffinity(0)))
    place = places().get("cpu")
    limit = None if place is None else limited_cores(place)
    return machine if limit is None else min(machine, limit)


def available_memory_bytes() -> int:
    """Memory of this machine, or of the container that this process is in."""
    machine = int(psutil.virtual_memory().total)
    place = places().get("memory")
    limit = None if place is None else limited_memory(place)
    return machine if limit is None else min(machine, limit)


def drop_page_cache(data_dir: Path) -> None:
    """Let the kernel forget what it holds of the files in `data_dir`, those written to excepted."""
    for path in _files(data_dir):
        with suppress(OSError):
            opened = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(opened)


def _files(data_dir: Path) -> list[Path]:
    return [path for path in (data_dir / "base").rglob("*") if path.is_file()]


@cache
def disk_operations_per_s(data_dir: Path) -> float | None:
    """Random reads per second of the disk below `data_dir`, past the page cache.

    None where there is no file to read that is large enough, or the file system has no direct
    reads. Measured once for each process: a third of a second.
    """
    sizes = {path: path.stat().st_size for path in _files(data_dir)}
    largest = max(sizes, key=lambda path: sizes[path], default=None)
    if largest is None or sizes[largest] < PROBE_FILE_BYTES_MIN:
        return None
    blocks = sizes[largest] // PROBE_BYTES
    until_s = time.monotonic() + PROBE_S
    try:
        with ThreadPoolExecutor(PROBE_THREADS) as pool:
            jobs = [(largest, blocks, seed, until_s) for seed in range(PROBE_THREADS)]
            counts: Sequence[int] = list(pool.map(_read_at_random, jobs))
    except OSError:
        return None
    return sum(counts) / PROBE_S


def _read_at_random(job: tuple[Path, int, int, float]) -> int:
    path, blocks, seed, until_s = job
    draw, count = Random(seed), 0
    opened = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, PROBE_BYTES) as page:  # direct reads need memory that is aligned
            while time.monotonic() < until_s:
                os.preadv(opened, [page], draw.randrange(blocks) * PROBE_BYTES)
                count += 1
    finally:
        os.close(opened)
    return count
