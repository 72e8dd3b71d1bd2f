"""A first `loadtests/locustfile.py`: a session that reads each of the user's main lists. Pure.

Reads what `population.toml` declares; gives the text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from phasegate.project.declared import plain

LISTS_MAX = 8
"""Lists that are read, the longest first: more would make a file that nobody reads."""
ROWS = 20
USUALLY_FROM = 5.0
"""Rows on average from which most users who come have at least one."""

_HEAD = '''\
"""First sessions of {name}, as `phasegate init` guessed them: each reads one list of the user's.

    locust -f loadtests/locustfile.py --host URL

Make them what your users do: sessions of several clicks, some of which write
(docs/project/loadtests.md of phasegate).
"""

from __future__ import annotations

from locust import tag, task

from phasegate.load import {imports}


class AppUser(SessionUser):
    """Somebody who is signed in."""
'''
_TASK = '''
    @tag("read")
    @task({weight})
    def {function}(self) -> None:
        """{doc}"""
        with self.click("{click}", shows={shows}):
            self.client.get(
                {path},
                name="{click}",
                expects=Rows({{}}),
            )
'''


@dataclass(frozen=True)
class _List:
    """A table of which a user reads their own rows."""

    name: str
    doc: str
    weight: int
    shows: str
    filter: str = ""
    order: str = ""

    @property
    def path(self) -> str:
        """An expression of Python: an f-string where it names the user."""
        parts = [part for part in ("select=*", self.filter, self.order, f"limit={ROWS}") if part]
        text = f"/rest/v1/{quote(self.name, safe='')}?{'&'.join(parts)}"
        return f'f"{text}"' if self.filter else f'"{text}"'


def locustfile(
    population: dict[str, Any],
    users_table: str,
    users_key: str,
    name: str,
    hidden: Collection[str] = (),
    *,
    guarded: bool = True,
) -> str:
    """The text of the file.

    Args:
        population: `population.toml`, parsed.
        users_table: as `phasegate.toml` has it.
        users_key: its column that tokens carry.
        name: of the project.
        hidden: tables of which no policy lets a user see a row.
        guarded: whether policies, and not the app's own server, decide who sees what.
    """
    named = {plain(table): said for table, said in population["tables"].items()}
    tables = {table: said for table, said in named.items() if table not in hidden}
    users = plain(users_table)
    lists = sorted(_lists(tables, users, users_key, guarded), key=lambda one: -one.weight)[
        :LISTS_MAX
    ]
    used = {"SessionUser", "Rows", *(one.shows for one in lists if one.shows.isupper())}
    text = _HEAD.format(name=name, imports=", ".join(sorted(used, key=_as_ruff)))
    taken: set[str] = set()
    for one in lists:
        function = "read_" + (re.sub(r"\W+", "_", one.name.lower()).strip("_") or "rows")
        while function in taken:
            function += "_"
        taken.add(function)
        click = one.name.replace("\\", "").replace('"', "")
        text += _TASK.format(
            weight=one.weight, function=function, doc=one.doc.replace('"', "'"), click=click,
            shows=one.shows, path=one.path,
        )  # fmt: skip
    return (
        text
        if lists
        else text + "\n    # No list of the user's was found: write the first session here.\n"
    )


def _as_ruff(name: str) -> tuple[int, str]:
    """Constants, then classes: the order in which `from … import` is sorted."""
    return (0 if name.isupper() else 1, name)


def _lists(tables: dict[str, Any], users: str, users_key: str, guarded: bool) -> Iterator[_List]:
    others = " that policies let the user see." if guarded else ", whoever's: say here which."
    column: str | None
    for table, said in tables.items():
        if "." in table or said.get("skip"):
            continue  # the reference API serves public alone
        owner = plain(said.get("owner", ""))
        columns = said.get("columns", {})
        if table == users:
            yield _List(table, "The user's own row.", 1, "ALWAYS", _equals(users_key))
        elif owner:
            column = _column_of_user(columns, users, users_key)
            if column is None and owner == users:
                continue
            weight, shows = _how_many(said.get("rows", 1))
            created = next((name for name, kind in columns.items() if kind == "created"), None)
            order = f"order={quote(created, safe='')}.desc" if created else ""
            doc = f"The newest rows of {table}" + (
                " that are the user's own." if column else others
            )
            yield _List(
                table,
                doc,
                weight,
                shows if column else "None",
                _equals(column) if column else "",
                order,
            )


def _equals(column: str) -> str:
    return f"{quote(column, safe='')}=eq.{{self.user.id}}"


def _column_of_user(columns: dict[str, Any], users: str, users_key: str) -> str | None:
    """The column whose value is the user's key."""
    for name, kind in columns.items():
        if isinstance(kind, dict) and kind.get("ref") and not kind.get("within"):
            table, _, column = kind["ref"].rpartition(".")
            if plain(table) == users and column == users_key and not kind.get("null_share"):
                return str(name)
    return None


def _how_many(rows: Any) -> tuple[int, str]:
    """How often a list is read, and how often it shows something."""
    if isinstance(rows, int):
        return 1, "USUALLY"
    mean = float(rows.get("mean", 0) or rows.get("from_one_mean", 0) or 0)
    weight = 3 if mean >= USUALLY_FROM else 2 if mean > 1 else 1
    if rows.get("mean") is None:
        return weight, "USUALLY" if mean else "None"
    return weight, "0.5" if mean >= USUALLY_FROM else "None"
