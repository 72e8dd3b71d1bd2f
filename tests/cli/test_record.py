"""`phasegate record`: sessions that ask the API what the browser asked it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from phasegate.api import running_api
from phasegate.api.settings import SIGN_IN_PASSWORD
from phasegate.project import VARIABLE
from phasegate.record.har import read_har
from phasegate.record.select import select
from phasegate.record.template import taken_apart
from phasegate.record.weights import form_of_request, form_of_statement
from phasegate.seeding import seed_database
from phasegate.stack.database import apply_sql, fetch

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_name("visit_app.mjs")
JWT_SECRET = "a-secret-of-the-tests-that-is-32-bytes-long"  # noqa: S105 - opens nothing

# Versions that were tried; npm keeps them in its own cache.
PACKAGES = ("@supabase/supabase-js@2.109.0", "playwright-core@1.65.1")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CLICKS = [
    "signIn",
    "openList",
    "openOne",
    "older",
    "stats",
    "create",
    "complete",
    "openList",
    "remove",
]
THINK_MS = 650

USERS = 200
# Whose list fills the page, as the recorded user's does.
ROWS_MIN = 12
OFF_MAX = 0.02

SENTINELS = ("Winterbottom", "winter@bottom", SIGN_IN_PASSWORD, "eyJ")


@dataclass(frozen=True)
class App:
    """The task app, seeded and served."""

    dsn: str
    url: str
    key: str
    users: tuple[str, ...]


@pytest.fixture
def app(database: str) -> Iterator[App]:
    apply_sql(database, "supabase")
    seed_database(database, users=USERS, seed=1, jobs=1)
    apply_sql(database, ROOT / "seed" / "functions.sql")
    fetch(database, "create extension if not exists pg_stat_statements")
    found = fetch(
        database, f"select user_id from tasks group by 1 having count(*) >= {ROWS_MIN} order by 1"
    )
    with running_api(database, jwt_secret=JWT_SECRET, pool_size=4) as api:
        yield App(database, api.url, api.anon_key, tuple(str(row[0]) for row in found))


@pytest.fixture
def recording(app: App, tmp_path: Path) -> Path:
    """The HAR of a visit to a page with supabase-js, as Playwright records it."""
    chromium = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if chromium is None or shutil.which("npm") is None:
        pytest.skip("no Chromium or no npm: apt-get install chromium npm enables this test")
    modules = tmp_path / "npm"
    modules.mkdir()
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", modules, *PACKAGES],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    options = {
        "modules": str(modules / "node_modules"), "chromium": chromium, "api": app.url,
        "key": app.key, "email": f"{app.users[0]}@phasegate.local", "password": SIGN_IN_PASSWORD,
        "har": str(tmp_path / "app.har"), "clicks": CLICKS, "think_ms": THINK_MS,
    }  # fmt: skip
    done = subprocess.run(
        ["node", PAGE, json.dumps(options)],
        check=False, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tmp_path / "app.har"


def drive(app: App, project: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Open arrivals of the recorded visit, for four seconds."""
    (out / "users.txt").write_text("\n".join(app.users), encoding="utf-8")
    return subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(project / "loadtests" / "locustfile.py")),
            *("--headless", "--host", app.url, "--arrival-rate", "10", "--stage-duration", "4"),
            *("--think-time-scale", "0.02", "--users-file", str(out / "users.txt")),
            *("--out", str(out), "--stage-name", "recorded"),
        ],
        env={**os.environ, "SUPABASE_ANON_KEY": app.key, "SUPABASE_JWT_SECRET": JWT_SECRET,
             VARIABLE: str(project)},
        check=False, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_server_counts_what_the_browser_sent(
    phasegate: CommandLine, app: App, recording: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    for name in ("seed", "benchmarks"):
        shutil.copytree(ROOT / name, project / name)
    shutil.copy(ROOT / "phasegate.toml", project)
    done = phasegate("record", recording, "--project", project)
    assert done.returncode == 0, done.stderr
    assert re.search(r"5 × GET /rest/v1/tasks\?id=eq\.\{id\} in one click .*N\+1", done.stdout)
    text = (project / "loadtests" / "locustfile.py").read_text(encoding="utf-8")
    assert not [secret for secret in SENTINELS if secret in text + done.stdout]

    fetch(app.dsn, "select pg_stat_statements_reset()")
    driven = drive(app, project, tmp_path)
    assert driven.returncode in (0, 3), driven.stderr  # 3 on a machine that is busy otherwise
    requests = select(read_har(recording).exchanges, None).exchanges
    recorded = Counter(form_of_request(taken_apart(exchange)) for exchange in requests)
    counted: Counter[object] = Counter()
    for row in fetch(app.dsn, "select query, calls from pg_stat_statements where toplevel"):
        form = form_of_statement(row["query"])
        if form in recorded and not _takes_back(row["query"]):
            counted[form] += row["calls"]
    sessions = counted.total() / recorded.total()
    assert sessions > 20
    assert set(counted) == set(recorded)
    for form, times in recorded.items():
        assert counted[form] == pytest.approx(times * sessions, rel=OFF_MAX), form

    weighed = phasegate(
        *("record", recording, "--project", project, "--weights-from", app.dsn),
        *("--output", tmp_path / "weighed.py"),
    )
    assert weighed.returncode == 0, weighed.stderr
    assert "weights: 100% of" in weighed.stdout


def _takes_back(statement: str) -> bool:
    """Whether it is the removal of what sessions created, after the load: it returns no row."""
    return statement.lower().startswith("with pgrst_source as (delete") and (
        'returning "pgrst_target"' not in statement.lower()
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A recording of one request."""
    entry = {
        "startedDateTime": "2026-11-27T09:30:00Z", "time": 5,
        "request": {"method": "GET", "url": "https://api.example/notes"},
        "response": {"status": 200, "content": {"mimeType": "application/json", "text": "[]"}},
    }  # fmt: skip
    path = tmp_path / "x.har"
    path.write_text(json.dumps({"log": {"entries": [entry]}}), encoding="utf-8")
    return path


NOTES_SQL = """
create table public.profiles (id uuid primary key, name text not null);
create table public.notes (
    id uuid primary key, user_id uuid not null references public.profiles (id), title text not null
);
"""


def test_a_new_project_has_the_recorded_sessions(
    phasegate: CommandLine, small: Path, tmp_path: Path
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "20260101000000_notes.sql").write_text(NOTES_SQL, encoding="utf-8")
    done = phasegate(
        *("init", tmp_path / "made", "--migrations", tmp_path / "migrations", "--har", small)
    )
    assert done.returncode == 0, done.stderr
    assert "sessions from 1 recorded request to https://api.example" in done.stdout
    assert "open notes" in (tmp_path / "made" / "loadtests" / "locustfile.py").read_text("utf-8")


def test_a_locustfile_that_was_edited_stays_and_the_difference_is_shown(
    phasegate: CommandLine, small: Path, tmp_path: Path
) -> None:
    before = (ROOT / "loadtests" / "locustfile.py").read_bytes()
    refused = phasegate("record", small)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert '+        with self.click("open notes"):' in refused.stdout
    assert (ROOT / "loadtests" / "locustfile.py").read_bytes() == before
    other = tmp_path / "recorded.py"
    assert phasegate("record", small, "--output", other).returncode == 0
    assert "open notes" in other.read_text(encoding="utf-8")


def test_a_file_that_is_no_recording_is_one_line(phasegate: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "no.har").write_text("<html>", encoding="utf-8")
    done = phasegate("record", tmp_path / "no.har", "--output", tmp_path / "out.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "it is no HAR" in done.stderr
