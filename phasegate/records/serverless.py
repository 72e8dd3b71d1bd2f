"""The record of serverless clients: users at which connections run out, modelled and driven."""

from __future__ import annotations

from math import inf
from statistics import median
from typing import ClassVar, Literal

from phasegate.records.run import Machine
from phasegate.records.store import Part, Record

AGREES_WITHIN = 0.15
"""Of the model's users: what chance leaves to a single climb at the smallest size."""

Through = Literal["straight", "pooler"]
"""To PostgreSQL itself, or through its pooler in transaction mode."""


class Users(Part, frozen=True, kw_only=True):
    """Registered users with a 95% interval; null where there is no such number of users."""

    estimate: float | None
    low: float | None
    high: float | None


class Climb(Part, frozen=True, kw_only=True):
    """Users raised step by step, with real connections, until one was refused."""

    users: float | None
    """Of the step in which one was; null where none was."""
    modelled: Users
    """What a simulation of such climbs says, of requests as long as they were."""
    fair: bool
    """Whether the machine kept time."""
    limit: str
    """The setting that refused: `max_connections`, `max_client_conn`, `query_wait_timeout`, …"""
    said: str
    """By PostgreSQL or PgBouncer."""
    instances: int
    """Of functions, at that moment."""
    connections: int
    """Of theirs that were open then."""
    requests: int
    query_ms: float
    """Mean of a request's statements."""
    stretch: float
    """How many times longer requests lasted, and more seldom came, so that the machine could."""
    lag_ms_p95: float
    """How late requests were sent."""
    longer: float
    """How many times as long requests lasted as they should have."""


class ServerlessAnswer(Part, frozen=True, kw_only=True):
    """One compute size, reached in one way."""

    size: str
    through: Through
    limit: int
    """Connections that functions can have open."""
    pool: int | None
    """Connections of the pooler to the server; null straight to it."""
    users: Users
    """From whose modelled peak on connections run out."""
    deployed: Users
    """The same where a new version is deployed at the peak, and all instances start at once."""
    pool_runs_out: bool
    """Whether it is the pooler's connections to the server that run out first."""
    climbs: tuple[Climb, ...] = ()
    """Empty where it was not driven."""

    @property
    def ratio(self) -> float | None:
        """Users at which climbs were refused, divided by those of the model; their median.

        Infinite where they were not refused; null where nothing was driven.
        """
        ratios = [
            each.users / each.modelled.estimate if each.users and each.modelled.estimate else inf
            for each in self.climbs
        ]
        return median(ratios) if ratios else None

    @property
    def agrees(self) -> bool:
        """Whether the climbs are where the model has them: near it, or all in its intervals."""
        ratio = self.ratio
        if ratio is None or abs(ratio - 1) <= AGREES_WITHIN:
            return True
        return all(
            (each.modelled.low or 0.0) <= (each.users or inf) <= (each.modelled.high or 0.0)
            for each in self.climbs
        )


class ServerlessRecord(Record, frozen=True, kw_only=True):
    """`serverless.json`, in the folder of a run. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    answered_at: str
    """ISO 8601, UTC."""
    machine: Machine
    functions: int
    concurrency: int
    pool_max: int
    queries_at_once: int
    idle_timeout_s: float
    freezes: bool
    kept_s: float
    cold_start_s: float
    peak_s: float
    other_connections: int
    request_s: float
    """Time of a request, its statements included."""
    query_s: float
    """Of that, its statements': measured where it was driven."""
    requests_per_session: float
    requests_from: str
    """Where that is from."""
    statement: str
    """What was driven; empty where nothing was."""
    answers: tuple[ServerlessAnswer, ...]
