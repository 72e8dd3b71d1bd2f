"""How much a number of registered users takes, and which limit or alert that meets first. Pure.

From measured sizes to bytes per user (Theil–Sen over the seeded sizes), from measured sessions to
egress and connections (Little's law), to the user count of each limit and alert.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from statistics import median

from phases.catalogue import Catalogue, HostedPlan
from phases.cost import GB, Bill, Demand, cheapest, users_at


@dataclass(frozen=True)
class Span:
    """An estimate, and the range that it was seen in; None where it was seen once.

    The range is no confidence interval: it holds every pair of sizes, or every stage.
    """

    estimate: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Fit:
    """Bytes = `fixed` + `per_user` · users."""

    per_user: Span
    fixed: float

    def at(self, users: float) -> float:
        """Bytes at `users` registered users."""
        return self.fixed + self.per_user.estimate * users


def fit(points: Sequence[tuple[int, float]]) -> Fit:
    """The line through sizes: median of pairwise slopes (Theil 1950, Sen 1968), and their range.

    Args:
        points: registered users and bytes; one point gives its quotient and no range.

    Raises:
        ValueError: no points, users that are not positive, or the same users twice.
    """
    counts = [users for users, _ in points]
    if not points or min(counts) <= 0 or len(set(counts)) != len(counts):
        raise ValueError("a fit needs points at distinct, positive numbers of users")
    if len(points) == 1:
        users, size = points[0]
        return Fit(Span(size / users), 0.0)
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(sorted(points), 2)]
    slope = median(slopes)
    fixed = max(0.0, median(size - slope * users for users, size in points))
    seen = (min(slopes), max(slopes)) if len(slopes) > 1 else (None, None)
    return Fit(Span(slope, *seen), fixed)


@dataclass(frozen=True)
class Profile:
    """What was measured of a stack level; None: not measured.

    Attributes:
        level: 1, 2 or 3.
        database: tables and indexes of that level.
        egress_bytes_per_session: response bodies of one session.
        requests_per_session: sent to the API.
        service_s: mean time of a request, from sent to answered.
        cpu_s_per_session: processor time that the database spent on a session, by users of the data
            set, ascending; empty where it was not sampled.
        held_users: most registered users whose modelled peak it was seen to hold.
        broke_users: fewest whose modelled peak it was seen not to hold; None where it never broke.
        cores: of the machine that was measured.
        compute: hosted size that it was measured on, where that is known and processor time could
            not be sampled; None otherwise.
    """

    level: int
    database: Fit | None
    egress_bytes_per_session: Span | None
    requests_per_session: float | None
    service_s: float | None
    cpu_s_per_session: tuple[tuple[int, float], ...]
    held_users: float | None
    broke_users: float | None
    cores: int
    compute: str | None = None


JUST_MORE = 1e-6
"""Of cores: those of the machine that broke were too few, however little more would do."""

POOLED_FROM_LEVEL = 3
REPLICAS_FROM_LEVEL = 3
"""Level 3 adds the pooler and the replica (DESIGN, stack levels)."""


def sessions_per_month(users: float, catalogue: Catalogue) -> float:
    """Sessions of `users` registered users in a month, by the workload model."""
    workload = catalogue.workload
    per_day = users * workload.daily_active_share * workload.sessions_per_day
    return per_day * catalogue.usage.days_per_month


def _per_user_rate(catalogue: Catalogue) -> float:
    """Sessions per second and registered user at the modelled peak."""
    return catalogue.workload.arrival_rate_per_s(1_000_000) / 1_000_000


def connections_at(users: float, profile: Profile, catalogue: Catalogue) -> float | None:
    """Requests under way at the modelled peak: λ·S by Little's law, and its Poisson peak."""
    if profile.requests_per_session is None or profile.service_s is None:
        return None
    mean = users * _per_user_rate(catalogue) * profile.requests_per_session * profile.service_s
    return mean + catalogue.usage.connections_peak_sigma * math.sqrt(mean)


def users_with_connections(limit: int, profile: Profile, catalogue: Catalogue) -> float | None:
    """The inverse of `connections_at`: registered users whose peak reaches `limit`."""
    if profile.requests_per_session is None or profile.service_s is None:
        return None
    each = _per_user_rate(catalogue) * profile.requests_per_session * profile.service_s
    if each <= 0:
        return None
    sigma = catalogue.usage.connections_peak_sigma
    root = (-sigma + math.sqrt(sigma**2 + 4 * limit)) / 2
    return root**2 / each


def cpu_s_at(users: float, points: Sequence[tuple[int, float]]) -> float:
    """Processor seconds of a session on the data of `users`: log-log between what was measured.

    Below the smallest data set as on it. Beyond the largest, the growth between the last two goes
    on: a scan of a table costs in proportion to its rows, a look-up in an index hardly more.
    """
    if users <= points[0][0] or len(points) == 1:
        return points[0][1]
    pairs = list(pairwise(points))
    (x1, y1), (x2, y2) = next((pair for pair in pairs if users <= pair[1][0]), pairs[-1])
    slope = math.log(y2 / y1) / math.log(x2 / x1)
    if users > x2:
        slope = min(max(slope, 0.0), 1.0)
        x1, y1 = x2, y2
    return y1 * math.exp(slope * math.log(users / x1))


def cores_at(users: float, profile: Profile, catalogue: Catalogue) -> float | None:
    """Cores that the database needs at the modelled peak, kept below `cpu_share_max`.

    Where the level was seen to break on the measured machine, its cores are known to be too few
    for that many users, and the need grows in proportion from there.
    """
    needed = []
    if profile.cpu_s_per_session:
        each = cpu_s_at(users, profile.cpu_s_per_session)
        rate = users * _per_user_rate(catalogue)
        needed.append(rate * each / catalogue.usage.cpu_share_max)
    if profile.broke_users is not None and users >= profile.broke_users:
        needed.append(profile.cores * users / profile.broke_users + JUST_MORE)
    return max(needed, default=None)


