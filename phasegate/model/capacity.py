"""How much a number of registered users takes, and which limit or alert that meets first. Pure.

From measured sizes to bytes per user (Theil–Sen over the seeded sizes), from measured sessions to
egress, from the measured peak of connections to those at any number of users (Little's law where no
peak was sampled), to a month's demand. Limits and alerts: `model/limits.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from statistics import median

from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import GB, USERS_MAX, Bill, Demand, cheapest

Z_95 = 1.96
"""Standard deviations of a normal distribution that hold 95% of it."""


@dataclass(frozen=True)
class Span:
    """An estimate, and its interval; None where it was seen once.

    Which interval that is, says whoever makes one: every pair of sizes, every stage, or 95%.
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
class ColdStage:
    """What a stage read that began with nothing in memory.

    Attributes:
        sessions: that the reads are of.
        blocks: touched, each counted once.
        blocks_first: of those, in the first half.
        operations: of the disk; None where they were not counted.
    """

    sessions: float
    blocks: int
    blocks_first: int
    operations: int | None = None

    def exponent(self) -> Span:
        """B of Heaps' law, with its 95% interval: new blocks come with sessions at random."""
        second = self.blocks - self.blocks_first
        spread = Z_95 / math.sqrt(max(self.sessions / 2, 1.0))
        return Span(*(self._exponent(second * (1 + each)) for each in (0.0, -spread, spread)))

    def _exponent(self, second: float) -> float:
        if self.blocks_first <= 0:
            return 1.0
        found = math.log2((self.blocks_first + max(second, 0.0)) / self.blocks_first)
        return min(max(found, 0.0), 1.0)

    def operations_per_session(self) -> Span | None:
        """With its 95% interval, sessions coming at random; None where they were not counted."""
        if self.operations is None or self.sessions <= 0:
            return None
        each = self.operations / self.sessions
        spread = Z_95 / math.sqrt(self.sessions)
        return Span(each, each * max(1 - spread, 0.0), each * (1 + spread))


@dataclass(frozen=True)
class Profile:
    """What was measured of a stack level; None: not measured.

    Attributes:
        level: its number, from 1.
        database: tables and indexes of that level.
        egress_bytes_per_session: response bodies of one session.
        requests_per_session: sent to the API.
        service_s: mean time of a request, from sent to answered.
        connection_s_per_session: time that a session keeps a connection, from the most that were
            open at one moment, by users of the data set, ascending; empty where it was not sampled.
        cpu_s_per_session: processor time that the database spent on a session, by users of the data
            set, ascending; empty where it was not sampled.
        pooled: whether a pooler stands between connections and the database.
        replicas: read replicas.
        cpu_factors: what to multiply that with for its interval; None where it has none.
        cold: what a stage read that began with nothing in memory; None where none was driven.
        sizes: compute size that was measured to hold every modelled day, by users, ascending.
        held_users: most registered users whose modelled peak it was seen to hold.
        broke_users: fewest whose modelled peak it was seen not to hold; None where it never broke.
        cores: of the machine that was measured.
        compute: hosted size that it was measured on, where that is known and processor time could
            not be sampled; None otherwise.
    """

    level: int
    database: Fit | None
    egress_bytes_per_session: Span | None
    requests_per_session: Span | None
    service_s: float | None
    cpu_s_per_session: tuple[tuple[int, float], ...]
    held_users: float | None
    broke_users: float | None
    cores: int
    compute: str | None = None
    connection_s_per_session: tuple[tuple[int, Span], ...] = ()
    pooled: bool = False
    replicas: int = 0
    cpu_factors: tuple[float, float] | None = None
    cold: ColdStage | None = None
    sizes: tuple[tuple[int, str], ...] = ()


LEAST_S = 1e-9
"""Seconds of a session: what a logarithm takes for none."""

ROOT_PRECISION = 1e-9
"""Of a search for a number of users, as a ratio."""

JUST_MORE = 1e-6
"""Of cores: those of the machine that broke were too few, however little more would do."""


def sessions_per_month(users: float, catalogue: Catalogue) -> float:
    """Sessions of `users` registered users in a month, by the workload model."""
    workload = catalogue.workload
    per_day = users * workload.daily_active_share * workload.sessions_per_day
    return per_day * catalogue.usage.days_per_month


def _per_user_rate(catalogue: Catalogue) -> float:
    """Sessions per second and registered user at the modelled peak."""
    return catalogue.workload.arrival_rate_per_s(1_000_000) / 1_000_000


def _connection_s_at(users: float, profile: Profile) -> float | None:
    """Time that a session keeps a connection, at that size; None where nothing was measured."""
    if profile.connection_s_per_session:
        points = [(at, each.estimate) for at, each in profile.connection_s_per_session]
        return cpu_s_at(users, points)
    if profile.requests_per_session is None or profile.service_s is None:
        return None
    return profile.requests_per_session.estimate * profile.service_s


