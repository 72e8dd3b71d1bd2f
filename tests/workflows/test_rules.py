"""What holds for every workflow, ours and those that `init --workflows` writes for others.

Linted, pinned, with few rights, no secret where it could show.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from phasegate.adopt.workflows import workflows

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.prefix) / "bin"
TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
} | {
    Path(path).name: text
    for path, text in workflows("apps/my shop", "1.2.3").items()
    if path.endswith(".yml")
}
SCRIPTS = sorted((ROOT / ".github" / "scripts").iterdir())

# Each looked up twice: as the tag of that version in the action's own repository, and beside that
# version's number in workflows of others. A new commit here wants the same.
PINNED = {
    "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae": "v5.0.5",
    "actions/cache/restore@27d5ce7f107fe9357f9df03efb73ab90386fccae": "v5.0.5",
    "actions/cache/save@27d5ce7f107fe9357f9df03efb73ab90386fccae": "v5.0.5",
    "actions/checkout@d23441a48e516b6c34aea4fa41551a30e30af803": "v6.1.0",
    "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c": "v8.0.1",
    "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f": "v7.0.0",
}

each_file = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def _read(text: str) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load(text)
    return read


def _steps(text: str) -> list[dict[str, Any]]:
    return [step for job in _read(text)["jobs"].values() for step in job["steps"]]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """All of them, as files of one repository."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return sorted(folder.iterdir())


def test_actionlint_has_nothing_to_say(files: list[Path]) -> None:
    # What is on the PATH must not decide: shellcheck and pyflakes are left out.
    subprocess.run([PROGRAMS / "actionlint", "-shellcheck=", "-pyflakes=", *files], check=True)


def test_zizmor_has_nothing_to_say(files: list[Path]) -> None:
    options = ["--offline", "--no-progress", "--strict-collection", "--no-config"]
    subprocess.run([PROGRAMS / "zizmor", *options, *files], check=True)


def test_a_linter_finds_what_is_planted(tmp_path: Path) -> None:
    planted = tmp_path / ".github" / "workflows" / "bad.yml"
    planted.parent.mkdir(parents=True)
    planted.write_text(
        "on: issues\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.issue.title }} ${{ nowhere.x }}\n"
    )
    for command in (["actionlint", "-shellcheck="], ["zizmor", "--offline", "--no-progress"]):
        ended = subprocess.run(
            [PROGRAMS / command[0], *command[1:], planted], check=False, capture_output=True
        )
        assert ended.returncode != 0, command


@each_file
def test_every_action_is_pinned_to_a_commit_that_was_looked_up(text: str) -> None:
    for line in text.splitlines():
        if "uses:" in line:
            action, _, version = line.partition("uses:")[2].partition("#")
            assert PINNED[action.strip()] == version.strip()


@each_file
def test_a_workflow_has_few_rights_a_time_limit_and_one_run_at_a_time(text: str) -> None:
    whole = _read(text)
    assert whole["permissions"] == {}
    assert "group" in whole["concurrency"]
    for job in whole["jobs"].values():
        assert job["timeout-minutes"] <= 360
        written = {name for name, right in job["permissions"].items() if right != "read"}
        assert written <= ({"contents", "issues"} if job.get("needs") else set())


@each_file
def test_a_checkout_leaves_no_credentials_behind(text: str) -> None:
    for step in _steps(text):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_file
def test_no_secret_and_no_input_is_pasted_into_a_script(text: str) -> None:
    for step in _steps(text):
        assert "${{" not in step.get("run", ""), step["name"]
        # An action would get it as an argument, and keep it for longer than its step.
        assert "secrets." not in str(step.get("with", ""))
    whole = _read(text)
    shared = [whole.get("env"), *(job.get("env") for job in whole["jobs"].values())]
    assert "secrets." not in str(shared), "a secret belongs to the step that needs it"


@pytest.mark.parametrize("name", [*TEXTS, *(path.name for path in SCRIPTS)])
def test_a_script_begins_by_saying_what_it_is_for_and_holds_no_address(name: str) -> None:
    path = ROOT / ".github" / "scripts" / name
    text = TEXTS.get(name) or path.read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if not line.startswith("#!"))
    assert re.match(r"(#|--|\"\"\") ?[A-Z`]", first), first
    assert not re.search(r"(?i)password\s*=|postgres(ql)?://\w|eyJ[\w-]{10}", text)
    if path.suffix == ".sh":
        assert "set -euo pipefail" in text
        assert path.stat().st_mode & 0o111, "not executable"


def test_the_checkout_in_a_container_is_trusted_by_git(runner: Any) -> None:
    ran = runner.run(
        "ci.yml",
        "Trust the checkout, which belongs to the runner's user and not to the container's root",
    )
    assert ran.code == 0
    assert f"directory = {runner.checkout}" in (runner.home / ".gitconfig").read_text()
