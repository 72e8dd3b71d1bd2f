"""Schemas that Hypothesis writes: types, keys, checks, several owners, cycles, groups of users."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

TYPES = """
create type mood as enum ('good', 'so so', 'bad');
create type pair as (low int, name text);
create domain posint as int check (value > 0);
create domain percent as posint not null default 5 check (value <= 100);
create domain mail as text check (value ~ '^[^@ ]+@[^@ ]+[.][a-z]+$');
create domain code3 as char(3) check (value = upper(value));
"""

# Types of columns, each with checks that it may have; {c} is the column.
COLUMNS: dict[str, tuple[str, ...]] = {
    "text": (
        "char_length({c}) >= 3",
        "length(trim({c})) > 0",
        "{c} in ('red', 'green', 'it''s')",
        "{c} ~ '^[a-z0-9-]+$'",
        "{c} ~ '^[A-Z]{{2}}[0-9]{{4}}$'",
        "{c} = lower({c})",
        "{c} like 'http%'",
        "char_length({c}) between 2 and 8",
        "{c} <> ''",
        "{c} !~ '[0-9]'",
        r"{c} ~ '^\d{{5}}(-\d{{4}})?$'",
        "{c} ~* '^#[a-f0-9]{{6}}$'",
        "octet_length({c}) = 12",
    ),
    "varchar(12)": ("{c} <> 'x'",),
    "char(4)": (),
    "citext_like": (),
    "integer": (
        "{c} > 0",
        "{c} between 1 and 5",
        "{c} in (10, 20, 30)",
        "{c} <> 0",
        "{c} < -7",
        "{c} >= 0 and {c} < 150",
        "not ({c} > 3)",
    ),
    "smallint": ("{c} >= 30000",),
    "bigint": ("{c} > 5000000000",),
    "posint": (),
    "percent": (),
    "mail": (),
    "code3": (),
    "numeric(6, 2)": ("{c} > 0", "{c} >= 0 and {c} <= 1", "{c} < 0.5 and {c} >= 0"),
    "numeric": ("{c} between 0.1 and 0.2",),
    "double precision": ("{c} >= -90 and {c} <= 90",),
    "real": (),
    "money": (),
    "boolean": ("{c}", "not {c}", "{c} is true"),
    "mood": ("{c} <> 'bad'", "{c} in ('good', 'bad')"),
    "mood[]": ("cardinality({c}) > 0",),
    "date": (
        "{c} < current_date",
        "{c} >= '2020-01-01'",
        "{c} <= current_date - interval '18 years'",
        "extract(year from {c}) between 1990 and 2000",
    ),
    "timestamptz": ("{c} <= now()", "{c} > '2024-01-01'"),
    "timestamp": (),
    "time": (),
    "interval": (),
    "uuid": (),
    "jsonb": ("jsonb_typeof({c}) = 'array'", "jsonb_typeof({c}) = 'object'"),
    "json": (),
    "text[]": ("array_length({c}, 1) <= 3", "cardinality({c}) between 1 and 2"),
    "integer[]": (),
    "bytea": (),
    "inet": (),
    "cidr": (),
    "macaddr": (),
    "bit(5)": (),
    "bit varying(9)": (),
    "int4range": ("lower({c}) < upper({c})",),
    "tstzrange": (),
    "nummultirange": (),
    "point": (),
    "tsvector": (),
    "pair": (),
}
# Checks of two columns, with their types.
PAIRS = (
    ("integer", "{a} <= {b}"), ("integer", "{a} < {b}"), ("integer", "{b} >= {a} and {a} >= 0"),
    ("numeric(8, 2)", "{a} < {b} and {b} <= 10"), ("timestamptz", "{a} <= {b}"),
    ("timestamptz", "{b} is null or {b} > {a}"), ("date", "{a} < {b}"),
    ("integer", "num_nonnulls({a}, {b}) = 1"), ("text", "({a} is null) = ({b} is null)"),
    ("integer", "{a} is not null or {b} > 4"),
)  # fmt: skip


@dataclass
class Drawn:
    """A table that was drawn: its statements, and what later tables need to know of it."""

    name: str
    key: str
    columns: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    is_reference: bool = False
    owner: str = ""

    @property
    def sql(self) -> str:
        """The statement that makes it."""
        return f"create table {self.name} ({', '.join(self.columns)});"


@dataclass
class Schema:
    """Two scripts, as a project's seed/ has them."""

    schema: str
    keys: str


KEYS = {"uuid": "uuid", "bigint": "bigint generated always as identity", "text": "text"}


def _table(draw: st.DrawFn, name: str, *, number_only: bool = False) -> Drawn:
    key = draw(st.sampled_from(["uuid", "bigint"] if number_only else sorted(KEYS)))
    made = Drawn(name, key)
    made.columns.append(f"id {KEYS[key]} not null")
    made.keys.append("primary key (id)")
    return made


def _columns(draw: st.DrawFn, made: Drawn) -> None:
    for place in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(sorted(set(COLUMNS) - {"citext_like"})))
        null = draw(st.sampled_from(["", " not null"]))
        column = f"c{place}"
        check = draw(st.sampled_from(["", *COLUMNS[kind]]))
        said = f" check ({check.format(c=column)})" if check else ""
        made.columns.append(f"{column} {kind}{null}{said}")
    if draw(st.booleans()):
        kind, check = draw(st.sampled_from(PAIRS))
        null = " not null" if "null" not in check and draw(st.booleans()) else ""
        made.columns += [f"low {kind}{null}", f"high {kind}{null}"]
        made.columns.append(f"check ({check.format(a='low', b='high')})")
    if draw(st.booleans()):
        made.columns += [
            "created_at timestamptz not null default now()",
            "updated_at timestamptz not null default now()",
            "deleted_at timestamptz",
            "check (updated_at >= created_at)",
        ]


