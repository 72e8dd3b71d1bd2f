"""A night as a whole, on a real server and a repository made from this checkout."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from phasegate.cli import nightly as room
from phasegate.model.catalogue import load
from phasegate.model.errors import CannotMeasure, DoesNotHold, Refused, UsageError
from phasegate.nightly import machine_noise as circumstances
from phasegate.nightly import measure
from phasegate.nightly import worktrees as trees
from phasegate.nightly.measure import NO_BASELINE, NOTHING_DIFFERS, NightlyPlan, measure_on
from phasegate.nightly.paired_runs import Rig, sitting
from phasegate.records import history
from phasegate.seeding import ensure_dataset
from phasegate.stack.binaries import programs
from phasegate.stack.database import fetch
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = {"sql": 1, "api": 1}
USERS = 500

# What the second commit does: one statement waits, and every request sends one more.
STATEMENT = Path("benchmarks/keyset/after.sql")
EXCHANGE = "            rows = await connection.exchange(sent, cache_size=cache_size)\n"
ONE_MORE = '            await connection.exchange([("select 1", ())], cache_size=cache_size)\n'


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit(root: Path, tag: str) -> None:
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", tag)
    _git(root, "tag", tag)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def repository() -> Iterator[Path]:
    """The files of this checkout in three commits: `pinned`, `foreign` and a slower HEAD."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        root = Path(folder) / "repository"
        names = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "*.py", "*.sql", "*.toml"],
            check=True, capture_output=True, text=True,
        ).stdout.split("\n")  # fmt: skip
        for name in [*names, "requirements.lock", ".gitignore"]:
            if name and (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, root / name)
        _git(root, "init", "-q", "-b", "main")
        _commit(root, "pinned")
        _replace(root / "phasegate/stack/remote_measure.py", "PROTOCOL = 1\n", "PROTOCOL = 99\n")
        _commit(root, "foreign")
        _replace(root / "phasegate/stack/remote_measure.py", "PROTOCOL = 99\n", "PROTOCOL = 1\n")
        text = (root / STATEMENT).read_text(encoding="utf-8")
        assert "where id > $1" in text
        slower = text.replace(
            "where id > $1", "where id > $1 and (select pg_sleep(0.003)) is not null"
        )
        (root / STATEMENT).write_text(slower, encoding="utf-8")
        _replace(root / "phasegate/api/database.py", EXCHANGE, EXCHANGE + ONE_MORE)
        _commit(root, "slower")
        yield root


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    """A cache folder with the data set, once it is seeded, for all nights."""
    programs()  # kept where the other tests have them: this folder goes before the session's end
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        path = Path(folder)
        path.chmod(0o755)  # as root, the server runs as another user
        yield path


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Nights are short, and count however busy the machine that runs the tests is."""
    monkeypatch.setenv("PHASEGATE_CACHE_DIR", str(cache))
    monkeypatch.setattr(circumstances, "BUSY_SHARE_MAX", 1.0)
    monkeypatch.setattr(circumstances, "STEAL_SHARE_MAX", 1.0)
    monkeypatch.setattr(circumstances, "POWER_MIN", 0.0)
    monkeypatch.setattr(measure, "SECOND_ROUNDS", 1)


def _plan(repository: Path, baseline: str, *only: str, budget_s: float = 1.0) -> NightlyPlan:
    return NightlyPlan(
        baseline=baseline,
        users=USERS,
        seed=1,
        budget_s=budget_s,
        only=only,
        root=repository,
        rounds=ROUNDS,
    )


def _left_behind(repository: Path) -> list[str]:
    """Worktrees but the first, and databases of a night."""

    with running_postgres(cluster_dir()) as server:
        names = [row["datname"] for row in fetch(server.dsn(), "select datname from pg_database")]
    worktrees = _git(repository, "worktree", "list").splitlines()[1:]
    return worktrees + [name for name in names if "night" in name]


@pytest.mark.integration
@pytest.mark.usefixtures("quiet")
def test_what_became_slower_is_found_and_nothing_else(repository: Path, tmp_path: Path) -> None:
    plan = _plan(repository, "pinned", "sql/keyset", budget_s=5.0)
    record, summary = room.night(plan, load(), tmp_path / "history")
    assert "keyset" in summary.read_text(encoding="utf-8")
    assert history.read(tmp_path / "history").nights == (record,)
    assert record.baseline_commit == _git(repository, "rev-parse", "pinned")
    assert record.commits[0].endswith("slower")
    assert [each.id for each in record.series] == ["sql/keyset/before", "sql/keyset/after"]
    found = record.series[1]
    assert found.ratios is not None
    assert found.confirmation is not None
    assert found.ratios.estimate > 2
    slower = [each.series for each in record.findings if each.kind == "slower"]
    assert slower == ["sql/keyset/after"]
    assert record.circumstances is not None
    assert record.circumstances.same
    with pytest.raises(DoesNotHold, match="sql/keyset/after"):
        room.conclude(record)
    assert _left_behind(repository) == []


@pytest.mark.usefixtures("quiet")
def test_a_statement_more_per_request_shows_in_what_the_server_did(
    postgres: PostgresServer, repository: Path, tmp_path: Path
) -> None:
    ensure_dataset(postgres, users=USERS, seed=1)
    rig = Rig(postgres, USERS, 1)
    pinned = trees.commit_of(repository, "pinned")
    with (
        trees.checked_out(repository, pinned, tmp_path) as other,
        sitting(rig, "api", (trees.Tree.of(repository), other)) as both,
    ):
        found = {
            series: both.measure(series, 0.2, half_width=1.0)
            for series in ("api/project", "api/task-create", "api/health")
        }
    more = {}
    for series, one in found.items():
        assert one.logs, one.note
        assert one.head is not None
        assert one.baseline is not None
        more[series] = one.head.statements - one.baseline.statements
    assert more == {"api/project": 1, "api/task-create": 2, "api/health": 0}  # requests to the base


@pytest.mark.usefixtures("quiet")
def test_where_nothing_differs_only_head_is_held_against_itself(
    postgres: PostgresServer, repository: Path
) -> None:
    record = measure_on(postgres, _plan(repository, "slower", "api/"), load())
    assert {each.note for each in record.series} == {NOTHING_DIFFERS}
    assert record.circumstances is not None
    assert record.circumstances.pairs > 0
    room.conclude(record)  # raises nothing: exit code 0


@pytest.mark.usefixtures("quiet")
def test_planner_settings_of_the_environment_are_in_the_nights_notes_and_record(
    postgres: PostgresServer, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c enable_tidscan=off")
    record = measure_on(postgres, _plan(repository, "slower", "api/health"), load())
    assert record.server is not None
    assert "enable_tidscan" in {one.name for one in record.server.planner_settings or ()}
    (said,) = [note for note in record.notes if "enable_tidscan" in note]
    assert "PGOPTIONS" in said


@pytest.mark.usefixtures("quiet")
def test_a_night_without_a_baseline_is_recorded_and_says_why(
    postgres: PostgresServer, repository: Path
) -> None:
    record = measure_on(postgres, _plan(repository, "foreign", "api/health"), load())
    assert record.baseline_commit is None
    assert "protocol 99" in " ".join(record.notes)
    assert [each.note for each in record.series] == [NO_BASELINE]
    assert record.circumstances is not None
    assert record.circumstances.same
    with pytest.raises(CannotMeasure, match="could not be compared with"):
        room.conclude(record)


@pytest.mark.usefixtures("quiet")
def test_an_unknown_baseline_is_no_reason_to_accept_a_pattern_that_matches_nothing(
    postgres: PostgresServer, repository: Path
) -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match="'api/nothing'"):
        measure_on(postgres, _plan(repository, "v9", "api/nothing"), load(), said.append)
    assert "git fetch origin v9" in " ".join(said)


@pytest.mark.usefixtures("quiet")
def test_a_second_nightly_at_the_same_time_is_refused_and_names_the_first(
    repository: Path, tmp_path: Path, cache: Path
) -> None:
    with (cache / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("`phasegate nightly` (process 4711)")
        held.flush()
        with pytest.raises(Refused, match="process 4711"):
            room.night(_plan(repository, "pinned"), load(), tmp_path)


@pytest.mark.integration
@pytest.mark.usefixtures("quiet")
def test_an_interrupted_night_leaves_no_process_no_worktree_and_no_database(
    repository: Path, tmp_path: Path
) -> None:
    night = subprocess.Popen(
        [
            *(sys.executable, "-m", "phasegate", "nightly", "--baseline", "pinned"),
            *("--users", str(USERS), "--seed", "1", "--budget", "60", "--only", "sql/join"),
            *("--history", str(tmp_path / "history")),
        ],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        started = _wait_for_children(night.pid)
        night.send_signal(signal.SIGINT)
        _, said = night.communicate(timeout=60)
    finally:
        night.kill()
    assert night.returncode == 2, said
    assert "Interrupted" in said
    assert not [each for each in started if each.is_running()]
    assert not [*(tmp_path / "history").glob("**/*")]
    assert _left_behind(repository) == []


def _wait_for_children(pid: int) -> list[psutil.Process]:
    """All processes of a night, once both sides measure: HEAD's and the baseline's."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = psutil.Process(pid).children(recursive=True)
        places = set()
        for each in found:
            with suppress(psutil.Error):
                if "phasegate.compare.sql_child" in each.cmdline():
                    places.add(each.cwd())
        if len(places) == 2:
            return found
        time.sleep(0.05)
    raise AssertionError("the night never began to measure")


