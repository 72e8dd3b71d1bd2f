"""How often each kind of visit is, by the statements that a staging database has counted.

Reads `pg_stat_statements` in a transaction that is read-only; writes nothing. A statement belongs
to the request that asks the same table in the same way: by verb, table, columns compared and tables
embedded. The weights are those under which the visits would best have caused the counted calls.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from phasegate.model.errors import ConfigurationError
from phasegate.record.har import NOTHING
from phasegate.record.record import Weigh
from phasegate.record.sources import singular
from phasegate.record.template import Place, Request
from phasegate.record.visit import Visit
from phasegate.stack.database import connected, read_sql, redact, run

LOOK_TIMEOUT_MS = 30_000

# Of expectation maximisation; beyond it the weights of ten visits move by less than a thousandth.
STEPS = 500
WEIGHTS_SUM = 100

_CHANGE = re.compile(
    r"\b(?P<verb>insert into|update|delete from)\s+(?:only\s+)?(?:\w+\.)?(?P<table>\w+)"
)
_FROM = re.compile(r"\b(?:from|join)\s+(?:only\s+)?(?:\w+\.)?(?P<table>\w+)\s*(?P<call>\()?")
_COMPARED = re.compile(
    r"(?P<column>\w+)\s*(?:=|<>|!=|<=|>=|<|>|~~\*?|@@|@>|<@|&&|\bi?like\b|\bin\b)\s*(?:any\s*|all\s*)?"
    r"\(*\s*\$\d"
)
_IS = re.compile(r"(?P<column>\w+)\s+is\s+(?:not\s+)?(?:null|true|false)\b")
_EMBEDDED = re.compile(r"(?:^|[,(])\s*\.*(?:[\w-]+:)?(?P<table>\w+)(?:!\w+)*\(")
_NOT_TABLES = {
    "pgrst_source",
    "_postgrest_t",
    "json_to_record",
    "json_to_recordset",
    "unnest",
    "lateral",
}
_METHODS = {"GET": "select", "HEAD": "select", "POST": "insert", "PATCH": "update", "PUT": "update",
            "DELETE": "delete"}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How a table is asked or changed."""

    verb: str
    """`select`, `insert`, `update`, `delete`, or `call` of a function."""
    table: str
    """Singular: routes and tables differ in that."""
    columns: frozenset[str]
    """Compared with a value, or with null."""
    embedded: frozenset[str]
    """Other tables that it reads."""

    def likeness(self, other: Form) -> float:
        """0 to 1: the share of columns and tables in common; 0 for another verb or table."""
        if (self.verb, self.table) != (other.verb, other.table):
            return 0.0
        own, theirs = self.columns | self.embedded, other.columns | other.embedded
        # One more that both have, so that the same table alone is a likeness too.
        return (1 + len(own & theirs)) / (1 + len(own | theirs))


def weights_of_database(dsn: str) -> Weigh:
    """What weighs visits by the statements that `dsn` has counted.

    Raises:
        ConfigurationError: it has no pg_stat_statements that its role may read.
        CannotMeasure: it cannot be reached; the password is not quoted.
    """
    statements = run(_statements(dsn))
    return lambda visits: weights(visits, statements)


async def _statements(dsn: str) -> list[tuple[str, int]]:
    async with connected(dsn, statement_cache_size=0) as connection:
        try:
            async with connection.transaction(readonly=True):
                await connection.execute(f"set local statement_timeout = {LOOK_TIMEOUT_MS}")
                rows = await connection.fetch(read_sql(Path(__file__).with_name("statements.sql")))
        except asyncpg.PostgresError as error:
            raise ConfigurationError(
                f"--weights-from: pg_stat_statements of {redact(dsn)} cannot be read: {error}",
                untouched=NOTHING,
                then="Run there: create extension pg_stat_statements; or leave the option out",
            ) from error
    return [(row["query"] or "", int(row["calls"])) for row in rows]


