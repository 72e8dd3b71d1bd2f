"""Which measured candidates the search for the simplest stack may add, and which first. Pure."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from phasegate.cli.least_candidates import Candidates
from phasegate.load.stage_result import Driven
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.advice import AdviceRecord, AtSize, Finding
from phasegate.records.sampler import Statement
from tests.load.test_stage_result import SLOW_US, sampled, stage

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TECHNIQUE = 'title = "An index"\ncost = "disk"\n'
REFRESH = '[refresh]\nview = "private.counts"\nevery_s = 3600.0\n'


def finding(id_: str, **more: object) -> Finding:
    plain: dict[str, object] = {
        "id": id_, "kind": "index", "table": "public.tasks", "title": f"Title of {id_}",
        "why": "seen", "advice": "needed", "calls_per_session": 2.0,
        "statement": "select 1 from public.tasks where state = $1",
        "sizes": (AtSize(users=1000, ratio=0.1, low=0.1, high=0.1, before_ms_p95=20.0,
                         after_ms_p95=2.0),),
    }  # fmt: skip
    return Finding(**{**plain, **more})  # type: ignore[arg-type]


UNSURE = (AtSize(users=1000, ratio=0.9, low=0.7, high=1.2, before_ms_p95=20.0, after_ms_p95=18.0),)


def advised(folder: Path, *findings: Finding, client: bool = False) -> Candidates:
    for each in findings:
        own = folder / "candidates" / each.id
        own.mkdir(parents=True)
        refresh = REFRESH if each.kind == "live aggregate" else ""
        (own / "technique.toml").write_text(TECHNIQUE + refresh, encoding="utf-8")
        for name in ("migration.sql", "undo.sql", "present.sql", *(["client.sql"] * client)):
            (own / name).write_text("select 1\n", encoding="utf-8")
    record = AdviceRecord(
        format_version=1, started_at="", seed=1, sizes=(1000,), level=1, seen_on="our copy",
        statements=1, unread=0, sessions=1, findings=findings,
    )  # fmt: skip
    store.write(folder / "advice.json", record)
    return Candidates.of_run(load_project(ROOT), {}, folder)


def failing_on(statement: str) -> Driven:
    """A stage that missed its objective while the database was busy with one statement."""
    use = Statement(
        query_id="1", sql=statement, calls=100, total_ms=9_000.0, mean_ms=90.0, rows=100,
        blocks_hit=1, blocks_read=0, temp_blocks_written=0,
    )  # fmt: skip
    return Driven(stage(SLOW_US), msgspec.structs.replace(sampled(0.9, 0.9), statements=(use,)))


BUSY_WITH_TASKS = "select * from public.tasks where state = $1"


def test_a_candidate_of_the_busiest_statement_comes_before_the_parts_of_levels(
    tmp_path: Path,
) -> None:
    found = advised(tmp_path, finding("idx_tasks_state"))
    assert found.names[-1] == "idx_tasks_state"
    first = found.promising(found.names, failing_on(BUSY_WITH_TASKS), 100_000)[0]
    assert first == "idx_tasks_state"
    assert "idx_tasks_state" in found.stack_of([first])
    assert found.project.migration_of(first) == "select 1\n"


def test_one_that_can_wait_is_tried_where_its_own_table_keeps_the_database_busy(
    tmp_path: Path,
) -> None:
    found = advised(tmp_path, finding("later", advice="not needed yet"), finding("now"))
    elsewhere = failing_on("select 1 from public.projects")
    assert "later" in found.promising(found.names, failing_on(BUSY_WITH_TASKS), 100_000)
    assert "later" not in found.promising(found.names, elsewhere, 100_000)
    assert "now" in found.promising(found.names, elsewhere, 100_000)


def test_a_statement_that_the_sampler_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    found = advised(tmp_path, finding("later", advice="not needed yet"))
    cut = failing_on('select 1 from "public"."tasks" as "tasks" left join lateral (select row_to')
    assert "later" in found.promising(found.names, cut, 100_000)


def test_one_that_helps_is_tried_although_nobody_can_tell_from_how_many_users_on(
    tmp_path: Path,
) -> None:
    found = advised(tmp_path, finding("unsure", advice="cannot tell"))
    assert found.promising(found.names, failing_on(BUSY_WITH_TASKS), 100_000)[0] == "unsure"


def test_what_takes_more_off_a_session_comes_first(tmp_path: Path) -> None:
    found = advised(tmp_path, finding("seldom", calls_per_session=0.1), finding("often"))
    order = found.promising(["seldom", "often"], failing_on(BUSY_WITH_TASKS), 100_000)
    assert order == ["often", "seldom"]


@pytest.mark.parametrize(
    "other",
    [
        {"advice": "harmful"},
        {"advice": "no difference"},
        {"advice": "covered"},
        {"advice": "cannot tell", "sizes": UNSURE},
        {"kind": "unused index", "advice": "can be dropped"},
        {"calls_per_session": 0.0},
    ],
)
def test_what_does_not_help_or_is_the_client_s_is_never_added(
    tmp_path: Path, other: dict[str, object]
) -> None:
    assert advised(tmp_path, finding("other", **other)).proposed == {}


def test_a_view_whose_client_must_ask_for_it_is_not_added(tmp_path: Path) -> None:
    found = advised(tmp_path, finding("counts", kind="live aggregate"), client=True)
    assert found.proposed == {}


@pytest.mark.parametrize("kind", ["live aggregate", "partitions"])
def test_what_must_be_kept_up_to_date_comes_after_an_index_that_saves_as_much(
    tmp_path: Path, kind: str
) -> None:
    found = advised(tmp_path, finding("kept_up", kind=kind), finding("idx_tasks_state"))
    order = found.promising(["kept_up", "idx_tasks_state"], failing_on(BUSY_WITH_TASKS), 100_000)
    assert order == ["idx_tasks_state", "kept_up"]
    assert found.upkeep_of(["kept_up"]) == ({"refresh"} if kind == "live aggregate" else set())


def test_two_statements_of_an_api_are_not_of_one_table_because_of_what_it_calls_its_parts(
    tmp_path: Path,
) -> None:
    api = (
        "with pgrst_source as (select * from public.{}) select 1 from (select * from pgrst_source)"
    )
    function = finding("counts", statement=api.format("counted()"), calls_per_session=0.1)
    other = finding("idx", statement=api.format("tasks"), calls_per_session=9.0)
    found = advised(tmp_path, function, other)
    order = found.promising(["counts", "idx"], failing_on(api.format("counted()")), 100_000)
    assert order == ["counts", "idx"]
    cut = failing_on(api.format("counted()") + " as x (")
    assert found.promising(["counts", "idx"], cut, 100_000) == ["counts", "idx"]


def test_a_run_without_advice_has_the_parts_of_its_levels_alone(tmp_path: Path) -> None:
    found = Candidates.of_run(load_project(ROOT), {}, tmp_path)
    assert found.proposed == {}
    assert "idx_tasks_user_created" in found.names
