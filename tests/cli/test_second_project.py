"""`phasegate run --quick --project examples/helpdesk`: a project unlike the task app has a page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.least import LeastRecord
from phasegate.records.load import LoadRecord
from phasegate.records.run import RunRecord

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]
HELPDESK = ROOT / "examples" / "helpdesk"
USERS = "300"

READS = {"sign in", "open inbox", "open ticket", "search"}
WRITES = {"open new ticket", "comment", "solve ticket"}

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def run(phasegate: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    results = tmp_path_factory.mktemp("results")
    done = phasegate(
        *("run", "--quick", "--users", USERS, "--results", results, "--project", HELPDESK),
        *("--budget", "8"),
    )
    assert done.returncode == 0, done.stderr
    (folder,) = results.iterdir()
    return folder


def test_every_level_is_driven_by_both_kinds_of_session_and_no_click_fails(run: Path) -> None:
    loads = [store.read(path, LoadRecord) for path in sorted((run / "load").glob("*.json"))]
    assert {load.level for load in loads} == {1, 2}
    for load in loads:
        clicks = {click.name: click for click in load.actions}
        assert set(clicks) == READS | WRITES
        assert not any(click.failures for click in clicks.values())


def test_every_technique_is_compared(run: Path) -> None:
    record = store.read(run / "bench" / f"{USERS}.json", BenchmarkRecord)
    assert not record.skipped
    assert {found.technique for found in record.comparisons} == set(
        load_project(HELPDESK).techniques
    )
    assert record.self_check is not None


def test_the_simplest_stack_is_searched_under_load(run: Path) -> None:
    (stack,) = store.read(run / "least.json", LeastRecord).stacks
    assert stack.trials[0].parts == (), "the search begins with nothing added"
    assert {needed.part for needed in stack.needed} <= load_project(HELPDESK).parts_of(2)
    for needed in stack.needed if stack.outcome == "holds" else ():
        assert needed.without is None or needed.without.verdict != "PASS"
    assert all(trial.probe.clicks for trial in stack.trials)


def test_the_run_tells_what_each_level_had(run: Path) -> None:
    record = store.read(run / "run.json", RunRecord)
    assert record.outcome == "complete"
    has = {level: {part.name for part in parts} for level, parts in record.levels.items()}
    assert not has[1] & {"membership_once", "inbox_index", "ticket_search", "pooler"}
    assert has[2] >= {"membership_once", "inbox_index", "ticket_search", "pooler"}


def test_the_page_speaks_of_the_helpdesk_and_not_of_the_task_app(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "The helpdesk" in page
    assert "Covering index of the inbox" in page
    task_app = load_project(ROOT)
    own = {*task_app.techniques, *task_app.client_parts} - {"join", "cache", "replica", "embedded"}
    words = {*own, "open list", "open project", "activity_logs", "tasks", task_app.about.title}
    assert not [word for word in words if re.search(rf"\b{re.escape(word)}\b", page)]
    assert ",," not in re.sub(r"<[^>]*>", "", page)