def weights(
    visits: Sequence[Visit], statements: Sequence[tuple[str, int]]
) -> tuple[list[int], list[str]]:
    """A weight for each of `visits`, adding up to about 100, and what is to be told of them.

    Args:
        visits: kinds of visits.
        statements: texts without values, and calls.

    Raises:
        ConfigurationError: no statement belongs to a request of the visits.
    """
    sent = [Counter(form_of_request(request) for request in visit.requests) for visit in visits]
    forms = list(dict.fromkeys(form for counted in sent for form in counted))
    calls: dict[Form, float] = defaultdict(float)
    matched = seen = 0
    for text, count in statements:
        form = form_of_statement(text)
        if form is None:
            continue
        seen += count
        likeness = {other: form.likeness(other) for other in forms}
        best = max(likeness.values(), default=0.0)
        if best:
            matched += count
            equal = [other for other in forms if likeness[other] == best]
            for other in equal:
                calls[other] += count / len(equal)
    if not matched:
        raise ConfigurationError(
            "--weights-from: no statement of that database belongs to a request of the recording",
            untouched=NOTHING,
            then="Name the database behind the recorded API, or leave the option out",
        )
    shares = _most_likely(
        [[counted[form] for form in forms] for counted in sent], [calls[form] for form in forms]
    )
    found = [max(1, round(WEIGHTS_SUM * share)) if share > 1e-4 else 0 for share in shares]
    told = [f"weights: {matched / seen:.0%} of {seen:,} counted calls belong to recorded requests"]
    if len(visits) == 1:
        told.append("one kind of visit: its weight says nothing; record several, a file each")
    return found, told


def _most_likely(sent: Sequence[Sequence[int]], calls: Sequence[float]) -> list[float]:
    """The shares of visits under which Poisson counts `calls` are the likeliest.

    By expectation maximisation, which never leaves the numbers above zero (L. A. Shepp, Y. Vardi,
    Maximum likelihood reconstruction for emission tomography, IEEE Trans. Medical Imaging, 1982).

    Args:
        sent: for each visit: how often it sends each form of request.
        calls: of each form.
    """
    rates = [1.0] * len(sent)
    for _ in range(STEPS):
        expected = [
            sum(rate * row[at] for rate, row in zip(rates, sent, strict=True))
            for at in range(len(calls))
        ]
        rates = [
            rate
            * sum(
                n * count / mean
                for n, count, mean in zip(row, calls, expected, strict=True)
                if mean
            )
            / sum(row)
            for rate, row in zip(rates, sent, strict=True)
        ]
    whole = sum(rates)
    return [rate / whole for rate in rates]


def form_of_statement(text: str) -> Form | None:
    """The form of a statement as pg_stat_statements has it; None where it asks no table."""
    plain = re.sub(r"\s+", " ", text.replace('"', "").lower())
    plain = re.sub(r"::(?:\w+\.)?\w+|\((\$\d+)\)", r"\1", re.sub(r"'[^']*'", "''", plain))
    change = _CHANGE.search(plain)
    others = [
        (found["table"], bool(found["call"]))
        for found in _FROM.finditer(plain)
        if found["table"] not in _NOT_TABLES and not found["table"].startswith("pg_")
    ]
    if change is not None:
        verb, table = change["verb"].split()[0], change["table"]
    elif others:
        table, is_call = others[0]
        verb = "call" if is_call else "select"
    else:
        return None
    columns = {found["column"] for found in (*_COMPARED.finditer(plain), *_IS.finditer(plain))}
    embedded = {singular(name) for name, is_call in others if not is_call} - {singular(table)}
    if verb != "select":
        embedded = set()  # a change reads its own body, which PostgREST calls by many names
    return Form(
        verb, singular(table), frozenset(columns - {"limit", "offset"}), frozenset(embedded)
    )


def form_of_request(request: Request) -> Form:
    """The form that a request's statement has, as far as a route tells it."""
    verb = "call" if request.is_call else _METHODS.get(request.method, "select")
    if request.method == "POST" and not request.writes and not request.is_call:
        verb = "select"
    pieces = [piece for piece in request.pieces if isinstance(piece, str)]
    query = "".join(pieces).partition("?")[2]
    selected = re.search(r"(?:^|&)select=([^&]*)", query)
    embedded = {
        singular(found["table"].lower())
        for found in _EMBEDDED.finditer(selected[1] if selected else "")
        if found["table"] not in ("count", "sum", "avg", "max", "min")
    }
    columns = {
        (place.column or place.key).rpartition(".")[2].lower()
        for place in request.places()
        if place.where == "query"
        and not place.is_page
        and (place.operator or not request.is_postgrest)
    }
    columns |= set(re.findall(r"(?:^|&)([\w.]+)=(?:not\.)?is\.", query))
    if any(isinstance(piece, Place) and piece.where == "path" for piece in request.pieces):
        columns.add("id")
    if request.is_call:
        columns = set()
    if verb != "select":
        embedded = set()
    table = singular(request.resource.lower().replace("-", "_"))
    return Form(verb, table, frozenset(columns), frozenset(embedded))
