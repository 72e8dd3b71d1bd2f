"""Each class of index is proposed for a statement that asks for it, built, and measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from instruments.planted_faults import generate
from phasegate import seeding
from phasegate.advise import candidates
from phasegate.advise.candidate import Candidate
from phasegate.advise.findings import Seen as Counted
from phasegate.advise.findings import findings
from phasegate.advise.measure import measure
from phasegate.advise.schema import read_schema
from phasegate.advise.statements import Seen
from phasegate.advise.world import prepare
from phasegate.project import VARIABLE, Project, load_project, transactional
from phasegate.records.advice import Finding
from phasegate.stack.database import execute, fetch
from phasegate.stack.postgres import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.alone]  # judges times

USERS, SEED, ROWS = 60, 5, 30_000

# What everybody may read, so that row-level security keeps no index from use.
TABLE = f"""
create extension vector;
create table documents (
    id bigint primary key, tags jsonb not null, labels text[] not null, words tsvector not null,
    title text not null, made_at timestamptz not null, kind int not null, gone_at timestamptz,
    half int not null, place vector(4) not null
);
create table currencies (code text not null, digits int not null);
insert into currencies select 'c' || n, n % 3 from generate_series(1, 20) as n;
insert into documents
select n, jsonb_build_object('k', n % 3000), array['l' || n % 3000],
    to_tsvector('simple', 'w' || n % 3000), md5(n::text),
    '2025-01-01'::timestamptz + n * '10 min'::interval,
    n % 500, case when n % 10 > 0 then '2025-01-01'::timestamptz end,
    n % 2, array[sin(n), cos(n), sin(2 * n), cos(3 * n)]::vector
from generate_series(1, {ROWS}) as n;
grant select on documents, currencies to authenticated;
analyze documents, currencies;

create schema archive;
create table archive.letters (
    id bigint primary key, body text not null, long int generated always as (length(body)) stored,
    sent_at timestamptz not null
);
insert into archive.letters (id, body, sent_at)
select n, md5(n::text), '2025-01-01'::timestamptz + n * '1 day'::interval
from generate_series(1, 300) as n;
create index on archive.letters (long);
grant select on archive.letters to public;
grant insert, update (body) on archive.letters to authenticated;
alter table archive.letters enable row level security;
create policy "all" on archive.letters using (true);
analyze archive.letters;
"""

OF_LETTERS = "select body from archive.letters where sent_at > $1::timestamptz"

LETTERS = """
select
    (select count(*) from archive.letters) as rows,
    (select sum(long) from archive.letters) as sums,
    (
        select array_agg(distinct coalesce(nullif(a.grantee, 0)::regrole::text, 'public')
            || ' ' || a.privilege_type)
        from pg_class, aclexplode(relacl) as a where oid = 'archive.letters'::regclass
    ) as rights,
    (
        select array_agg(policyname || cmd || roles::text || qual)
        from pg_policies where schemaname = 'archive' and tablename = 'letters'
    ) as policies,
    (select array_agg(indkey::text order by indkey::text) from pg_index
     where indrelid = 'archive.letters'::regclass and not indisprimary) as indexes,
    (select relrowsecurity from pg_class where oid = 'archive.letters'::regclass) as guarded
"""
MONTHS = """
select tableoid::regclass::text as name, count(*) as rows from archive.letters group by 1 order by 1
"""

CLASSES = {
    "gin (tags jsonb_path_ops)": ("select id from documents where tags @> $1::jsonb", '{"k": 7}'),
    "gin (labels)": ("select id from documents where labels && $1::text[]", "{l7}"),
    "gin (words)": ("select id from documents where words @@ to_tsquery('simple', $1)", "w7"),
    "gin (title gin_trgm_ops)": ("select id from documents where title like $1", "%abcdef%"),
    "brin (made_at)": (
        "select id from documents where made_at > $1::timestamptz and made_at < $2::timestamptz",
        "2025-01-03", "2025-01-04",
    ),
    "hnsw (place vector_l2_ops)": (
        "select id from documents order by place <-> $1::vector limit 5", "[0.1,0.2,0.3,0.4]",
    ),
    "(kind) where gone_at is null": (
        "select * from documents where kind = $1::int and gone_at is null", "7",
    ),
    "(kind) include (title)": ("select title from documents where kind = $1::int", "7"),
}  # fmt: skip

BY_MONTH = "partition_documents_by_month"

NEXT_MONTHS_ROW = """
insert into documents
select
    -1, tags, labels, words, title, now() + interval '40 days', kind, gone_at, half, place
