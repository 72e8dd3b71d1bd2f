"""`phasegate up` prints a line that drives what is up."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from phasegate.cli import up
from phasegate.cli.load import load
from phasegate.cli.up import state_lines
from phasegate.levels.up_down import State
from phasegate.project import load_project
from phasegate.records.run import StackPart

STATE = State(
    format_version=State.FORMAT_VERSION, level=3, compute=None, started_at="2026-01-01T00:00:00",
    complete=True, dsn="postgresql://x", url="http://127.0.0.1:8123", anon_key="k",
    jwt_secret="", data_dir="/nowhere", processes=(), parts=(),
)  # fmt: skip


@pytest.mark.parametrize(("users", "raised"), [(2_000, True), (100_000, False)])
def test_up_prints_a_load_with_host_level_users_and_seed(users: int, raised: bool) -> None:
    workload = load_project().catalogue.workload
    lines = list(state_lines(STATE, project=load_project(), users=users, seed=7))
    # A comment, since the lines are for `eval` too.
    line = next(line for line in lines if line.startswith("# locust"))
    words = shlex.split(line[2:])
    options = dict(zip(words[4::2], words[5::2], strict=True))
    assert words[:4] == ["locust", "-f", "loadtests/locustfile.py", "--headless"]
    assert options["--host"] == "http://127.0.0.1:8123"
    assert (options["--level"], options["--seed"]) == ("3", "7")
    assert options["--users-registered"] == str(users)
    assert ("--arrival-rate" in options) == raised
    rate = float(options.get("--arrival-rate", workload.arrival_rate_per_s(users)))
    assert rate * float(options["--stage-duration"]) >= 28


def test_a_project_of_http_users_gets_the_command_that_has_them_arrive(tmp_path: Path) -> None:
    here = load_project()
    (tmp_path / "loadtests").mkdir()
    (tmp_path / "loadtests" / "locustfile.py").write_text("from locust import HttpUser\n")
    line = list(state_lines(STATE, project=replace(here, root=tmp_path), users=2_000, seed=7))[-1]
    assert line.startswith("# phasegate load --host http://127.0.0.1:8123 --level 3 ")
    said = load.make_context("load", shlex.split(line)[3:]).params
    assert (said["host"], said["users_registered"]) == ("http://127.0.0.1:8123", 2_000)
    assert said["more"] == ("--level", "3", "--seed", "7")  # passed on


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), 1),
        (("--level", "2"), 2),
        (("--level", "2", "--with", "pooler"), {*load_project().levels[1].parts, "pooler"}),
        (("--level", "3", "--without", "pooler"), {*load_project().levels[2].parts} - {"pooler"}),
    ],
)
def test_parts_are_added_to_a_level_and_taken_from_it_as_locust_does(
    arguments: tuple[str, ...], wanted: int | set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(up, "start", lambda **given: asked.append(given["level"]) or STATE)
    done = CliRunner().invoke(up.up, arguments)
    assert done.exit_code == 0, done.output
    assert asked == [wanted if isinstance(wanted, int) else sorted(wanted)]


def test_parts_of_any_name_stand_in_columns() -> None:
    parts = tuple(
        StackPart(name=name, outcome="in place", note=f"note of {name}")
        for name in ("api", "an_index_with_a_long_name")
    )
    state = msgspec.structs.replace(STATE, parts=parts)
    lines = list(state_lines(state, project=load_project(), users=2_000, seed=7))[:2]
    assert "name  in place  note" in lines[1]
    assert len({line.index("in place") for line in lines}) == 1
