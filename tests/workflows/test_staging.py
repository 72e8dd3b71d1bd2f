"""The load test of staging, on a small stack that stands for a project of somebody's."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from phasegate import seeding
from phasegate.api.launch import running_api
from phasegate.model.catalogue import load as load_catalogue
from phasegate.stack.database import execute
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer

STAGING = "loadtest-staging.yml"
ROOT = Path(__file__).resolve().parents[2]
JWT = "a-secret-of-the-tests-that-is-32-bytes-long"
USERS = 300

# Phase 2 ends where the data set does, and its users come often enough for a stage of seconds.
CATALOGUE = """
[workload]
sessions_per_day = 6000.0
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
"""


@dataclass(frozen=True)
class Project:
    """What the secrets of the environment `staging` say."""

    dsn: str
    values: dict[str, str]


@pytest.fixture(scope="module")
def project(postgres: PostgresServer) -> Iterator[Project]:
    """300 users at level 2 behind the reference API."""

    execute(postgres.dsn(), "create database workflow_staging")
    dsn = postgres.dsn("workflow_staging")
    catalogue = load_catalogue()
    seeding.seed_database(
        dsn,
        users=USERS,
        seed=catalogue.run.seed,
        jobs=1,
    )
    apply_level(dsn, 2)
    with running_api(dsn, jwt_secret=JWT, level=2) as api:
        yield Project(
            dsn,
            {
                "secrets.SUPABASE_URL": api.url,
                "secrets.SUPABASE_ANON_KEY": api.anon_key,
                "secrets.SUPABASE_JWT_SECRET": JWT,
                "secrets.DATABASE_URL": dsn,
            },
        )


@pytest.fixture
def staging(runner: Any, project: Project) -> Any:
    """A runner with the project, the small catalogue and the secrets."""
    runner.values |= project.values
    runner.values |= {"inputs.phase": "2", "inputs.users": "", "inputs.budget": "20000"}
    runner.values["vars.SUPABASE_COMPUTE"] = "small"
    for folder in ("seed", "loadtests", "benchmarks"):
        shutil.copytree(ROOT / folder, runner.checkout / folder)
    toml = (ROOT / "phasegate.toml").read_text(encoding="utf-8")
    (runner.checkout / "phasegate.toml").write_text(toml + CATALOGUE, encoding="utf-8")
    return runner


def secret_free(ran: Any, folder: Path) -> bool:
    """Whether neither log, summary nor artefact holds the secret or the database's password."""
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return JWT not in ran.said + ran.summary and JWT.encode() not in kept


def test_without_users_the_phase_is_judged_and_its_page_kept(staging: Any) -> None:
    ran = staging.run(STAGING, "Drive", overrides={"DURATION_S": "2"})
    verdict = re.match(r"### Phase 2\n```\n(\S+): phase 2, up to 300 users", ran.summary)
    # A busy machine may be late with its sessions, which is INVALID, and then says so.
    assert verdict, ran.said
    assert (ran.code, verdict[1]) in ((0, "GO"), (3, "INVALID")), ran.said
    (folder,) = (staging.temp / "staging").iterdir()
    assert {"report.html", "summary.md", "target.json"} <= {p.name for p in folder.iterdir()}
    assert secret_free(ran, folder)


def test_with_users_a_trial_is_driven_and_its_record_kept(staging: Any) -> None:
    ran = staging.run(STAGING, "Drive", overrides={"DURATION_S": "2"}, inputs__users="200")
    (record,) = (staging.temp / "staging" / "load").glob("*.json")
    read = json.loads(record.read_text())
    assert (read["users"], read["level"]) == (200, 2)
    head, _, rest = ran.summary.partition("\n```\n")
    assert head == "### A trial of 200 users"
    assert re.fullmatch(r"stage 200-users: (PASS|INVALID) .*\n```\n", rest), rest
    assert secret_free(ran, record.parent)
    assert (ran.code, "PASS" in rest) in ((0, True), (3, False)), ran.said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("inputs__budget", "many; touch x", "The budget is a number of requests"),
        ("inputs__users", "$(touch x)", "The users are a number, as 5000 or 5k"),
        ("inputs__phase", "5", "The phase is 2, 3 or 4"),
        ("secrets__SUPABASE_URL", "", "SUPABASE_URL is not set among the secrets"),
        ("secrets__SUPABASE_ANON_KEY", "", "SUPABASE_ANON_KEY is not set in the environment"),
    ],
)
def test_a_wrong_call_sends_nothing(staging: Any, name: str, value: str, said: str) -> None:
    staging.values["secrets.SUPABASE_URL"] = "http://127.0.0.1:1"
    ran = staging.run(STAGING, "Drive", **{name: value})
    assert ran.code == 2
    assert said in ran.said
    assert "No request was sent" in ran.said
    assert not (staging.checkout / "x").exists()
