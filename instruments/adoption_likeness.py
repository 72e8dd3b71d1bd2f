"""Whether an adopted project is like its source: `python -m instruments.adoption_likeness`.

Seeds the task app by its own declarations, has `init` adopt a database of `SOURCE_USERS`, seeds
what came of it at the same sizes, and measures the task app's techniques on both, and once more on
the first: what two runs of one project differ by. Takes minutes, and stores nothing.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phasegate.adopt.adoption import adopt
from phasegate.compare.run import run_benchmarks
from phasegate.project import Project, find_project, load_project
from phasegate.records.seed import SeedRecord
from phasegate.report.effects import Technique, techniques
from phasegate.seeding import seed_database
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.database import apply_sql, execute
from phasegate.stack.levels import FOUNDATION, apply_level
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres

SOURCE_USERS = 10_000
SIZES = (1_000, 10_000, 30_000)
SEED = 1
BUDGET_S = 40.0
"""For all techniques of one project, all sizes together."""
ROWS_MAX = BYTES_MAX = 0.10
COPIED = "activity_logs_partitioned"
"""Holds another table's rows by month: `init` cannot see that, so this is declared by hand."""


@dataclass(frozen=True)
class Measured:
    """What came of one project."""

    seeded: Mapping[int, SeedRecord]
    found: tuple[Technique, ...]


def adopted_project(server: PostgresServer, source: Project, folder: Path) -> Project:
    """The project that `init` makes of a database of `source`, with the techniques of `source`."""
    dsn = _seeded(server, source, SOURCE_USERS, "phasegate_like_source")[0]
    execute(dsn, f"drop table public.{COPIED}")
    files = adopt(name=source.about.name, dsn=dsn, migrations=None).files
    shutil.copytree(source.benchmarks, folder / "benchmarks")
    shutil.copy(source.root / "phasegate.toml", folder)
    (folder / "seed").mkdir()
    for name in ("schema.sql", "keys.sql", "policies.sql", "population.toml"):
        (folder / "seed" / name).write_text(files[f"seed/{name}"], encoding="utf-8")
    _add_copied(source.root / "seed", folder / "seed")
    return load_project(folder)


def _add_copied(by_hand: Path, made: Path) -> None:
    """The table that holds another one's rows by month, and what the app's own files say of it."""
    schema, keys, policies = ((by_hand / f"{name}.sql").read_text() for name in FILES)
    begin = schema.index(f"create table {COPIED}")
    _append(made / "schema.sql", schema[begin:])
    _append(made / "keys.sql", "\n".join(line for line in keys.splitlines() if COPIED in line))
    (made / "policies.sql").write_text(policies, encoding="utf-8")
    population = (made / "population.toml").read_text(encoding="utf-8")
    table = "[tables.activity_logs]\n"
    more = f'also_into = ["{COPIED}"]\nmonthly_partitions = ["{COPIED}"]\n'
    (made / "population.toml").write_text(population.replace(table, table + more), encoding="utf-8")


FILES = ("schema", "keys", "policies")


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\nset search_path = public;\n{text}\n")


def _seeded(
    server: PostgresServer, project: Project, users: int, name: str
) -> tuple[str, SeedRecord]:
    """A database of `project` as a level 1 has it."""
    execute(
        server.dsn(),
        f"drop database if exists {name} with (force)",
        f"create database {name} template template0",
    )
    dsn = server.dsn(name)
    apply_sql(dsn, *FOUNDATION)
    record = seed_database(dsn, users=users, seed=SEED, project=project.seed)
    apply_level(dsn, 1, project)
    return dsn, record


def measured(server: PostgresServer, project: Project, sizes: Sequence[int], name: str) -> Measured:
    """`project` at `sizes`; its databases are dropped again."""
    databases, seeded = {}, {}
    try:
        for users in sizes:
            database = f"phasegate_like_{name}_{users}"
            databases[users], seeded[users] = _seeded(server, project, users, database)
        slo = project.catalogue.slo.statement_latency_ms_p95
        with tempfile.TemporaryDirectory(prefix="phasegate-like-") as out:
            records = run_benchmarks(
                databases,
                seed_sha256={users: record.sha256 for users, record in seeded.items()},
                seed=SEED,
                out=Path(out),
                budget_s=BUDGET_S,
                slo_ms_p95=slo,
                project=project,
            )
        return Measured(seeded, techniques(records, slo))
    finally:
        for users in sizes:
            drop = f"drop database if exists phasegate_like_{name}_{users} with (force)"
            execute(server.dsn(), drop)


def sizes_of(one: SeedRecord, other: SeedRecord) -> Iterator[tuple[str, float, float]]:
    """Each table that both have: rows and bytes of the second to those of the first, less 1."""
    known = {relation.name: relation for relation in one.relations}
    for relation in other.relations:
        first = known.get(relation.name)
        if first is not None and first.rows:
            yield (
                relation.name,
                relation.rows / first.rows - 1,
                relation.table_bytes / first.table_bytes - 1,
            )


def table_lines(one: Measured, other: Measured) -> Iterator[str]:
    """Rows and bytes by size and table."""
    for users, record in one.seeded.items():
        yield f"{users:,} users{'':24}rows   bytes"
        for name, rows, size in sizes_of(record, other.seeded[users]):
            holds = abs(rows) <= ROWS_MAX and abs(size) <= BYTES_MAX
            yield f"  {name:<28}{rows:+8.1%}{size:+8.1%}{'' if holds else '  misses'}"


def class_lines(one: Measured, again: Measured, other: Measured) -> Iterator[str]:
    """What is advised of each technique, by hand, by hand again, and adopted."""
    found = [{each.technique: each for each in of.found} for of in (one, again, other)]
    yield f"{'technique':<26}{'by hand':<24}{'by hand, again':<24}{'adopted':<24}"
    same = alike = 0
    for id_ in found[0]:
        cells = [_cell(of.get(id_)) for of in found]
        words = [cell.partition("  ")[0] for cell in cells]
        same += words[0] == words[2]
        alike += words[0] == words[1]
        mark = "" if words[2] in words[:2] else "  differs"
        yield f"{id_:<26}" + "".join(f"{cell:<24}" for cell in cells) + mark
    yield (
        f"{same} of {len(found[0])} in the same class; "
        f"{alike} of them in two runs of the project by hand"
    )


def _cell(technique: Technique | None) -> str:
    if technique is None:
        return "not measured"
    ratio = technique.largest.ratio
    return technique.advice + ("" if ratio is None else f"  {ratio.estimate:.2f}")


def main(arguments: Sequence[str]) -> None:
    """Measure the sizes of the command line, in registered users."""
    sizes = tuple(int(one.replace("_", "")) for one in arguments) or SIZES
    source = load_project(find_project())
    with (
        locked(cache_dir(), "instruments.adoption_likeness"),
        tempfile.TemporaryDirectory(prefix="phasegate-like-") as folder,
        running_postgres(cluster_dir()) as server,
    ):
        adopted = adopted_project(server, source, Path(folder))
        one = measured(server, source, sizes, "hand")
        other = measured(server, adopted, sizes, "adopted")
        for line in table_lines(one, other):
            sys.stdout.write(line + "\n")
        again = measured(server, source, sizes, "hand")
        for line in class_lines(one, again, other):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
