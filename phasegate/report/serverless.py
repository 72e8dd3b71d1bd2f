"""Serverless clients: the answers of `serverless.json` in words and as tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from phasegate.records.serverless import ServerlessAnswer, ServerlessRecord, Users
from phasegate.report.format import plain, rounded, significant, users
from phasegate.report.tables import Table

WAYS = {"straight": "straight", "pooler": "through the pooler"}
DIGITS = 3


def assumed(record: ServerlessRecord) -> str:
    """What the answers rest on, in two sentences."""
    many = "1 function" if record.functions == 1 else f"{record.functions} functions"
    kept = (
        f"frozen when idle, kept {significant(record.kept_s / 60)} min"
        if record.freezes
        else f"an idle connection closed after {significant(record.idle_timeout_s)} s"
    )
    asked = significant(record.requests_per_session)
    took, query = (significant(each * 1000) for each in (record.request_s, record.query_s))
    at_once = "1 request" if record.concurrency == 1 else f"{record.concurrency} requests"
    return (
        f"{many}, {at_once} at a time in an instance, pools of {record.pool_max}, {kept}; "
        f"a request takes {took} ms, its statements {query} ms of it; {asked} requests a session "
        f"({record.requests_from}). Straight connections that others hold: "
        f"{record.other_connections}. The peak lasts {significant(record.peak_s / 60)} min."
    )


def table(record: ServerlessRecord) -> Table:
    """A row for each size and way."""
    rows = tuple(
        (
            f"{each.size}, {WAYS[each.through]}",
            f"{each.limit:,}",
            _users(each.users),
            _count(each.deployed.estimate),
            _refuses(each),
            _driven(each),
        )
        for each in record.answers
    )
    head = (
        "Size and way",
        "Connections for functions",
        "Run out from",
        "Deployed at the peak",
        "What refuses",
        "Driven",
    )
    return Table(head, rows)


def climbs_table(answers: Iterable[ServerlessAnswer]) -> Table:
    """Every climb, beside what the model says of it."""
    rows = tuple(
        (
            f"{each.size}, {WAYS[each.through]}",
            _count(climb.users) if climb.users else "not refused",
            _users(climb.modelled),
            plain(climb.said) or "–",
            f"{climb.instances:,} / {climb.connections:,}",
            f"{significant(climb.query_ms)} ms",
            f"× {significant(climb.stretch)}",
        )
        for each in answers
        for climb in each.climbs
    )
    head = (
        "Size and way",
        "Refused at",
        "Modelled for this climb",
        "What was said",
        "Instances / connections",
        "Statements",
        "Time stretched",
    )
    return Table(head, rows)


def lines(record: ServerlessRecord) -> Iterator[str]:
    """The answers for a terminal."""
    yield from _columns(table(record))
    driven = climbs_table(record.answers)
    if driven.rows:
        yield ""
        yield from _columns(driven)
    yield ""
    yield assumed(record)


def _columns(shown: Table) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(shown.head, *shown.rows, strict=True)]
    for row in (shown.head, *shown.rows):
        cells = zip(row, widths, strict=True)
        yield "  ".join(f"{cell:<{width}}" for cell, width in cells).rstrip()


def _count(found: float | None) -> str:
    return "–" if found is None else users(rounded(found, DIGITS))


def _users(found: Users) -> str:
    if found.estimate is None:
        return "not at any number of users"
    return f"{_count(found.estimate)} ({_count(found.low)} to {_count(found.high)})"


def _refuses(each: ServerlessAnswer) -> str:
    if each.pool_runs_out:
        return f"the pooler's {each.pool} connections to the server: requests wait"
    return "PostgreSQL: max_connections" if each.pool is None else "the pooler: client limit"


def _driven(each: ServerlessAnswer) -> str:
    """Where climbs were refused, as a ratio to the model's users."""
    if each.ratio is None:
        return "not driven"
    if not all(climb.fair for climb in each.climbs):
        return "too busy to tell"
    if math.isinf(each.ratio):
        return "not refused"
    limits = dict.fromkeys(climb.limit for climb in each.climbs if climb.limit)
    return f"{', '.join(limits)} at {each.ratio:.2f} × the model"
