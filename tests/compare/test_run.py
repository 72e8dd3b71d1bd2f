"""`run_benchmarks` and `pytest benchmarks`, each as a user starts it, on a small population."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from phasegate.compare.run import run_benchmarks
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.stack.database import execute, fetch
from phasegate.stack.levels import current_level

REPOSITORY = Path(__file__).parents[2]
USERS = 300


def by_hand(dsn: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pytest benchmarks` with these arguments."""
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    if dsn is not None:
        environment["DATABASE_URL"] = dsn
    return subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment,
    )


def fetched(dsn: str, query: str) -> Any:
    """One value."""
    return fetch(dsn, query)[0][0]


CONTENTS = """
select jsonb_build_array(
    (select jsonb_agg(jsonb_build_array(relname, relkind) order by relname, relnamespace)
     from pg_class where relnamespace in ('public'::regnamespace, 'phasegate'::regnamespace)),
    (select md5(string_agg(t::text, '' order by id)) from tasks as t),
    (select md5(string_agg(t::text, '' order by id)) from activity_logs as t))::text
"""


def test_a_run_leaves_a_record_and_pytest_benchmarks_json_and_the_data_as_it_was(
    populated: str, tmp_path: Path
) -> None:
    contents = fetched(populated, CONTENTS)
    seen: list[str] = []
    (record,) = run_benchmarks(
        {USERS: populated},
        seed_sha256={USERS: "feed"},
        seed=1,
        out=tmp_path,
        budget_s=3,
        on_progress=seen.append,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{USERS}.json",
        f"{USERS}.pytest-benchmark.json",
    ]
    assert store.read(tmp_path / f"{USERS}.json", BenchmarkRecord) == record
    measured = {comparison.technique: comparison for comparison in record.comparisons}
    assert {"join", "idx_tasks_user_created", "logs_window", "user_stats"} <= set(measured)
    assert len(measured["join"].before.block_ns) == len(measured["join"].after.block_ns) >= 6
    assert measured["join"].before.statements > measured["join"].after.statements == 4
    assert any("join" in line for line in seen)
    costs = {name: {cost.name for cost in found.costs} for name, found in measured.items()}
    assert costs["idx_tasks_user_created"] == {"index size", "insert"}
    assert {"refresh", "refresh concurrently", "bloat", "staleness"} <= costs["user_stats"]
    assert all(cost.value >= 0 for found in record.comparisons for cost in found.costs)
    assert record.self_check is not None
    assert record.self_check.same.before.sql == record.self_check.same.after.sql
    assert record.self_check.pairs >= 300
    assert record.self_check.false_alarms <= 6

    replayed = json.loads((tmp_path / f"{USERS}.pytest-benchmark.json").read_text())["benchmarks"]
    join = next(each for each in replayed if each["name"] == "test_join[after]")
    assert join["group"] == "join"
    assert join["stats"]["data"] == [ns / 1e9 for ns in measured["join"].after.call_ns]
    assert "Scan" in join["extra_info"]["plan"]
    assert fetched(populated, CONTENTS) == contents
    assert current_level(populated) == 1


def test_only_the_techniques_that_are_asked_for_are_measured(
    populated: str, tmp_path: Path
) -> None:
    (record,) = run_benchmarks(
        {USERS: populated},
        seed_sha256={USERS: "feed"},
        seed=1,
        out=tmp_path,
        budget_s=3,
        only={USERS: ("user_stats", "join")},
    )
    assert {each.technique for each in record.comparisons} == {"user_stats", "join"}
    assert record.self_check is None
    assert record.skipped == ()


def test_data_other_than_what_was_seeded_is_named_and_nothing_is_saved(
    populated: str, tmp_path: Path
) -> None:
    with pytest.raises(CannotMeasure, match="holds a different data set"):
        run_benchmarks(
            {USERS: populated}, seed_sha256={USERS: "beef"}, seed=1, out=tmp_path, budget_s=3
        )
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_cannot_measure_passes_its_reason_on(database: str, tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="no seeded data"):
        run_benchmarks(
            {USERS: database}, seed_sha256={USERS: "feed"}, seed=1, out=tmp_path, budget_s=3
        )
    assert list(tmp_path.iterdir()) == []


