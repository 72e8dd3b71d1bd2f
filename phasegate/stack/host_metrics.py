"""The metrics that a database's host publishes, read while it is driven.

A hosted Supabase project answers at `/customer/v1/privileged/metrics` in Prometheus's text format,
renewed once a minute (https://supabase.com/docs/guides/telemetry/metrics); any exporter of
node_exporter's names will do. The key is sent to the host under test alone, follows no redirect and
is written nowhere.
"""

from __future__ import annotations

import base64
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

from phasegate.model.address import Address
from phasegate.model.errors import ConfigurationError
from phasegate.model.keys import read_key
from phasegate.records.host_metrics import HostMetrics

KEY_VARIABLE = "SUPABASE_METRICS_KEY"
HOSTED_PATH = "/customer/v1/privileged/metrics"
HOSTED_DOMAIN = ".supabase.co"
USER = "service_role"

# The host renews them once a minute: four readings in that time find out when.
EVERY_S = 15.0
TIMEOUT_S = 5.0
BYTES_MAX = 16_000_000
"""Of an answer; some 200 series of a project are 100 kB."""

IDLE, WAITING, STOLEN = "idle", "iowait", "steal"
NO_DISK = ("loop", "ram", "dm-", "md", "zram")
"""Devices that are no disk, or that stand for disks that are counted themselves."""


@dataclass(frozen=True)
class Reading:
    """One answer; None and 0 where it does not say."""

    at_s: float
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Seconds by mode, summed over cores."""
    cores: int = 0
    operations: float | None = None
    transferred_bytes: float | None = None
    gauges: dict[str, float] = field(default_factory=dict)


_GAUGES = {
    "node_memory_MemTotal_bytes": "memory",
    "node_memory_MemAvailable_bytes": "available",
    "node_memory_SwapTotal_bytes": "swap",
    "node_memory_SwapFree_bytes": "swap_free",
    "pg_stat_database_num_backends": "connections",
    "pg_stat_database_numbackends": "connections",
    "pgbouncer_pools_client_active_connections": "pooler_clients",
    "pgbouncer_pools_client_waiting_connections": "pooler_waiting",
}
_OPERATIONS = {"node_disk_reads_completed_total", "node_disk_writes_completed_total"}
_TRANSFERRED = {"node_disk_read_bytes_total", "node_disk_written_bytes_total"}


def read_metrics(text: str, at_s: float) -> Reading:
    """What a text in Prometheus's format says of a host.

    Raises:
        ValueError: it is no such text.
    """
    cpu_s: dict[str, float] = {}
    cores: set[str] = set()
    gauges: dict[str, float] = {}
    counted: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name, labels, value = sample.name, sample.labels, sample.value
            if name == "node_cpu_seconds_total":
                mode = labels.get("mode", "")
                cpu_s[mode] = cpu_s.get(mode, 0.0) + value
                cores.add(labels.get("cpu", ""))
            elif name in _OPERATIONS | _TRANSFERRED:
                if not labels.get("device", "").startswith(NO_DISK):
                    kind = "operations" if name in _OPERATIONS else "transferred"
                    counted[kind] = counted.get(kind, 0.0) + value
            elif "cpucreditbalance" in name.lower().replace("_", ""):
                gauges["credits"] = value
            elif name in _GAUGES:
                key = _GAUGES[name]
                gauges[key] = gauges.get(key, 0.0) + value
    if not (cpu_s or gauges or counted):
        raise ValueError("it holds none of node_exporter's metrics")
    return Reading(
        at_s, cpu_s, len(cores), counted.get("operations"), counted.get("transferred"), gauges
    )


def metrics_of(url: str, readings: list[Reading], fault: str = "") -> HostMetrics:
    """What `readings` say together, from the first to the last that differs from it."""
    fresh = [r for before, r in pairwise(readings) if r.cpu_s != before.cpu_s]
    if not fresh:
        still = "its figures did not change while the target was driven"
        return HostMetrics(url=url, fault=fault or still)
    first = readings[0]
    last = fresh[-1]
    seconds = last.at_s - first.at_s
    spent = {mode: last.cpu_s[mode] - first.cpu_s.get(mode, 0.0) for mode in last.cpu_s}
    total = sum(spent.values())

    def share(*modes: str) -> float | None:
        return sum(spent.get(mode, 0.0) for mode in modes) / total if total > 0 else None

    def rate(then: float | None, now: float | None, per: float = 1.0) -> float | None:
        return None if then is None or now is None else (now - then) / per / seconds

    def most(key: str) -> float | None:
        return max((r.gauges[key] for r in readings if key in r.gauges), default=None)

    busy = share(*(mode for mode in spent if mode not in (IDLE, WAITING, STOLEN)))
    used = [
        1 - r.gauges["available"] / r.gauges["memory"]
        for r in readings
        if r.gauges.get("memory") and "available" in r.gauges
    ]
    swapped = [
        r.gauges["swap"] - r.gauges["swap_free"] for r in (first, last) if "swap" in r.gauges
    ]
    return HostMetrics(
        url=url,
        fault=fault,
        seconds=seconds,
        cores=last.cores or None,
        cpu_busy_share=busy,
        cpu_iowait_share=share(WAITING),
        cpu_steal_share=share(STOLEN),
        memory_bytes=most("memory"),
        memory_used_share=max(used, default=None),
        swap_used_bytes=max(0.0, swapped[-1] - swapped[0]) if len(swapped) > 1 else None,
        disk_iops=rate(first.operations, last.operations),
        disk_mb_s=rate(first.transferred_bytes, last.transferred_bytes, 1e6),
        connections=most("connections"),
        pooler_clients=most("pooler_clients"),
        pooler_waiting=most("pooler_waiting"),
        credits_first=first.gauges.get("credits"),
        credits_last=last.gauges.get("credits"),
    )


@dataclass(frozen=True)
class Endpoint:
    """Where a host's metrics are, and what is sent there."""

    address: Address
    authorization: str = field(default="", repr=False)

    @classmethod
    def of(cls, host: str, url: str | None, key: str) -> Endpoint | None:
        """The endpoint of the target `host`; None where it has none that is known.

        Args:
            host: URL of the API under test.
            url: of the metrics, as asked for; None for a hosted project's own.
            key: secret key of the project; it is sent to `host` alone.

        Raises:
            ConfigurationError: an address or the key cannot be read, or the key is missing.
        """
        target = Address.of(host)
        secret = read_key(key, KEY_VARIABLE).value
        if url is None:
            if not secret:
                return None
            if not (target.host.endswith(HOSTED_DOMAIN) and target.is_tls):
                raise ConfigurationError(
                    f"{KEY_VARIABLE} is set, and the target is no project at https://…{HOSTED_DOMAIN}",
                    untouched="Nothing was sent",
                    then="Name its metrics with --metrics-url, or unset the key",
                )
            url = target.url + HOSTED_PATH
        address = Address.of(url, "--metrics-url")
        own = address.host == target.host and (address.is_tls or address.is_loopback)
        token = base64.b64encode(f"{USER}:{secret}".encode()).decode()
        return cls(address, f"Basic {token}" if secret and own else "")

    def text(self) -> str:
        """One answer.

        Raises:
            OSError, http.client.HTTPException: there is none.
            ValueError: it is none of metrics; says why.
        """
        kind = http.client.HTTPSConnection if self.address.is_tls else http.client.HTTPConnection
        connection = kind(self.address.host, self.address.port, timeout=TIMEOUT_S)
        headers = {"Authorization": self.authorization} if self.authorization else {}
        try:
            connection.request("GET", self.address.prefix or "/", headers=headers)
            found = connection.getresponse()
            body = found.read(BYTES_MAX + 1)
        finally:
            connection.close()
        if found.status != http.client.OK:
            refused = found.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN)
            then = f"; check {KEY_VARIABLE} (a secret key, sb_secret_…)" if refused else ""
            raise ValueError(f"it answers {found.status}{then}")
        if len(body) > BYTES_MAX:
            raise ValueError(f"it answers more than {BYTES_MAX / 1e6:.0f} MB")
        return body.decode(errors="replace")


