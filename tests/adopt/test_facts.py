"""What `init` learns of a source in figures, and that no value of a row is among it."""

from __future__ import annotations

import asyncio

import pytest

from phasegate.adopt.facts import ColumnFacts, SourceFacts, read_facts
from phasegate.stack.database import connected

SCHEMA = """
create schema "Zweite Ebene";
create table public.notes (id int primary key, author int, body text);
insert into public.notes select n, n % 10, case when n % 4 = 0 then null else 'secret words' end
    from generate_series(1, 200) as n;
create table "Zweite Ebene"."Größe" (id int) partition by range (id);
create table "Zweite Ebene".one partition of "Zweite Ebene"."Größe" for values from (0) to (60);
create table "Zweite Ebene".two partition of "Zweite Ebene"."Größe" for values from (60) to (99);
insert into "Zweite Ebene"."Größe" select generate_series(0, 89);
analyze public.notes;
analyze "Zweite Ebene".one, "Zweite Ebene".two;
"""


async def _facts(dsn: str) -> SourceFacts:
    async with connected(dsn) as connection:
        await connection.execute(SCHEMA)
        return await read_facts(connection, ["public", "Zweite Ebene"])


def test_facts_are_counts_and_planner_figures_and_no_value_of_a_row(database: str) -> None:
    facts = asyncio.run(_facts(database))
    assert facts.rows("public", "notes") == 200
    body = facts.column("public", "notes", "body")
    assert body is not None
    assert body.null_frac == pytest.approx(0.25)
    assert body.distinct(200) == 1
    author = facts.column("public", "notes", "author")
    assert author is not None
    assert author.distinct(200) == 10
    identity = facts.column("public", "notes", "id")
    assert identity == ColumnFacts(0, -1, 4, 1)
    assert identity.distinct(200) == 200
    assert "secret" not in repr(facts)


def test_partitions_that_were_analysed_alone_count_for_their_table(database: str) -> None:
    facts = asyncio.run(_facts(database))
    assert facts.rows("Zweite Ebene", "Größe") == 90
    assert facts.rows("Zweite Ebene", "one") == 60
    assert facts.rows("public", "nowhere") is None
    assert facts.column("public", "nowhere", "id") is None
