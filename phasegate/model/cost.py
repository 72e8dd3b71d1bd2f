"""The cheapest month that a price list sells for a demand: plan, compute size, add-ons. Pure.

Knows nothing of measurements: `model.capacity` makes demands from them. Prices come from the
catalogue; 1 GB is 10⁹ bytes, as price lists count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from phasegate.model.catalogue import Catalogue
from phasegate.model.credits import modelled_day, of_processor, runs_out
from phasegate.model.prices import Compute, Disk, GuideBand, Plan

GB = 1e9
USERS_MAX = 100_000_000
"""Where the search for a budget's user count gives up: beyond any market this is asked for."""


@dataclass(frozen=True)
class Demand:
    """What a month at `users` registered users takes.

    Attributes:
        users: registered users.
        database_bytes: tables and indexes.
        metered: units of each of the price list's meters, by key; one left out is not used.
        connections: under way at the modelled peak.
        pooled: whether a pooler stands between them and the database.
        replicas: read replicas.
        cores: that the database needs at the peak, so that it is never used up.
        hosting_bytes: that the web app's host sends in a month.
        compute_min: size that it was measured on, where cores were not: no smaller one is known to
            do; None where that is not so.
        iops: disk operations per second that must be sustained.
        throughput_mb_s: disk throughput likewise, in 10⁶ bytes per second.
    """

    users: int
    database_bytes: float
    connections: float
    pooled: bool
    replicas: int
    cores: float
    hosting_bytes: float
    metered: Mapping[str, float] = field(default_factory=dict)
    compute_min: str | None = None
    iops: float = 0.0
    throughput_mb_s: float = 0.0


@dataclass(frozen=True)
class Line:
    """One position of a bill."""

    name: str
    usd_per_month: float


@dataclass(frozen=True)
class Bill:
    """A month: the positions, and why nothing cheaper would do."""

    plan: str
    compute: str
    lines: tuple[Line, ...]
    refused: tuple[str, ...]
    """Of each cheaper plan or size, what it lacks."""

    @property
    def usd_per_month(self) -> float:
        """The sum of the lines."""
        return sum(line.usd_per_month for line in self.lines)


def _plan_lacks(plan: Plan, demand: Demand, catalogue: Catalogue) -> Iterator[str]:
    """What a plan that sells no more includes too little of; replicas where not sold."""
    if demand.replicas and not plan.replicas:
        yield "read replicas"
    if plan.sells_more:
        return
    if demand.database_bytes / GB > plan.disk_gb:
        yield "disk"
    for key, meter in catalogue.prices.meters.items():
        if demand.metered.get(key, 0.0) > meter.included.get(plan.id, 0.0):
            yield meter.name
    for key, units in catalogue.usage.addons.items():
        if units:
            yield catalogue.prices.addons[key].name


def _more_iops(demand: Demand, disk: Disk) -> float:
    """Operations per second to buy: those asked for, and those that the throughput asks for."""
    asked = max(demand.iops, demand.throughput_mb_s / disk.mb_s_per_iops)
    return max(0.0, asked - disk.iops)


def _disk_lacks(
    size: Compute, demand: Demand, disk_gb: float, disk: Disk, *, sells_more: bool
) -> Iterator[str]:
    """Of what must be sustained, the smaller of the compute size's and the disk's counts."""
    most, most_mb_s = float(disk.iops), disk.throughput_mb_s
    if sells_more:
        most = max(most, min(disk.iops_max, disk.iops_per_gb * disk_gb))
        most_mb_s = max(most_mb_s, disk.mb_s_per_iops * most)
    if demand.iops > min(size.iops, most):
        yield "disk operations"
    if demand.throughput_mb_s > most_mb_s:
        yield "disk throughput"


def _credits_last(size: Compute, demand: Demand, catalogue: Catalogue) -> bool:
    """Whether a size that bursts earns over the modelled day what it spends above its baseline."""
    budget = of_processor(size)
    if not budget.bursts:
        return True
    used = demand.cores * catalogue.usage.cpu_share_max  # without the head-room of a peak
    return not runs_out(budget, modelled_day(used, catalogue.workload))


def _compute_lacks(
    size: Compute, demand: Demand, disk_gb: float, catalogue: Catalogue
) -> Iterator[str]:
    order = [each.name for each in catalogue.compute]

    def smaller_than(least: str | None) -> bool:
        return least is not None and order.index(size.name) < order.index(least)

    limit = size.pooler_clients_max if demand.pooled else size.connections_max
    if demand.connections > limit:
        yield "pooler clients" if demand.pooled else "connections"
    if demand.cores > size.cores:
        yield "cores"
    elif not _credits_last(size, demand, catalogue):
        yield "processor credits"
    disk = catalogue.disk
    sells_more = not smaller_than(disk.compute_min_for_more)
    yield from _disk_lacks(size, demand, disk_gb, disk, sells_more=sells_more)
    if demand.replicas and smaller_than(catalogue.prices.replica_compute_min):
        yield "the size that replicas need"
    bought = [catalogue.prices.addons[key] for key, n in catalogue.usage.addons.items() if n]
    yield from (f"the size for {a.name}" for a in bought if smaller_than(a.compute_min))
    if smaller_than(demand.compute_min):
        yield "the size that it was measured on"


