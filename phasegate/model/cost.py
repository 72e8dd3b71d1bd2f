"""The cheapest month that a price list sells for a demand: plan, compute size, add-ons. Pure.

Knows nothing of measurements: `model.capacity` makes demands from them. Prices come from the
catalogue; 1 GB is 10⁹ bytes, as price lists count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from phasegate.model.catalogue import Catalogue, Compute, GuideBand, HostedPlan

GB = 1e9
USERS_MAX = 100_000_000
"""Where the search for a budget's user count gives up: beyond any market this is asked for."""


@dataclass(frozen=True)
class Demand:
    """What a month at `users` registered users takes.

    Attributes:
        users: registered users.
        database_bytes: tables and indexes.
        egress_bytes: leaving the database host in a month.
        monthly_active_users: that sign in within it.
        function_calls: in it.
        connections: under way at the modelled peak.
        pooled: whether a pooler stands between them and the database.
        replicas: read replicas.
        cores: that the database needs at the peak.
        hosting_bytes: that the web app's host sends in a month.
        compute_min: size that it was measured on, where cores were not: no smaller one is known to
            do; None where that is not so.
    """

    users: int
    database_bytes: float
    egress_bytes: float
    monthly_active_users: float
    function_calls: float
    connections: float
    pooled: bool
    replicas: int
    cores: float
    hosting_bytes: float
    compute_min: str | None = None


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


def _plan_lacks(plan: HostedPlan, demand: Demand) -> tuple[str, ...]:
    """What a plan that sells no overage includes too little of; replicas where not sold."""
    lacks = []
    if demand.replicas and not plan.replicas:
        lacks.append("read replicas")
    if plan.overage is None:
        for what, wanted, included in (
            ("disk", demand.database_bytes / GB, plan.disk_gb),
            ("egress", demand.egress_bytes / GB, plan.egress_gb),
            ("monthly active users", demand.monthly_active_users, plan.monthly_active_users),
            ("function calls", demand.function_calls, plan.function_calls),
        ):
            if wanted > included:
                lacks.append(what)
    return tuple(lacks)


def _compute_lacks(size: Compute, demand: Demand, *, replicable: bool) -> tuple[str, ...]:
    lacks = []
    limit = size.pooler_clients_max if demand.pooled else size.connections_max
    if demand.connections > limit:
        lacks.append("pooler clients" if demand.pooled else "connections")
    if demand.cores > size.cores:
        lacks.append("cores")
    if demand.replicas and not replicable:
        lacks.append("the size that replicas need")
    return tuple(lacks)


def _over(amount: float, included: float) -> float:
    return max(0.0, amount - included)


def _lines(
    plan: HostedPlan, size: Compute, demand: Demand, catalogue: Catalogue
) -> tuple[Line, ...]:
    """Every position that is not zero, the plan first."""
    prices = catalogue.prices
    disk_gb = demand.database_bytes / GB
    lines = [
        Line(plan.name, plan.usd_per_month),
        Line(f"{size.name} compute", _over(size.price_usd_month, plan.compute_credit_usd)),
    ]
    if plan.overage is not None:
        over = plan.overage
        beyond = (
            ("disk", _over(disk_gb, plan.disk_gb) * over.disk_usd_per_gb),
            ("egress", _over(demand.egress_bytes / GB, plan.egress_gb) * over.egress_usd_per_gb),
            (
                "monthly active users",
                _over(demand.monthly_active_users, plan.monthly_active_users)
                * over.usd_per_monthly_active_user,
            ),
            (
                "function calls",
                _over(demand.function_calls, plan.function_calls)
                / 1e6
                * over.usd_per_million_function_calls,
            ),
        )
        lines += [Line(f"{name} beyond the plan", usd) for name, usd in beyond]
        if demand.replicas:
            disk_usd = (
                max(disk_gb, plan.disk_gb) * prices.replica_disk_factor * over.disk_usd_per_gb
            )
            lines += [
                Line("replica compute", size.price_usd_month * demand.replicas),
                Line("replica disk", disk_usd * demand.replicas),
            ]
    hosting = prices.hosting
    free_gb = hosting.free_egress_gb_per_day * catalogue.usage.days_per_month
    lines.append(Line(hosting.name, _over(demand.hosting_bytes / GB, free_gb) * hosting.usd_per_gb))
    return (lines[0], *(line for line in lines[1:] if line.usd_per_month > 0))


def cheapest(demand: Demand, catalogue: Catalogue) -> Bill | None:
    """The cheapest plan and compute size that meet `demand`; None where none on the list does."""
    order = [size.name for size in catalogue.compute]
    replica_min = order.index(catalogue.prices.replica_compute_min)
    by_name = {size.name: size for size in catalogue.compute}
    bills: list[Bill] = []
    refused: list[tuple[float, str]] = []
    for plan in catalogue.prices.plans:
        lacks = _plan_lacks(plan, demand)
        if lacks:
            refused.append((plan.usd_per_month, f"{plan.name} lacks {', '.join(lacks)}"))
            continue
        for name in plan.compute:
            size = by_name[name]
            lines = _lines(plan, size, demand, catalogue)
            short = _compute_lacks(size, demand, replicable=order.index(name) >= replica_min)
            if demand.compute_min and order.index(name) < order.index(demand.compute_min):
                short = (*short, "the size that it was measured on")
            usd = sum(line.usd_per_month for line in lines)
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
    """What the scaling guide says a month costs at `users` (docs/method.md#the-scaling-guide)."""
    number = catalogue.phase_of(max(users - 1, 0)).number
    return next((band for band in catalogue.prices.guide if band.phase == number), None)


def beside(bill: Bill | None, band: GuideBand | None) -> str:
    """Whether the guide's band holds: `within`, `cheaper` or `dearer` than it; empty without it."""
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