def demand_at(users: int, profile: Profile, catalogue: Catalogue) -> Demand | None:
    """What a month at `users` takes at this level; None where its sizes were not measured.

    Traffic that was not measured counts as none; `missing` names it.
    """
    if profile.database is None:
        return None
    usage = catalogue.usage
    sessions = sessions_per_month(users, catalogue)
    egress = profile.egress_bytes_per_session
    replicas = int(profile.level >= REPLICAS_FROM_LEVEL)
    return Demand(
        users=users,
        database_bytes=profile.database.at(users),
        egress_bytes=egress.estimate * sessions if egress else 0.0,
        monthly_active_users=users * usage.monthly_active_share,
        function_calls=sessions * usage.function_calls_per_session,
        connections=connections_at(users, profile, catalogue) or 0.0,
        pooled=profile.level >= POOLED_FROM_LEVEL,
        replicas=replicas,
        cores=cores_at(users, profile, catalogue) or 0.0,
        hosting_bytes=sessions * usage.hosting_bytes_per_session,
        compute_min=profile.compute,
    )


def missing(profile: Profile) -> tuple[str, ...]:
    """What a bill at this level leaves out because it was not measured."""
    found = []
    if profile.egress_bytes_per_session is None:
        found.append("egress")
    if profile.requests_per_session is None or profile.service_s is None:
        found.append("connections")
    if not profile.cpu_s_per_session and profile.compute is None:
        found.append("cores")
    return tuple(found)


@dataclass(frozen=True)
class Limit:
    """A limit or alert, and the registered users at which it is reached.

    Attributes:
        name: as `Free: 0.5 GB disk`.
        kind: what it is.
        users: None where it is never reached, or was not measured.
        low: from the range of what it rests on; None where that was seen once.
        high: the same.
        note: why `users` is None, or what it rests on.
        plan: whose it is; None where it belongs to no plan.
    """

    name: str
    kind: str
    users: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    plan: str | None = None


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


def _disk(profile: Profile, plan: HostedPlan, share: float, name: str, kind: str) -> Limit:
    if profile.database is None:
        return Limit(name, kind, None, note="no data set was measured")
    allowance = plan.disk_gb * GB * share - profile.database.fixed
    return _by_span(name, kind, allowance, profile.database.per_user)


def _of_plan(profile: Profile, plan: HostedPlan, catalogue: Catalogue) -> list[Limit]:
    """The limits of one plan: what it includes, and the alert on its disk."""
    kind = "limit" if plan.overage is None else "included"
    per_user = sessions_per_month(1, catalogue)
    alert = catalogue.alerts.database_size_share
    limits = [
        _disk(
            profile, plan, alert, f"{plan.name}: {alert:.0%} of {plan.disk_gb:g} GB disk", "alert"
        ),
        _disk(profile, plan, 1.0, f"{plan.name}: {plan.disk_gb:g} GB disk", kind),
    ]
    name = f"{plan.name}: {plan.egress_gb:g} GB egress a month"
    if profile.egress_bytes_per_session is None:
        limits.append(Limit(name, kind, None, note="no load was measured"))
    else:
        each = profile.egress_bytes_per_session
        limits.append(_by_span(name, kind, plan.egress_gb * GB, each, per_user))
    active = plan.monthly_active_users / catalogue.usage.monthly_active_share
    limits.append(
        Limit(f"{plan.name}: {plan.monthly_active_users:,} monthly active users", kind, active)
    )
    return [replace(limit, plan=plan.name) for limit in limits]


def _of_connections(profile: Profile, catalogue: Catalogue) -> list[Limit]:
    pooled = profile.level >= POOLED_FROM_LEVEL
    limits = []
    for size in catalogue.compute:
        limit = size.pooler_clients_max if pooled else size.connections_max
        what = "pooler clients" if pooled else "connections"
        users = users_with_connections(limit, profile, catalogue)
        note = "by Little's law from measured requests" if users else "no load was measured"
        limits.append(
            Limit(f"{size.name.title()} compute: {limit:,} {what}", "limit", users, note=note)
        )
    return limits


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
    name = f"API requests: {alerts.api_requests_share:.0%} of your allowance"
    if not alerts.api_requests_per_month:
        found.append(Limit(name, "alert", None, note="no plan limits them; set your own allowance"))
    elif profile.requests_per_session is None:
        found.append(Limit(name, "alert", None, note="no load was measured"))
    else:
        each = Span(profile.requests_per_session * sessions_per_month(1, catalogue))
        allowance = alerts.api_requests_per_month * alerts.api_requests_share
        found.append(_by_span(name, "alert", allowance, each))
    for share in alerts.budget_shares:
        usd = share * alerts.budget_usd_per_month
        at = users_at(usd, lambda users: bill_at(users, profile, catalogue))
        budget = f"{share:.0%} of the ${alerts.budget_usd_per_month:g} budget"
        reached = None if profile.database is None else at
        found.append(Limit(budget, "alert", None if reached is None else float(reached)))
    return tuple(sorted(found, key=lambda limit: math.inf if limit.users is None else limit.users))


def bill_at(users: int, profile: Profile, catalogue: Catalogue) -> Bill | None:
    """The cheapest month at `users` and this level; None where no plan meets it."""
    demand = demand_at(users, profile, catalogue)
    return None if demand is None else cheapest(demand, catalogue)
