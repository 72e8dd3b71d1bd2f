"""Projects with faults that are known: generated ones, and copies of a project with faults put in.

Writes a whole project (schema, keys, policies, population, sessions, draw) into a folder. A
generated one is in order but for the faults that it is told to have; names differ by seed.
"""

# ruff: noqa: S608
# Its statements are made of its own words.

from __future__ import annotations

import random
import shutil
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

KINDS = (
    "index",
    "policy per row",
    "policies overlap",
    "N+1",
    "offset",
    "exact count",
    "wide rows",
    "unused index",
    "duplicate index",
    "live aggregate",
)
"""Of faults, as candidates call what mends them."""

FOLDERS = ("boards", "albums", "lists", "trips", "ledgers", "shelves", "courses", "gardens")
ITEMS = ("cards", "photos", "entries", "stops", "bookings", "volumes", "lessons", "plants")
NEWS = "public.news"
"""What everybody reads: large at every number of users."""
OWNERS = ("account_id", "member_id", "person_id", "owner_id")
MOMENTS = ("created_at", "made_at", "added_at", "happened_at")
STATES = ("state", "stage", "phase", "mood")


@dataclass(frozen=True)
class Planted:
    """A fault of a project."""

    kind: str
    table: str
    """`schema.table`."""
    matters: bool = True
    """Whether it costs anything as the sessions are; else it need not be found to help."""


@dataclass(frozen=True)
class Names:
    """What a generated app calls its things."""

    folders: str
    items: str
    owner: str
    moment: str
    state: str

    @property
    def folder_id(self) -> str:
        """Of an item: its folder."""
        return f"{self.folders.rstrip('s')}_id"


def names_of(rng: random.Random) -> Names:
    """Drawn at random."""
    return Names(*(rng.choice(each) for each in (FOLDERS, ITEMS, OWNERS, MOMENTS, STATES)))


def faults_of(names: Names, kinds: Collection[str]) -> tuple[Planted, ...]:
    """Where each of `kinds` lies in a generated project."""
    folders, items = f"public.{names.folders}", f"public.{names.items}"
    at = {
        "N+1": folders,
        "policies overlap": folders,
        "offset": NEWS,
        "exact count": NEWS,
        "index": "public.visits",
        "policy per row": NEWS,
    }
    return tuple(Planted(kind, at.get(kind, items)) for kind in KINDS if kind in kinds)