from documents where id = 1
"""

NEEDLESS = {
    "(half)": ("select count(title) from documents where half = $1::int", "1"),
    "(digits)": ("select code from currencies where digits = $1::int", "1"),
}
"""Half of a table is read anyway; a table of one page is read as fast as an index."""


@dataclass(frozen=True)
class Measured:
    project: Project
    candidates: list[Candidate]
    findings: tuple[Finding, ...]

    def of(self, definition: str) -> Finding:
        """The finding of the index that is defined so."""
        (id_,) = [c.id for c in self.candidates if f"{definition};" in c.files["migration.sql"]]
        return next(each for each in self.findings if each.id == id_)


@pytest.fixture(scope="module")
def measured(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Measured]:
    root = tmp_path_factory.mktemp("classes")
    generate(root, 11, (), items_mean=3, news_rows=50)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, str(root))
        project = load_project(root)
        dsn, _ = seeding.ensure_dataset(postgres, users=USERS, seed=SEED)
        execute(dsn, TABLE)
        asked = [
            Seen(text, 100, 1e3, values=(tuple(sent),))
            for text, *sent in {**CLASSES, **NEEDLESS}.values()
        ]
        types = prepare(dsn, [each.text for each in asked])
        found = [
            each
            for each in candidates(project, read_schema(dsn), asked, types)
            if each.table in ("public.documents", "public.currencies") and not each.drops
        ]
        done = measure(
            project, 1, found, {USERS: dsn},
            folder=tmp_path_factory.mktemp("candidates"), seed=SEED, budget_s=1.0,
        )  # fmt: skip
        made = findings(found, done, Counted(100, 1e6), project.catalogue)
        yield Measured(project, found, made)


def value(dsn: str, query: str) -> object:
    return fetch(dsn, query)[0][0]


@pytest.mark.parametrize("definition", CLASSES)
def test_an_index_of_this_class_is_proposed_built_and_makes_its_statement_faster(
    measured: Measured, definition: str
) -> None:
    found = measured.of(definition)
    assert found.advice in ("needed", "not needed yet", "covered"), (found.advice, found.reason)
    assert found.sizes[0].ratio is not None
    assert found.sizes[0].ratio < 0.9
    assert [cost.name for cost in found.costs] == ["index size"]


def test_a_log_is_partitioned_by_month_on_a_copy_and_nothing_of_it_stays(
    measured: Measured, postgres: PostgresServer
) -> None:
    found = next(each for each in measured.findings if each.id == BY_MONTH)
    assert found.kind == "partitions"
    assert found.sizes, found.reason
    assert found.sizes[0].ratio is not None
    assert found.sizes[0].ratio < 0.9
    assert found.advice == "covered", "an index does as well, and asks for no upkeep"

    dsn = postgres.dsn(f"phasegate_{USERS}")
    (made,) = [each for each in measured.candidates if each.id == BY_MONTH]
    assert "the migration moves none" in made.note
    count = "select count(*) from documents"
    assert value(dsn, "select to_regclass('phasegate_bench.documents')") is None
    rows = value(dsn, count)
    present = made.files["present.sql"]
    assert value(dsn, present) is False
    execute(dsn, transactional(made.files["migration.sql"]))
    execute(dsn, NEXT_MONTHS_ROW)
    assert value(dsn, present) is True
    assert value(dsn, count) == rows + 1
    execute(dsn, transactional(made.files["undo.sql"]))
    assert value(dsn, present) is False
    assert value(dsn, count) == rows + 1


@pytest.mark.parametrize("throughout", [False, True])
def test_a_log_of_any_schema_keeps_its_rows_rights_and_policies_in_months_and_back(
    measured: Measured, postgres: PostgresServer, *, throughout: bool
) -> None:
    """As its migration leaves it, and as a copy of ours has it: as if the months had passed."""
    dsn = postgres.dsn(f"phasegate_{USERS}")
    project, asked = measured.project, [Seen(OF_LETTERS, 100, 1e3)]
    proposed = candidates(project, read_schema(dsn), asked, prepare(dsn, [OF_LETTERS]))
    (made,) = [each for each in proposed if each.kind == "partitions"]
    forward, back = ("throughout", "throughout_undo") if throughout else ("migration", "undo")
    before = fetch(dsn, LETTERS)
    execute(dsn, transactional(made.files[f"{forward}.sql"]))
    assert fetch(dsn, LETTERS) == before
    assert value(dsn, made.files["present.sql"]) is True
    months = dict(fetch(dsn, MONTHS))
    if throughout:
        assert len(months) == 10
        assert months["archive.letters_p2025_02"] == 28
    else:
        assert months == {"archive.letters_before": 300}
    execute(dsn, transactional(made.files[f"{back}.sql"]))
    assert fetch(dsn, LETTERS) == before
    assert dict(fetch(dsn, MONTHS)) == {"archive.letters": 300}


def test_a_table_that_others_hang_on_is_not_proposed_in_months(
    measured: Measured, postgres: PostgresServer
) -> None:
    dsn = postgres.dsn(f"phasegate_{USERS}")
    asked, types = [Seen(OF_LETTERS, 100, 1e3)], prepare(dsn, [OF_LETTERS])
    execute(dsn, "create view archive.bodies as select body from archive.letters")
    found = candidates(measured.project, read_schema(dsn), asked, types)
    execute(dsn, "drop view archive.bodies")
    assert [each.id for each in found if each.kind == "partitions"] == []


@pytest.mark.parametrize("definition", NEEDLESS)
def test_an_index_that_nobody_needs_is_measured_and_comes_out_as_that(
    measured: Measured, definition: str
) -> None:
    found = measured.of(definition)
    assert found.sizes, found.reason
    assert found.advice in ("no difference", "cannot tell", "harmful", "not needed yet")
