"""Weights of visits from the statements that a database counted."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.record import record
from phasegate.record.har import read_har
from phasegate.record.template import taken_apart
from phasegate.record.weights import (
    Form,
    form_of_request,
    form_of_statement,
    weights,
    weights_of_database,
)

if TYPE_CHECKING:
    from tests.record.conftest import Har

# As PostgREST 13 writes them, shortened; and as an ORM does.
LIST = (
    'WITH pgrst_source AS ( SELECT "public"."notes".*, row_to_json("notes_authors_1".*)::jsonb AS '
    '"authors" FROM "public"."notes" LEFT JOIN LATERAL ( SELECT "authors_1"."name" FROM '
    '"public"."authors" AS "authors_1" WHERE "authors_1"."id" = "public"."notes"."author_id" ) AS '
    '"notes_authors_1" ON $2 WHERE "public"."notes"."user_id" = $1 ORDER BY "created_at" DESC '
    'LIMIT $3 OFFSET $4 ) SELECT $5::bigint AS total_result_set FROM (SELECT * FROM pgrst_source)'
)  # fmt: skip
INSERT = 'WITH pgrst_source AS (INSERT INTO "public"."notes"("title") SELECT "title" FROM body)'
CALL = 'WITH pgrst_source AS (SELECT "c".* FROM "public"."count_notes"("of" := $1) "c") SELECT 1'


@pytest.mark.parametrize(
    ("statement", "form"),
    [
        (LIST, Form("select", "note", frozenset({"user_id"}), frozenset({"author"}))),
        (INSERT, Form("insert", "note", frozenset(), frozenset())),
        (CALL, Form("call", "count_note", frozenset(), frozenset())),
        (
            'SELECT "t0"."id" FROM "public"."notes" AS t0 WHERE "t0"."id"=$1 AND t0.gone IS NULL',
            Form("select", "note", frozenset({"id", "gone"}), frozenset()),
        ),
        (
            "select * from notes where id = any($1::uuid[]) and owner in ($2)",
            Form("select", "note", frozenset({"id", "owner"}), frozenset()),
        ),
        (
            "update notes set title = $1 where id = $2",
            Form("update", "note", frozenset({"id", "title"}), frozenset()),
        ),
        ("select set_config($1, $2, true)", None),
        ("begin", None),
        ("select 1 from pg_class where oid = $1", None),
    ],
)  # fmt: skip
def test_a_statement_has_a_form(statement: str, form: Form | None) -> None:
    assert form_of_statement(statement) == form


@pytest.mark.parametrize(
    ("method", "url", "form"),
    [
        ("GET", "/rest/v1/notes?select=*,authors(name)&user_id=eq.7&order=created_at.desc&limit=5",
         Form("select", "note", frozenset({"user_id"}), frozenset({"author"}))),
        ("GET", "/rest/v1/notes?or=(a.eq.1,b.is.null)&limit=5",
         Form("select", "note", frozenset({"a", "b"}), frozenset())),
        ("DELETE", "/api/notes/17", Form("delete", "note", frozenset({"id"}), frozenset())),
    ],
)  # fmt: skip
def test_a_request_has_the_form_of_its_statement(
    har: type[Har], tmp_path: Path, method: str, url: str, form: Form
) -> None:
    recording = har()
    recording.add(method, url, [], at=0)
    (exchange,) = read_har(recording.write(tmp_path)).exchanges
    assert form_of_request(taken_apart(exchange)) == form


def three_visits(har: type[Har], folder: Path) -> list[Path]:
    """One lists notes; one lists notes, then opens one; one writes."""
    paths = []
    for number in range(3):
        recording = har()
        if number < 2:
            recording.add("GET", f"/rest/v1/notes?user_id=eq.{har.me}", har.notes, at=0)
        if number == 1:
            recording.add("GET", f"/rest/v1/notes?id=eq.{har.notes[0]['id']}", [], at=5)
        if number == 2:
            recording.add("POST", "/rest/v1/notes", at=5, sent={"status": "open"}, status=201)
        paths.append(recording.write(folder, f"{'abc'[number]}{number}.har"))
    return paths


def test_weights_are_those_that_explain_the_counts(har: type[Har], tmp_path: Path) -> None:
    # 100 lists of which 30 go on to a note, and 20 that only write: 70, 30 and 20 visits of 120.
    statements = [
        ("select * from notes where user_id = $1 order by x limit $2", 100),
        ("select * from notes where id = $1", 30),
        ("insert into notes (status) values ($1)", 20),
        ("select * from elsewhere where id = $1", 50),
    ]
    found = record(three_visits(har, tmp_path), weigh=lambda visits: weights(visits, statements))
    assert re.findall(r"@task\((\d+)\)", found.text) == ["58", "25", "17"]
    assert "weights: 75% of 200 counted calls belong to recorded requests" in found.remarks


def test_a_database_of_another_app_is_refused(har: type[Har], tmp_path: Path) -> None:
    statements = [("select * from elsewhere where id = $1", 50)]
    with pytest.raises(ConfigurationError, match="no statement of that database"):
        record(three_visits(har, tmp_path), weigh=lambda visits: weights(visits, statements))


@pytest.mark.integration
def test_a_database_without_the_extension_is_one_line(database: str) -> None:
    with pytest.raises(ConfigurationError, match="create extension pg_stat_statements") as refused:
        weights_of_database(database)
    assert "\n" not in str(refused.value)


@pytest.mark.integration
def test_a_databases_own_counts_give_the_weights(
    har: type[Har], database: str, tmp_path: Path
) -> None:
    async def live() -> None:
        connection = await asyncpg.connect(database)
        await connection.execute("create extension pg_stat_statements")
        await connection.execute("create table notes (id int, user_id int, status text)")
        for _ in range(30):
            await connection.fetch("select * from notes where user_id = $1", 1)
        for _ in range(10):
            await connection.execute("insert into notes (status) values ($1)", "open")
        await connection.close()

    asyncio.run(live())
    paths = three_visits(har, tmp_path)
    found = record([paths[0], paths[2]], weigh=weights_of_database(database))
    assert re.findall(r"@task\((\d+)\)", found.text) == ["75", "25"]
