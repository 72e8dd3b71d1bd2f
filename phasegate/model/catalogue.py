"""The catalogue: every default with its reason, read from `catalogue.toml`, overridable.

Reads `model/catalogue.toml` and, where given, a `phasegate.toml` whose keys replace single
entries. Writes nothing. Errors name the key (`$.slo.error_share_max`).
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from phasegate.model.prices import Addon, Compute, Disk, Entry, Hosting, Meter, Plan, Prices, Source
from phasegate.model.read_file import as_record, read_toml
from phasegate.model.yardstick import KINDS

CATALOGUE = Path(__file__).with_name("catalogue.toml")
FORMAT_VERSION = 1

NOTHING = "Nothing was changed"

PROJECT_TABLES = ("project", "levels", "parts", "jobs", "requests", "api")
"""Tables of `phasegate.toml` that say what is measured; the others replace the catalogue's."""


class Phase(Entry, frozen=True):
    """One of the four phases; `users_min` ≤ registered users < `users_max`."""

    number: int
    name: str
    users_min: int
    users_max: int


class Slo(Entry, frozen=True):
    """Service level objectives. Latencies in milliseconds, shares in 0..1."""

    request_latency_ms_p95: float
    statement_latency_ms_p95: float
    error_share_max: float


class Workload(Entry, frozen=True):
    """What a population of registered users does in its busiest minutes."""

    daily_active_share: float
    sessions_per_day: float
    peak_hour_share: float
    burst: float
    think_time_s_median: float
    think_time_sigma: float
    clicks_per_session: int = 5
    """Of locustfiles that do not say themselves where a session ends."""

    def arrival_rate_per_s(self, users: int) -> float:
        """Sessions per second that `users` registered users start at the modelled peak."""
        per_day = users * self.daily_active_share * self.sessions_per_day
        return per_day * self.peak_hour_share / 3600 * self.burst


class Run(Entry, frozen=True):
    """What `phasegate run` does where no flag says otherwise."""

    users: int
    sizes: tuple[int, ...]
    benchmark_sizes: tuple[int, ...]
    seed: int
    cell_s: float
    probe_s: float
    probes_max: int
    benchmark_budget_s: float
    least_trials_max: int
    quick_users: int
    quick_cell_s: float
    quick_probes_max: int
    quick_benchmark_budget_s: float
    advise_users_max: int
    advise_budget_s: float
    quick_advise_budget_s: float
    quick_least_trials_max: int

    def sizes_up_to(self, users: int) -> tuple[int, ...]:
        """The data sets of a run with `users` registered users, ascending; `users` is the last."""
        return (*(size for size in sorted(self.sizes) if size < users), users)

    def sizes_between(self, users: int) -> tuple[int, ...]:
        """Those between `sizes_up_to`, for what breaks its objective there; ascending."""
        between = {size for size in self.benchmark_sizes if min(self.sizes) < size < users}
        return tuple(sorted(between - {*self.sizes}))


class Soak(Entry, frozen=True):
    """A cell that is driven for long."""

    server: dict[str, str]
    """Settings of our own server meanwhile, as `postgresql.conf` has them."""


class Usage(Entry, frozen=True):
    """How a modelled peak becomes a month."""

    days_per_month: float
    monthly_active_share: float
    hosting_bytes_per_session: float
    function_calls_per_session: float
    cached_egress_bytes_per_session: float
    storage_bytes_per_user: float
    realtime_connections_per_user: float
    realtime_messages_per_session: float
    log_bytes_per_request: float
    addons: dict[str, float]
    """Units of each add-on of the price list, by its key there."""
    connections_peak_sigma: float
    cpu_share_max: float


class Alerts(Entry, frozen=True):
    """When to be told; shares in 0..1 of the limit or budget that they watch."""

    database_size_share: float
    api_requests_share: float
    api_requests_per_month: int
    budget_shares: tuple[float, ...]
    budget_usd_per_month: float

    def __post_init__(self) -> None:
        """Refuse shares that could never fire, or fire at once; msgspec names the key."""
        shares = (self.database_size_share, self.api_requests_share, *self.budget_shares)
        if not all(0 < share <= 1 for share in shares):
            raise ValueError("shares must be above 0 and at most 1")


class Serverless(Entry, frozen=True):
    """Functions that talk to the database themselves, each instance with a pool of its own."""

    functions: int
    concurrency: int
    request_s: float
    query_s: float
    pool_max: int
    queries_at_once: int
    idle_timeout_s: float
    freezes: bool
    kept_s: float
    cold_start_s: float
    peak_s: float
    other_connections: int

    def __post_init__(self) -> None:
        """Refuse what no function is; msgspec names the key."""
        if min(self.functions, self.concurrency, self.pool_max, self.queries_at_once) < 1:
            raise ValueError(
                "`functions`, `concurrency`, `pool_max` and `queries_at_once` must be at least 1"
            )
        if min(self.query_s, self.idle_timeout_s, self.kept_s, self.peak_s) <= 0:
            raise ValueError("`query_s`, `idle_timeout_s`, `kept_s` and `peak_s` must be positive")
        if min(self.request_s, self.cold_start_s, self.other_connections) < 0:
            raise ValueError(
                "`request_s`, `cold_start_s` and `other_connections` must not be negative"
            )


