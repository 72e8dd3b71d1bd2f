"""What a technique saves in a month: the compute size that a database would need without it. Pure.

    cores saved = λ(N) · calls a session · (time before − time after) / cpu_share_max

A call's measured time counts as processor time of one core: the benchmarks keep client and server
on one, and the data in memory. The bill with and without those cores tells the rest. What the
technique costs (writes that keep an index up to date, a replica) is in the levels' bills, not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from phasegate.model.capacity import Profile, cpu_s_at, demand_at
from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import Bill, cheapest


@dataclass(frozen=True)
class Calls:
    """What was measured of one technique, in seconds of a call, by users of the data set.

    Attributes:
        per_session: calls that a session makes.
        before: by users, ascending; not empty.
        after: the same.
    """

    per_session: float
    before: Sequence[tuple[int, float]]
    after: Sequence[tuple[int, float]]

    def saved_s(self, users: float) -> float:
        """Seconds that a session costs less on the data of `users`; negative where it costs more.

        Between and beyond the sizes measured as `model.capacity.cpu_s_at` says.
        """
        return self.per_session * (cpu_s_at(users, self.before) - cpu_s_at(users, self.after))


@dataclass(frozen=True)
class Saving:
    """One technique at one number of users.

    Attributes:
        cores: that the database needs less; negative where it needs more.
        with_it: the cheapest month with it; None where no plan is enough.
        without: the same without it.
    """

    cores: float
    with_it: Bill | None
    without: Bill | None

    @property
    def usd_per_month(self) -> float | None:
        """Saved; None where one of the bills is not on the price list."""
        if self.with_it is None or self.without is None:
            return None
        return self.without.usd_per_month - self.with_it.usd_per_month


def saving(
    users: int, calls: Calls, profile: Profile, catalogue: Catalogue, *, included: bool
) -> Saving | None:
    """The saving at `users`.

    Args:
        users: registered users.
        calls: of the technique.
        profile: the stack level that the bills are for.
        catalogue: workload, usage and prices.
        included: whether that level was measured with the technique in place.

    Returns:
        None where the level's sizes or its processor time were not measured.
    """
    demand = demand_at(users, profile, catalogue)
    if demand is None or not profile.cpu_s_per_session:
        return None
    rate = catalogue.workload.arrival_rate_per_s(users)
    cores = rate * calls.saved_s(users) / catalogue.usage.cpu_share_max
    more, less = demand.cores + cores, demand.cores
    if not included:
        more, less = demand.cores, demand.cores - cores
    return Saving(
        cores=cores,
        with_it=cheapest(replace(demand, cores=max(0.0, less)), catalogue),
        without=cheapest(replace(demand, cores=max(0.0, more)), catalogue),
    )