class _Watch(threading.Thread):
    """Reads an endpoint until it is told to stop; the last reading is taken then."""

    def __init__(self, endpoint: Endpoint, every_s: float) -> None:
        super().__init__(name="host-metrics", daemon=True)
        self.endpoint = endpoint
        self.readings: list[Reading] = []
        self.fault = ""
        self._every_s = every_s
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._every_s):
            self.look()

    def look(self) -> None:
        at_s = time.monotonic()
        try:
            self.readings.append(read_metrics(self.endpoint.text(), at_s))
            self.fault = ""
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.fault = str(error) or type(error).__name__

    def end(self) -> HostMetrics:
        self._over.set()
        self.join(TIMEOUT_S + 1.0)
        self.look()
        fault = self.fault if len(self.readings) < 2 else ""
        return metrics_of(self.endpoint.address.url, self.readings, fault)


class Watched:
    """What `watching` leaves behind; `metrics` is there when its block has ended."""

    metrics: HostMetrics | None = None


@contextmanager
def watching(endpoint: Endpoint | None, every_s: float = EVERY_S) -> Iterator[Watched]:
    """Read the metrics of a host while the block runs; nothing where there is no endpoint."""
    watched = Watched()
    if endpoint is None:
        yield watched
        return
    watch = _Watch(endpoint, every_s)
    watch.look()
    watch.start()
    try:
        yield watched
    finally:
        watched.metrics = watch.end()
