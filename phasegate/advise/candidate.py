"""A candidate: a technique in the project's own form, written as a folder of `benchmarks/`.

Writes `<folder>/<id>/`; reads nothing.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from phasegate.advise.draws import Drawn
from phasegate.advise.schema import Table
from phasegate.advise.statements import Seen
from phasegate.compare.connection import Connection
from phasegate.compare.technique import Answer, Arm, Parameters, Route, Via
from phasegate.model.errors import Refused

Kind = Literal[
    "index",
    "policy per row",
    "policies overlap",
    "N+1",
    "offset",
    "exact count",
    "wide rows",
    "live aggregate",
    "unused index",
    "duplicate index",
    "partitions",
]

LOCK_TIMEOUT = "set lock_timeout = '5s';"
RESET = "reset lock_timeout;"
WAITS = "It waits at most five seconds for its lock and then gives up; run it again then."

# Each statement of an N+1 is a request of its own: a data centre's way to the server.
AWAY = Route(Via.PROXY, 1.0)

CARRYING = "_with"
"""At the end of an index's name: it carries columns along that are no keys."""

NAME_MAX = 63  # PostgreSQL's NAMEDATALEN − 1


@dataclass(frozen=True)
class Candidate:
    """A change that might help, and how it is measured.

    Attributes:
        id: of its folder, and of the technique once it is kept.
        kind: of the fault that it mends.
        table: `schema.table` that it is about.
        title: as tables name it.
        why: what was seen, in a sentence.
        technique: `technique.toml` as a table, arms included; costs apart.
        files: the other files of the folder by name.
        seen: the statement that it is measured on; None where one was made up for it.
        calls: of the statements that ask for it, all together.
        covered_by: technique of the project that does the same; empty where none does.
        note: what a reader must know of the outcome, whatever it is; empty if nothing.
        one_by_one: of an N+1: column of the list that the statements of each row take.
    """

    id: str
    kind: Kind
    table: str
    title: str
    why: str
    technique: Mapping[str, object]
    files: Mapping[str, str]
    seen: Seen | None = field(default=None, repr=False)
    calls: int = 0
    covered_by: str = ""
    note: str = ""
    one_by_one: str = ""

    @property
    def drops(self) -> bool:
        """Whether it takes something away: then no difference is what one hopes for."""
        return self.kind in ("unused index", "duplicate index")

    def write(self, folder: Path) -> Path:
        """Its folder below `folder`, made anew."""
        own = folder / self.id
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        (own / "technique.toml").write_text(toml(self.technique), encoding="utf-8")
        for name, text in self.files.items():
            (own / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        return own


def keep(candidate_folder: Path, benchmarks: Path) -> Path:
    """Put a candidate's folder among the techniques of a project.

    Raises:
        Refused: there is one of that name already; nothing was changed.
    """
    target = benchmarks / candidate_folder.name
    if target.exists():
        raise Refused(
            f"{benchmarks.name}/{candidate_folder.name} is there already",
            untouched="Nothing was changed",
            then="Remove or rename it first",
        )
    beside = benchmarks / f".{candidate_folder.name}.partial"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(candidate_folder, beside)
    for arms in beside.glob("bench_*.py"):  # arms in Python lie beside the folders
        arms.rename(benchmarks / arms.name)
    beside.rename(target)
    return target


def toml(tables: Mapping[str, object]) -> str:
    """`tables` as TOML: values first, then tables, then arrays of tables."""
    plain = {k: v for k, v in tables.items() if not isinstance(v, Mapping) and not _listed(v)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{key}]", *(f"{k} = {_value(v)}" for k, v in value.items())]
        elif _listed(value):
            for each in value:  # type: ignore[attr-defined]
                lines += ["", f"[[{key}]]", *(f"{k} = {_value(v)}" for k, v in each.items())]
    return "\n".join(lines) + "\n"


def _listed(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return str(value)


def named(*parts: str) -> str:
    """A name for an index or a folder, short enough for PostgreSQL."""
    plain = re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")
    return plain[:NAME_MAX].rstrip("_")


def write_cost(table: Table, written: Drawn) -> dict[str, object]:
    """Of `[[costs]]`: what the technique does to `insert.sql`, a new row of `table`."""
    return {
        "probe": "write_slow_down", "title": "insert", "query": "insert.sql",
        "parameters": list(written.names), "writes": table.qualified, "role": "owner",
    }  # fmt: skip


def each_by_one(list_sql: str, names: Sequence[str], each_sql: str, column: str) -> Arm:
    """The arm of an N+1: a list, then a statement for each value of a column of it."""

    def body(caller: Connection, drawn: Parameters) -> Answer:
        listed = caller.fetch(list_sql, *(drawn[name] for name in names))
        found = dict.fromkeys(
            value for value in listed.column(listed.names.index(column)) if value is not None
        )
        for value in found:
            caller.fetch(each_sql, value)
        return listed

    return Arm("one by one", list_sql, body, route=AWAY)
