"""Candidates that add an index: for what statements compare, sort by and join, and for references.

Pure. The order of a composite index is: columns compared for equality, then what it is sorted by,
else the range; what the statement never wants is left out by a predicate.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are quoted, values are literals or bound.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from phasegate.advise.access import Access
from phasegate.advise.candidate import LOCK_TIMEOUT, RESET, WAITS, Candidate, named, write_cost
from phasegate.advise.draws import rows_of
from phasegate.advise.schema import Index, Table, quoted, usable
from phasegate.advise.statements import Seen
from phasegate.advise.world import World
from phasegate.stack.database import literal

# A condition that leaves out less of a table than this makes an index no smaller.
LEFT_OUT_MIN = 0.05
# Rows in the order of time: what BRIN lives from (PostgreSQL manual, 65.5).
CORRELATION_MIN = 0.9
# Columns that an index may carry along so that the table need not be read.
INCLUDED_MAX, INCLUDED_BYTES_MAX = 3, 64

NOT_LEAKPROOF = (
    "under row-level security `{operator}` is asked after the policy, because it is not leakproof: "
    "no index of {method} is used for it. A security definer function that searches first and asks "
    "whose row it is itself can use one"
)


@dataclass(frozen=True)
class Wanted:
    """An index that a statement could use."""

    table: Table
    keys: tuple[tuple[str, bool], ...]
    """Columns and whether descending."""
    equal: frozenset[str] = frozenset()
    """Of the keys, those compared for equality: their order is free."""
    method: str = "btree"
    operators: str = ""
    """Operator class of the key, where it is not the type's own."""
    predicate: str = ""
    include: tuple[str, ...] = ()
    extension: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """Of the index, the technique and its folder."""
        columns = [name for name, _ in self.keys]
        kind = [] if self.method == "btree" else [self.method]
        some = ["some"] if self.predicate else []
        return named(
            "idx", self.table.name, *columns, *kind, *some, *(["with"] if self.include else [])
        )

    @property
    def definition(self) -> str:
        """From `on` to the end."""
        listed = ", ".join(
            quoted(name)
            + (f" {self.operators}" if self.operators else "")
            + (" desc" if descending else "")
            for name, descending in self.keys
        )
        using = "" if self.method == "btree" else f" using {self.method}"
        include = f" include ({', '.join(map(quoted, self.include))})" if self.include else ""
        where = f" where {self.predicate}" if self.predicate else ""
        return f"on {self.table.qualified}{using} ({listed}){include}{where}"


def missing_indexes(world: World) -> Iterator[Candidate]:
    """For every filter, sort and join that no index serves; then for references."""
    wanted: dict[Wanted, tuple[Seen, int]] = {}
    for seen in world.statements:
        asked = world.callers_of(seen) if seen.text in world.found else None
        if asked is None:
            continue
        for access in world.found[seen.text]:
            for each in _wanted(access):
                if not _served(each):
                    known = wanted.get(each)
                    calls = seen.calls + (known[1] if known else 0)
                    dearer = known[0] if known and known[0].total_ms >= asked.total_ms else asked
                    wanted[each] = dearer, calls
    wanted = _without_prefixes(wanted)
    for each, (seen, calls) in wanted.items():
        yield index_candidate(world, each, seen, calls)
    yield from _references(world, list(wanted))


def _wanted(access: Access) -> Iterator[Wanted]:
    table = access.table
    equal = _equal(access)
    yield from _special(access)
    ranged = [name for name in access.columns("<", ">") if name not in equal]
    several = [name for name in access.columns("any") if name not in equal]
    order = [(name, desc) for name, desc in access.order if name not in equal]
    if _is_key(table, equal):
        return
    keys = [(name, False) for name in equal]
    if order:
        keys += order
    else:
        keys += [(name, False) for name in several] + [(name, False) for name in ranged[:1]]
    if not keys:
        return
    predicate = _predicate(access, equal)
    made = Wanted(table, tuple(keys), frozenset(equal), predicate=predicate)
    yield made
    carried = _carried(access, [name for name, _ in keys])
    if carried:
        yield replace(made, include=carried)


def _equal(access: Access) -> list[str]:
    """Columns compared for equality, the most selective first; joins where nothing else leads."""
    own = [each.column for each in access.compared if each.operator == "=" and not each.joined]
    joined = [each.column for each in access.compared if each.operator == "=" and each.joined]
    names = list(dict.fromkeys(own)) or list(dict.fromkeys(joined))
    if not own and len(joined) > 1:
        names = names[:2]
    return names


