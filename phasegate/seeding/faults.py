"""What rows of a declaration do not satisfy, as a line: table, column, constraint, what to write.

Pure: reads the server's errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import asyncpg

from phasegate.project.declared import FILE, plain

_KEY = re.compile(r"Key \((?P<columns>.+?)\)=")
_COPIED = re.compile(r"COPY (?P<table>.+?), line \d+, column (?P<column>[^:\n]+)")
_OF_TABLE = re.compile(r'relation "(?P<table>[^"]+)"')

_MENDS: tuple[tuple[type[asyncpg.PostgresError], str], ...] = (
    (
        asyncpg.UniqueViolationError,
        "no value may come twice: `unique`, or {{id}} in the text of {column}",
    ),
    (asyncpg.ExclusionViolationError, "`every_h`, or `range` with `unique`, never overlap"),
    (asyncpg.ForeignKeyViolationError, '{column} = {{ ref = "table.column" }}'),
    (asyncpg.NotNullViolationError, "leave `null_share` out, or give `otherwise`"),
    (asyncpg.CheckViolationError, "declare values that hold it: `choice`, `uniform`, `pattern`"),
    (asyncpg.StringDataRightTruncationError, "`cut = true`, or a shorter `pattern`"),
)


@dataclass(frozen=True)
class Fault:
    """Rows that the schema refuses.

    Attributes:
        table: as declared.
        column: those that the server names; empty where it names none.
        constraint: its name; empty where the type refuses the value.
        why: the server's words.
        mend: what to write into the declaration of the column.
    """

    table: str
    column: str
    constraint: str
    why: str
    mend: str

    def __str__(self) -> str:
        """One line."""
        where = f"tables.{self.table}" + (f".columns.{self.column}" if self.column else "")
        constraint = f" ({self.constraint})" if self.constraint else ""
        return f"{FILE}: {where}{constraint}: {self.why}" + (f": {self.mend}" if self.mend else "")


def fault_of(error: asyncpg.PostgresError, table: str = "") -> Fault:
    """What `error` says of the rows of `table`, or of the table that it names."""
    detail, context = error.detail or "", getattr(error, "context", None) or ""
    key, copied = _KEY.search(detail), _COPIED.search(context)
    column = error.column_name or (key and key["columns"]) or (copied and copied["column"]) or ""
    named = _OF_TABLE.search(str(error))
    found = error.table_name or (named and named["table"]) or (copied and copied["table"]) or ""
    schema = f"{error.schema_name}." if error.schema_name else ""
    mend = next((text for kind, text in _MENDS if isinstance(error, kind)), "")
    return Fault(
        table or plain(f"{schema}{found}"),
        column.replace('"', ""),
        error.constraint_name or "",
        ": ".join([str(error).splitlines()[0], *detail.splitlines()[:1]]).rstrip("."),
        mend.format(column=column or "the column"),
    )