class Gate(Entry, frozen=True):
    """What a transition to the next phase asks for."""

    head_room: float


class Reference(Entry, frozen=True):
    """The core that N* is stated for, and what the yardstick's statements take on it."""

    core: str
    """In words."""
    yardstick_ms: dict[str, float]
    """Mean of each kind's rounds, the extremes left out, by kind (`model.yardstick`)."""
    carried_error: float
    """Half width of the 95% interval of ln(time there as computed / as measured), of a statement
    carried to another machine by its blend of kinds."""
    compute_speed: float
    """A whole core of the compute sizes against it; 2 is twice as fast."""

    def __post_init__(self) -> None:
        """Refuse figures that nothing can be held against; msgspec names the key."""
        if set(self.yardstick_ms) != set(KINDS):
            raise ValueError(f"`yardstick_ms` must have exactly {', '.join(KINDS)}")
        if min(*self.yardstick_ms.values(), self.compute_speed) <= 0 or self.carried_error < 0:
            raise ValueError("times and speeds must be positive")


class Catalogue(Entry, frozen=True):
    """All defaults in force, after overrides."""

    format_version: int
    phases: tuple[Phase, ...]
    slo: Slo
    workload: Workload
    run: Run
    soak: Soak
    compute: tuple[Compute, ...]
    """Ascending in size."""
    disk: Disk
    prices: Prices
    sources: dict[str, Source]
    """Where prices and limits were read, by the name that they refer to."""
    usage: Usage
    alerts: Alerts
    serverless: Serverless
    gate: Gate
    reference: Reference

    def __post_init__(self) -> None:
        """Refuse references to what there is not; msgspec names the key."""
        prices = self.prices
        sizes = [size.name for size in self.compute]
        plans = [plan.id for plan in prices.plans]
        sold = [name for plan in prices.plans for name in plan.compute]
        least = [prices.replica_compute_min, self.disk.compute_min_for_more]
        least += [each.compute_min for each in prices.addons.values() if each.compute_min]
        included = [plan for meter in prices.meters.values() for plan in meter.included]
        quoted = [each.source for _, each in self.figures()]
        for what, wanted, known in (
            ("compute size", [*sold, *least], sizes),
            ("plan", included, plans),
            ("add-on", self.usage.addons, prices.addons),
            ("source", quoted, self.sources),
        ):
            unknown = sorted(set(wanted) - set(known))
            if unknown:
                raise ValueError(f"no {what} is called {', '.join(unknown)}")
        costs = [size.price_usd_month for size in self.compute]
        if costs != sorted(costs) or len(set(sizes)) != len(sizes):
            raise ValueError("`compute` must be distinct and ascending in price")

    def figures(self) -> tuple[tuple[str, Compute | Disk | Plan | Meter | Addon | Hosting], ...]:
        """Every entry that drifts with the provider's price list, with its key."""
        prices = self.prices
        return (
            *((f"compute.{size.name}", size) for size in self.compute),
            ("disk", self.disk),
            *((f"prices.plans.{plan.id}", plan) for plan in prices.plans),
            *((f"prices.meters.{key}", meter) for key, meter in prices.meters.items()),
            *((f"prices.addons.{key}", addon) for key, addon in prices.addons.items()),
            ("prices.hosting", prices.hosting),
        )

    def read_before(self, day: dt.date) -> tuple[str, ...]:
        """The keys of `figures` whose source was read before `day`."""
        return tuple(key for key, each in self.figures() if self.sources[each.source].read_on < day)

    def phase_of(self, users: int) -> Phase:
        """The phase that `users` registered users are in; the last one has no upper bound."""
        for phase in self.phases:
            if users < phase.users_max:
                return phase
        return self.phases[-1]


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the leaves of `over` put in place; lists are replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both_tables = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merged(below, value) if both_tables else value  # type: ignore[arg-type]
    return merged


def load(overrides: Path | None = None) -> Catalogue:
    """The shipped catalogue with the entries of `overrides` (a TOML file) in place.

    Raises:
        ConfigurationError: unreadable file, unknown key, wrong type; the key is named.
    """
    if overrides is None:
        return merged_catalogue({}, CATALOGUE.name)
    tables = read_toml(overrides, untouched=NOTHING)
    own = {key: value for key, value in tables.items() if key not in PROJECT_TABLES}
    return merged_catalogue(own, overrides.name)


def merged_catalogue(overrides: dict[str, Any], origin: str) -> Catalogue:
    """The shipped catalogue with the entries of `overrides` in place.

    Raises:
        ConfigurationError: unknown key, wrong type; the key is named, and `origin` as its file.
    """
    tables = _merged(read_toml(CATALOGUE, untouched=NOTHING), overrides)
    then = f"Compare with {CATALOGUE.name}, which documents every key"
    return as_record(tables, Catalogue, origin, untouched=NOTHING, then=then)
