"""The catalogue: every default with its reason, read from `catalogue.toml`, overridable.

Reads `model/catalogue.toml` and, where given, a `phasegate.toml` whose keys replace single
entries. Writes nothing. Errors name the key (`$.slo.error_share_max`).
"""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from phasegate.model.errors import ConfigurationError

CATALOGUE = Path(__file__).with_name("catalogue.toml")
FORMAT_VERSION = 1

PROJECT_TABLES = ("project", "levels", "parts", "jobs", "requests")
"""Tables of `phasegate.toml` that say what is measured; the others replace the catalogue's."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the catalogue: immutable, named fields only, a misspelt key is an error."""


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

    def arrival_rate_per_s(self, users: int) -> float:
        """Sessions per second that `users` registered users start at the modelled peak."""
        per_day = users * self.daily_active_share * self.sessions_per_day
        return per_day * self.peak_hour_share / 3600 * self.burst


class Run(Entry, frozen=True):
    """What `phasegate run` does where no flag says otherwise."""

    users: int
    sizes: tuple[int, ...]
    seed: int
    cell_s: float
    probe_s: float
    probes_max: int
    benchmark_budget_s: float
    quick_users: int
    quick_cell_s: float
    quick_probes_max: int
    quick_benchmark_budget_s: float

    def sizes_up_to(self, users: int) -> tuple[int, ...]:
        """The data sets of a run with `users` registered users, ascending; `users` is the last."""
        return (*(size for size in sorted(self.sizes) if size < users), users)


class Compute(Entry, frozen=True):
    """A compute size of Supabase's. What of it is emulated here: `stack.compute`."""

    name: str
    price_usd_month: float
    cores: int
    """Of the AWS family it runs on; shared and bursting up to medium."""
    memory_gb: float
    """GiB."""
    connections_max: int
    """Direct connections to PostgreSQL."""
    pooler_clients_max: int
    iops: int
    """Baseline of disk operations per second; not emulated."""


class Overage(Entry, frozen=True):
    """What a plan sells beyond what it includes; disk and egress in GB of 10⁹ bytes."""

    disk_usd_per_gb: float
    egress_usd_per_gb: float
    usd_per_monthly_active_user: float
    usd_per_million_function_calls: float


class HostedPlan(Entry, frozen=True):
    """A plan of the hosting provider. Without `overage`, what it includes is a hard limit."""

    id: str
    name: str
    usd_per_month: float
    disk_gb: float
    egress_gb: float
    monthly_active_users: int
    function_calls: int
    compute_credit_usd: float
    compute: tuple[str, ...]
    replicas: bool
    overage: Overage | None = None


class Hosting(Entry, frozen=True):
    """Where the web app itself is served from."""

    name: str
    source: str
    free_egress_gb_per_day: float
    usd_per_gb: float


class GuideBand(Entry, frozen=True):
    """What the scaling guide says that a month in a phase costs; None: no upper end.

    docs/method.md#the-scaling-guide
    """

    phase: int
    usd_low: float
    usd_high: float | None = None


class Prices(Entry, frozen=True):
    """The price list, with where and when it was read."""

    source: str
    read_on: dt.date
    replica_disk_factor: float
    replica_compute_min: str
    plans: tuple[HostedPlan, ...]
    hosting: Hosting
    guide: tuple[GuideBand, ...]

    def __post_init__(self) -> None:
        """Refuse a list that no bill can be written from; msgspec names the key."""
        amounts = [plan.usd_per_month for plan in self.plans]
        if not amounts or min(amounts) < 0:
            raise ValueError("there must be a plan, and prices must not be negative")


class Usage(Entry, frozen=True):
    """How a modelled peak becomes a month."""

    days_per_month: float
    monthly_active_share: float
    hosting_bytes_per_session: float
    function_calls_per_session: float
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


class Gate(Entry, frozen=True):
    """What a transition to the next phase asks for."""

    head_room: float


class Catalogue(Entry, frozen=True):
    """All defaults in force, after overrides."""

    format_version: int
    phases: tuple[Phase, ...]
    slo: Slo
    workload: Workload
    run: Run
    compute: tuple[Compute, ...]
    """Ascending in size."""
    prices: Prices
    usage: Usage
    alerts: Alerts
    gate: Gate

    def __post_init__(self) -> None:
        """Refuse plans that name a compute size that there is not; msgspec names the key."""
        known = [size.name for size in self.compute]
        named = [name for plan in self.prices.plans for name in plan.compute]
        unknown = sorted({*named, self.prices.replica_compute_min} - set(known))
        if unknown:
            raise ValueError(f"no compute size is called {', '.join(unknown)}")
        costs = [size.price_usd_month for size in self.compute]
        if costs != sorted(costs) or len(set(known)) != len(known):
            raise ValueError("`compute` must be distinct and ascending in price")

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


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} is not text in UTF-8 (byte {error.start})", then="Save it as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error


def load(overrides: Path | None = None) -> Catalogue:
    """The shipped catalogue with the entries of `overrides` (a TOML file) in place.

    Raises:
        ConfigurationError: unreadable file, unknown key, wrong type; the key is named.
    """
    if overrides is None:
        return merged_catalogue({}, CATALOGUE.name)
    tables = _read_toml(overrides)
    own = {key: value for key, value in tables.items() if key not in PROJECT_TABLES}
    return merged_catalogue(own, overrides.name)


def merged_catalogue(overrides: dict[str, Any], origin: str) -> Catalogue:
    """The shipped catalogue with the entries of `overrides` in place.

    Raises:
        ConfigurationError: unknown key, wrong type; the key is named, and `origin` as its file.
    """
    tables = _merged(_read_toml(CATALOGUE), overrides)
    try:
        return msgspec.convert(tables, Catalogue, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{origin}: {error}", then=f"Compare with {CATALOGUE.name}, which documents every key"
        ) from error