def _refer(draw: st.DrawFn, made: Drawn, other: Drawn, column: str, *, null: bool) -> None:
    made.columns.append(f"{column} {other.key}{'' if null else ' not null'}")
    made.keys.append(f"foreign key ({column}) references {other.name} (id)")


def _uniques(draw: st.DrawFn, made: Drawn, owner: Drawn | None) -> None:
    kind = draw(st.sampled_from(["", "text", "varchar(10)", "integer", "date", "lower", "code"]))
    if kind == "lower":
        made.columns.append("title text not null")
        made.keys.append("index lower")
    elif kind == "code":
        made.columns.append("code text not null check (code ~ '^[A-Z]{3}-[0-9]{5}$')")
        made.keys.append("unique (code)")
    elif kind:
        made.columns.append(f"once {kind}{draw(st.sampled_from(['', ' not null']))}")
        made.keys.append("unique (once)")
    if owner is None:
        return
    more = draw(st.sampled_from(["", "mood", "text", "partial", "number", "status", "exclude"]))
    if more in ("mood", "text"):
        made.columns.append(f"sort {more} not null")
        made.keys.append("unique (owner_id, sort)")
    elif more == "number":
        made.columns.append("position integer not null check (position > 0)")
        made.keys.append("unique (owner_id, position)")
    elif more == "partial":
        made.columns.append("is_default boolean not null default false")
        made.keys.append("index owner_id where is_default")
    elif more == "status":
        made.columns.append("status text not null check (status in ('open', 'done', 'late'))")
        made.keys.append("index owner_id where status = 'open'")
    elif more == "exclude":
        made.columns.append("during tstzrange not null")
        made.keys.append("exclude using gist (during with &&)")


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Users, lists, maybe an organisation, and up to five tables around them."""
    users = _table(draw, "users")
    users.columns.append("email text not null")
    users.keys.append("unique (email)")
    _columns(draw, users)
    lookup = _table(draw, "kinds")
    lookup.is_reference = True
    lookup.columns.append("name text not null")
    lookup.keys.append("unique (name)")
    _columns(draw, lookup)
    tables = [users, lookup]
    mirror = users.key == "uuid" and draw(st.booleans())
    if mirror:
        users.keys.append("foreign key (id) references auth.users (id)")
    if draw(st.booleans()):
        tables += _groups(draw, users)
    for number in range(draw(st.integers(1, 5))):
        tables.append(_owned(draw, number, tables))
    _cycle(draw, tables)
    schema = "create schema auth; create table auth.users (id uuid not null, email text);\n"
    schema += TYPES + "\n".join(table.sql for table in tables)
    keys = ["alter table auth.users add primary key (id);"]
    keys += [one for table in tables for one in _statements(table) if "foreign" not in one]
    keys += [one for table in tables for one in _statements(table) if "foreign" in one]
    return Schema(schema, "\n".join(keys))


def _statements(table: Drawn) -> list[str]:
    made = []
    for place, key in enumerate(table.keys):
        if not key.startswith("index "):
            made.append(f"alter table {table.name} add {key};")
        elif key == "index lower":
            made.append(f"create unique index on {table.name} (lower(title));")
        else:
            column, where = key.removeprefix("index ").split(" where ")
            made.append(f"create unique index on {table.name} ({column}) where {where};")
        del place
    return made


def _groups(draw: st.DrawFn, users: Drawn) -> list[Drawn]:
    groups = _table(draw, "teams")
    _columns(draw, groups)
    members = Drawn("team_members", "")
    for name, other in (("team_id", groups), ("user_id", users)):
        _refer(draw, members, other, name, null=False)
    members.columns.append("role mood not null")
    members.keys.append("primary key (team_id, user_id)")
    return [groups, members]


def _owned(draw: st.DrawFn, number: int, tables: list[Drawn]) -> Drawn:
    made = _table(draw, f"t{number}")
    able = [one for one in tables if one.key and not one.is_reference]
    owner = draw(st.sampled_from(able))
    null = draw(st.integers(0, 5)) == 0
    _refer(draw, made, owner, "owner_id", null=null)
    made.owner = owner.name
    for other in [one for one in tables if one.key and one is not owner][:4]:
        if draw(st.integers(0, 2)) == 0:
            # A row that must be there is one of a list, or of a table beside this one.
            _refer(draw, made, other, f"to_{other.name}", null=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0:
        _refer(draw, made, made, "parent_id", null=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0 and not null:
        kinds = next(one for one in tables if one.is_reference)
        made.columns.append(f"kind_id {kinds.key} not null")
        made.keys.append("foreign key (kind_id) references kinds (id)")
        made.keys.append("unique (owner_id, kind_id)")
    _columns(draw, made)
    _uniques(draw, made, None if null else owner)
    return made


def _cycle(draw: st.DrawFn, tables: list[Drawn]) -> None:
    """A key back from a table to one that belongs to it."""
    if draw(st.booleans()):
        last = tables[-1]
        owner = next((one for one in tables if one.name == last.owner), None)
        if owner is not None and owner.name != "users":
            _refer(draw, owner, last, "back_id", null=True)
            owner.keys[-1] += " deferrable initially deferred"
        elif owner is not None:
            _refer(draw, owner, last, "back_id", null=True)
