from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import asyncpg
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.model.population import user_id
from phasegate.project import SeedFolder
from phasegate.project.population import RowsFile, VocabularyFile
from phasegate.seeding import describe, seed_database
from phasegate.seeding.build_indexes import key_statements
from phasegate.seeding.copy_encoder import CopyRows
from phasegate.seeding.counts import poisson_quantiles
from phasegate.seeding.entity import CODE_BITS, quotients
from phasegate.seeding.events import Events
from phasegate.seeding.fields import packed, whole_fields
from phasegate.seeding.pg_types import PgType
from phasegate.seeding.population import Population
from phasegate.seeding.streams import Stream
from phasegate.seeding.tables import Tables
from phasegate.seeding.timeline import DAY_MS, HOUR_MS, Moments, Year
from phasegate.seeding.vocabulary import WORDS, _of_faker, words_of

Query = Callable[..., list[asyncpg.Record]]

DECLARED = SeedFolder().population
LOG_TYPES = {
    "id": PgType("int8"),
    "user_id": PgType("uuid"),
    "created_at": PgType("timestamptz"),
    "action": PgType("text"),
}
# The log's rows point to users, whose key is a column like any other.
TYPES = {"activity_logs": LOG_TYPES, "profiles": {"id": PgType("uuid")}}


def population(seed: int, users: int, mean: float | None = None) -> Population:
    """The task app's; `mean`: log rows a user, other than declared."""
    if mean is None:
        return Population(DECLARED, seed, users)
    logs = DECLARED.tables["activity_logs"]
    file = msgspec.structs.replace(logs.file, rows=RowsFile(mean=mean))
    tables = {**DECLARED.tables, logs.name: replace(logs, file=file)}
    return Population(replace(DECLARED, tables=tables), seed, users)


def log_events(of: Population) -> Events:
    """Its log."""
    return Events(of, of.declared.tables["activity_logs"])


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=40), st.text(max_size=9)),
        min_size=1,
        max_size=40,
    )
)
def test_a_block_is_what_copys_format_says_row_by_row(rows: list[tuple[int, str, str]]) -> None:
    # Texts wider than the 14 bytes of the head among them, and empty ones beside them.
    wide, narrow = (whole_fields([row[place] for row in rows]) for place in (1, 2))
    block = CopyRows(64, {"number": ">i8"}, 3)
    for numbers in (np.zeros(len(rows), dtype=np.int64), np.array([row[0] for row in rows])):
        heads = block.begin(len(rows))
        heads["number"] = numbers
        made = block.close((wide.padded, wide.lengths), (narrow.padded, narrow.lengths))
        expected = b"".join(
            struct.pack(">hiq", 3, 8, number) + _field(one) + _field(two)
            for number, (_, one, two) in zip(numbers, rows, strict=True)
        )
        assert made == expected


def test_a_rows_only_piece_may_be_placed_with_its_head() -> None:
    texts = whole_fields(["created", "", "seen"])
    block = CopyRows(64, {"number": ">i8"}, 2, only_piece_bytes=texts.bytes_max)
    for numbers in ([4, 5, 6], [7]):
        heads = block.begin(len(numbers))
        heads["number"] = numbers
        made = block.close((texts.padded[: len(numbers)], texts.lengths[: len(numbers)]))
        assert made == b"".join(
            struct.pack(">hiq", 2, 8, number) + _field(text)
            for number, text in zip(numbers, ("created", "", "seen"), strict=False)
        )


def _field(text: str) -> bytes:
    return struct.pack(">i", len(text.encode())) + text.encode()


