"""The catalogue: every default with its reason, read from `catalogue.toml`, overridable.

Reads `phases/catalogue.toml` and, where given, a `phasegate.toml` whose keys replace single
entries. Writes nothing. Errors name the key (`$.slo.error_share_max`).
"""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from phases.errors import ConfigurationError

CATALOGUE = Path(__file__).with_name("catalogue.toml")
FORMAT_VERSION = 1

# Two years: log ids carry milliseconds since the start in 39 bits, beside 24 for the user.
DAYS_MAX = 730


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
    load_stage_s: float
    benchmark_budget_s: float
    quick_users: int
    quick_load_stage_s: float
    quick_benchmark_budget_s: float

    def sizes_up_to(self, users: int) -> tuple[int, ...]:
        """The data sets of a run with `users` registered users, ascending; `users` is the last."""
        return (*(size for size in sorted(self.sizes) if size < users), users)


class Population(Entry, frozen=True):
    """What a seeded population looks like. Formulas: `phases/population.py`.

    Means are per registered user at `start` + `days`; shares in 0..1.
    """

    start: dt.date
    days: int
    locales: tuple[str, ...]
    signup_growth_per_month: float
    activity_sigma: float
    tasks_per_user_mean: float
    logs_per_user_mean: float
    projects_per_user_mean: float
    projects_follow_activity_share: float
    without_project_share: float
    completed_share: float
    completion_delay_h_median: float
    completion_delay_sigma: float
    hour_weights: tuple[float, ...]
    weekday_weights: tuple[float, ...]
    actions: dict[str, float]

    def __post_init__(self) -> None:
        """Refuse what no formula could carry out; msgspec names the key."""
        if not 28 <= self.days <= DAYS_MAX:
            raise ValueError(f"`days` must be 28 to {DAYS_MAX}")
        if len(self.hour_weights) != 24 or len(self.weekday_weights) != 7:
            raise ValueError("`hour_weights` takes 24 numbers and `weekday_weights` 7")
        weights = (*self.hour_weights, *self.weekday_weights, *self.actions.values())
        if not self.actions or min(weights) <= 0:
            raise ValueError("weights must be positive, and there must be an action")
        if not self.locales:
            raise ValueError("`locales` must name one")
        if self.projects_per_user_mean < 1:
            raise ValueError("`projects_per_user_mean` must be 1 or more: each user has a project")


class Technique(Entry, frozen=True):
    """One step between stack levels that the benchmarks compare, before against after."""

    id: str
    """Of the folder in `benchmarks/techniques/` and of every record; never renamed."""
    title: str
    phase: int
    """In which the scaling guide recommends it; 0 where the guide does not speak of it."""
    cost: str
    """What it costs, in words; the benchmarks measure how much."""


class Sessions(Entry, frozen=True):
    """What a session of the load test does, and the client's cache."""

    browse_weight: float
    organise_weight: float
    page_tasks: int
    cache_ttl_s: float
    cache_entries_max: int


class Catalogue(Entry, frozen=True):
    """All defaults in force, after overrides."""

    format_version: int
    phases: tuple[Phase, ...]
    slo: Slo
    workload: Workload
    techniques: tuple[Technique, ...]
    run: Run
    population: Population
    sessions: Sessions

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
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error


def load(overrides: Path | None = None) -> Catalogue:
    """The shipped catalogue with the entries of `overrides` (a TOML file) in place.

    Raises:
        ConfigurationError: unreadable file, unknown key, wrong type; the key is named.
    """
    tables = _read_toml(CATALOGUE)
    origin = CATALOGUE.name
    if overrides is not None:
        tables = _merged(tables, _read_toml(overrides))
        origin = overrides.name
    try:
        return msgspec.convert(tables, Catalogue, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{origin}: {error}", then=f"Compare with {CATALOGUE.name}, which documents every key"
        ) from error