def generate(
    folder: Path,
    seed: int,
    kinds: Collection[str],
    *,
    items_mean: int = 60,
    news_rows: int = 100_000,
) -> tuple[Planted, ...]:
    """A project with the faults `kinds`, in `folder`; what was planted."""
    names = names_of(random.Random(seed))
    n = names
    once = "auth.uid()" if "policy per row" in kinds else "(select auth.uid())"
    files = {
        "phasegate.toml": f"""
            [project]
            name = "planted-{seed}"
            title = "An app with known faults"
            users_table = "public.accounts"

            [slo]
            statement_latency_ms_p95 = 10.0   # so that small copies can need something

            [[levels]]
            title = "as shipped"
            """,
        "seed/schema.sql": _schema(n),
        "seed/keys.sql": _keys(n, kinds),
        "seed/policies.sql": _policies(n, kinds, once),
        **({"seed/functions.sql": _counting(n)} if "live aggregate" in kinds else {}),
        "seed/population.toml": _population(n, kinds, items_mean, news_rows),
        "benchmarks/draw.sql": f"""
            -- Users, those with more {n.items} more often. $1: seed, $2: how many.
            select {n.owner} as sub from public.{n.items} order by md5(id::text || $1) limit $2::int
            """,
        "loadtests/locustfile.py": _sessions(n, kinds, news_rows // 2),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return faults_of(names, kinds)


def _schema(n: Names) -> str:
    return f"""
            -- Users, their {n.folders}, and the {n.items} in them.
            create table accounts (
                id uuid not null, name text not null, joined_at timestamptz not null
            );
            create table {n.folders} (
                id uuid not null, {n.owner} uuid not null, name text not null,
                {n.moment} timestamptz not null
            );
            create table news (id uuid not null, headline text not null, weight integer not null);
            create table visits (
                id uuid not null, {n.owner} uuid not null, place text not null,
                {n.moment} timestamptz not null
            );
            create table {n.items} (
                id uuid not null, {n.owner} uuid not null, {n.folder_id} uuid not null,
                title text not null,
                {n.state} text not null, notes text not null, {n.moment} timestamptz not null
            );
            """


def _keys(n: Names, kinds: Collection[str]) -> str:
    lines = [
        "-- Keys, and the indexes that the sessions need.",
        "alter table accounts add primary key (id);",
        f"alter table {n.folders} add primary key (id);",
        f"alter table {n.items} add primary key (id);",
        "alter table news add primary key (id);",
        "alter table visits add primary key (id);",
        f"create index {n.items}_newest on {n.items} ({n.owner}, {n.moment} desc, id desc);",
        "create index news_newest on news (weight desc, id desc);",
        f"alter table {n.folders} add foreign key ({n.owner}) references accounts (id);",
        f"alter table {n.items} add foreign key ({n.owner}) references accounts (id);",
        f"alter table {n.items} add foreign key ({n.folder_id}) references {n.folders} (id);",
        f"create index {n.folders}_{n.owner} on {n.folders} ({n.owner}, name);",
        f"create index {n.items}_{n.folder_id} on {n.items} ({n.folder_id}, {n.owner});",
    ]
    if "index" not in kinds:
        lines.append(f"create index visits_newest on visits ({n.owner}, {n.moment} desc, id desc);")
    if "unused index" in kinds:
        lines.append(f"create index {n.items}_title on {n.items} (title);")
    if "duplicate index" in kinds:
        lines.append(f"create index {n.items}_again on {n.items} ({n.folder_id}, {n.owner});")
    return "\n".join(lines)


def _policies(n: Names, kinds: Collection[str], once: str) -> str:
    lines = [
        "-- Everybody sees their own.",
        "grant usage on schema public to authenticated, service_role;",
    ]
    for table, column, said in (
        ("accounts", "id", "(select auth.uid())"),
        (n.folders, n.owner, "(select auth.uid())"),
        (n.items, n.owner, "(select auth.uid())"),
        ("visits", n.owner, "(select auth.uid())"),
    ):
        lines += [
            f"revoke all on {table} from public, anon, authenticated;",
            f"grant select, insert, update, delete on {table} to authenticated, service_role;",
            f"alter table {table} enable row level security;",
            (
                f'create policy "own {table}" on {table} for all to authenticated'
                f" using ({column} = {said}) with check ({column} = {said});"
            ),
        ]
    lines += [
        "revoke all on news from public, anon, authenticated;",
        "grant select on news to authenticated, service_role;",
        "alter table news enable row level security;",
        (
            'create policy "signed in" on news for select to authenticated'
            f" using ({once} is not null);"
        ),
    ]
    if "policies overlap" in kinds:
        lines.append(
            f'create policy "named {n.folders}" on {n.folders} for select to authenticated'
            " using (name = 'shared with everybody');"
        )
    return "\n".join(lines)


def _counting(n: Names) -> str:
    return f"""
            -- What the app counts anew at each call. Left alone where something took its place.
            do $$ begin
                create function public.my_{n.items}()
                returns table (how_many bigint, newest timestamptz)
                language sql stable set search_path = '' as $body$
                    select count(i.id), max(i.{n.moment}) from public.{n.items} as i
                    where i.{n.owner} = (select auth.uid())
                $body$;
            exception when duplicate_function then null; end $$;
            """


def _population(n: Names, kinds: Collection[str], items_mean: int, news_rows: int) -> str:
    notes = "{sentence} " * (30 if "wide rows" in kinds else 1)
    return f"""
            start = 2025-01-01
            days = 180

            [vocabularies.sentence]
            faker = ["sentence"]

            [vocabularies.name]
            faker = ["name"]

            [tables.accounts.columns]
            id = "uuid4"
            name = {{ text = "{{name}}" }}
            joined_at = "created"

            [tables.news]
            rows = {news_rows}
            [tables.news.columns]
            id = "uuid4"
            headline = {{ text = "{{sentence}}" }}
            weight = {{ uniform = [0, 1000000] }}

            [tables.{n.folders}]
            owner = "accounts"
            rows = {{ from_one_mean = 3.0, max = 9 }}
            [tables.{n.folders}.columns]
            id = "uuid7"
            {n.owner} = {{ ref = "accounts.id" }}
            name = {{ text = "{{name}}" }}
            {n.moment} = "created"

            [tables.visits]
            owner = "accounts"
            rows = {{ mean = {items_mean:.1f} }}
            [tables.visits.columns]
            id = "uuid7"
            {n.owner} = {{ ref = "accounts.id" }}
            place = {{ text = "{{name}}" }}
            {n.moment} = "created"

            [tables.{n.items}]
            owner = "accounts"
            rows = {{ mean = {items_mean:.1f} }}
            [tables.{n.items}.columns]
            id = "uuid7"
            {n.owner} = {{ ref = "accounts.id" }}
            {n.folder_id} = {{ ref = "{n.folders}.id", prefer = "newer" }}
            title = {{ text = "{{sentence}}" }}
            {n.state} = {{ choice = {{ new = 2, done = 8 }} }}
            notes = {{ text = "{notes.strip()}" }}
            {n.moment} = "created"
            """


CLICKS = {
    "live aggregate": """
        with self.click("counts", shows=ALWAYS):
            counts = "/rest/v1/rpc/my_{n.items}"
            self.client.post(counts, name="counts", json={{}}, expects=Rows({{}}))
""",
    "policy per row": """
        with self.click("search"):
            self.client.get(
                "/rest/v1/news?select=id,headline&headline=like.*zzz*&limit=20",
                name="search", expects=ITEMS,
            )
""",
    "N+1": """
        for id_ in [row["{n.folder_id}"] for row in rows[:6]]:
            with self.click("name of one", shows=ALWAYS):
                one = f"/rest/v1/{n.folders}?select=name&id=eq.{{id_}}"
                self.client.get(one, name="one of N", expects=NAMED)
""",
}
"""What sessions do besides where they have a fault."""


def _sessions(n: Names, kinds: Collection[str], skipped: int) -> str:
    """A list of items with their folders, a folder, and what the faults ask for."""
    columns = "*" if "wide rows" in kinds else f"id,title,{n.state},{n.folder_id},{n.moment}"
    embed = "" if "N+1" in kinds else f",{n.folders}(name)"
    offset = f"&offset={skipped}" if "offset" in kinds else ""
    prefer = ', headers={"Prefer": "count=exact"}' if "exact count" in kinds else ""
    order = f"order={n.moment}.desc,id.desc&limit=20"
    more = {kind: text.format(n=n) if kind in kinds else "" for kind, text in CLICKS.items()}
    return f'''
"""Sessions of an app whose faults are known: a list, its folders, a new item."""

from typing import Any

from locust import task

from phasegate.load import ALWAYS, ID, TEXT, USUALLY, Rows, SessionUser, writes

ITEMS = Rows({{"id": ID}})
NAMED = Rows({{"name": TEXT}})


class Person(SessionUser):
    """Somebody with the app open."""

    @task(3)
    def look(self) -> None:
        """The newest items, the folders, one folder."""
        rows = self.newest()
{more["N+1"]}
        with self.click("news", shows=ALWAYS):
            self.client.get(
                "/rest/v1/news?select=id,headline&order=weight.desc,id.desc&limit=20{offset}",
                name="news"{prefer}, expects=ITEMS,
            )
        with self.click("visits", shows=USUALLY):
            self.client.get(
                f"/rest/v1/visits?select=id,place,{n.moment}&{n.owner}=eq.{{self.user.id}}"
                "&{order}", name="visits", expects=ITEMS,
            )
{more["policy per row"]}
{more["live aggregate"]}
        folders: list[dict[str, Any]] = []
        with self.click("folders", shows=ALWAYS):
            folders = self.client.get(
                f"/rest/v1/{n.folders}?select=id,name&{n.owner}=eq.{{self.user.id}}&order=name&limit=10",
                name="folders", expects=NAMED,
            ).json()
        if folders:
            with self.click("folder", shows=USUALLY):
                self.client.get(
                    f"/rest/v1/{n.items}?select=id,title&{n.folder_id}=eq.{{folders[0]['id']}}&limit=20",
                    name="folder", expects=ITEMS,
                )
''' + _newest(n, columns + embed, order)


def _newest(n: Names, columns: str, order: str) -> str:
    """The list that most clicks begin with."""
    return f"""
    def newest(self) -> list[dict[str, Any]]:
        with self.click("newest", shows=USUALLY) as click:
            return click.saw(self.client.get(
                f"/rest/v1/{n.items}?select={columns}&{n.owner}=eq.{{self.user.id}}"
                f"&{order}", name="newest", expects=ITEMS,
            ).json())
        return []
"""


Edit = tuple[str, str, str]
"""A file below the project, what stands there, and what shall; all of it where nothing is named."""


def plant(project: Path, folder: Path, edits: Sequence[Edit]) -> Path:
    """A copy of `project` in `folder` with `edits` made.

    Raises:
        ValueError: a file does not say what an edit takes away.
    """
    for part in ("phasegate.toml", "seed", "loadtests", "benchmarks"):
        source = project / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / part)
    for name, old, new in edits:
        text = (folder / name).read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{name} does not say {old!r}")
        (folder / name).write_text(text.replace(old, new) if old else text + new, encoding="utf-8")
    return folder
