from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from phasegate.cli.main import SHORT, VERBS
from phasegate.cli.main import phasegate as group

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]


def _assert_one_clear_line(done: subprocess.CompletedProcess[str], code: int) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.strip().splitlines()
    assert len(said) == 1, done.stderr
    assert said[0].startswith("phasegate: ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run", "--users", "0"), "'--users'"),
        (("run", "--users", "-5"), "'--users'"),
        (("run", "--users", "many"), "'--users'"),
        (("run", "--fast"), "--fast"),
        (("rum",), "rum"),
        (("gate",), "--to"),
        (("report", "no-such-run"), "no-such-run"),
    ],
)
def test_a_wrong_call_is_one_line_that_names_what_is_wrong(
    phasegate: CommandLine, arguments: tuple[str, ...], named: str
) -> None:
    done = phasegate(*arguments)
    _assert_one_clear_line(done, 2)
    assert named in done.stderr


def test_too_little_disk_is_found_before_anything_is_written(
    phasegate: CommandLine, cache: Path, tmp_path: Path
) -> None:
    before = {path.name for path in cache.iterdir()}
    done = phasegate("run", "--users", "16000000", "--results", tmp_path)
    _assert_one_clear_line(done, 2)
    assert "GB free" in done.stderr
    assert "Nothing was changed" in done.stderr
    assert not list(tmp_path.iterdir())
    assert {path.name for path in cache.iterdir()} - before <= {"lock"}


def test_a_second_run_at_the_same_time_is_refused_and_names_the_first(
    phasegate: CommandLine, cache: Path, tmp_path: Path
) -> None:
    with (cache / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("`phasegate run` (process 4711)")
        held.flush()
        done = phasegate("run", "--users", "50", "--results", tmp_path)
    _assert_one_clear_line(done, 2)
    assert "process 4711" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", [(), ("run",), ("report",), ("doctor",), ("seed",), ("gate",)])
def test_help_is_at_hand_for_every_verb(phasegate: CommandLine, verb: tuple[str, ...]) -> None:
    done = phasegate(*verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: phasegate" in done.stdout


def test_doctor_names_the_cache_folder(phasegate: CommandLine, cache: Path) -> None:
    done = phasegate("doctor")
    assert done.returncode == 0, done.stderr
    assert str(cache) in done.stdout


def test_a_reader_that_goes_away_is_no_error(environment: dict[str, str]) -> None:
    import sys

    piped = f"{sys.executable} -m phasegate --help | head -1"
    done = subprocess.run(
        ["sh", "-c", piped], check=True, capture_output=True, text=True, env=environment
    )
    assert "Traceback" not in done.stderr


LOST = """
import os, signal, time
import click
from phasegate.__main__ import run_command

class Going:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)

@click.command()
def wait():
    Going()
    time.sleep(30)

run_command(lambda: wait, "wait")
"""


def test_ctrl_c_while_an_object_is_taken_away_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("phasegate: Interrupted") == 1
    assert "Traceback" not in done.stderr


HEAVY = ("asyncpg", "gevent", "locust", "matplotlib", "numpy", "psutil", "psycopg", "sqlglot")


@pytest.mark.parametrize(
    ("call", "code"), [("--help", 0), ("--version", 0), ("no-such-verb", 2), ("helps", 0)]
)
def test_help_version_and_a_mistyped_verb_need_no_room(call: str, code: int) -> None:
    calls = [[verb, "--help"] for verb in VERBS] if call == "helps" else [[call]]
    program = (
        "import contextlib, io, sys\n"
        "from phasegate.__main__ import _exit_code, _phasegate\n"
        f"for call in {calls!r}:\n"
        "    sys.argv[1:] = call\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        f"        assert _exit_code(_phasegate, 'phasegate') == {code}, call\n"
        f"    heavy = sys.modules.keys() & set({HEAVY!r})\n"
        "    assert not heavy, (call, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_help_says_of_each_verb_what_the_verb_says_of_itself() -> None:
    context = click.Context(group)
    said = {verb: group.get_command(context, verb) for verb in VERBS}
    assert {
        verb: command.get_short_help_str(limit=200) for verb, command in said.items() if command
    } == SHORT