def test_arms_that_answer_differently_end_the_session_and_nothing_is_saved(
    populated: str, tmp_path: Path
) -> None:
    execute(populated, "delete from activity_logs where id % 100 = 0")
    with pytest.raises(CannotMeasure, match=r"logs_\w+: the arms return different rows"):
        run_benchmarks(
            {USERS: populated}, seed_sha256={USERS: "feed"}, seed=1, out=tmp_path, budget_s=3
        )
    assert list(tmp_path.iterdir()) == []
    assert current_level(populated) == 1


def test_a_statement_that_fails_ends_the_session_and_nothing_is_saved(
    populated: str, tmp_path: Path
) -> None:
    execute(populated, "alter table activity_logs_partitioned rename action to deed")
    with pytest.raises(CannotMeasure, match=r"the statement of arm '.*' fails: column"):
        run_benchmarks(
            {USERS: populated}, seed_sha256={USERS: "feed"}, seed=1, out=tmp_path, budget_s=3
        )
    assert list(tmp_path.iterdir()) == []
    assert current_level(populated) == 1
    assert fetched(populated, "select to_regclass('phasegate.benchmark_session')::text") is None


INTERRUPTED = """
import os, sys
from pathlib import Path
from phasegate.compare.run import run_benchmarks
run_benchmarks({300: os.environ["DSN"]}, seed_sha256={300: "feed"}, seed=1, out=Path(sys.argv[1]),
               budget_s=60, on_progress=lambda line: print(line, flush=True))
"""


def test_an_interrupt_leaves_no_process_no_file_and_the_database_as_it_was(
    populated: str, tmp_path: Path
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "DSN": populated},
    )
    assert run.stdout is not None
    assert "self_check" in run.stdout.readline()
    started = psutil.Process(run.pid).children(recursive=True)
    assert started
    run.send_signal(signal.SIGINT)
    assert run.wait(30) != 0
    run.stdout.close()
    _, alive = psutil.wait_procs(started, timeout=5)
    assert not alive
    assert list(tmp_path.iterdir()) == []
    assert current_level(populated) == 1


@pytest.mark.integration
def test_a_budget_too_small_to_say_anything_is_refused_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="too small to measure"):
        run_benchmarks({USERS: "unused"}, seed_sha256={}, seed=1, out=tmp_path, budget_s=0.5)


def test_by_hand_keywords_select_and_disabling_makes_it_short(populated: str) -> None:
    done = by_hand(populated, "-k", "user_stats_one", "--benchmark-disable")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert "deselected" in done.stdout


def test_by_hand_a_saved_run_is_compared_with_as_with_any_pytest_benchmark(
    populated: str, tmp_path: Path
) -> None:
    storage = f"--benchmark-storage={tmp_path}"
    common = ("-k", "user_stats_one", "--budget=1", storage)
    assert by_hand(populated, *common, "--benchmark-save=first").returncode == 0
    done = by_hand(populated, *common, "--benchmark-compare=0001")
    assert done.returncode == 0, done.stdout
    assert "(0001_first)" in done.stdout
    assert "(NOW)" in done.stdout


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "set DATABASE_URL"),
        (("--users", "1000"), "holds 300 users, and 1,000 were asked for"),
        (("--budget", "0"), "budget of 0 s is too small"),
    ],
)
def test_by_hand_what_is_missing_is_one_clear_line(
    request: pytest.FixtureRequest, arguments: tuple[str, ...], words: str
) -> None:
    dsn = request.getfixturevalue("populated") if arguments else None
    done = by_hand(dsn, *arguments)
    assert done.returncode == 2
    assert words in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