@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 2**40)), min_size=1))
def test_quotients_are_those_of_whole_numbers(pairs: list[tuple[int, int]]) -> None:
    # Multiples, and what is one below them, are where floating point would go wrong.
    pairs += [(product * by - 1, by) for product, by in pairs if 0 < product * by < 2**52]
    dividends, divisors = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    assert np.array_equal(quotients(dividends, divisors), dividends // divisors)


def test_a_weeks_moments_are_those_of_the_year() -> None:
    of = population(1, 500, 300.0)
    users, events = of.entity("profiles"), log_events(of)
    for week in (5, 30, 52):
        keys = events.week(week)
        assert keys.size > 100
        since_ms = (keys >> np.uint64(CODE_BITS)).astype(np.int64) + week * 7 * DAY_MS
        moments = users.week_timestamps(keys, week) - of.year.postgres_us
        assert np.array_equal(moments // 1000, since_ms)
        assert np.all(np.diff(moments) >= 0)


def test_moments_follow_their_weights_and_fill_the_span() -> None:
    moments = Moments.of([1, 0.5, 2.5], bin_ms=1000)
    # Every 16-bit bin once, at its start: the exact inverse distribution.
    hashes = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    found = moments.at(hashes)
    assert found[0] == 0
    assert np.all(np.diff(found.astype(np.int64)) >= 0)
    counts = np.bincount((found // np.uint64(1000)).astype(int), minlength=3)
    assert counts / (1 << 16) == pytest.approx([0.25, 0.125, 0.625], abs=1e-4)
    last = moments.at(np.array([2**64 - 1], dtype=np.uint64))
    assert 2990 <= int(last[0]) < 3000


@pytest.mark.parametrize("mean", [0.02, 0.4, 3.0, 60.0, 900.0])
def test_poisson_quantiles_have_the_mean_and_spread_of_their_distribution(mean: float) -> None:
    counts = poisson_quantiles(mean).astype(float)
    assert counts.mean() == pytest.approx(mean, rel=0.02)
    assert counts.var() == pytest.approx(mean, rel=0.03)


def test_events_of_a_week_are_ascending_and_after_their_users_sign_ups() -> None:
    of = population(1, 500, 300.0)
    users, events = of.entity("profiles"), log_events(of)
    total = 0
    for week in range(of.year.weeks):
        keys = events.week(week)
        assert np.all(keys[1:] > keys[:-1])
        since_start = (keys >> np.uint64(CODE_BITS)).astype(np.int64) + week * 7 * DAY_MS
        assert np.all(since_start >= users.created_ms[users.indices(keys)])
        assert np.all(since_start < of.year.end_ms)
        total += keys.size
    assert total == events.per_owner.sum()


def test_two_events_of_a_user_in_one_millisecond_become_one() -> None:
    # So many events that the milliseconds of a week collide.
    crowded = log_events(population(1, 3, 100_000.0))
    keys = np.concatenate([crowded.week(week).copy() for week in range(53)])
    assert keys.size > 50_000
    assert crowded.per_owner.sum() == keys.size


def test_users_are_the_same_whatever_their_number_and_their_codes_are_their_own() -> None:
    small, large = population(3, 100).entity("profiles"), population(3, 70_000).entity("profiles")
    assert small.uuids is not None
    assert large.uuids is not None
    assert bytes(small.uuids[99]) == user_id(3, 99).bytes
    assert np.array_equal(small.uuids, large.uuids[:100])
    assert np.array_equal(small.created_ms, large.created_ms[:100])
    everybody = np.arange(70_000, dtype=np.uint64)
    codes = large.codes(everybody)
    assert np.unique(codes).size == 70_000
    assert np.array_equal(large.indices(codes), everybody.astype(np.intp))


def test_sign_ups_grow_from_month_to_month() -> None:
    of = population(1, 100_000)
    users, year = of.entity("profiles"), of.year
    counts = np.histogram(users.created_ms, [year.ms(month) for month in year.months])[0]
    growth = counts[-1] / counts[0]
    expected = (1 + DECLARED.file.signup_growth_per_month) ** 11
    assert growth == pytest.approx(expected, rel=0.1)
    owned = of.entity("projects").counts
    assert owned is not None
    assert owned.mean() == pytest.approx(2.0, rel=0.01)
    hours = np.bincount(users.created_ms // HOUR_MS % 24, minlength=24)
    assert hours[10] > 5 * hours[3]


def test_the_tables_have_about_the_rows_that_are_declared() -> None:
    of = population(2, 20_000)
    tables = Tables(of, TYPES)
    for name, mean in (("projects", 2.0), ("activity_logs", 50.0)):
        # The mean of 20,000 log-normal activities itself strays by some 2.4%.
        assert tables.count(name) / 20_000 == pytest.approx(mean, rel=0.08)


def test_no_block_crosses_a_month() -> None:
    year = Year(DECLARED.file)
    borders = [year.ms(month) for month in year.months]
    for block in Tables(population(1, 300), TYPES).blocks("activity_logs"):
        at = 0
        for _ in range(block.rows):
            stamp, length = struct.unpack_from(">qi", block.data, at + 38)
            moment_ms = (stamp - year.postgres_us) // 1000
            assert borders[block.month] <= moment_ms < borders[block.month + 1]
            at += 50 + length
        assert at == len(block.data)


def test_words_are_those_of_the_locale_and_the_same_at_every_call() -> None:
    names = VocabularyFile(faker=("last_name",))
    here, there = (words_of(names, locale, "key") for locale in ("en_US", "ja_JP"))
    assert len(here) == len(there) == WORDS
    assert all(name.isascii() for name in here)
    assert not any(name.isascii() for name in there)
    _of_faker.cache_clear()
    assert words_of(names, "ja_JP", "key") == there


@pytest.mark.parametrize("locale", ["de_DE", "fr_FR", "ja_JP", "ar_EG", "th_TH", "en_GB", "pl_PL"])
def test_locales_with_and_without_business_words_have_titles(locale: str) -> None:
    for vocabulary in DECLARED.file.vocabularies.values():
        assert all(words_of(vocabulary, locale, "key"))


def test_a_provider_that_faker_does_not_have_is_named_with_its_key() -> None:
    with pytest.raises(ConfigurationError, match=r"population.toml: vocabularies.x: .*no_such"):
        words_of(VocabularyFile(faker=("no_such",)), "en_US", "vocabularies.x")


def test_profiles_of_several_locales_say_which(database: str, query: Query) -> None:
    seed_database(database, users=200, seed=1, locales=("en_US", "ja_JP"))
    rows = query(
        database,
        "select locale, count(*) as users, bool_or(name ~ '^[ -~]+$') as ascii"
        " from profiles group by 1 order by 1",
    )
    assert [(row["locale"], row["ascii"]) for row in rows] == [("en_US", True), ("ja_JP", False)]
    assert all(70 <= row["users"] <= 130 for row in rows)


def test_packed_texts_come_back_as_they_were() -> None:
    texts = ("a", "", "žluťoučký", "日本")
    assert packed(texts).texts() == texts


def test_every_statement_of_the_keys_is_understood_and_every_column_is_loaded(
    database: str, query: Query
) -> None:
    kept = [statement for table, statement in key_statements(SeedFolder()) if table]
    assert sum("primary key" in statement for statement in kept) == 5
    assert sum("foreign key" in statement for statement in kept) == 5
    seed_database(database, users=5, seed=1)
    for table in DECLARED.tables.values():
        rows = query(
            database,
            "select attname from pg_attribute"
            " where attrelid = $1::text::regclass and attnum > 0 and not attisdropped",
            table.name,
        )
        assert {row["attname"] for row in rows} == set(table.file.columns), table.name


def test_the_description_tells_rows_parameters_and_distributions() -> None:
    told = describe(1000, 1)
    assert "activity_logs_partitioned" in told
    for name in ("signup_growth_per_month", "activity_sigma", "hour_weights", "locales"):
        assert name in told
    for name in (
        "tasks per user",
        "sign-ups by month",
        "tasks by hour of day",
        "completed_at after",
    ):
        assert name in told
    assert "Distributions of the first 1,000 users" in told


def test_the_description_refuses_what_the_seeder_would() -> None:
    with pytest.raises(UsageError):
        describe(0, 1)


def test_the_bytes_do_not_depend_on_what_is_kept_or_sorted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made() -> list[bytes]:
        of = population(7, 2_000)
        logs = b"".join(block.data for block in Tables(of, TYPES).blocks("activity_logs"))
        streams = [Stream(of, of.declared.tables[name]) for name in ("profiles", "projects")]
        kept = [[(rows.slots, month) for rows, month in one.rows()] for one in streams]
        slots = [np.concatenate([slots for slots, _ in one]) for one in kept]
        months = [np.repeat([month for _, month in one], [s.size for s, _ in one]) for one in kept]
        return [logs, *(each.tobytes() for each in (*slots, *months))]

    at_once = made()
    monkeypatch.setattr("phasegate.seeding.entity.SPAN_ROWS", 100)
    monkeypatch.setattr("phasegate.seeding.entity._SAMPLE_ROWS", 50)
    monkeypatch.setattr("phasegate.seeding.population.LARGE", 100)
    assert made() == at_once
