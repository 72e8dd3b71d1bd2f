"""A dump of the local copy, cut into the files of `seed/`: before the rows, after them, and rights.

Pure: entries in, texts out. `docs/project/seed.md` says which file is for what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from phasegate.adopt.dump import Entry
from phasegate.adopt.local_copy import Loss
from phasegate.adopt.schemas import TABLES_OF_TOOLS

BEFORE_ROWS = frozenset({
    "SCHEMA", "EXTENSION", "PROCEDURAL LANGUAGE", "SHELL TYPE", "TYPE", "DOMAIN", "COLLATION",
    "FUNCTION", "PROCEDURE", "AGGREGATE", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "CAST",
    "CONVERSION", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH CONFIGURATION", "SEQUENCE", "SEQUENCE OWNED BY", "TABLE", "TABLE ATTACH",
    "DEFAULT", "VIEW", "MATERIALIZED VIEW",
})  # fmt: skip
AFTER_ROWS = frozenset({
    "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "STATISTICS",
    "TRIGGER", "RULE",
})  # fmt: skip
RIGHTS = frozenset({"POLICY", "ROW SECURITY", "ACL"})
LOST = {
    "FOREIGN TABLE": "its rows are elsewhere",
    "SERVER": "it is elsewhere",
    "FOREIGN DATA WRAPPER": "it leads elsewhere",
    "EVENT TRIGGER": "it belongs to the whole database",
    "SUBSCRIPTION": "it leads elsewhere",
}
"""Kinds that a copy does not have, and why; other kinds that are not listed are passed over."""

# Extensions of services and operators, with what the app's SQL says where it needs one; a copy has
# them only then. The empty ones no app needs.
OF_SERVICES = {
    "http": "http",
    "pg_cron": "cron.",
    "pg_graphql": "graphql.",
    "pg_net": "net.",
    "pgsodium": "pgsodium.",
    "supabase_vault": "vault.",
    **dict.fromkeys(
        ("hypopg", "index_advisor", "pg_buffercache", "pg_prewarm", "pg_repack", "pg_stat_monitor",
         "pg_stat_statements", "pgaudit", "pgtap", "plpgsql_check", "wrappers"),
        "",
    ),
}  # fmt: skip

API_ROLES = ("anon", "authenticated", "service_role")

_GRANTEE = re.compile(
    r"\b(?:TO|FROM) (\"(?:[^\"]|\"\")+\"|[\w$]+)(?: WITH GRANT OPTION)?;$", re.MULTILINE
)
_ATTACH = re.compile(r"ATTACH PARTITION (?:(?:\"[^\"]+\"|[\w$]+)\.)?(\"(?:[^\"]|\"\")+\"|[\w$]+);")
_NOT_VALID = re.compile(r"\s+NOT VALID;$")
_TABLE_ONLY = re.compile(r"^ALTER TABLE ONLY ")
_SCHEMA_OF_EXTENSION = re.compile(r"WITH SCHEMA (?:\"((?:[^\"]|\"\")+)\"|([\w$]+))")
# Keys of services that people paste into triggers, functions and defaults.
_SECRET = re.compile(
    r"\beyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?|\b(?:sk|rk|whsec)_\w{12,}|\bsk-[\w-]{16,}"
    r"|\bsb_secret_\w+|\bAKIA\w{12,}|(?<=[Bb]earer )[\w.~+/-]{12,}|(?<=://)[^\s:/@']+:[^\s@']+(?=@)"
)
REMOVED = "removed"
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Reserved words that people call schemas, roles and views (PostgreSQL manual, appendix C).
_RESERVED = frozenset({
    "all", "analyse", "analyze", "array", "as", "case", "check", "collation", "column", "create",
    "default", "desc", "do", "end", "for", "from", "grant", "group", "in", "into", "limit", "new",
    "not", "offset", "on", "only", "order", "primary", "references", "select", "session_user",
    "table", "then", "to", "trailing", "union", "unique", "user", "using", "when", "where",
    "window", "with",
})  # fmt: skip

HEAD = {
    "schema": (
        "-- Tables, types and functions, as `phasegate init` found them. Keys, indexes and\n"
        "-- triggers are in keys.sql, and come after the rows.\n"
        "set local check_function_bodies = off;\n"
    ),
    "keys": (
        "-- Keys, indexes and triggers: made after the rows, so no trigger fires during the load.\n"
    ),
    "policies": "-- Row-level security and grants, as the app has them.\n",
}


@dataclass(frozen=True)
class Copy:
    """What else the files of `seed/` must know of the local copy.

    Attributes:
        schemas: the app's.
        borrowed: (schema, table) outside them that the app's tables, views or policies refer to.
        open: tables without row-level security, as SQL names them.
        roles: that policies name, beyond those that our servers have.
        as_supabase: whether the app is at home on Supabase; if not, nobody but its own server asks
            its database.
    """

    schemas: Sequence[str]
    borrowed: frozenset[tuple[str, str]]
    open: Sequence[str]
    roles: Sequence[str]
    as_supabase: bool


@dataclass(frozen=True)
class Sections:
    """The files, and what is in none of them."""

    schema: str
    keys: str
    policies: str
    losses: tuple[Loss, ...]


def sections(entries: Iterable[Entry], copy: Copy) -> Sections:
    """The texts of schema.sql, keys.sql and policies.sql."""
    every = list(entries)
    kept = [entry for entry in every if _belongs(entry, copy)]
    kept = [entry for entry in kept if entry.schema in copy.schemas or _asked_for(entry, kept)]
    kept = [*_extensions(every, kept), *kept]
    # pg_dump makes the index of a partitioned table and of each partition, and ties them together;
    # that of the table alone brings the others.
    attached = {
        _bare(name)
        for entry in kept
        for name in _ATTACH.findall(entry.text)
        if entry.type == "INDEX ATTACH"
    }
    parents = {
        entry.name for entry in kept if entry.type == "TABLE" and "PARTITION BY" in entry.text
    }
    schema: list[str] = []
    keys: list[str] = []
    rights: list[str] = []
    losses: list[Loss] = []
    for entry in kept:
        if entry.type in BEFORE_ROWS:
            later = entry.type == "VIEW" and entry.text.startswith("CREATE OR REPLACE")
            (keys if later else schema).append(_plain(entry, copy))
        elif entry.type in AFTER_ROWS:
            index = entry.name if entry.type == "INDEX" else entry.name.rpartition(" ")[2]
            if entry.type != "INDEX ATTACH" and index not in attached:
                keys.append(_after_rows(entry, parents))
        elif entry.type in RIGHTS:
            rights.append(_rights(entry, copy))
    keys += [
        f"REFRESH MATERIALIZED VIEW {_named(entry)};"
        for entry in kept
        if entry.type == "MATERIALIZED VIEW"
    ]
    losses += [Loss(entry.title, LOST[entry.type]) for entry in every if entry.type in LOST]
    texts = [
        _joined([HEAD["schema"], *schema]),
        _joined([HEAD["keys"], *keys]),
        _joined([HEAD["policies"], *_before_rights(copy), *rights, *_instead_of_rights(copy)]),
    ]
    if any(_SECRET.search(text) for text in texts):
        losses.append(Loss("keys of services in its SQL", f"replaced by '{REMOVED}'"))
    before, after, who = (_SECRET.sub(REMOVED, text) for text in texts)
    return Sections(before, after, who, tuple(losses))


def _belongs(entry: Entry, copy: Copy) -> bool:
    """Whether an entry is the app's, or of a table that it borrows."""
    table = entry.name.partition(" ")[0]
    if table in TABLES_OF_TOOLS or any(
        entry.name.startswith(f"{name}_") for name in TABLES_OF_TOOLS
    ):
        return False
    if entry.type == "SCHEMA":
        return entry.name in copy.schemas and entry.name != "public"
    if entry.type == "ACL" and not entry.schema:
        kind, _, name = entry.name.partition(" ")
        return kind == "SCHEMA" and name in copy.schemas
    if entry.schema in copy.schemas:
        return True
    return _is_borrowed(entry, copy)


