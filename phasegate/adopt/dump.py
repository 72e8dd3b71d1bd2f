"""A schema as `pg_dump` writes it: taken from a server, and cut into its entries.

Runs PostgreSQL's own `pg_dump --schema-only`; writes nothing. No row, no statistic, no owner, no
subscription, no comment is asked for.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from phasegate.model.errors import CannotMeasure
from phasegate.stack.binaries import as_service_user, programs

LIMIT_S = 300.0
LOCK_WAIT_MS = 10_000

OPTIONS = (
    "--schema-only", "--no-owner", "--no-comments", "--no-publications", "--no-subscriptions",
    "--no-security-labels", "--no-tablespaces", "--no-password",
)  # fmt: skip

_HEAD = re.compile(
    r"^--\n-- Name: (?P<name>.*?); Type: (?P<type>[A-Z ]+); Schema: (?P<schema>.*?); "
    r"Owner: .*\n--\n",
    re.MULTILINE,
)
# What stands between entries and belongs to none.
_SETTING = re.compile(
    r"^(?:SET default_(?:tablespace|table_access_method) = .*;|"
    r"ALTER TABLE ONLY .* ALTER COLUMN .* SET \((?!n_distinct)\w+=.*\);|"  # options of other builds
    r"\\(?:un)?restrict .*|--\n-- PostgreSQL database dump complete\n--)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Entry:
    """One object of a dump, or one thing said of an object.

    Attributes:
        type: as pg_dump calls it: `TABLE`, `FK CONSTRAINT`, `ACL`, …
        schema: that it is in; empty where it is in none.
        name: without quotes; of what belongs to a table, the table's before it.
        text: its statements.
    """

    type: str
    schema: str
    name: str
    text: str

    @property
    def title(self) -> str:
        """As people are told of it."""
        place = f"{self.schema}." if self.schema else ""
        return f"{self.type.lower()} {place}{self.name}"


class DumpFailed(Exception):
    """What pg_dump said."""


def dump(
    environment: Mapping[str, str], schemas: Sequence[str] = (), snapshot: str | None = None
) -> str:
    """The schema behind `environment` (libpq's variables).

    Args:
        environment: where the database is, and the password.
        schemas: those alone; all, and the extensions, where empty.
        snapshot: of another transaction, whose view of the catalogues is taken.

    Raises:
        DumpFailed: it could not; the last line of what it said.
        CannotMeasure: it took longer than `LIMIT_S`.
    """
    arguments = [*OPTIONS, f"--lock-wait-timeout={LOCK_WAIT_MS}"]
    arguments += ["--schema=" + '"' + name.replace('"', '""') + '"' for name in schemas]
    arguments += [f"--snapshot={snapshot}"] if snapshot else []
    try:
        done = subprocess.run(
            [programs() / "pg_dump", *arguments],
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd="/",
            timeout=LIMIT_S,
            env={"PATH": os.environ.get("PATH", ""), **environment},
            **as_service_user(),
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(
            f"pg_dump did not end within {LIMIT_S:.0f} s",
            untouched="Nothing was written",
            then="Try again when the database is less busy",
        ) from error
    if done.returncode != 0:
        raise DumpFailed(_reason(done.stderr))
    return str(done.stdout)


def _reason(said: str) -> str:
    """The first error in pg_dump's words, and what the server explains of it."""
    lines = [line.removeprefix("pg_dump: ").removeprefix("error: ") for line in said.splitlines()]
    lines = [line for line in lines if not line.startswith(("warning:", "hint:", "detail: Query"))]
    first = lines[0] if lines else "pg_dump ended without a word"
    return first.partition("ERROR:")[2].strip() or first


def entries_of(text: str) -> Iterator[Entry]:
    """The entries of a dump, in its order."""
    heads = list(_HEAD.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    for head, end in zip(heads, ends, strict=False):
        body = _SETTING.sub("", text[head.end() : end]).strip()
        if body:
            schema = "" if head["schema"] == "-" else head["schema"]
            yield Entry(head["type"], schema, head["name"], body)