def connections_at(users: float, profile: Profile, catalogue: Catalogue) -> float | None:
    """The most connections at one moment of the modelled peak.

    The mean is sessions per second times the time that each keeps a connection; arriving at random,
    they exceed `connections_peak_sigma` standard deviations one moment in a thousand.
    """
    each = _connection_s_at(users, profile)
    if each is None:
        return None
    mean = users * _per_user_rate(catalogue) * each
    return mean + catalogue.usage.connections_peak_sigma * math.sqrt(mean)


def users_with_connections(limit: int, profile: Profile, catalogue: Catalogue) -> float | None:
    """The inverse of `connections_at`: registered users whose peak reaches `limit`."""
    low, high = 1.0, float(USERS_MAX)
    most = connections_at(high, profile, catalogue)
    if most is None or most < limit:
        return None
    while high / low > 1 + ROOT_PRECISION:
        middle = math.sqrt(low * high)
        reached = (connections_at(middle, profile, catalogue) or 0.0) >= limit
        low, high = (low, middle) if reached else (middle, high)
    return high


def cpu_s_at(users: float, points: Sequence[tuple[int, float]]) -> float:
    """Seconds of a session on the data of `users`: log-log between what was measured.

    Below the smallest data set as on it. Beyond the largest, the growth between the last two goes
    on: a scan of a table costs in proportion to its rows, a look-up in an index hardly more.
    """
    if users <= points[0][0] or len(points) == 1:
        return points[0][1]
    pairs = list(pairwise((at, max(each, LEAST_S)) for at, each in points))
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
    measured = dict(profile.sizes).get(users)
    egress = profile.egress_bytes_per_session
    asked = profile.requests_per_session
    requests = asked.estimate if asked else 0.0
    return Demand(
        users=users,
        database_bytes=profile.database.at(users),
        metered={
            "egress": egress.estimate * sessions / GB if egress else 0.0,
            "cached-egress": usage.cached_egress_bytes_per_session * sessions / GB,
            "active-users": users * usage.monthly_active_share,
            "function-calls": usage.function_calls_per_session * sessions,
            "storage": usage.storage_bytes_per_user * users / GB,
            "realtime-connections": usage.realtime_connections_per_user * users,
            "realtime-messages": usage.realtime_messages_per_session * sessions,
            "log-ingestion": usage.log_bytes_per_request * requests * sessions / GB,
        },
        connections=connections_at(users, profile, catalogue) or 0.0,
        pooled=profile.pooled,
        replicas=profile.replicas,
        cores=0.0 if measured else cores_at(users, profile, catalogue) or 0.0,
        hosting_bytes=sessions * usage.hosting_bytes_per_session,
        compute_min=measured or profile.compute,
    )


def missing(profile: Profile) -> tuple[str, ...]:
    """What a bill at this level leaves out because it was not measured."""
    found = []
    if profile.egress_bytes_per_session is None:
        found.append("egress")
    if _connection_s_at(1, profile) is None:
        found.append("connections")
    if not profile.cpu_s_per_session and profile.compute is None:
        found.append("cores")
    return tuple(found)


def bill_at(users: int, profile: Profile, catalogue: Catalogue) -> Bill | None:
    """The cheapest month at `users` and this level; None where no plan meets it."""
    demand = demand_at(users, profile, catalogue)
    return None if demand is None else cheapest(demand, catalogue)


def at_an_end(profile: Profile, *, dear: bool) -> Profile:
    """`profile` with every estimate at the end of its interval that costs more, or less.

    Ends of several intervals together are more extreme than any one of them: what follows from
    them is a careful interval, wider than 95%.
    """

    def end(span: Span) -> Span:
        found = span.high if dear else span.low
        return span if found is None else Span(found, span.low, span.high)

    database, seen = profile.database, profile.connection_s_per_session
    # As far as on the largest data at every size: the growth between sizes is not what is in doubt.
    stretch = end(seen[-1][1]).estimate / seen[-1][1].estimate if seen else 1.0
    factor = 1.0 if profile.cpu_factors is None else profile.cpu_factors[int(dear)]
    return replace(
        profile,
        database=database and Fit(end(database.per_user), database.fixed),
        egress_bytes_per_session=profile.egress_bytes_per_session
        and end(profile.egress_bytes_per_session),
        requests_per_session=profile.requests_per_session and end(profile.requests_per_session),
        connection_s_per_session=tuple(
            (users, Span(each.estimate * stretch)) for users, each in seen
        ),
        cpu_s_per_session=tuple((at, each * factor) for at, each in profile.cpu_s_per_session),
    )