def _special(access: Access) -> Iterator[Wanted]:
    """GIN, BRIN, trigrams, HNSW."""
    table = access.table
    guarded = table.guarded
    for each in access.compared:
        column = table.columns[each.column]
        method, operators, extension = "gin", "", ""
        if each.operator in ("@>", "&&", "?") and (column.type == "jsonb" or column.is_array):
            operators = "jsonb_path_ops" if column.type == "jsonb" and each.operator == "@>" else ""
        elif each.operator == "@@" and column.type == "tsvector":
            pass
        elif each.operator == "like" and column.type in ("text", "character varying"):
            operators, extension = "gin_trgm_ops", "pg_trgm"
        else:
            continue
        note = NOT_LEAKPROOF.format(operator=each.operator, method="GIN") if guarded else ""
        yield Wanted(
            table, ((each.column, False),), method=method, operators=operators,
            extension=extension, note=note,
        )  # fmt: skip
    for name in access.columns("<", ">"):
        column = table.columns[name]
        timed = column.type.startswith(("timestamp", "date"))
        if timed and abs(column.correlation or 0.0) >= CORRELATION_MIN:
            yield Wanted(table, ((name, False),), method="brin")
    if access.near is not None:
        name, distance = access.near
        kind = table.columns[name].type.partition("(")[0]
        yield Wanted(table, ((name, False),), method="hnsw", operators=f"{kind}_{distance}_ops")


def _predicate(access: Access, equal: Sequence[str]) -> str:
    """What leaves out a good part of the table: rows that the statement never wants."""
    parts = []
    for name in access.columns("null", "not null"):
        wants_null = name in access.columns("null")
        share = access.table.columns[name].null_share
        left_out = 1 - share if wants_null else share
        if left_out >= LEFT_OUT_MIN and name not in equal:
            parts.append(f"{quoted(name)} is {'' if wants_null else 'not '}null")
    return " and ".join(parts)


def _carried(access: Access, keys: Sequence[str]) -> tuple[str, ...]:
    more = [name for name in access.selected if name not in keys]
    more += [e.column for e in access.compared if e.column not in keys and e.column not in more]
    width = sum(access.table.columns[name].width_bytes for name in more)
    narrow = 0 < len(more) <= INCLUDED_MAX and width <= INCLUDED_BYTES_MAX
    return tuple(more) if narrow and not access.starred and not access.aggregated else ()


def _is_key(table: Table, equal: Sequence[str]) -> bool:
    """Whether at most one row fits: an index more finds it no faster."""
    unique = [index.keys for index in usable(table.indexes) if index.is_unique]
    return any(None not in keys and set(keys) <= set(equal) for keys in unique)


def _served(wanted: Wanted) -> bool:
    """Whether an index that is there does the same."""
    return any(_serves(index, wanted) for index in wanted.table.indexes)


def _serves(index: Index, wanted: Wanted) -> bool:
    if index.method != wanted.method or wanted.include:
        return False
    if index.predicate and _plain(index.predicate) != _plain(wanted.predicate):
        # One that is partial by another condition serves a reference's not-null alone.
        lead = wanted.keys[0][0]
        if _plain(index.predicate) != f"{lead}isnotnull" or lead not in wanted.equal:
            return False
    keys, n = list(index.keys), len(wanted.equal)
    if wanted.method != "btree":
        return wanted.keys[0][0] in keys
    if set(keys[:n]) != set(wanted.equal):
        return False
    rest = [(name, desc) for name, desc in wanted.keys if name not in wanted.equal]
    have = list(zip(keys[n:], index.descending[n:], strict=False))[: len(rest)]
    flipped = [(name, not desc) for name, desc in rest]
    return have in (rest, flipped)


def _plain(predicate: str) -> str:
    return "".join(character for character in predicate.lower() if character.isalnum())


def _without_prefixes(wanted: dict[Wanted, tuple[Seen, int]]) -> dict[Wanted, tuple[Seen, int]]:
    """Without those that another one serves as well: one index does for both."""
    kept: dict[Wanted, tuple[Seen, int]] = {}
    for each, (seen, calls) in wanted.items():
        wider = next(
            (
                other
                for other in wanted
                if other != each
                and other.table.key == each.table.key
                and other.method == each.method == "btree"
                and not other.predicate
                and not other.include
                and not each.include
                and len(other.keys) > len(each.keys)
                and set(other.keys[: len(each.keys)]) == set(each.keys)
                and set(each.equal) == {name for name, _ in each.keys}
            ),
            None,
        )
        if wider is None:
            before = kept.get(each)
            kept[each] = (seen, calls + (before[1] if before else 0))
        else:
            with_it = kept.get(wider) or wanted[wider]
            kept[wider] = (with_it[0], with_it[1] + calls)
    return kept


