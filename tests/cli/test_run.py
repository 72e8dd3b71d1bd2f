"""`phasegate run` as a whole: finished, and interrupted in every stage."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from phasegate.cli import pipeline
from phasegate.model.errors import CannotMeasure
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.matrix import MatrixRecord
from phasegate.records.run import RunRecord
from phasegate.stack.pgbouncer_install import find_pgbouncer

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]

USERS = "120"
ROOT = Path(__file__).parents[2]
# A stage of seconds sees enough clicks, and no objective that a busy machine misses: no cell is
# driven again.
SHORT_STAGES = """
[run]
quick_cell_s = 2.0
quick_benchmark_budget_s = 6.0
quick_advise_budget_s = 1.0
[workload]
sessions_per_day = 10_000.0
[slo]
request_latency_ms_p95 = 10_000.0
"""
# Of a project that passes through every stage quickly: its only level's, and the replica's.
TECHNIQUES = ("idx_tasks_user_created", "rls_uid", "heavy_work", "replica")
STAGES = (
    "seed 120 users",
    "load: the phase matrix",
    "findings: candidates",
    "load: the simplest stack that holds",
    "benchmarks",
    "benchmarks: on a replica",
)


def task_app(folder: Path, settings: str, techniques: Sequence[str] | None = None) -> Path:
    """The task app with other settings; with `techniques`, of level 1 and these alone."""
    toml = (ROOT / "phasegate.toml").read_text(encoding="utf-8")
    for name in ("seed", "loadtests", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name)
    if techniques is not None:
        toml = re.sub(r'(?s)\[\[levels]]\ntitle = "(?!as shipped).*?(?=\n\[)', "", toml)
        for path in (folder / "benchmarks").glob("*/technique.toml"):
            if path.parent.name not in techniques:
                shutil.rmtree(path.parent)
        for path in (folder / "benchmarks").glob("bench_*.py"):
            path.unlink()
    (folder / "phasegate.toml").write_text(toml + settings, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A small run, carried out once for all tests that look at one; PGOPTIONS turns off a kind of
    scan that no statement here uses."""
    project = task_app(tmp_path_factory.mktemp("task-app"), SHORT_STAGES)
    results = project / "results"
    command = [sys.executable, "-m", "phasegate", "run", "--quick", "--users", USERS]
    done = subprocess.run(
        [*command, "--project", str(project)],
        check=False,
        capture_output=True,
        text=True,
        env={**environment, "PGOPTIONS": "-c enable_tidscan=off"},
    )
    assert done.returncode == 0, done.stderr
    return results, done


def test_a_run_ends_with_five_lines_and_the_path_of_its_page(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    results, done = finished
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 6
    assert Path(lines[-1]).name == "report.html"
    assert Path(lines[-1]).stat().st_size > 10_000
    assert len(list(results.iterdir())) == 1, "a hidden partial folder was left"
    assert 'id="findings"' in Path(lines[-1]).read_text(encoding="utf-8")


def test_a_runs_record_tells_every_stage_and_its_cost(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    (folder,) = finished[0].iterdir()
    record = store.read(folder / "run.json", RunRecord)
    assert record.outcome == "complete"
    assert record.users == int(USERS)
    done = [stage for stage in record.stages if stage.outcome == "done"]
    assert {stage.name for stage in done} == set(STAGES)
    assert all(stage.wall_s > 0 for stage in done)
    assert all((stage.memory_bytes_max or 0) > 10_000_000 for stage in done)


def test_planner_settings_are_told_and_recorded_where_they_held(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    results, done = finished
    assert done.stderr.count("Planner setting enable_tidscan = off") == 1
    (folder,) = results.iterdir()
    parts = store.read(folder / "run.json", RunRecord).levels[3]
    missing = {part.name for part in parts if part.outcome == "skipped"}
    assert missing == (set() if find_pgbouncer() else {"pgbouncer"})
    server = store.read(folder / "run.json", RunRecord).server
    assert server is not None
    # The API's driver does not read PGOPTIONS; the benchmarks' libpq does.
    assert {one.name for one in server.planner_settings or ()} == {"jit", "random_page_cost"}
    bench = store.read(folder / "bench" / f"{USERS}.json", BenchmarkRecord)
    assert "enable_tidscan" in {one.name for one in bench.planner_settings or ()}
    # Nor do they get through a pooler, whose arm would be planned unlike the other.
    assert {one.technique: one.then for one in bench.skipped}["pooled"] == "Leave them out"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Planner setting enable_tidscan = off" in page


def test_the_replica_is_compared_with_its_primary_in_a_session_of_its_own(
    finished: tuple[Path, subprocess.CompletedProcess[str]], cache: Path
) -> None:
    (folder,) = finished[0].iterdir()
    record = store.read(folder / "bench" / f"{USERS}.json", BenchmarkRecord)
    found = {each.technique: each for each in record.comparisons}
    assert len(found["replica"].before.block_ns) >= 6
    assert any("session of its own" in note for note in found["replica"].notes)
    assert "replica" not in {each.technique for each in record.skipped}
    assert record.self_check is not None  # the first session's is kept
    assert not list(cache.glob("**/replica"))


def test_a_report_can_be_drawn_again_from_the_files_alone(
    phasegate: CommandLine, finished: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    (folder,) = finished[0].iterdir()
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    done = phasegate("report", folder, "--project", folder.parents[1])
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").read_bytes() == before


def _children_in_the_middle_of_a_stage(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until the run has started something, then a moment longer; what runs by then."""
    deadline = time.monotonic() + 30
    while not psutil.Process(process.pid).children() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.7)
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("stage", range(len(STAGES)), ids=STAGES)
def test_ctrl_c_in_any_stage_stops_everything_and_says_so_once(
    environment: dict[str, str], cache: Path, tmp_path: Path, stage: int
) -> None:
    project = task_app(tmp_path, SHORT_STAGES, TECHNIQUES)
    results = tmp_path / "results"
    command = [sys.executable, "-m", "phasegate", "run", "--quick", "--users", USERS, "--fresh"]
    process = subprocess.Popen(
        [*command, "--project", str(project)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert process.stderr is not None
    for _ in range(stage):
        assert process.stderr.readline().strip()
    started = _children_in_the_middle_of_a_stage(process)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    said = process.stderr.read().strip().splitlines()
    assert process.wait(timeout=60) == 2, said
    assert [line.startswith("phasegate: Interrupted") for line in said if ": " in line][-1:] == [
        True
    ]
    assert len([line for line in said if line.startswith("phasegate: ")]) == 1
    assert not [line for line in said if "Traceback" in line]
    _gone, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    assert not list(cache.glob("**/postmaster.pid")), "a server was left running"
    finished = results.iterdir() if results.exists() else ()
    assert not [path for path in finished if not path.name.startswith(".")]


def test_a_run_in_which_no_cell_was_driven_ends_as_not_measured(tmp_path: Path) -> None:
    published = ROOT / "results" / "published" / "matrix.json"
    record = store.read(published, MatrixRecord)
    store.write(tmp_path / "matrix.json", record)
    pipeline.conclude(tmp_path)
    why = "level 1 with 120 users: INVALID before any load: open list gives 404."
    store.write(
        tmp_path / "matrix.json",
        msgspec.structs.replace(record, cells=(), searched=(), breakpoints=(), not_measured=(why,)),
    )
    with pytest.raises(CannotMeasure, match="No load was driven: level 1") as caught:
        pipeline.conclude(tmp_path)
    assert str(tmp_path) in caught.value.untouched
