"""`phasegate size` as a user meets it, with a size really in force, and after a run was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest
from click.testing import CliRunner

from phasegate.cli.main import phasegate
from phasegate.load import capacity_matrix
from phasegate.model import catalogue
from phasegate.model.errors import CannotMeasure, DoesNotHold
from phasegate.project import VARIABLE
from phasegate.records.sizes import SizesRecord
from phasegate.stack.binaries import programs, server_version
from phasegate.stack.control_group_files import Place, limited_cores, limited_memory, places
from phasegate.stack.control_groups import PREFIX, make_group
from phasegate.stack.processes import noted_pid

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
MEDIUM = next(size for size in catalogue.load().compute if size.name == "medium")
USERS = 120

# So busy a few users that a cell of 1.5 s has enough sessions at their own peak, of so little each
# that Medium's processor has enough for them.
BUSY = """
[workload]
daily_active_share = 1.0
sessions_per_day = 1500.0
[run]
cell_s = 1.5
"""
SESSIONS = """
from locust import task
from phasegate.load import Rows, TEXT, USUALLY, SessionUser

class Reader(SessionUser):
    @task
    def read(self):
        for _ in range(5):
            with self.click("open", shows=USUALLY):
                self.client.get(
                    f"/rest/v1/projects?select=name&user_id=eq.{self.user.id}&limit=1",
                    name="projects",
                    expects=Rows({"name": TEXT}),
                )
"""
ASKED = ("size", "--users", str(USERS), "--level", "2", "--sizes", "medium", "--json")


@dataclass(frozen=True)
class Home:
    """A cache folder, and a copy of the task app with few, busy users."""

    cache: Path
    environment: dict[str, str]

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "phasegate", *ASKED], env=self.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def server(self) -> int | None:
        """Process id of the PostgreSQL in the cache folder."""
        found = [noted_pid(path) for path in self.cache.glob("cluster-*/data")]
        return found[0] if found else None

    def groups(self) -> dict[Path, Place]:
        """Folders of the control groups that are named after that server."""
        return {
            folder: Place(place.version, folder, folder)
            for place in places().values()
            for parent in {place.own, place.top}
            for folder in parent.glob(f"{PREFIX}{self.server}-*")
        }


@pytest.fixture(scope="module")
def home(environment: dict[str, str]) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the server runs as another user
        project, cache = folder / "project", folder / "cache"
        for part in ("seed", "benchmarks"):
            shutil.copytree(ROOT / part, project / part)
        (project / "loadtests").mkdir()
        (project / "loadtests" / "locustfile.py").write_text(SESSIONS)
        (project / "phasegate.toml").write_text((ROOT / "phasegate.toml").read_text() + BUSY)
        own = {VARIABLE: str(project), "PHASEGATE_CACHE_DIR": str(cache)}
        yield Home(cache, {**environment, **own})
    programs.cache_clear()  # they were unpacked into that cache folder
    server_version.cache_clear()


@pytest.fixture(scope="module")
def rights() -> None:
    tried = make_group(os.getpid())
    missing = dict(tried.missing)
    tried.close()
    if missing:
        pytest.skip(f"no control group can be made here: {missing}")


def _until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.02)


@pytest.mark.usefixtures("rights")
def test_what_a_killed_search_left_behind_is_cleared_away_by_the_next_which_answers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = home.start()
    try:
        _until(lambda: home.server and _cores(home) == MEDIUM.cores * MEDIUM.cpu_baseline_share,
               "the size's processor in force")  # fmt: skip
        assert 4 << 30 in {limited_memory(each) for each in home.groups().values()}
        family = psutil.Process(killed.pid).children(recursive=True)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    left = home.groups()
    assert left

    for name, value in home.environment.items():
        monkeypatch.setenv(name, value)
    # A warm-up of two seconds is for figures.
    quick = partial(capacity_matrix.run_stage, warm_up_s=0.2)
    monkeypatch.setattr(capacity_matrix, "run_stage", quick)
    done = CliRunner().invoke(phasegate, ASKED)
    assert not any(folder.exists() for folder in left)
    assert not home.groups()
    assert home.server is None
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive, "they end by themselves when the caller is killed"

    if done.exception:  # other tests had the machine
        assert isinstance(done.exception, CannotMeasure | DoesNotHold), done.exception
    (answer,) = msgspec.json.decode(done.stdout, type=SizesRecord).answers
    assert answer.not_in_force == ()
    assert [(each.size, each.mode, each.cache) for each in answer.drives[:2]] == [
        ("medium", "sustained", "cold"),
        ("medium", "sustained", "warm"),
    ]
    assert all(each.clicks for each in answer.drives)
    if done.exception is None:
        assert answer.sustained == answer.burst == "medium"


def _cores(home: Home) -> float | None:
    """That the server's group may use at the moment."""
    found = [limited_cores(each) for each in home.groups().values()]
    return next((cores for cores in found if cores is not None), None)
