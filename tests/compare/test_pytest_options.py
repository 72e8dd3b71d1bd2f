"""pytest's options do what they say, or are refused before anything is measured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "locust-options.md"
DEAD = "postgresql://nobody@127.0.0.1:1/none"


def benchmarks(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`pytest benchmarks` with these arguments, where no database answers."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "DATABASE_URL": DEAD, **variables},
    )


REFUSED = [
    ("-n", "2"),
    ("--dist", "loadscope", "--tx", "2*popen"),
    ("-p", "no:benchmark"),
    ("--benchmark-skip", "--record", "nowhere.json"),
    ("--benchmark-min-time", "1"),
    ("--benchmark-max-time", "9"),
    ("--benchmark-min-rounds", "9"),
    ("--benchmark-precision", "0.02"),
    ("--benchmark-confidence", "0.9"),
    ("--benchmark-calibration-precision", "3"),
    ("--benchmark-warmup", "on"),
    ("--benchmark-warmup-iterations", "9"),
    ("--benchmark-timer", "time.time"),
    ("--benchmark-disable-gc",),
    ("--benchmark-cprofile", "cumtime"),
    ("--benchmark-cprofile-loops", "9"),
    ("--benchmark-cprofile-top", "9"),
    ("--benchmark-cprofile-dump", "nowhere"),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=lambda arguments: " ".join(arguments))
def test_an_option_without_effect_is_refused_in_one_line(arguments: tuple[str, ...]) -> None:
    done = benchmarks(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert "Nothing was measured" in line
    assert arguments[0] in line


@pytest.mark.parametrize("arguments", [(), ("-q",), ("-k", "join")], ids=" ".join)
def test_an_address_given_as_an_argument_is_refused_and_not_quoted(
    arguments: tuple[str, ...],
) -> None:
    done = benchmarks(*arguments, "postgresql://u:hush-hush@h/d")
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert "it goes into DATABASE_URL" in line
    assert "hush" not in line


def test_options_from_the_environment_are_refused_as_well() -> None:
    done = benchmarks(PYTEST_ADDOPTS="--benchmark-min-rounds=9")
    assert done.returncode == 2
    assert "--benchmark-min-rounds would have no effect" in done.stderr


@pytest.mark.parametrize("arguments", [("-n", "0"), ("-p", "no:xdist"), ("--lf",), ("-x",), ()])
def test_collecting_needs_no_database(arguments: tuple[str, ...]) -> None:
    done = benchmarks("--co", "-q", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_join[before]" in done.stdout


def test_skipping_and_choosing_none_need_no_database() -> None:
    skipped = benchmarks("--benchmark-skip", "-q", "-p", "no:cacheprovider")
    assert skipped.returncode == 0, skipped.stdout + skipped.stderr
    assert "skipped" in skipped.stdout
    assert benchmarks("-k", "nothing-of-the-kind", "-p", "no:cacheprovider").returncode == 5


def test_every_option_of_pytest_benchmark_is_in_the_document() -> None:
    shown = benchmarks("--help").stdout
    options = set(re.findall(r"^  (--benchmark-[a-z-]+)", shown, re.MULTILINE))
    assert len(options) > 25
    text = DOCUMENT.read_text(encoding="utf-8").partition("## `pytest benchmarks`")[2]
    assert set(re.findall(r"`(--benchmark-[a-z-]+)`", text)) == options
    refused = {
        option
        for row in text.splitlines()
        if "| refused: " in row
        for option in re.findall(r"`(--benchmark-[a-z-]+)`", row.split("|")[1])
    }
    assert refused == {arguments[0] for arguments in REFUSED if "benchmark-" in arguments[0]} - {
        "--benchmark-skip"
    }
