"""What one stage added up to: pure counters that merge exactly, in whatever order they come.

A worker sends the tally of what happened since it last reported; the master adds them. Nothing
here knows where the numbers came from.
"""

from __future__ import annotations

import msgspec

from phasegate.load.histogram import Histogram


class EndpointTally(msgspec.Struct):
    """Requests of one name; or, for an action, the clicks of one name."""

    requests: int = 0
    failures: int = 0
    statuses: dict[int, int] = {}
    """By HTTP status; 0 stands for no answer. Empty for actions."""
    response_bytes: int = 0
    latency: Histogram = msgspec.field(default_factory=Histogram)
    """From due to answered."""
    service: Histogram = msgspec.field(default_factory=Histogram)
    """From sent to answered."""

    def merge(self, other: EndpointTally) -> None:
        """Add what `other` counted."""
        self.requests += other.requests
        self.failures += other.failures
        self.response_bytes += other.response_bytes
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.latency.merge(other.latency)
        self.service.merge(other.service)


class SecondTally(msgspec.Struct):
    """Requests that were due in one second of the stage."""

    requests: int = 0
    failures: int = 0
    latency: Histogram = msgspec.field(default_factory=Histogram)

    def merge(self, other: SecondTally) -> None:
        """Add what `other` counted."""
        self.requests += other.requests
        self.failures += other.failures
        self.latency.merge(other.latency)


class SessionTally(msgspec.Struct):
    """Sessions: due = dropped + finished + broken + cut, once the stage has ended."""

    due: int = 0
    dropped: int = 0
    """Not started, because as many sessions as allowed were under way already."""
    finished: int = 0
    broken: int = 0
    """Ended early by an error of ours, never by an answer of the server."""
    cut: int = 0
    """Still under way when the time to drain was over."""

    def merge(self, other: SessionTally) -> None:
        """Add what `other` counted."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class CacheTally(msgspec.Struct):
    """What clients' caches did."""

    hits: int = 0
    misses: int = 0
    invalidations: int = 0
    saved_bytes: int = 0
    validators: int = 0
    """Answers with an ETag, in the conditional arm."""

    def merge(self, other: CacheTally) -> None:
        """Add what `other` counted."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class StageTally(msgspec.Struct):
    """Everything counted in one stage, by one generator process or by all."""

    endpoints: dict[str, EndpointTally] = {}
    actions: dict[str, EndpointTally] = {}
    completions: dict[str, EndpointTally] = {}
    """Work that was accepted and done later."""
    seconds: dict[int, SecondTally] = {}
    sessions: SessionTally = msgspec.field(default_factory=SessionTally)
    cache: CacheTally = msgspec.field(default_factory=CacheTally)
    lag: Histogram = msgspec.field(default_factory=Histogram)
    """How late the generator woke for what was due: arrivals and clicks."""
    cpu_share_max: float = 0.0
    """Largest share of a core that one process used over a second."""
    cpu_wait_share_max: float = 0.0
    """Largest share of a second that one process was ready to run and had no core."""
    rows_created: int = 0
    rows_removed: int = 0
    connections: int = 0
    """Opened for requests that were answered or failed."""
    refusals: dict[str, int] = {}
    """Answers of 401 and 403 by what they said (`load.auth_errors`); some of many."""

    def merge(self, other: StageTally) -> None:
        """Add what `other` counted."""
        for name, endpoint in other.endpoints.items():
            self.endpoints.setdefault(name, EndpointTally()).merge(endpoint)
        for name, action in other.actions.items():
            self.actions.setdefault(name, EndpointTally()).merge(action)
        for name, completion in other.completions.items():
            self.completions.setdefault(name, EndpointTally()).merge(completion)
        for at_s, second in other.seconds.items():
            self.seconds.setdefault(at_s, SecondTally()).merge(second)
        self.sessions.merge(other.sessions)
        self.cache.merge(other.cache)
        self.lag.merge(other.lag)
        self.cpu_share_max = max(self.cpu_share_max, other.cpu_share_max)
        self.cpu_wait_share_max = max(self.cpu_wait_share_max, other.cpu_wait_share_max)
        self.rows_created += other.rows_created
        self.rows_removed += other.rows_removed
        self.connections += other.connections
        for said, count in other.refusals.items():
            self.refusals[said] = self.refusals.get(said, 0) + count