def _is_borrowed(entry: Entry, copy: Copy) -> bool:
    tables = [name for schema, name in copy.borrowed if schema == entry.schema]
    if entry.type in ("TYPE", "FUNCTION"):  # those that nothing asks for go again: `_asked_for`
        return bool(tables) and not (entry.schema == "auth" and entry.type == "FUNCTION")
    if entry.type == "INDEX":
        return any(re.search(rf"[. ]\"?{re.escape(name)}\"? ", entry.text) for name in tables)
    names = {entry.name, *(_prefixes(entry.name))}
    return any(name in names for name in tables)


def _asked_for(entry: Entry, kept: Sequence[Entry]) -> bool:
    """Of the types and functions that services own: whether anything of the app names one."""
    if entry.type not in ("TYPE", "FUNCTION"):
        return True
    name = f"{entry.schema}.{entry.name.partition('(')[0]}"
    return any(name in other.text for other in kept if other is not entry)


def _prefixes(name: str) -> Iterator[str]:
    """What `name` may begin with: the table of `table constraint`, whatever blanks either has."""
    words = name.split(" ")
    for count in range(1, len(words)):
        yield " ".join(words[:count])


def _extensions(every: Sequence[Entry], kept: Sequence[Entry]) -> Iterator[Entry]:
    """Extensions with the schemas that they are in."""
    text = "\n".join(entry.text for entry in kept)
    made: set[str] = set()
    for entry in every:
        if entry.type != "EXTENSION" or entry.name == "plpgsql":
            continue
        found = _SCHEMA_OF_EXTENSION.search(entry.text)
        place = (found[1] or found[2]) if found else "public"
        said = OF_SERVICES.get(entry.name)
        if said is not None and not (said and said in text):
            continue
        if place not in ("public", "pg_catalog", *made):
            made.add(place)
            yield Entry("SCHEMA", "", place, f"CREATE SCHEMA {_quoted(place)};")
        yield entry


