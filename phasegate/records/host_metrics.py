"""What a target's own host told of itself while it was driven, and what follows from it."""

from __future__ import annotations

from phasegate.model.prices import Compute
from phasegate.records.store import Part

STEAL_SHARE = 0.05
"""Above a twentieth, waiting for the hypervisor shows in a p95."""
MEMORY_SHARE = 0.95
"""Of the memory, page cache not counted: beyond it the kernel begins to swap or to kill."""


class HostMetrics(Part, frozen=True, kw_only=True):
    """Of the database's host, between two of its readings; shares are of all cores, 0..1.

    None: it does not tell, or `fault` says why nothing could be read.
    """

    url: str
    """Without credentials."""
    fault: str = ""
    seconds: float | None = None
    """Between the first reading used and the last."""
    cores: int | None = None
    cpu_busy_share: float | None = None
    """Neither idle, nor waiting for the disk, nor stolen."""
    cpu_iowait_share: float | None = None
    cpu_steal_share: float | None = None
    memory_bytes: float | None = None
    memory_used_share: float | None = None
    """The most at any reading, without page cache."""
    swap_used_bytes: float | None = None
    """By how much more was swapped out at the end."""
    disk_iops: float | None = None
    """Reads and writes a second, all devices."""
    disk_mb_s: float | None = None
    """10⁶ bytes a second, likewise."""
    connections: float | None = None
    """To PostgreSQL, the most at any reading."""
    pooler_clients: float | None = None
    pooler_waiting: float | None = None
    """Clients that waited for a connection, the most at any reading."""
    credits_first: float | None = None
    """Processor credits, where the host tells them."""
    credits_last: float | None = None


def summary(host: HostMetrics) -> str:
    """One sentence of what was read; empty where nothing was."""
    said = []
    for share, what in (
        (host.cpu_busy_share, "busy"),
        (host.cpu_iowait_share, "waiting for the disk"),
        (host.cpu_steal_share, "stolen"),
    ):
        if share is not None:
            said.append(f"{share:.0%} {what}")
    if host.memory_used_share is not None:
        said.append(f"{host.memory_used_share:.0%} of memory used")
    if host.disk_iops is not None:
        said.append(f"{host.disk_iops:,.0f} disk operations/s")
    if host.pooler_clients is not None:
        said.append(f"{host.pooler_clients:,.0f} pooler clients")
    return f"The database's host over {host.seconds:.0f} s: {', '.join(said)}" if said else ""


def alerts(host: HostMetrics, size: Compute | None) -> tuple[str, ...]:
    """What would end a PASS later, or explains a FAIL, in sentences.

    Args:
        host: what it told.
        size: the compute size that it is; None where nobody said.
    """
    found = [*_of_processor(host, size), *_of_disk(host, size)]
    if host.memory_used_share is not None and host.memory_used_share > MEMORY_SHARE:
        found.append(f"Memory is full: {host.memory_used_share:.0%} used without page cache")
    if host.swap_used_bytes:
        found.append(
            f"The host swapped out {host.swap_used_bytes / 1e6:,.0f} MB while it was driven"
        )
    if host.pooler_waiting:
        found.append(f"{host.pooler_waiting:,.0f} pooler clients waited for a connection")
    if host.fault:
        found.append(f"The host's metrics could not be read: {host.fault}")
    return tuple(found)


def _of_processor(host: HostMetrics, size: Compute | None) -> list[str]:
    found = []
    first, last, busy = host.credits_first, host.credits_last, host.cpu_busy_share
    gone = "what holds now does not when they are gone"
    if first is not None and last is not None:
        if last < first:
            span = f"{first:g} → {last:g} in {host.seconds:.0f} s"
            found.append(f"Processor credits drain: {span}; {gone}")
    elif size is not None and busy is not None and busy > size.cpu_baseline_share:
        sustained = f"{size.name} sustains {size.cpu_baseline_share:.0%}"
        found.append(f"Processor credits drain: {busy:.0%} busy, {sustained}; {gone}")
    if host.cpu_steal_share is not None and host.cpu_steal_share > STEAL_SHARE:
        found.append(
            f"The hypervisor took {host.cpu_steal_share:.0%} of the processor away: credits are "
            "used up, or a neighbour is busy"
        )
    return found


def _of_disk(host: HostMetrics, size: Compute | None) -> list[str]:
    if size is None:
        return []
    found = []
    for value, most, unit in (
        (host.disk_iops, size.iops, "disk operations/s"),
        (host.disk_mb_s, size.throughput_mb_s, "MB/s of disk"),
    ):
        if value is not None and value > most:
            found.append(
                f"The disk's burst drains: {value:,.0f} {unit}, {size.name} sustains {most:,.0f}"
            )
    return found
