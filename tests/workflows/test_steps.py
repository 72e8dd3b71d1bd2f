"""Every step that is a script is run by a test of this folder, or is named here with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
WORKFLOWS = HERE.parents[1] / ".github" / "workflows"

# Workflow, and the file of tests that runs its scripts.
RUN_BY = {
    "ci.yml": "test_rules.py",
    "infra-health-check.yml": "test_hourly.py",
    "loadtest-staging.yml": "test_staging.py",
    "nightly-benchmarks.yml": "test_nightly.py",
    "refresh-user-stats.yml": "test_hourly.py",
}

# Scripts that no test runs, and why.
NOT_HERE = {
    (
        "ci.yml",
        "Install git, which the checkout needs",
    ): "installs packages of the system; `.ci/run` begins with the same two commands",
    ("ci.yml", "Lint, types, contracts, tests"): "it is what runs this test",
    (
        "nightly-benchmarks.yml",
        "Install what looks for drift",
    ): "fetches packages from a registry; `make nightly` begins with the same line",
}

# Scripts of several workflows that are the same, and run by the test of one of them.
SAME_AS = {
    ("loadtest-staging.yml", "Install"): ("infra-health-check.yml", "Install"),
    ("nightly-benchmarks.yml", "Install"): ("infra-health-check.yml", "Install"),
}


def _scripts() -> dict[tuple[str, str], str]:
    return {
        (path.name, step["name"]): step["run"]
        for path in sorted(WORKFLOWS.glob("*.yml"))
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
        if "run" in step
    }


SCRIPTS = _scripts()


@pytest.mark.parametrize("step", SCRIPTS, ids="/".join)
def test_a_script_is_run_by_a_test_or_has_a_reason(step: tuple[str, str]) -> None:
    if step in SAME_AS:
        assert SCRIPTS[step] == SCRIPTS[SAME_AS[step]]
        step = SAME_AS[step]
    if step not in NOT_HERE:
        workflow, name = step
        assert f'"{name}"' in (HERE / RUN_BY[workflow]).read_text(encoding="utf-8")


def test_the_tables_name_no_step_that_is_gone() -> None:
    assert {*NOT_HERE, *SAME_AS, *SAME_AS.values()} <= set(SCRIPTS)
    assert {workflow for workflow, _ in SCRIPTS} == set(RUN_BY)


def test_every_step_has_a_name() -> None:
    for path in WORKFLOWS.glob("*.yml"):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            assert all("name" in step for step in job["steps"]), path.name