def _plain(entry: Entry, copy: Copy) -> str:
    text = entry.text
    if entry.type == "SCHEMA":
        return text.replace("CREATE SCHEMA ", "CREATE SCHEMA IF NOT EXISTS ", 1)
    if (
        entry.type == "FUNCTION" and entry.schema == "auth"
    ):  # our own servers have some of that name
        return text.replace("CREATE FUNCTION ", "CREATE OR REPLACE FUNCTION ", 1)
    return text


def _after_rows(entry: Entry, parents: set[str]) -> str:
    text = entry.text
    if entry.type == "FK CONSTRAINT":
        text = _NOT_VALID.sub(";", text)
    if entry.type == "CONSTRAINT" and entry.name.partition(" ")[0] in parents:
        text = _TABLE_ONLY.sub("ALTER TABLE ", text)
    if entry.type == "INDEX":
        text = re.sub(r" ON ONLY ", " ON ", text, count=1)
    return text


def _rights(entry: Entry, copy: Copy) -> str:
    """Of grants, those to roles that are there."""
    if entry.type != "ACL":
        return entry.text
    known = {*API_ROLES, "PUBLIC", *copy.roles}
    lines = [
        line
        for line in entry.text.splitlines()
        if (found := _GRANTEE.search(line)) is not None and _bare(found[1]) in known
    ]
    return "\n".join(lines)


def _before_rights(copy: Copy) -> Iterator[str]:
    """The roles that policies name, and the tables that have no row-level security."""
    for role in copy.roles:
        literal = role.replace("'", "''")
        yield (
            f"do $role$ begin\n    if to_regrole('{_quoted(literal)}') is null then\n"
            f"        create role {_quoted(role)} nologin;\n    end if;\nend $role$;"
        )
    if copy.as_supabase and copy.open:
        yield "-- Without row-level security, as in the app: who has a grant sees every row."
        yield "\n".join(f"alter table {name} disable row level security;" for name in copy.open)


def _instead_of_rights(copy: Copy) -> Iterator[str]:
    """What lets the reference API stand for the app's own server, where that alone asks."""
    if copy.as_supabase:
        return
    yield (
        "-- The app's own server decides who sees what, in its statements. So that the reference\n"
        "-- API can stand for it, signed-in users reach every table, and where the app has no\n"
        "-- policy, one lets every row through."
    )
    for schema in copy.schemas:
        yield f"grant usage on schema {_quoted(schema)} to authenticated, service_role;"
        for kind in ("tables", "sequences", "functions"):
            yield (
                f"grant all on all {kind} in schema {_quoted(schema)} "
                "to authenticated, service_role;"
            )
    for name in copy.open:
        yield f'drop policy if exists "every row" on {name};'
        yield f'create policy "every row" on {name} using (true) with check (true);'


def _named(entry: Entry) -> str:
    return f"{_quoted(entry.schema)}.{_quoted(entry.name)}"


def _quoted(name: str) -> str:
    """`name` as SQL has it: without quotes where it can do without for sure."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(text.strip() for text in texts if text.strip()) + "\n"