def _lines(
    plan: Plan, size: Compute, demand: Demand, disk_gb: float, catalogue: Catalogue
) -> tuple[Line, ...]:
    """Every position that is not zero, the plan first."""
    prices, usage, disk = catalogue.prices, catalogue.usage, catalogue.disk
    lines = [
        Line(plan.name, plan.usd_per_month),
        Line(f"{size.name} compute", max(0.0, size.price_usd_month - plan.compute_credit_usd)),
    ]
    if plan.sells_more:
        iops_usd = _more_iops(demand, disk) * disk.usd_per_iops
        more_mb_s = max(0.0, demand.throughput_mb_s - disk.throughput_mb_s)
        throughput_usd = more_mb_s * disk.usd_per_mb_s
        lines += [
            Line("disk beyond the plan", (disk_gb - plan.disk_gb) * disk.usd_per_gb),
            Line("disk operations beyond the disk's", iops_usd),
            Line("disk throughput beyond the disk's", throughput_usd),
        ]
        for key, meter in prices.meters.items():
            usd = meter.beyond(demand.metered.get(key, 0.0), plan.id)
            doubt = f" ({meter.unsettled})" if meter.unsettled else ""
            lines.append(Line(f"{meter.name} beyond the plan{doubt}", usd))
        for key, units in usage.addons.items():
            addon = prices.addons[key]
            databases = 1 + demand.replicas if addon.per_database else 1
            lines.append(Line(addon.name, addon.usd * units * databases))
        if demand.replicas:
            replica_disk_usd = disk_gb * prices.replica_disk_factor * disk.usd_per_gb
            lines += [
                Line("replica compute", size.price_usd_month * demand.replicas),
                Line(
                    "replica disk",
                    (replica_disk_usd + iops_usd + throughput_usd) * demand.replicas,
                ),
            ]
    hosting = prices.hosting
    sent_gb = demand.hosting_bytes / GB - hosting.free_egress_gb_per_day * usage.days_per_month
    lines.append(Line(hosting.name, max(0.0, sent_gb) * hosting.usd_per_gb))
    return (lines[0], *(line for line in lines[1:] if line.usd_per_month > 0))


def cheapest(demand: Demand, catalogue: Catalogue) -> Bill | None:
    """The cheapest plan and compute size that meet `demand`; None where none on the list does."""
    by_name = {size.name: size for size in catalogue.compute}
    bills: list[Bill] = []
    refused: list[tuple[float, str]] = []
    for plan in catalogue.prices.plans:
        lacks = tuple(_plan_lacks(plan, demand, catalogue))
        if lacks:
            refused.append((plan.usd_per_month, f"{plan.name} lacks {', '.join(lacks)}"))
            continue
        disk_gb = plan.disk_gb
        if plan.sells_more:
            disk_gb = catalogue.disk.provisioned_gb(plan.disk_gb, demand.database_bytes / GB)
        for name in plan.compute:
            size = by_name[name]
            lines = _lines(plan, size, demand, disk_gb, catalogue)
            usd = sum(line.usd_per_month for line in lines)
            short = tuple(_compute_lacks(size, demand, disk_gb, catalogue))
            if short:
                refused.append((usd, f"{plan.name} with {name} lacks {', '.join(short)}"))
            else:
                bills.append(Bill(plan.name, name, lines, ()))
    if not bills:
        return None
    best = min(bills, key=lambda bill: bill.usd_per_month)
    cheaper = tuple(why for usd, why in refused if usd < best.usd_per_month)
    return Bill(best.plan, best.compute, best.lines, cheaper)


def users_at(usd_per_month: float, bill_of: Callable[[int], Bill | None]) -> int | None:
    """The fewest registered users whose month costs at least `usd_per_month`.

    Args:
        usd_per_month: the amount asked about.
        bill_of: the bill at a number of users; its sum must not fall as users grow, and None (no
            plan is large enough) counts as dearer than any amount.

    Returns:
        None where even `USERS_MAX` users cost less.
    """

    def reached(users: int) -> bool:
        bill = bill_of(users)
        return bill is None or bill.usd_per_month >= usd_per_month

    low, high = 0, USERS_MAX
    if not reached(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def band_of(users: int, catalogue: Catalogue) -> GuideBand | None:
    """What the project's guide says a month costs at `users`; None where it names none."""
    number = catalogue.phase_of(max(users - 1, 0)).number
    return next((band for band in catalogue.prices.guide if band.phase == number), None)


def beside(bill: Bill | None, band: GuideBand | None) -> str:
    """Whether the project's guide holds: `within`, `cheaper`, `dearer`; empty without one."""
    if band is None:
        return ""
    if bill is None:
        return "dearer"
    usd = round(bill.usd_per_month, 2)
    if usd < band.usd_low:
        return "cheaper"
    if band.usd_high is not None and usd > band.usd_high:
        return "dearer"
    return "within"
