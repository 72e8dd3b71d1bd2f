"""The registered users at which each limit of a plan, and each alert, is reached. Pure.

Each has an interval, from what it rests on (`model.capacity.Span`), or says that it is exact or
why it has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from phasegate.model.capacity import (
    Profile,
    Span,
    at_an_end,
    bill_at,
    missing,
    sessions_per_month,
    users_with_connections,
)
from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import GB, USERS_MAX, users_at
from phasegate.model.credits import of_operations
from phasegate.model.prices import Plan
from phasegate.model.working_set import users_whose_reads_fill, users_whose_set_fills


@dataclass(frozen=True)
class Limit:
    """A limit or alert, and the registered users at which it is reached.

    Attributes:
        name: as `Free: 0.5 GB disk`.
        kind: what it is.
        users: None where it is never reached, or was not measured.
        low: from the interval of what it rests on; None where that has none.
        high: the same.
        note: why `users` is None, or what it rests on, or why it has no interval.
        plan: whose it is; None where it belongs to no plan.
        compute: likewise the compute size.
        exact: whether it follows from definitions alone, and so needs no interval.
    """

    name: str
    kind: str
    users: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    plan: str | None = None
    compute: str | None = None
    exact: bool = False


def _by_span(name: str, kind: str, allowance: float, each: Span, factor: float = 1.0) -> Limit:
    """Users at which `factor · each` per user uses up `allowance`; more per user, fewer users."""
    if each.estimate <= 0:
        return Limit(name, kind, None, note="nothing was used")
    return Limit(
        name,
        kind,
        max(0.0, allowance / (each.estimate * factor)),
        max(0.0, allowance / (each.high * factor)) if each.high else None,
        max(0.0, allowance / (each.low * factor)) if each.low and each.low > 0 else None,
    )


def _disk(profile: Profile, plan: Plan, share: float, name: str, kind: str) -> Limit:
    if profile.database is None:
        return Limit(name, kind, None, note="no data set was measured")
    allowance = plan.disk_gb * GB * share - profile.database.fixed
    found = _by_span(name, kind, allowance, profile.database.per_user)
    return found if found.low else replace(found, note="in proportion to one size, no interval")


def _of_plan(profile: Profile, plan: Plan, catalogue: Catalogue) -> list[Limit]:
    """The limits of one plan: what it includes, and the alert on its disk."""
    kind = "included" if plan.sells_more else "limit"
    per_user = sessions_per_month(1, catalogue)
    alert = catalogue.alerts.database_size_share
    disk = f"{plan.name}: {plan.disk_gb:g} GB disk"
    full = catalogue.disk.full_share if plan.sells_more else 1.0
    limits = [
        _disk(
            profile, plan, alert, f"{plan.name}: {alert:.0%} of {plan.disk_gb:g} GB disk", "alert"
        ),
        _disk(profile, plan, full, f"{disk}, grown at {full:.0%}" if full < 1 else disk, kind),
    ]
    egress_gb = catalogue.prices.included("egress", plan)
    name = f"{plan.name}: {egress_gb:g} GB egress a month"
    if profile.egress_bytes_per_session is None:
        limits.append(Limit(name, kind, None, note="no load was measured"))
    else:
        each = profile.egress_bytes_per_session
        limits.append(_by_span(name, kind, egress_gb * GB, each, per_user))
    users = catalogue.prices.included("active-users", plan)
    active = users / catalogue.usage.monthly_active_share
    name = f"{plan.name}: {users:,.0f} monthly active users"
    limits.append(Limit(name, kind, active, exact=True))
    return [replace(limit, plan=plan.name) for limit in limits]


def _of_connections(profile: Profile, catalogue: Catalogue) -> list[Limit]:
    pooled = profile.pooled
    dear, cheap = at_an_end(profile, dear=True), at_an_end(profile, dear=False)
    note = "from the measured peak of connections"
    if not profile.connection_s_per_session:
        note = "by Little's law: no connection was sampled"
    if "connections" in missing(profile):
        note = "no load was measured"
    never = f"not up to {USERS_MAX:,} users" if "connections" not in missing(profile) else note
    found = []
    for size in catalogue.compute:
        limit = size.pooler_clients_max if pooled else size.connections_max
        what = "pooler clients" if pooled else "connections"
        at = users_with_connections(limit, profile, catalogue)
        found.append(
            Limit(
                f"{_spelt(size.name)} compute: {limit:,} {what}",
                "limit",
                at,
                users_with_connections(limit, dear, catalogue) if at else None,
                users_with_connections(limit, cheap, catalogue) if at else None,
                note=note if at else never,
                compute=size.name,
            )
        )
    return found


def _spelt(compute: str) -> str:
    """`nano` as `Nano`, `2xl` as `2XL`."""
    return compute.upper() if compute.endswith("xl") else compute.capitalize()


def _of_memory_and_disk(profile: Profile, catalogue: Catalogue) -> list[Limit]:
    """Where the working set outgrows each size's memory, and its reads the disk's baseline."""
    if profile.cold is None:
        return []
    stage, found, last_iops = profile.cold, list[Limit](), 0.0
    for size in catalogue.compute:
        name = _spelt(size.name)
        memory = f"{name} compute: the busiest hour's data in {size.memory_gb:g} GiB"
        memory_bytes = size.memory_gb * (1 << 30)
        fills = users_whose_set_fills(memory_bytes, stage, profile.database, catalogue)
        never = f"not up to {USERS_MAX:,} users"
        found.append(_by_reach(memory, size.name, fills, never))
        iops = of_operations(size, catalogue.disk).baseline_per_s
        if iops == last_iops:
            continue  # the disk's own limit, which a larger size shares
        last_iops = iops
        reads = f"{name} compute: {iops:,.0f} disk operations/s, with nothing in memory"
        found.append(
            _by_reach(
                reads, size.name, users_whose_reads_fill(iops, stage, catalogue), "not sampled"
            )
        )
    return found


def _by_reach(name: str, size: str, at: Span | None, never: str) -> Limit:
    if at is None:
        return Limit(name, "limit", None, note=never, compute=size)
    return Limit(name, "limit", at.estimate, at.low, at.high, compute=size)


def _of_budget(profile: Profile, catalogue: Catalogue) -> list[Limit]:
    """Where a month's bill reaches each share of the budget; ends of every interval together."""
    alerts = catalogue.alerts

    def reached(usd: float, measured: Profile) -> float | None:
        at = users_at(usd, lambda users: bill_at(users, measured, catalogue))
        return None if at is None else float(at)

    found = []
    for share in alerts.budget_shares:
        usd = share * alerts.budget_usd_per_month
        name = f"{share:.0%} of the ${alerts.budget_usd_per_month:g} budget"
        if profile.database is None:
            found.append(Limit(name, "alert", None, note="no data set was measured"))
            continue
        ends = [reached(usd, at_an_end(profile, dear=dear)) for dear in (True, False)]
        found.append(Limit(name, "alert", reached(usd, profile), ends[0], ends[1]))
    return found


def limits(profile: Profile, catalogue: Catalogue) -> tuple[Limit, ...]:
    """Every limit and alert at this level; the earliest first, those never reached last."""
    alerts = catalogue.alerts
    found = [
        limit
        for plan in catalogue.prices.plans
        if plan.id != "team"  # includes what Pro does
        for limit in _of_plan(profile, plan, catalogue)
    ]
    found += _of_connections(profile, catalogue)
    found += _of_memory_and_disk(profile, catalogue)
    name = f"API requests: {alerts.api_requests_share:.0%} of your allowance"
    if not alerts.api_requests_per_month:
        found.append(Limit(name, "alert", None, note="no plan limits them; set your own allowance"))
    elif profile.requests_per_session is None:
        found.append(Limit(name, "alert", None, note="no load was measured"))
    else:
        allowance = alerts.api_requests_per_month * alerts.api_requests_share
        each = profile.requests_per_session
        month = sessions_per_month(1, catalogue)
        found.append(_by_span(name, "alert", allowance, each, month))
    found += _of_budget(profile, catalogue)
    return tuple(sorted(found, key=lambda limit: math.inf if limit.users is None else limit.users))
