"""One project with a fault of each kind: proposed, measured on a real server, kept, applied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruments.planted_faults import KINDS, Planted, generate
from phasegate import seeding
from phasegate.advise import candidates
from phasegate.advise.candidate import keep
from phasegate.advise.measure import measure
from phasegate.advise.run import AdvicePlan, advise
from phasegate.advise.schema import read_schema
from phasegate.advise.statements import read_statements
from phasegate.advise.world import prepare
from phasegate.cli.drive_matrix import find_least
from phasegate.cli.least_candidates import Candidates
from phasegate.cli.main import phasegate
from phasegate.compare.run import PLUGIN
from phasegate.load.capacity_matrix import Driver, MatrixPlan, Standing
from phasegate.load.stage_result import Driven
from phasegate.model.errors import Refused
from phasegate.project import VARIABLE, Project, load_project, read_techniques
from phasegate.records.advice import AdviceRecord
from phasegate.stack.database import connected, run
from phasegate.stack.levels import apply_parts, present_parts
from phasegate.stack.postgres import PostgresServer
from tests.load.test_stage_result import QUICK_US, SLOW_US, stage

pytestmark = [pytest.mark.integration, pytest.mark.alone]  # judges times

USERS, SEED = 250, 5
INDEX = "idx_visits_person_id_happened_at_id"


@dataclass(frozen=True)
class Advised:
    """What was found, and where."""

    project: Project
    planted: tuple[Planted, ...]
    record: AdviceRecord
    dsn: str
    out: Path
    log: Path

    def of(self, kind: str) -> dict[str, str]:
        """Ids and advice of the findings of a kind."""
        return {each.id: each.advice for each in self.record.findings if each.kind == kind}


@pytest.fixture(scope="module")
def advised(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Advised]:
    root = tmp_path_factory.mktemp("planted")
    out = tmp_path_factory.mktemp("advice")
    planted = generate(root, 3, KINDS, items_mean=40, news_rows=20_000)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, str(root))
        project = load_project(root)
        dsn, _ = seeding.ensure_dataset(postgres, users=USERS, seed=SEED)
        plan = AdvicePlan(project, 1, SEED, budget_s=5.0, watch_s=2.5)
        record = advise(plan, postgres, {USERS: dsn}, out)
        yield Advised(project, planted, record, dsn, out, postgres.log)


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_of_each_kind_is_proposed_and_measured(advised: Advised, kind: str) -> None:
    table = next(each.table for each in advised.planted if each.kind == kind)
    found = [f for f in advised.record.findings if (f.kind, f.table) == (kind, table)]
    assert found
    assert [(f.id, f.reason) for f in found if f.advice == "not measured"] == []
    assert all(f.sizes[0].users == USERS for f in found)


def test_the_lacking_index_helps_and_the_useless_ones_can_go(advised: Advised) -> None:
    helps = {"needed", "not needed yet", "covered"}
    lacking = [id_ for id_ in advised.of("index") if id_.startswith("idx_visits")]
    assert lacking
    assert {advised.of("index")[id_] for id_ in lacking} <= helps
    assert set(advised.of("unused index").values()) == {"can be dropped"}
    assert set(advised.of("duplicate index").values()) == {"can be dropped"}
    for id_ in (*advised.of("unused index"), *advised.of("duplicate index")):
        (found,) = [each for each in advised.record.findings if each.id == id_]
        assert [cost.name for cost in found.costs] == ["index size"]
        assert found.costs[0].value > 0
        techniques = read_techniques(advised.out / "candidates")
        here = replace(advised.project, techniques={id_: techniques[id_]})
        assert present_parts(advised.dsn, here) == frozenset()
        apply_parts(advised.dsn, [id_], here)
        assert present_parts(advised.dsn, here) == {id_}, "the index is gone"
        apply_parts(advised.dsn, [], here)
        assert present_parts(advised.dsn, here) == frozenset(), "and there again"


def test_an_index_that_row_security_keeps_from_use_comes_out_as_no_help(advised: Advised) -> None:
    found = next(f for f in advised.record.findings if f.id == "idx_news_headline_gin")
    assert found.advice in ("no difference", "cannot tell", "harmful")
    assert "not leakproof" in found.note


def test_nothing_of_it_stays_in_the_database_nor_a_token_in_the_log(advised: Advised) -> None:
    assert present_parts(advised.dsn, advised.project) == frozenset()
    assert "Bearer" not in advised.log.read_text(encoding="utf-8", errors="replace")


def test_the_simplest_stack_is_found_among_candidates_where_the_project_has_no_technique(
    advised: Advised, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holds if the index is there: the answer of the load is the test's, all else is real."""
    with_index: list[bool] = []
    extended = Candidates.of_run(advised.project, {}, advised.out)
    index = next(id_ for id_ in extended.proposed if id_.startswith("idx_visits"))

    def cell(self: Driver, standing: Standing, *asked: object) -> Driven:
        del self, asked
        assert standing.target.url
        there = index in present_parts(advised.dsn, extended.project)
        with_index.append(there)
        return Driven(stage(QUICK_US if there else SLOW_US), None)

    monkeypatch.setattr(Driver, "cell", cell)
    only = replace(extended, proposed={index: extended.proposed[index]})
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        Path(name).chmod(0o755)
        plan = MatrixPlan(levels=(), sizes=(USERS,), seed=SEED, run_dir=advised.out)
        record = find_least(
            postgres, {USERS: advised.dsn}, plan, only, folder=Path(name) / "parts", trials_max=4
        )
    (found,) = record.stacks
    assert found.outcome == "holds"
    ((part, without),) = [(each.part, each.without) for each in found.needed]
    assert part == index
    assert found.needed[0].proposed.startswith(
        "index visits (person_id, happened_at desc, id desc)"
    )
    assert without is not None
    assert without.verdict == "FAIL"
    assert with_index == [False, True]
    assert present_parts(advised.dsn, extended.project) == frozenset(), "it was taken away again"
    # Nothing was kept in the project: its migration is printed all the same.
    results = advised.project.root / "results"
    results.mkdir(exist_ok=True)
    (results / "a-run").symlink_to(advised.out)
    printed = CliRunner().invoke(phasegate, ["sql", index])
    assert f"create index concurrently {index}" in printed.output
    (results / "a-run").unlink()


