"""Every encoder against PostgreSQL: random values by COPY's binary form, read back as text."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from phasegate.project import SeedFolder
from phasegate.project.population_columns import ColumnFile
from phasegate.seeding.column import Place
from phasegate.seeding.copy_encoder import HEADER, TRAILER, CopyRows
from phasegate.seeding.fields import Field
from phasegate.seeding.pg_types import PgType, moments, numbers
from phasegate.seeding.population import Population
from phasegate.seeding.server_forms import POOL, texts_of
from phasegate.seeding.timeline import POSTGRES_EPOCH
from phasegate.stack.postgres import PostgresServer

CLUB = Population(SeedFolder(Path(__file__).with_name("club")).population, 1, 100)

_SECONDS = st.integers(0, 86_399_999_999).map(lambda us: us / 1e6)


def _moment(us: int) -> dt.datetime:
    return POSTGRES_EPOCH + dt.timedelta(microseconds=us)


def _scaled(most: int, decimals: int) -> st.SearchStrategy[float]:
    return st.integers(-(10**most), 10**most).map(lambda number: number / 10**decimals)


def _fixed(decimals: int) -> Callable[[float], Decimal]:
    return lambda value: Decimal(f"{value:.{decimals}f}")


def _length(value: float) -> dt.timedelta:
    return dt.timedelta(microseconds=round(value * 1e6))


# A type, values for its encoder, decimals, and what each is read back as.
NUMBERS: list[tuple[str, st.SearchStrategy[Any], int, Callable[[Any], Any]]] = [
    ("int2", st.integers(-(2**15), 2**15 - 1), 0, int),
    ("int4", st.integers(-(2**31), 2**31 - 1), 0, int),
    ("int8", st.integers(-(2**62), 2**62), 0, int),
    ("oid", st.integers(0, 2**32 - 1), 0, int),
    ("float8", st.floats(allow_nan=False), 0, float),
    ("numeric", _scaled(14, 3), 3, _fixed(3)),
    ("numeric", _scaled(11, 5), 5, _fixed(5)),
    ("money", _scaled(11, 2), 2, _fixed(2)),
    ("interval", _scaled(12, 6), 0, _length),
    ("time", _SECONDS, 0, lambda value: (_moment(0) + _length(value)).time()),
]
CASTS = {"money": "value::numeric"}


async def _round_trip(dsn: str, kind: str, field: Field, count: int) -> list[Any]:
    """The values of `field` after COPY into a column of type `kind`."""
    rows = CopyRows(count, {}, 1)
    rows.begin(count)
    data = rows.close(*field.as_pieces())

    async def source() -> AsyncIterator[bytes | memoryview]:
        for part in (HEADER, data, TRAILER):
            yield part

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            f"create temp table given (place int generated always as identity, value {kind})"
        )
        await connection.copy_to_table("given", columns=["value"], source=source(), format="binary")
        read = CASTS.get(kind, "value")
        return [
            row[0] for row in await connection.fetch(f"select {read} from given order by place")
        ]
    finally:
        await connection.close()


once = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@once
@given(data=st.data())
def test_numbers_arrive_as_they_were_drawn(postgres: PostgresServer, data: st.DataObject) -> None:
    for kind, values, decimals, expected in NUMBERS:
        drawn = data.draw(st.lists(values, min_size=1, max_size=50), label=kind)
        field = numbers(PgType(kind), np.array(drawn), decimals)
        found = asyncio.run(_round_trip(postgres.dsn(), kind, field, len(drawn)))
        assert found == [expected(value) for value in drawn], kind


@once
@given(st.lists(st.integers(-(5 * 10**16), 5 * 10**16), min_size=1, max_size=50))
def test_moments_arrive_as_they_were_drawn(postgres: PostgresServer, drawn: list[int]) -> None:
    us = np.array(drawn, dtype=np.int64)
    for kind, expected in (
        ("timestamptz", lambda value: _moment(value)),
        ("timestamp", lambda value: _moment(value).replace(tzinfo=None)),
        ("date", lambda value: _moment(value // 86_400_000_000 * 86_400_000_000).date()),
    ):
        field = Field(moments(PgType(kind), us))
        found = asyncio.run(_round_trip(postgres.dsn(), kind, field, len(drawn)))
        assert found == [expected(value) for value in drawn], kind


_CLASSES = st.sampled_from(
    ["[A-Z]", "[0-9]", "[a-f0-9_]", r"\d", "x", r"\.", "[^a-z]", "[[:upper:]]", "é"]
)
_COUNTS = st.sampled_from(["", "", "{2}", "{1,3}", "?", "+"])
_PARTS = st.tuples(_CLASSES, _COUNTS).map("".join)
_GROUPS = st.lists(_PARTS, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})")
PATTERNS = st.lists(st.one_of(_PARTS, _GROUPS), min_size=1, max_size=5).map("".join)


@settings(max_examples=60, deadline=None)
@given(PATTERNS)
def test_every_text_of_a_pattern_matches_it(pattern: str) -> None:
    table = CLUB.declared.tables["posts"]
    file = ColumnFile(pattern=pattern)
    texts = list(texts_of(Place(CLUB, table, "x", PgType("text"), file), file))
    wanted = re.compile(pattern.replace("[[:upper:]]", "[A-Z]"), re.ASCII)
    assert len(texts) == POOL
    assert [text for text in texts if not wanted.fullmatch(text)] == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.integers(3, 6))
def test_texts_of_a_unique_pattern_differ(letters: int, digits: int) -> None:
    table = CLUB.declared.tables["countries"]
    file = ColumnFile(pattern=f"[a-z]{{{letters}}}-[0-9]{{3,{digits}}}", unique=True)
    texts = list(texts_of(Place(CLUB, table, "x", PgType("text"), file), file))
    distinct = min(POOL, 26**letters * 10**digits)
    assert len(set(texts)) == distinct
