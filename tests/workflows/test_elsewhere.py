"""`phasegate init --workflows` in somebody else's repository, and what its steps do there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from phasegate.cli import init as init_module
from phasegate.cli.main import phasegate

ROOT = Path(__file__).resolve().parents[2]
PLACE = "apps/my shop"
NIGHTLY = ".github/workflows/phasegate-nightly.yml"
# Says what it was called with, and where the project is for it.
PHASEGATE = """#!/bin/sh
echo "called: $* in $PHASEGATE_PROJECT"
exit 3
"""


# Makes an environment whose pip knows of no phasegate.
PYTHON = r"""#!/bin/sh
mkdir -p "$3/bin"
printf '#!/bin/sh\ncase "$*" in *phasegate*==*) exit 1;; esac\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


@pytest.fixture
def repository(runner: Any, git: Callable[..., str]) -> Path:
    """Of somebody who has a project in a folder of it, and no phasegate."""
    checkout: Path = runner.checkout
    for name in (".github", "phasegate", "Makefile", "pyproject.toml"):
        path = checkout / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(ROOT / "examples" / "helpdesk", checkout / PLACE)
    git("tag", "v1")
    return checkout


def init(*arguments: str | Path) -> Result:
    return CliRunner().invoke(phasegate, ["init", *map(str, arguments)])


def test_a_second_call_shows_what_differs_and_overwrites_nothing_edited(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = init(repository / PLACE, "--workflows")
    assert first.exit_code == 0, first.output
    assert NIGHTLY in first.output
    assert init(repository / PLACE, "--workflows").output == "nothing has changed\n"

    mine = (repository / NIGHTLY).read_text().replace("17 2 * * *", "5 4 * * *")
    (repository / NIGHTLY).write_text(mine)
    (repository / ".github/workflows/phasegate-staging.yml").unlink()
    monkeypatch.setattr(init_module, "version", lambda _: "9.9")
    monkeypatch.chdir(repository / PLACE / "seed")
    again = init("--workflows")
    assert (repository / NIGHTLY).read_text() == mine
    assert '+  PHASEGATE_PACKAGE: "phasegate==9.9"' in again.output
    assert f"edited by you, left alone: {NIGHTLY}" in again.output
    assert "removed by you, left out: .github/workflows/phasegate-staging.yml" in again.output
    assert "updated: .github/workflows/phasegate-health.yml" in again.output


def test_what_somebody_else_wrote_is_in_the_way(repository: Path) -> None:
    theirs = repository / NIGHTLY
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    refused = init(repository / PLACE, "--workflows")
    assert "init did not write it" in str(refused.exception)
    assert [path.name for path in (repository / ".github").rglob("*.*")] == [theirs.name]


def test_outside_a_repository_nothing_is_written(tmp_path: Path) -> None:
    place = shutil.copytree(ROOT / "examples" / "helpdesk", tmp_path / "helpdesk")
    said = str(init(place, "--workflows").exception)
    assert "lies in no git repository" in said
    assert not (place / ".github").exists()


def test_a_night_of_theirs_calls_the_installed_phasegate_on_their_project(
    repository: Path, runner: Any
) -> None:
    assert init(repository / PLACE, "--workflows").exit_code == 0
    runner.program("phasegate", PHASEGATE)
    chosen = runner.run(
        Path(NIGHTLY).name,
        "Against which commit?",
        inputs__baseline="",
        vars__BENCHMARK_BASELINE="",
    )
    assert chosen.outputs == {"ref": "v1"}
    ran = runner.run(
        Path(NIGHTLY).name, "Measure", steps__baseline__outputs__ref="v1", inputs__budget=""
    )
    place = runner.temp / "history"
    assert f"called: nightly --baseline v1 --history {place} in {PLACE}\n" in ran.said
    assert (ran.code, ran.outputs) == (0, {"code": "3"})
    # Nothing of ours is left in it.
    written = [path for path in (repository / ".github").rglob("*") if path.is_file()]
    texts = "".join(path.read_text() for path in written)
    assert ".github/scripts" not in texts
    assert "seeding/**" not in texts
    assert f"hashFiles('.github/phasegate/requirements.lock', '{PLACE}/phasegate.toml'" in texts


def test_a_release_that_pip_does_not_find_is_named_with_what_to_set(
    repository: Path, runner: Any
) -> None:
    assert init(repository / PLACE, "--workflows").exit_code == 0
    runner.program("python3", PYTHON)
    ran = runner.run("phasegate-health.yml", "Install")
    assert ran.code == 1
    assert "::error title=phasegate is not installed::pip does not find 'phasegate==" in ran.said
    assert "Set PHASEGATE_PACKAGE, at the top of this workflow" in ran.said
    head = (repository / ".github/workflows/phasegate-health.yml").read_text()
    assert 'the step "Install" fails until then' in head
