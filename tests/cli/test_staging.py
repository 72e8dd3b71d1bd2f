"""`phasegate gate --host` on a stack that stands for somebody's staging: real API and Postgres."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from phasegate import report, seeding
from phasegate.api.launch import Api, running_api
from phasegate.load.run import RemoteLimits
from phasegate.records import store
from phasegate.records.advice import AdviceRecord
from phasegate.records.load import LoadRecord
from phasegate.records.target import TargetRecord
from phasegate.stack.database import execute, fetch
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.tokens import mint_key
from tests.metrics_replay import replaying, text

SECRET = "a-secret-of-the-tests-that-is-32-bytes-long"  # noqa: S105 - opens nothing
SEED = 5
USERS = 300

# Phase 2 ends where the data set does, and its users come often enough for a stage of seconds.
ROOT = Path(__file__).parents[2]

CATALOGUE = """
[workload]
sessions_per_day = 2000.0
[usage]
hosting_bytes_per_session = 0.0
[[phases]]
number = 1
name = "first"
users_min = 0
users_max = 100
[[phases]]
number = 2
name = "second"
users_min = 100
users_max = 300
[[phases]]
number = 3
name = "third"
users_min = 300
users_max = 600
"""


@dataclass(frozen=True)
class Staging:
    """A stack that somebody else runs."""

    api: Api
    dsn: str


@pytest.fixture(scope="module")
def staging(postgres: PostgresServer) -> Iterator[Staging]:
    """300 users at stack level 2 behind the reference API; they stay as they are seeded."""
    execute(postgres.dsn(), "create database staging")
    dsn = postgres.dsn("staging")
    seeding.seed_database(dsn, users=USERS, seed=SEED, jobs=1)
    apply_level(dsn, 2)
    with running_api(dsn, jwt_secret=SECRET, level=2) as api:
        yield Staging(api, dsn)


@dataclass(frozen=True)
class Answer:
    code: int
    verdict: dict[str, Any]
    said: str
    folder: Path | None
    """Of the run that was made."""

    def reasons(self, kind: str) -> list[str]:
        return [reason["text"] for reason in self.verdict["reasons"] if reason["kind"] == kind]


@pytest.fixture(scope="module")
def gate(staging: Staging, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Answer]:
    """Runs `phasegate gate --json …` beside a phasegate.toml, with the keys in the environment."""

    def call(*arguments: str | Path, catalogue: str = "", **variables: str) -> Answer:
        place = tmp_path_factory.mktemp("place")
        for folder in ("seed", "loadtests", "benchmarks"):
            shutil.copytree(ROOT / folder, place / folder)
        toml = (ROOT / "phasegate.toml").read_text(encoding="utf-8")
        (place / "phasegate.toml").write_text(toml + CATALOGUE + catalogue, encoding="utf-8")
        environment = {
            **os.environ,
            "SUPABASE_ANON_KEY": staging.api.anon_key,
            "SUPABASE_JWT_SECRET": SECRET,
            **variables,
        }
        command = [sys.executable, "-m", "phasegate", "gate", "--json", "--seed", str(SEED)]
        done = subprocess.run(
            [*command, "--results", str(place / "results"), *map(str, arguments)],
            cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        verdict = json.loads(done.stdout or "{}")
        folder = next(iter((place / "results").glob("2*")), None)
        return Answer(done.returncode, verdict, done.stderr, folder)

    return call


def live(staging: Staging) -> list[str]:
    driven = ["--to", "2", "--host", staging.api.url, "--compute", "small", "--duration", "3"]
    return [*driven, "--no-advise"]


METRICS_KEY = "sb_secret_of_the_tests_0123456789"


@pytest.fixture(scope="module")
def held(gate: Callable[..., Answer], staging: Staging) -> Answer:
    """A staging run that goes well, made once; not to be changed. Its host tells of itself."""
    with replaying(text(0), text(3)) as server:
        asked = [*live(staging), "--metrics-url", server.url]
        found = gate(*asked, DATABASE_URL=staging.dsn, SUPABASE_METRICS_KEY=METRICS_KEY)
    assert server.asked, found.said
    return found


def test_a_host_whose_credits_drain_says_so_beside_the_go(held):
    (drains,) = held.reasons("alert")
    assert "35% busy, small sustains 20%" in drains
    assert any("75% of memory used" in note for note in held.reasons("note"))


def test_a_staging_stack_that_holds_its_peak_on_enough_users_is_a_go(held, gate):
    assert held.verdict["decision"] == "GO", (held.verdict, held.said)
    assert held.code == 0
    assert {path.name for path in held.folder.iterdir()} >= {
        "run.json", "target.json", "load", "sampler", "report.html", "summary.md",
    }  # fmt: skip
    target = store.read(held.folder / "target.json", TargetRecord)
    assert target.database is not None
    assert (target.acting_users, target.acting_users_found) == (100, 100)
    # Judged again from its files alone, it is the same.
    assert gate(held.folder, "--to", "2").verdict == held.verdict


def test_the_level_is_that_of_the_parts_which_the_database_has(held):
    assert held.verdict["level"] == 2
    assert set(held.verdict["found"]) >= {"idx_tasks_user_created", "idx_tasks_project", "rls_uid"}
    assert any(text.startswith("The database has idx_tasks_p") for text in held.reasons("note"))


SMALL_COPY = """
[run]
advise_users_max = 300
advise_budget_s = 2.0
[slo]
statement_latency_ms_p95 = 0.05
"""


def test_candidates_come_from_what_that_database_was_asked_and_are_measured_on_ours(
    gate, staging, cache
):
    execute(staging.dsn, "create extension if not exists pg_stat_statements")
    execute(staging.dsn, "alter index idx_tasks_project rename to tasks_in_a_project")
    execute(staging.dsn, "drop index idx_tasks_user_created")
    execute(staging.dsn, "select pg_stat_statements_reset()")
    asked = [each for each in live(staging) if each != "--no-advise"]
    tables = "select count(*) from pg_class where relkind in ('r', 'i', 'm')"
    before = fetch(staging.dsn, tables)
    try:
        found = gate(
            *asked, catalogue=SMALL_COPY,
            DATABASE_URL=staging.dsn, PHASEGATE_CACHE_DIR=str(cache),
        )  # fmt: skip
        assert fetch(staging.dsn, tables) == before, "it is only read"
    finally:
        execute(staging.dsn, "drop index tasks_in_a_project")
        apply_level(staging.dsn, 2)
    assert found.folder is not None, found.said
    assert found.verdict["found"]["idx_tasks_project"] == "tasks_in_a_project"
    assert "idx_tasks_user_created" not in found.verdict["found"]
    advice = store.read(found.folder / "advice.json", AdviceRecord)
    assert "@127.0.0.1" in advice.seen_on
    lacking = [f for f in advice.findings if f.covered_by == "idx_tasks_user_created"]
    assert [f for f in lacking if f.sizes], [
        (f.id, f.advice, f.reason) for f in advice.findings if f.table == "public.tasks"
    ]
    counts = [f.id for f in advice.findings if f.kind == "exact count"]
    assert "count_profiles" not in counts, "the gate itself counts the users"
    step = found.verdict["next_technique"]
    assert step is not None
    assert step["technique"] not in found.verdict["found"]


def test_a_run_is_judged_by_what_the_own_database_has(phasegate, staging):
    def judged():
        published = ROOT / "results" / "published"
        done = phasegate("gate", published, "--to", "3", "--json", "--database-url", staging.dsn)
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    execute(staging.dsn, "alter index idx_tasks_user_created rename to tasks_of_a_user")
    try:
        has = judged()
        assert has["parts"] == ["idx_tasks_user_created"]
        assert has["found"]["idx_tasks_user_created"] == "tasks_of_a_user"
        assert not any("lacks" in reason["text"] for reason in has["reasons"])
        execute(staging.dsn, "drop index tasks_of_a_user")
        lacks = judged()
    finally:
        execute(staging.dsn, "drop index if exists tasks_of_a_user")
        apply_level(staging.dsn, 2)
    assert lacks["decision"] == "NO-GO"
    assert lacks["reasons"][0]["text"].startswith("The database lacks idx_tasks_user_created; ")
    assert lacks["next_technique"]["technique"] == "idx_tasks_user_created"


def test_a_staging_run_reads_and_keeps_no_secret(held, staging):
    record = store.read(held.folder / "load" / "level-2-300-users.json", LoadRecord)
    assert record.rows_created == 0
    assert {action.name for action in record.actions} <= {"open list", "open project", "read stats"}
    written = b"".join(path.read_bytes() for path in held.folder.rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    assert staging.api.anon_key.encode() not in written
    assert METRICS_KEY.encode() not in written


def test_a_folder_of_load_alone_can_say_no_and_becomes_a_go_with_its_database(
    held, gate, staging, tmp_path
):
    folder = tmp_path / "mine"
    shutil.copytree(held.folder / "load", folder / "load")
    found = gate(folder, "--to", "2")
    assert (found.verdict["decision"], found.code) == ("INVALID", 3)
    assert "neither capacity nor cost is known" in found.reasons("missing")[-1]

    found = gate(folder, "--to", "2", "--compute", "small", DATABASE_URL=staging.dsn)
    assert (found.verdict["decision"], found.code) == ("GO", 0), found.verdict

    (path,) = (folder / "load").glob("*.json")
    record = store.read(path, LoadRecord)
    failed = tuple(
        msgspec.structs.replace(action, failures=action.requests) for action in record.actions
    )
    store.write(path, msgspec.structs.replace(record, actions=failed))
    found = gate(folder, "--to", "2")
    assert (found.verdict["decision"], found.code) == ("NO-GO", 1)


@pytest.mark.alone  # a miss beside other programs is INVALID
def test_a_staging_stack_that_misses_its_objective_is_a_no_go(gate, staging):
    strict = "[slo]\nrequest_latency_ms_p95 = 0.2\n"
    found = gate(*live(staging), catalogue=strict, DATABASE_URL=staging.dsn)
    shared = [why for why in found.reasons("invalid") if "machine-shared" in why]
    if shared:  # what such a miss has to be: nobody knows whose fault it was
        assert (found.verdict["decision"], found.code) == ("INVALID", 3)
        pytest.skip(f"this machine is too busy for a NO-GO: {shared[0]}")
    assert (found.verdict["decision"], found.code) == ("NO-GO", 1)
    assert "Level 2 at 300 users FAILs" in found.reasons("fails")[0]


def test_a_key_that_is_refused_is_invalid_and_no_verdict_on_the_stack(gate, staging):
    other = "another-secret-of-the-tests-that-is-long-enough"
    found = gate(
        *live(staging),
        DATABASE_URL=staging.dsn, SUPABASE_JWT_SECRET=other, SUPABASE_ANON_KEY=mint_key(other),
    )  # fmt: skip
    assert (found.verdict["decision"], found.code) == ("INVALID", 3)
    (why,) = (text for text in found.reasons("invalid") if "The run failed" in text)
    assert "401 PGRST301" in why
    assert "SUPABASE_JWT_SECRET" in why
    assert found.folder is None, "it must not become the newest run"


@pytest.mark.parametrize(
    "asked",
    [
        # Half of them are not there, and three of 100 sessions see an empty list as it is.
        ("--to", "3", "--level", "2"),
        ("--to", "2", "--seed", "99"),
    ],
)
def test_sessions_of_users_that_are_not_there_are_no_load(asked, gate, staging):
    found = gate(*live(staging), *asked)
    assert (found.verdict["decision"], found.code) == ("INVALID", 3)
    (why,) = (text for text in found.reasons("invalid") if "answers-empty" in text)
    assert "'open list' showed nothing" in why
    assert "--users-registered" in why
    assert found.folder is None, "it must not become the newest run"


def test_a_table_that_the_api_does_not_serve_is_named_before_any_load(gate, staging):
    execute(staging.dsn, "alter table public.tasks rename to other_tasks")
    try:
        found = gate(*live(staging))
    finally:
        execute(staging.dsn, "alter table public.other_tasks rename to tasks")
    assert (found.verdict["decision"], found.code) == ("INVALID", 3)
    (why,) = (text for text in found.reasons("invalid") if "The run failed" in text)
    assert "gives 404 " in why
    assert "public.tas" in why
    assert "seed it" in why
    assert "No load was sent" in why
    assert found.folder is None


def test_a_host_and_a_run_contradict_each_other_and_nothing_is_sent(gate, staging, tmp_path):
    found = gate(tmp_path, "--to", "2", "--host", staging.api.url)
    assert found.code == 2
    assert "Nothing was sent" in found.said


def test_somebody_elses_target_gets_a_ramp_a_budget_and_no_writes_unless_allowed(tmp_path):
    careful = RemoteLimits(ramp_s=10.0, request_budget=500)
    assert careful.options == {"RAMP": "10.0", "REQUEST_BUDGET": "500", "READS_ONLY": "true"}
    users = tmp_path / "users.txt"
    trusted = RemoteLimits(ramp_s=0.0, request_budget=500, allow_writes=True, users_file=users)
    assert trusted.options["ALLOW_WRITES"] == "true"
    assert trusted.options["USERS_FILE"] == str(users)


@pytest.mark.parametrize(
    ("spoilt", "restored", "said"),
    [
        (
            "alter table tasks disable row level security",
            "alter table tasks enable row level security",
            "row-level security is off on tasks",
        ),
        (
            "alter role authenticated bypassrls",
            "alter role authenticated nobypassrls",
            "role authenticated passes by all policies",
        ),
    ],
)
def test_a_load_that_no_policy_holds_for_is_invalid_and_says_what_mends_it(
    gate, staging, spoilt, restored, said
):
    execute(staging.dsn, spoilt)
    try:
        found = gate(*live(staging), DATABASE_URL=staging.dsn)
    finally:
        execute(staging.dsn, restored)
    assert (found.verdict["decision"], found.code) == ("INVALID", 3), found.verdict
    assert any(said in text for text in found.reasons("invalid")), found.verdict
    # From the files alone, and with a database that has been mended since, as it was measured.
    assert gate(found.folder, "--to", "2").verdict["decision"] == "INVALID"


def test_a_table_that_no_session_may_read_spoils_no_load(gate, staging):
    execute(staging.dsn, "create table notes_of_the_operator (line text)")
    execute(staging.dsn, "create table currencies (code text primary key, title text)")
    execute(staging.dsn, "revoke all on currencies from anon, authenticated")
    execute(staging.dsn, "grant select on currencies to authenticated")
    try:
        found = gate(*live(staging), DATABASE_URL=staging.dsn)
    finally:
        execute(staging.dsn, "drop table notes_of_the_operator, currencies")
    assert found.reasons("invalid") == []
    assert [text for text in found.reasons("alert") if "reads all of currencies" in text]


def test_planner_settings_of_the_target_are_told_and_recorded(held, gate, staging, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(held.folder / "load", folder / "load")
    execute(staging.dsn, "alter database staging set enable_indexscan = off")
    execute(staging.dsn, "alter role authenticated set enable_hashjoin = off")
    execute(staging.dsn, "alter database staging set work_mem = '16MB'")
    try:
        found = gate(folder, "--to", "2", "--compute", "small", DATABASE_URL=staging.dsn)
    finally:
        execute(staging.dsn, "alter database staging reset all")
        execute(staging.dsn, "alter role authenticated reset enable_hashjoin")
    assert found.verdict["decision"] == "GO", "it is a warning, no verdict"
    told = [text for text in found.reasons("alert") if "Planner setting" in text]
    assert [text.split()[2] for text in told] == ["enable_hashjoin", "enable_indexscan"]
    assert "for role authenticated, as which the API works" in told[0]
    assert any("work_mem = 16MB" in text for text in found.reasons("note"))
    target = store.read(folder / "target.json", TargetRecord)
    kept = {one.name: one.source for one in target.database.planner_settings}
    assert kept["enable_indexscan"] == "database"
    report.build(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("Planner setting enable_indexscan = off") >= 1
    assert "<code>work_mem = 16MB</code>" in page
    assert "> **Warning.** Planner setting" in (folder / "summary.md").read_text(encoding="utf-8")