@pytest.fixture(scope="module")
def theirs() -> Iterator[Path]:
    """Somebody's repository with a project in a folder of it; HEAD's statement is slower."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        root = (Path(folder) / "shop").resolve()
        root.mkdir()
        (root / "README.md").write_text("a shop", encoding="utf-8")
        _git(root, "init", "-q", "-b", "main")
        _commit(root, "nothing")
        shutil.copytree(ROOT / "examples" / "helpdesk", root / "load")
        _commit(root, "pinned")
        _replace(
            root / "load/benchmarks/inbox_index/query.sql",
            "where organisation_id = $1",
            "where (select pg_sleep(0.05)) is not null and organisation_id = $1",
        )
        _commit(root, "slower")
        yield root


@pytest.mark.usefixtures("quiet")
def test_a_project_in_somebody_elses_repository_is_compared_by_the_installed_engine(
    postgres: PostgresServer, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASEGATE_PROJECT", str(theirs / "load"))
    assert trees.repository_of(theirs / "load") == theirs
    plan = _plan(theirs, "pinned", "sql/inbox_index/before", budget_s=3.0)
    record = measure_on(postgres, plan, load())
    assert record.baseline_commit == _git(theirs, "rev-parse", "pinned"), record.notes
    assert record.commits[0].endswith("slower")
    assert record.files_changed == {"load/benchmarks": 1}
    (series,) = record.series
    assert series.ratios is not None, series.note
    assert series.ratios.estimate > 1.2
    assert len(_git(theirs, "worktree", "list").splitlines()) == 1
    with pytest.raises(trees.NoBaseline, match=r"has no load/phasegate\.toml yet"):
        trees.commit_of(theirs, "nothing")


@pytest.mark.usefixtures("quiet")
def test_an_api_of_their_own_is_started_from_both_commits_compared_and_ended(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = (tmp_path / "notebook").resolve()
    shutil.copytree(ROOT / "tests" / "cli" / "own_api", root / "load")
    toml = root / "load" / "phasegate.toml"
    _replace(toml, "python3 server.py", f"sh -c '{sys.executable} server.py'")
    request = '\n[requests.health]\ntitle = "health"\npath = "/health"\n'
    toml.write_text(toml.read_text(encoding="utf-8") + request, encoding="utf-8")
    (root / "load" / "benchmarks").mkdir()
    draw = "select id as sub from public.members order by md5(id::text || $1) limit $2::int"
    (root / "load" / "benchmarks" / "draw.sql").write_text(f"-- Members.\n{draw}\n")
    _git(root, "init", "-q", "-b", "main")
    _commit(root, "pinned")
    _replace(
        root / "load" / "server.py",
        'if self.path == "/health":\n',
        'if self.path == "/health":\n            __import__("time").sleep(0.005)\n',
    )
    _commit(root, "slower")
    monkeypatch.setenv("PHASEGATE_PROJECT", str(root / "load"))
    record = measure_on(postgres, _plan(root, "pinned", "api", budget_s=2.0), load())
    assert record.baseline_commit is not None, record.notes
    (series,) = record.series
    assert series.ratios is not None, series.note
    assert series.ratios.estimate > 1.3
    assert series.head is not None
    assert series.head.statements == 1
    left = [one for one in psutil.process_iter(["cwd"]) if str(root) in (one.info["cwd"] or "")]
    assert left == []
