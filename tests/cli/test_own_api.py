"""A project whose API is its own: started on the seeded data, driven, watched and ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest

from phasegate import seeding
from phasegate.cli import drive_matrix
from phasegate.levels.runner import RunningLevel, running_level
from phasegate.load.capacity_matrix import MatrixPlan
from phasegate.load.run import Target, run_stage
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.model.verdict import code_of
from phasegate.project import Project, load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.records.sampler import SamplerRecord
from phasegate.stack.postgres import PostgresServer

pytestmark = pytest.mark.integration

USERS = 150
SERVER = f"{sys.executable} server.py"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        Path(name).chmod(0o755)  # as root, the parts of a level run as another user
        yield Path(name)


@pytest.fixture(scope="module")
def project(folder: Path) -> Project:
    """The notebook, in a folder of its own."""
    shutil.copytree(Path(__file__).with_name("own_api"), folder / "notebook")
    return with_api(load_project(folder / "notebook"), command=SERVER)


@pytest.fixture(scope="module")
def dsn(postgres: PostgresServer, project: Project) -> str:
    return seeding.ensure_dataset(postgres, users=USERS, seed=1, project=project.seed)[0]


def with_api(project: Project, **changes: object) -> Project:
    return replace(project, api=msgspec.structs.replace(project.api, **changes))


@contextmanager
def standing(
    server: PostgresServer, dsn: str, project: Project, folder: Path
) -> Iterator[RunningLevel]:
    with running_level(server, dsn, 1, project=project, folder=folder / "up") as level:
        yield level


def driven(level: RunningLevel, project: Project, out: Path) -> LoadRecord:
    return run_stage(
        Target(level.api.url, level.api.anon_key, level.jwt_secret), stage="s", project=project,
        level=1, users=USERS, seed=1, duration_s=2, arrival_rate_per_s=25, out=out, warm_up_s=0,
    )  # fmt: skip


def spoilt(record: LoadRecord) -> set[str]:
    """What speaks against a stage, other than a busy machine."""
    codes = {code_of(reason) for reason in record.invalid}
    return codes - {"schedule-lag", "generator-cpu", "machine-shared"}


def family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def test_its_sessions_are_driven_and_its_processes_watched(
    postgres: PostgresServer, dsn: str, project: Project, folder: Path
) -> None:
    plan = MatrixPlan(
        levels=(1,), sizes=(USERS,), seed=1, run_dir=folder / "run", cell_s=3.0, probes_max=0
    )
    matrix = drive_matrix.measure(postgres, {USERS: dsn}, plan, project, folder=folder / "up")
    assert matrix.not_measured == ()
    (cell,) = matrix.cells
    record = store.read(folder / "run" / "load" / f"{cell.stage}.json", LoadRecord)
    assert spoilt(record) == set()
    clicks = {one.name: one for one in record.actions}
    assert set(clicks) == {"open notes", "write note"}  # the log-in is no click
    assert not any(one.failures for one in clicks.values())
    assert {one.name for one in record.endpoints} == {"POST /session", "GET notes", "POST /notes"}
    used = store.read(folder / "run" / "sampler" / f"{cell.stage}.json", SamplerRecord)
    watched = [part for sample in used.samples for part in sample.components if part.name == "api"]
    assert max(part.cpu_share for part in watched) > 0
    assert max(part.memory_bytes for part in watched) > 1_000_000


def test_an_api_that_shows_everybodys_rows_gets_no_pass(
    postgres: PostgresServer,
    dsn: str,
    project: Project,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEAKS", "1")
    with standing(postgres, dsn, project, folder) as level:
        record = driven(level, project, folder / "leaks")
    assert spoilt(record) == {"answers-foreign", "answers-same"}
    (reason,) = (one for one in record.invalid if one.startswith("answers-foreign"))
    assert "held rows of another user (GET notes)" in reason


def test_the_whole_process_group_is_ended_and_a_pipe_of_it_too(
    postgres: PostgresServer, dsn: str, project: Project, folder: Path
) -> None:
    wrapped = with_api(project, command=f"sh -c '{SERVER} & {SERVER}X & wait'")
    with standing(postgres, dsn, wrapped, folder) as level:
        started = family(level.pids["api"])
        assert len(started) > 1
        assert "the project's own (sh), straight to PostgreSQL" in level.parts[-1].note
    assert not any(process.is_running() and process.status() != "zombie" for process in started)


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        ("no-such-program --port 1", ConfigurationError, "api.command cannot be started"),
        (
            f"{sys.executable} -c \"import os; raise SystemExit(os.environ['DATABASE_URL'])\"",
            CannotMeasure,
            "api.command ended with status 1 before it was ready: …",
        ),
        (
            f'{sys.executable} -c "import time; print(1, flush=True); time.sleep(60)"',
            CannotMeasure,
            "api.command was not ready within 1 s ([Errno 111] Connection refused): 1",
        ),
    ],
)
def test_what_does_not_start_is_said_in_one_line_with_its_last_words(
    command: str,
    kind: type[Exception],
    words: str,
    postgres: PostgresServer,
    dsn: str,
    project: Project,
    folder: Path,
) -> None:
    broken = with_api(project, command=command, ready_within_s=1.0)
    with pytest.raises(kind) as caught, standing(postgres, dsn, broken, folder):
        pass
    said = str(caught.value)
    assert words in said
    assert dsn not in said
    assert "\n" not in said


def test_it_ends_with_whoever_started_it_however_that_ends(folder: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from phasegate.api.own_command import start_command\n"
        "from phasegate.project import ApiFile\n"
        "serve = f'{sys.executable} -m http.server --bind 127.0.0.1'\n"
        "api = ApiFile(command=f'sh -c \"{serve} $PORT & wait\"')\n"
        "started = start_command(api, root=Path.cwd(), folder=Path.cwd(), dsn='d',"
        " jwt_secret='s' * 32, port=None, outlives_caller=False)\n"
        "print(started.api.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    place = folder / "killed"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, check=False, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    until_s = time.monotonic() + 10
    while group_lives(int(done.stdout)) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not group_lives(int(done.stdout))


def group_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_a_run_that_was_killed_left_behind_is_ended_before_the_next(
    postgres: PostgresServer, dsn: str, project: Project, folder: Path
) -> None:
    with standing(postgres, dsn, project, folder) as level:
        left = psutil.Process(level.pids["api"])
        with standing(postgres, dsn, project, folder) as again:
            assert not left.is_running() or left.status() == "zombie"
            assert again.pids["api"] != left.pid