async def _counted(dsn: str, items: str, *, emptied: bool = False) -> list[tuple[object, ...]]:
    """What some users and a stranger are told of their items, where none is left if `emptied`."""
    stranger = "00000000-0000-0000-0000-000000000000"
    async with connected(dsn) as connection:
        transaction = connection.transaction()
        await transaction.start()
        people = await connection.fetch("select id::text from accounts order by id limit 5")
        if emptied:
            await connection.execute(f"delete from {items}")
        await connection.execute("set local role authenticated")
        told = []
        for person in (*(row["id"] for row in people), stranger):
            claims = json.dumps({"sub": person})
            await connection.execute("select set_config('request.jwt.claims', $1, true)", claims)
            told.append(tuple(await connection.fetchrow(f"select * from my_{items}()")))
        await transaction.rollback()
        return told


def test_a_view_filled_ahead_answers_in_the_place_of_the_function_that_counted(
    advised: Advised,
) -> None:
    (found,) = [each for each in advised.record.findings if each.kind == "live aggregate"]
    view, folders = found.id, read_techniques(advised.out / "candidates")
    assert not folders[view].client, "no client need know of it"
    techniques = {**advised.project.techniques, view: folders[view]}
    extended = Candidates(replace(advised.project, techniques=techniques), {}, {view: found})
    assert extended.stack_of([view]) == {view, "refresh"}, "and what keeps it up to date"
    items = next(p.table for p in advised.planted if p.kind == "live aggregate").split(".")[1]
    live = run(_counted(advised.dsn, items))
    assert live[0][0]
    assert live[-1] == (0, None)
    apply_parts(advised.dsn, [view], extended.project)
    assert run(_counted(advised.dsn, items, emptied=True)) == live, "read from the view"
    apply_parts(advised.dsn, [], extended.project)
    assert run(_counted(advised.dsn, items)) == live
    assert run(_counted(advised.dsn, items, emptied=True)) == [(0, None)] * len(live)
    assert present_parts(advised.dsn, extended.project) == frozenset()


def test_what_is_kept_is_a_technique_that_can_be_printed_applied_and_undone(
    advised: Advised,
) -> None:
    id_, folder = INDEX, advised.out / "candidates" / INDEX
    command = ["advise", "--results", str(advised.out.parent), "--keep"]
    unknown = CliRunner().invoke(phasegate, [*command, "no_such"])
    assert f"There is no candidate 'no_such' in {advised.out}" in str(unknown.exception)
    kept = CliRunner().invoke(phasegate, [*command, id_])
    assert f"Its migration: phasegate sql {id_}" in kept.output
    with pytest.raises(Refused, match="is there already"):
        keep(folder, advised.project.benchmarks)
    (rewritten,) = advised.of("N+1")
    keep(advised.out / "candidates" / rewritten, advised.project.benchmarks)
    printed = CliRunner().invoke(phasegate, ["sql", id_])
    assert printed.exit_code == 0, printed.output
    assert "create index concurrently" in printed.output
    assert "lock_timeout" in printed.output

    measured = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", "-q", "-p", PLUGIN,
         "--import-mode=importlib", "-c", os.devnull, "--rootdir=.",
         "--benchmark-disable", "-k", f"{rewritten} or {id_}"],
        cwd=advised.project.root, env={**os.environ, "DATABASE_URL": advised.dsn},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "4 passed" in measured.stdout, measured.stdout

    project = load_project(advised.project.root)
    apply_parts(advised.dsn, [id_], project)
    assert present_parts(advised.dsn, project) == {id_}
    apply_parts(advised.dsn, [], project)
    assert present_parts(advised.dsn, project) == frozenset()


def test_of_another_s_database_texts_are_enough_and_no_value_is_read(advised: Advised) -> None:
    statements = read_statements(advised.dsn)
    assert any("visits" in seen.text for seen in statements)
    assert all(seen.values == () for seen in statements)
    types = prepare(advised.dsn, [seen.text for seen in statements if seen.top])
    found = candidates(advised.project, read_schema(advised.dsn), statements, types)
    (lacking,) = [each for each in found if each.id == INDEX]
    assert "tablesample" in lacking.files["draw.sql"]  # keys are drawn from the table
    assert "'20'::text" in lacking.files["draw.sql"]  # a limit that nobody saw is a page
    # A constant of another's statement is a parameter; what stands for it must be of its type.
    done = measure(
        advised.project, 1, [lacking], {USERS: advised.dsn},
        folder=advised.out / "foreign", seed=SEED, budget_s=0.5,
    )  # fmt: skip
    assert done.skipped == {}
