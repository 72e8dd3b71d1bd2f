"""The shapes of a hosting provider's price list; its figures stand in `catalogue.toml`.

Amounts are US dollars a month, without tax; 1 GB is 10⁹ bytes. Each figure names the source that it
was read in, and when.
"""

from __future__ import annotations

import datetime as dt
import math

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the catalogue: immutable, named fields only, a misspelt key is an error."""


class Source(Entry, frozen=True):
    """Where figures were read."""

    what: str
    url: str
    read_on: dt.date


class Compute(Entry, frozen=True):
    """A compute size of Supabase's. What of it is emulated here: `stack.compute`."""

    name: str
    price_usd_month: float
    cores: int
    """Of the AWS family it runs on."""
    memory_gb: float
    """GiB."""
    connections_max: int
    """Direct connections to PostgreSQL."""
    pooler_clients_max: int
    iops: int
    """Disk operations per second that it may use for ever."""
    source: str = "compute-and-disk"
    cpu_baseline_share: float = 1.0
    """Of each core, what it may use for ever; below 1 it bursts as long as credits last."""
    iops_max: int | None = None
    """Disk operations per second while its disk budget lasts; None where it does not burst."""
    throughput_mb_s: float = 125.0
    """Disk throughput that it may use for ever, in 10⁶ bytes per second."""
    throughput_mb_s_max: float | None = None
    """The same while its disk budget lasts; None where it does not burst."""

    def __post_init__(self) -> None:
        """Refuse a baseline that is none, or above the maximum; msgspec names the key."""
        if not 0 < self.cpu_baseline_share <= 1:
            raise ValueError("`cpu_baseline_share` must be above 0 and at most 1")
        if min(self.iops, self.throughput_mb_s, self.memory_gb, self.cores) <= 0:
            raise ValueError("`cores`, `memory_gb`, `iops` and `throughput_mb_s` must be positive")
        for least, most, name in (
            (self.iops, self.iops_max, "iops"),
            (self.throughput_mb_s, self.throughput_mb_s_max, "throughput_mb_s"),
        ):
            if most is not None and most < least:
                raise ValueError(f"`{name}_max` must not be below `{name}`")


class Disk(Entry, frozen=True):
    """The disk behind a database: what comes with it, how it grows, what more of it costs."""

    source: str
    usd_per_gb: float
    full_share: float
    """Of it that the database fills when it grows; 0..1."""
    growth: float
    """Of its size, that it grows by each time."""
    growth_gb_max: float
    """At most so much at a time, below `large_gb`."""
    large_gb: float
    """From here on it grows by `large_growth`."""
    large_growth: float
    iops: int
    """Operations per second, however large the compute size."""
    usd_per_iops: float
    iops_max: int
    iops_per_gb: int
    throughput_mb_s: float
    """10⁶ bytes per second, likewise."""
    usd_per_mb_s: float
    mb_s_per_iops: float
    """Most throughput that can be had for each operation per second."""
    compute_min_for_more: str
    """Smallest compute size for which more operations or throughput are sold."""
    burst_s: float = 1800.0
    """How long a compute size that bursts may use its maximum, once a day."""

    def provisioned_gb(self, start_gb: float, database_gb: float) -> float:
        """What is billed: the disk grown, step by step, until the database no longer fills it.

        Args:
            start_gb: that it begins with.
            database_gb: tables and indexes; the write-ahead log is not counted, as it is bounded.
        """
        disk = start_gb
        while database_gb >= disk * self.full_share:
            large = disk >= self.large_gb
            disk += (
                disk * self.large_growth if large else min(disk * self.growth, self.growth_gb_max)
            )
        return disk

    def __post_init__(self) -> None:
        """Refuse a disk that would grow for ever; msgspec names the key."""
        if (
            not 0 < self.full_share <= 1
            or min(self.growth, self.large_growth, self.growth_gb_max) <= 0
        ):
            raise ValueError(
                "`full_share` must be in 0..1 and a disk must grow by more than nothing"
            )


class Meter(Entry, frozen=True):
    """What is counted in a month, and billed beyond what a plan includes."""

    name: str
    unit: str
    usd: float
    included: dict[str, float]
    """Units, by the id of a plan; a plan that is not named includes none."""
    source: str
    per: float = 1.0
    """Units that `usd` buys."""
    packages: bool = False
    """Whether only whole packages of `per` units are sold."""
    unsettled: str = ""
    """What is not certain of it; printed with the bill's line."""

    def beyond(self, units: float, plan: str) -> float:
        """Dollars for what `units` exceed the plan's."""
        over = max(0.0, units - self.included.get(plan, 0.0)) / self.per
        return self.usd * (math.ceil(over) if self.packages else over)


class Addon(Entry, frozen=True):
    """What can be bought by the unit on a plan that sells more than it includes."""

    name: str
    usd: float
    source: str
    per_database: bool = False
    """Whether each replica needs one too."""
    compute_min: str | None = None


class Plan(Entry, frozen=True):
    """A plan. One that does not `sell_more` has hard limits, and no add-ons."""

    id: str
    name: str
    usd_per_month: float
    disk_gb: float
    """Included; without more for sale, the most that the database itself may measure."""
    compute_credit_usd: float
    compute: tuple[str, ...]
    replicas: bool
    sells_more: bool
    source: str


class Hosting(Entry, frozen=True):
    """Where the web app itself is served from."""

    name: str
    source: str
    free_egress_gb_per_day: float
    usd_per_gb: float


class GuideBand(Entry, frozen=True):
    """What a guide says that a month in a phase costs; None: no upper end."""

    phase: int
    usd_low: float
    usd_high: float | None = None


class Prices(Entry, frozen=True):
    """The price list."""

    replica_disk_factor: float
    replica_compute_min: str
    plans: tuple[Plan, ...]
    meters: dict[str, Meter]
    addons: dict[str, Addon]
    hosting: Hosting
    guide: tuple[GuideBand, ...] = ()
    """A project's own; reports print it with our figures."""

    def __post_init__(self) -> None:
        """Refuse a list that no bill can be written from; msgspec names the key."""
        amounts = [plan.usd_per_month for plan in self.plans]
        if not amounts or min(amounts) < 0:
            raise ValueError("there must be a plan, and prices must not be negative")
        if any(meter.per <= 0 for meter in self.meters.values()):
            raise ValueError("`per` must be positive")

    def included(self, meter: str, plan: Plan) -> float:
        """Units of a meter that come with the plan; 0 where the list has no such meter."""
        return self.meters[meter].included.get(plan.id, 0.0) if meter in self.meters else 0.0
