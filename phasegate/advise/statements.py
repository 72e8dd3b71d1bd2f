"""Statements as a database was asked them: texts, calls, times; of our own copy values as well.

Reads `pg_stat_statements`, and the log of a server of ours; writes nothing. Of a database of
somebody else's only normalised texts are read, never a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from phasegate.advise.schema import sql
from phasegate.model.errors import CannotMeasure
from phasegate.stack.database import connected, run

PARAMETER = re.compile(r"\$(\d+)")

# A line of the log that begins an entry: process, query id, then what happened.
LOG_LINE_PREFIX = "phasegate %p %Q "
_ENTRY = re.compile(r"^phasegate (?P<pid>\d+) (?P<id>-?\d+) (?P<kind>[A-Z]+):  (?P<text>.*)$")
_EXECUTED = re.compile(r"^duration: \S+ ms  execute \S+: (?P<sql>.*)$", re.DOTALL)
_PARAMETERS = re.compile(r"^(?:P|p)arameters: (?P<listed>.*)$", re.DOTALL)
_VALUE = re.compile(r"\$\d+ = (?:NULL|'((?:[^']|'')*)')(?:, |$)", re.DOTALL)

CLAIMS = re.compile(r"\s*select\s+set_config\(", re.IGNORECASE)
"""With which an API says who asks."""

# Values kept of each statement: enough that no one of them decides.
VALUES_MAX = 32

ENABLE = "Enable pg_stat_statements (Supabase: Database → Extensions), let users use it for a day"

Values = tuple[str | None, ...]


@dataclass(frozen=True)
class Seen:
    """One statement.

    Attributes:
        text: with $1, $2, …; on our own copy with the constants that it was sent with, otherwise
            normalised: then constants are parameters too.
        calls: how often.
        total_ms: time in the server, all calls together.
        rows: returned or changed, all calls together.
        top: whether a client sent it; otherwise a function or a foreign key did.
        values: that it was sent with, on our own copy; empty where nothing is known.
    """

    text: str
    calls: int
    total_ms: float
    rows: int = 0
    top: bool = True
    values: tuple[Values, ...] = field(default=(), repr=False)

    @property
    def mean_ms(self) -> float:
        """Of one call."""
        return self.total_ms / max(self.calls, 1)

    @cached_property
    def tree(self) -> exp.Expr | None:
        """As sqlglot reads it; None where it cannot."""
        return parsed(self.text)

    @property
    def parameters(self) -> int:
        """How many it takes."""
        return max((int(n) for n in PARAMETER.findall(self.text)), default=0)

    @property
    def writes(self) -> bool:
        """Whether it changes rows."""
        return self.tree is not None and any(
            True for _ in self.tree.find_all(exp.Insert, exp.Update, exp.Delete)
        )


def written(tree: exp.Expr) -> str:
    """`tree` as SQL; functions keep their names as they are spelt."""
    return tree.sql("postgres", normalize_functions=False)


def parsed(text: str) -> exp.Expr | None:
    """`text` as a tree; None where sqlglot does not know how to read it."""
    try:
        # The space keeps `$1,$2` from being read as the tag of a quoted text.
        tree = sqlglot.parse_one(PARAMETER.sub(r"$\1 ", text), dialect="postgres")
    except (SqlglotError, RecursionError):
        return None
    return tree if isinstance(tree, exp.Expr) else None


def read_statements(dsn: str, logged: Mapping[str, Logged] | None = None) -> tuple[Seen, ...]:
    """What the database behind `dsn` was asked, the most costly first.

    Args:
        dsn: of the database; it is read in a read-only transaction.
        logged: by query id, what a log of ours has of it.

    Raises:
        CannotMeasure: it cannot be reached, or has no pg_stat_statements.
    """

    async def work() -> list[Mapping[str, object]]:
        async with (
            connected(dsn, statement_cache_size=0) as connection,
            connection.transaction(readonly=True),
        ):
            # Supabase has the extension in a schema of its own.
            found = await connection.fetchval(
                "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace"
                " where e.extname = 'pg_stat_statements'"
            )
            if found is None:
                raise CannotMeasure(
                    "The database has no pg_stat_statements", untouched="Nothing was changed",
                    then=ENABLE,
                )  # fmt: skip
            await connection.execute(
                "select set_config('search_path', quote_ident($1) || ', pg_catalog', true)".replace(
                    "$1", "'" + found.replace("'", "''") + "'"
                )
            )
            return list(await connection.fetch(sql("statements")))

    rows = run(work())
    seen: dict[str, Seen] = {}
    for row in rows:
        text = str(row["text"])
        known = (logged or {}).get(str(row["id"])) if row["toplevel"] else None
        one = Seen(
            known.text if known else text,
            int(str(row["calls"])),
            float(str(row["total_ms"])),
            int(str(row["rows"])),
            bool(row["toplevel"]),
            tuple(known.values) if known else (),
        )
        seen[one.text] = _added(seen[one.text], one) if one.text in seen else one
    return tuple(sorted(seen.values(), key=lambda each: -each.total_ms))


def _added(first: Seen, second: Seen) -> Seen:
    """The same text asked by several roles, or with other settings."""
    return replace(
        first,
        calls=first.calls + second.calls,
        total_ms=first.total_ms + second.total_ms,
        rows=first.rows + second.rows,
        values=(*first.values, *second.values)[:VALUES_MAX],
    )


@dataclass
class Logged:
    """A statement in the log of a server of ours."""

    text: str
    values: list[Values] = field(default_factory=list)


def read_log(text: str) -> dict[str, Logged]:
    """Statements with the values they were sent with, by query id, from a server's log.

    The log must have been written with `LOG_LINE_PREFIX`.
    """
    found: dict[str, Logged] = {}
    last: Logged | None = None
    for id_, kind, said in _entries(text.splitlines()):
        executed = _EXECUTED.match(said) if kind == "LOG" else None
        if executed is not None and CLAIMS.match(executed["sql"]):
            last = None  # its values are tokens: they are not kept
        elif executed is not None:
            last = found.setdefault(id_, Logged(executed["sql"]))
        elif kind == "DETAIL" and last is not None:
            listed = _PARAMETERS.match(said.strip())
            if listed is not None and len(last.values) < VALUES_MAX:
                last.values.append(_values(listed["listed"]))
            last = None
    for each in found.values():
        if not each.values and not PARAMETER.search(each.text):
            each.values.append(())
    return found


def _entries(lines: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    """Query id, kind and text of each entry; a text goes on in lines that begin with a tab."""
    entry: list[str] = []
    head: tuple[str, str] | None = None
    for line in lines:
        begun = _ENTRY.match(line)
        if begun is None:
            if line.startswith("\t"):  # others are not ours: no more of this entry comes
                entry.append(line[1:])
            continue
        if head is not None:
            yield *head, "\n".join(entry)
        head, entry = (begun["id"], begun["kind"]), [begun["text"]]
    if head is not None:
        yield *head, "\n".join(entry)


def _values(listed: str) -> Values:
    return tuple(
        None if found.group(1) is None else found.group(1).replace("''", "'")
        for found in _VALUE.finditer(listed)
    )


def is_json(text: str | None) -> bool:
    """Whether a value is a JSON object."""
    try:
        return isinstance(json.loads(text or ""), dict)
    except ValueError:
        return False
