"""Loads that meet no application: found before they begin, or ended, each with its own reason."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phasegate.load.run import run_stage
from phasegate.model.errors import CannotMeasure
from phasegate.model.verdict import code_of
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord

LOCUSTFILE = load_project().locustfile

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.load.conftest import TinyServer

Start = Callable[..., "TinyServer"]

MISSING = '{"code":"PGRST205","message":"Could not find the table \'public.tasks\'"}'


def locust(
    server: TinyServer, *arguments: str, file: Path = LOCUSTFILE, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", str(file), "--headless"]
    command += ["--host", server.url, "--think-time-scale", "0.05", *arguments]
    return subprocess.run(
        command,
        env={**server.environment, **variables},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


OPEN = ("--arrival-rate", "30", "--stage-duration", "3", "--stage-name", "s")
LONG = ("--arrival-rate", "60", "--stage-duration", "40", "--stage-name", "s")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("--status", "404", "--body", MISSING), ("404 PGRST205", "schema", "seed it")),
        (
            ("--status", "406", "--body", '{"code":"PGRST106","message":"Invalid schema: api"}'),
            ("406 PGRST106 Invalid schema", "exposed schemas"),
        ),
        (
            ("--status", "404", "--body", '{"code":"PGRST125","message":"Invalid path"}'),
            ("404 PGRST125", "SUPABASE_URL", "before /rest/v1"),
        ),
        (
            ("--status", "301", "--location", "https://who:s3cr3t@other.example/x?key=s3cr3t"),
            ("301 redirects to https://other.example", "SUPABASE_URL"),
        ),
        (("--status", "308", "--body", ""), ("308 redirects", "SUPABASE_URL")),
        (("--html", "--body", "<!doctype html>"), ("200 a web page instead of JSON", "--host")),
        (("--status", "540"), ("540 as told", "paused")),
        (("--status", "402"), ("402 as told", "quota")),
        (("--status", "429"), ("429 as told", "limits the rate")),
        (("--status", "503", "--body", ""), ("503 no message", "cannot reach it")),
        (("--body", '[{"id":1}]'), ("200 rows without 'project_id'", "another form")),
        (("--body", '{"id":1}'), ("200 an object instead of rows",)),
        (("--body", "7"), ("200 a number instead of rows",)),
        (("--body", "null"), ("200 null instead of rows",)),
        (("--body", '["x"]'), ("200 a text instead of a row",)),
        (("--body", '[{"project_id":{},"projects":null}]'), ("'project_id' is an object",)),
        (("--body", ""), ("200 nothing instead of JSON",)),
        (("--only", "rpc", "--body", "[1,"), ("rpc/user_stats", "200 an answer instead of JSON")),
        (("--only", "rpc", "--status", "404"), ("POST rpc/user_stats", "404 as told")),
        (("--knows-key", "another"), ("401 Invalid API key", "SUPABASE_ANON_KEY")),
    ],
)
def test_what_no_load_explains_ends_a_test_before_its_load(
    told: tuple[str, ...], words: tuple[str, ...], tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server(*told)
    done = locust(server, *OPEN, "--out", str(tmp_path))
    assert done.returncode == 3
    (line,) = (line for line in done.stderr.splitlines() if "ERROR" in line)
    assert "INVALID before any load" in line
    assert all(word in line for word in words), line
    assert "s3cr3t" not in line
    assert "Traceback" not in done.stderr
    assert not server.counted()["requests"]
    assert not list(tmp_path.glob("*.json"))


def test_a_server_that_is_gone_is_named_before_the_load(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    server.process.kill()
    server.process.wait()
    with pytest.raises(CannotMeasure, match=r"gives no answer \(.*refused.*SUPABASE_URL"):
        run_stage(
            server.target, stage="s", project=load_project(), level=2, users=10, seed=1,
            duration_s=1.0, arrival_rate_per_s=5.0, out=tmp_path,
        )  # fmt: skip


# The reference API checks the key as PostgREST does a token: in the same words.
@pytest.mark.parametrize("key", ["no-key", "a.b.c", "sb_publishable_of_another_project"])
def test_a_malformed_key_does_not_blame_the_secret(key: str, tiny_server: Start) -> None:
    server = tiny_server("--knows-key", "the-right-one")
    done = locust(server, *OPEN, SUPABASE_ANON_KEY=key)
    assert done.returncode == 3
    assert "SUPABASE_ANON_KEY" in done.stderr
    assert "SUPABASE_JWT_SECRET" not in done.stderr
    assert key not in done.stderr


def test_a_secret_that_is_not_the_projects_does_not_blame_the_key(tiny_server: Start) -> None:
    server = tiny_server("--trusts", "the-projects-own-secret-is-another-one")
    key = server.environment["SUPABASE_ANON_KEY"]
    other = {"SUPABASE_JWT_SECRET": "not-the-secret-of-any-project-at-all"}
    done = locust(server, *OPEN, **other)
    assert done.returncode == 3
    assert "PGRST301" in done.stderr
    assert key not in done.stderr
    assert other["SUPABASE_JWT_SECRET"] not in done.stderr


@pytest.mark.parametrize(
    ("told", "code", "processes"),
    [
        (("--status", "404"), "refused", 1),
        (("--status", "302"), "refused", 1),
        (("--html", "--body", "<html>"), "answers-html", 1),
        (("--status", "540"), "refused", 1),
        (("--status", "401"), "authorisation", 1),
        (("--status", "429"), "rate-limited", 1),
        (("--body", '{"id":1}'), "answers-unexpected", 1),
        # What workers find, the master hears of.
        (("--status", "404"), "refused", 2),
        (("--body", '{"id":1}'), "answers-unexpected", 2),
    ],
)
def test_refusals_that_begin_under_load_end_it_at_once(
    told: tuple[str, ...], code: str, processes: int, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server(*told, "--after", "100")
    arguments = [*LONG, "--only-summary", "--out", str(tmp_path)]
    if processes > 1:
        arguments += ["--processes", str(processes)]
    began_s = time.monotonic()
    done = locust(server, *arguments)
    assert time.monotonic() - began_s < 30
    assert done.returncode == 3
    assert "nothing can come of it" in done.stderr
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert code in {code_of(reason) for reason in record.invalid}
    # In Locust's own table they are failures too.
    failed = sum(endpoint.failures for endpoint in record.endpoints)
    total = re.findall(r"^ +Aggregated +\d+ +(\d+)\(", done.stderr, re.MULTILINE)[-1]
    assert 0 < int(total) <= failed


def test_a_server_that_answers_nothing_to_every_read_does_not_pass(
    tiny_server: Start, tmp_path: Path
) -> None:
    done = locust(tiny_server("--body", "[]"), *OPEN, "--tags", "read", "--out", str(tmp_path))
    assert done.returncode == 3
    said = store.read(tmp_path / "s.json", LoadRecord).invalid
    # A busy machine may add that its generator was late.
    (reason,) = (one for one in said if code_of(one) == "answers-empty")
    assert "'open list' showed nothing" in reason
    assert "--users-registered" in reason


def test_a_closed_load_that_sees_nothing_is_no_success(tiny_server: Start) -> None:
    done = locust(tiny_server("--body", "[]"), "-u", "4", "-r", "4", "-t", "3s")
    assert done.returncode == 3
    assert "answers-empty: " in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--tags", "reed"), ("--tags", "read", "rite"), ("--tags", "read", "--exclude-tags", "read")],
)
@pytest.mark.parametrize("model", [OPEN, ("-u", "3", "-t", "2s")])
def test_tags_that_leave_no_session_are_refused_in_one_line(
    model: tuple[str, ...], arguments: tuple[str, ...], tiny_server: Start
) -> None:
    server = tiny_server()
    done = locust(server, *model, *arguments)
    assert done.returncode == 2
    (line,) = (line for line in done.stderr.splitlines() if "tags" in line)
    assert "No request was sent" in line
    assert "Traceback" not in done.stderr
    assert not server.counted()["requests"]


def test_an_error_in_a_sessions_code_is_one_line_and_ends_the_test(
    tiny_server: Start, tmp_path: Path
) -> None:
    broken = tmp_path / "locustfile.py"
    broken.write_text(
        LOCUSTFILE.read_text(encoding="utf-8")
        + "\n\ndef wrong(self, page):\n    raise KeyError('colour')\n\n"
        + "AppUser.create_task = wrong\n",
        encoding="utf-8",
    )
    began_s = time.monotonic()
    done = locust(tiny_server(), *LONG, "--out", str(tmp_path), file=broken)
    assert time.monotonic() - began_s < 30
    assert done.returncode == 3
    assert done.stderr.count("A session failed by an error of its code") == 1
    assert "KeyError: 'colour' (locustfile.py:" in done.stderr
    assert "Traceback" not in done.stderr
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert "generator-error" in {code_of(reason) for reason in record.invalid}
