"""One project with a fault of each kind: proposed, measured on a real server, kept, applied."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruments.planted_faults import KINDS, Planted, generate
from phasegate import seeding
from phasegate.advise import candidates
from phasegate.advise.candidate import keep
from phasegate.advise.run import AdvicePlan, advise
from phasegate.advise.schema import read_schema
from phasegate.advise.statements import read_statements
from phasegate.advise.world import prepare
from phasegate.cli.main import phasegate
from phasegate.compare.run import PLUGIN
from phasegate.model.errors import Refused
from phasegate.project import VARIABLE, Project, load_project
from phasegate.records.advice import AdviceRecord
from phasegate.stack.levels import apply_parts, present_parts
from phasegate.stack.postgres import PostgresServer

pytestmark = pytest.mark.integration

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


def test_an_index_that_row_security_keeps_from_use_comes_out_as_no_help(advised: Advised) -> None:
    found = next(f for f in advised.record.findings if f.id == "idx_news_headline_gin")
    assert found.advice in ("no difference", "cannot tell", "harmful")
    assert "not leakproof" in found.note


def test_nothing_of_it_stays_in_the_database_nor_a_token_in_the_log(advised: Advised) -> None:
    assert present_parts(advised.dsn, advised.project) == frozenset()
    assert "Bearer" not in advised.log.read_text(encoding="utf-8", errors="replace")


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
