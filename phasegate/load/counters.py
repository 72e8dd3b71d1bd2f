"""What one stage added up to: pure counters that merge exactly, in whatever order they come.

A worker sends the tally of what happened since it last reported; the master adds them. Nothing
here knows where the numbers came from.
"""

from __future__ import annotations

import msgspec

from phasegate.load.answers import SameTally
from phasegate.load.expectations import USUALLY, Failure
from phasegate.model.api_refusals import RATE_LIMITED, REFUSALS, UNAUTHORISED
from phasegate.records.histogram import Histogram

HTTP_OK = 200

# Different ones that are counted: more would be one for each request, by its number or its time.
MESSAGES_MAX = 5

# Whose words are kept.
COUNTED = REFUSALS | UNAUTHORISED | {RATE_LIMITED}


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
    """Requests that were due in one second of the stage; or clicks, in one interval."""

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
    """Answers with an ETag, where the client keeps answers by it."""
    unvalidated: int = 0
    """Those without, of the same requests."""

    def merge(self, other: CacheTally) -> None:
        """Add what `other` counted."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def is_used(self) -> bool:
        """Whether there was a cache that anything asked."""
        return self.hits + self.misses > 0


class SeenTally(msgspec.Struct):
    """Clicks of one name that expect to show something."""

    shown_share: float
    """Of such clicks, the least share that does show something."""
    clicks: int = 0
    """Those that were answered."""
    empty: int = 0
    """Of those, the ones that showed nothing."""

    def merge(self, other: SeenTally) -> None:
        """Add what `other` counted."""
        self.clicks += other.clicks
        self.empty += other.empty


class StageTally(msgspec.Struct):
    """Everything counted in one stage, by one generator process or by all."""

    endpoints: dict[str, EndpointTally] = {}
    actions: dict[str, EndpointTally] = {}
    completions: dict[str, EndpointTally] = {}
    """Work that was accepted and done later."""
    seconds: dict[int, SecondTally] = {}
    intervals: dict[int, SecondTally] = {}
    """Clicks by the interval that they were due in; empty where nobody asked for it."""
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
    resent: int = 0
    """Requests sent again, because the server had closed the kept connection meanwhile."""
    refusals: dict[str, int] = {}
    """Answers that say that the call is wrong, not the load, as `404 PGRST205 Could not find …`;
    of many different ones some (`model.api_refusals`)."""
    misshapen: dict[str, int] = {}
    """Answers in another form than expected, by what was wrong; likewise."""
    seen: dict[str, SeenTally] = {}
    """By click."""
    sessions_seen: SeenTally = msgspec.field(default_factory=lambda: SeenTally(USUALLY))
    """Sessions whose clicks do not say what they show, by whether anything was shown at all."""
    looked: dict[str, int] = {}
    """Answers of status 200 that were looked at, by request."""
    odd_answers: dict[str, dict[str, int]] = {}
    """Of those, by `Reason` and request, the ones that were none for their user."""
    same: dict[str, SameTally] = {}
    """Of those, by request, whether they differ from user to user."""
    errors: dict[str, int] = {}
    """What broke sessions, by type, message and place; of many different ones some."""

    @property
    def statuses(self) -> dict[int, int]:
        """Answers by status, over all endpoints; 0 stands for none."""
        found: dict[int, int] = {}
        for endpoint in self.endpoints.values():
            for status, count in endpoint.statuses.items():
                found[status] = found.get(status, 0) + count
        return found

    def alike(self) -> dict[int, int]:
        """Refusals by status; those that sent a page with a status of success count as 200."""
        found = {status: n for status, n in self.statuses.items() if status in COUNTED}
        for said, count in self.refusals.items():
            if status_of(said) not in COUNTED:
                found[HTTP_OK] = found.get(HTTP_OK, 0) + count
        return found

    @property
    def refused(self) -> int:
        """Answers that say that the address, the schema or the project is wrong, not the load."""
        elsewhere = UNAUTHORISED | {RATE_LIMITED}
        return sum(n for status, n in self.alike().items() if status not in elsewhere)

    def failed(self, status: int, failure: Failure, problem: str) -> None:
        """Count a failed answer by what was wrong with it, where that is worth a reason."""
        if failure is Failure.UNEXPECTED:
            _count(self.misshapen, problem)
        elif failure is Failure.REJECTED:
            return  # it failed, and its status says nothing of why
        elif failure is not Failure.STATUS or status in COUNTED:
            _count(self.refusals, f"{status} {problem}")

    def broke(self, what: str) -> None:
        """Count an error that ended a session."""
        _count(self.errors, what)

    def saw(self, click: str, shown_share: float, *, empty: bool) -> None:
        """Count a click that expects to show something in `shown_share` of all cases."""
        seen = self.seen.setdefault(click, SeenTally(shown_share))
        seen.clicks += 1
        seen.empty += empty

    def session_saw(self, *, empty: bool) -> None:
        """Count a session by whether it was shown nothing at all."""
        self.sessions_seen.clicks += 1
        self.sessions_seen.empty += empty

    def odd(self, reason: str, name: str) -> None:
        """Count an answer to `name` that was none for its user."""
        _add(self.odd_answers.setdefault(str(reason), {}), {name: 1})

    def merge(self, other: StageTally) -> None:
        """Add what `other` counted."""
        for name, endpoint in other.endpoints.items():
            self.endpoints.setdefault(name, EndpointTally()).merge(endpoint)
        for name, action in other.actions.items():
            self.actions.setdefault(name, EndpointTally()).merge(action)
        for name, completion in other.completions.items():
            self.completions.setdefault(name, EndpointTally()).merge(completion)
        for mine, theirs in (
            (self.seconds, other.seconds),
            (self.intervals, other.intervals),
        ):
            for at, tally in theirs.items():
                mine.setdefault(at, SecondTally()).merge(tally)
        self.sessions.merge(other.sessions)
        self.cache.merge(other.cache)
        self.lag.merge(other.lag)
        self.cpu_share_max = max(self.cpu_share_max, other.cpu_share_max)
        self.cpu_wait_share_max = max(self.cpu_wait_share_max, other.cpu_wait_share_max)
        self.rows_created += other.rows_created
        self.rows_removed += other.rows_removed
        self.connections += other.connections
        self.resent += other.resent
        for name in ("refusals", "misshapen", "errors", "looked"):
            _add(getattr(self, name), getattr(other, name))
        for reason, counted in other.odd_answers.items():
            _add(self.odd_answers.setdefault(reason, {}), counted)
        for name, same in other.same.items():
            self.same.setdefault(name, SameTally()).merge(same)
        self.sessions_seen.merge(other.sessions_seen)
        for name, seen in other.seen.items():
            self.seen.setdefault(name, SeenTally(seen.shown_share)).merge(seen)


def status_of(said: str) -> int:
    """The status in front of a refusal."""
    return int(said.partition(" ")[0])


def _add(into: dict[str, int], counted: dict[str, int]) -> None:
    for what, count in counted.items():
        into[what] = into.get(what, 0) + count


def _count(into: dict[str, int], what: str) -> None:
    if what in into or len(into) < MESSAGES_MAX:
        into[what] = into.get(what, 0) + 1