def _references(world: World, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
    """Foreign keys without an index: a delete of what they point at reads the whole table."""
    for table in world.schema.tables.values():
        for key in table.foreign:
            each = Wanted(table, tuple((n, False) for n in key.columns), frozenset(key.columns))
            if key.columns[0] in {w.keys[0][0] for w in wanted if w.table.key == table.key}:
                continue
            if any(
                i.keys[: len(key.columns)] == key.columns
                for i in table.indexes
                if i.method == "btree" and (i.predicate is None or "NOT NULL" in i.predicate)
            ):
                continue
            nullable = [n for n in key.columns if table.columns[n].null_share >= LEFT_OUT_MIN]
            if nullable:
                each = replace(each, predicate=f"{quoted(nullable[0])} is not null")
            yield _reference(world, each, key.columns, key.target)


def _reference(world: World, each: Wanted, columns: Sequence[str], target: str) -> Candidate:
    where = " and ".join(f"{quoted(name)} = ${n}" for n, name in enumerate(columns, 1))
    query = f"select count(*) from {each.table.qualified} where {where}"
    names = [f"p{n}" for n in range(1, len(columns) + 1)]
    drawn = {name: f"r.{quoted(column)}::text" for name, column in zip(names, columns, strict=True)}
    draw = rows_of(world.schema, each.table, world.users, drawn)
    made = index_candidate(world, each, None, 0)
    technique = {
        **made.technique, "asks": f"What a delete of {target} looks for here.",
        "parameters": names, "role": "owner", "same_rows": False,
    }  # fmt: skip
    technique = {
        k: technique[k]
        for k in sorted(
            technique, key=lambda k: isinstance(technique[k], dict | list) and k != "parameters"
        )
    }
    files = {**made.files, "query.sql": f"-- What a delete of {target} looks for.\n{query}",
             "draw.sql": f"-- Rows that refer to {target}.\n{draw}"}  # fmt: skip
    deleted = any(each.table.key in world.deleted(seen.text) for seen in world.asked)
    note = "" if deleted else f"no statement seen deletes from {target}"
    return replace(
        made, technique=technique, files=files, note=note,
        why=f"{', '.join(columns)} refers to {target}, and no index begins with it",
    )  # fmt: skip


def index_candidate(world: World, each: Wanted, seen: Seen | None, calls: int) -> Candidate:
    """The folder of an index, measured on `seen`."""
    name, qualified = each.name, f"{quoted(each.table.schema)}.{each.name}"
    listed = ", ".join(key + (" desc" if desc else "") for key, desc in each.keys)
    some = " of some rows" if each.predicate else ""
    method = "" if each.method == "btree" else f"{each.method.upper()} "
    title = f"{method}index {each.table.name} ({listed}){some}"
    if each.include:
        title += f" with {', '.join(each.include)}"
    costs: list[dict[str, object]] = [
        {"probe": "relation_size", "title": "index size", "relation": qualified,
         "of": each.table.qualified}
    ]  # fmt: skip
    files = _files(each, qualified)
    technique: dict[str, object] = {
        "title": title,
        "cost": "disk, and every write of a row keeps it up to date",
    }
    draws = ""
    names: tuple[str, ...] = ()
    if seen is not None:
        drawn = world.drawn(seen)
        draws, names = drawn.sql, drawn.names
        files["query.sql"] = f"-- As the app asks.\n{seen.text}"
    writer = world.inserting(each.table.key)
    if writer is not None and seen is not None:
        written = world.drawn_beside(draws, writer)
        draws = written.sql
        files["insert.sql"] = f"-- A new row, as the app writes it.\n{writer.text}"
        costs.append(write_cost(each.table, written))
    technique["parameters"] = list(names)
    if seen is not None and seen.writes:
        technique["writes"] = ", ".join(
            world.schema.tables[key].qualified for key in sorted(world.reach[seen.text])
        )
    technique["same_rows"] = False
    technique["before"] = {"title": "no index"}
    technique["after"] = {"title": "index"}
    technique["costs"] = costs
    if draws:
        files["draw.sql"] = (
            f"-- Parameters, drawn by the columns that they are compared with.\n{draws}"
        )
    covered = world.indexing(each.table, each.method, each.equal or frozenset([each.keys[0][0]]))
    return Candidate(
        id=name, kind="index", table=each.table.key, title=title,
        why=_why(each, seen), technique=technique, files=files, seen=seen, calls=calls,
        covered_by=covered, note=each.note,
    )  # fmt: skip


def _why(each: Wanted, seen: Seen | None) -> str:
    if seen is None:
        return "no index serves it"
    columns = ", ".join(name for name, _ in each.keys)
    return f"asked {seen.calls:,} times, {seen.mean_ms:.1f} ms each: no index serves {columns}"


def _files(each: Wanted, qualified: str) -> dict[str, str]:
    extension = f"create extension if not exists {each.extension};\n" if each.extension else ""
    return {
        "migration.sql": (
            f"-- {each.table.name}: an index on {', '.join(name for name, _ in each.keys)}. Reads "
            f"and writes go on while it is built.\n-- {WAITS}\n{LOCK_TIMEOUT}\n{extension}"
            f"drop index concurrently if exists {qualified};\n"
            f"create index concurrently {each.name}\n    {each.definition};\n{RESET}"
        ),
        "undo.sql": (
            f"-- Undo: the index goes; reads and writes go on meanwhile.\n{LOCK_TIMEOUT}\n"
            f"drop index concurrently if exists {qualified};\n{RESET}"
        ),
        "present.sql": (
            "-- Whether the index is there and valid.\nselect exists (\n"
            "    select from pg_catalog.pg_index\n"
            f"    where indexrelid = to_regclass({literal(qualified)}) and indisvalid\n)"
        ),
    }
