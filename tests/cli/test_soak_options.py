"""`--soak DURATION`: how it is read, how finely clicks are kept, what does not go with it."""

from __future__ import annotations

import sys

import click
import pytest
from click.testing import CliRunner

from phasegate.cli.main import phasegate
from phasegate.cli.soak_options import budget_of, interval_s, option
from phasegate.load.options import REMOTE_BUDGET
from phasegate.model.errors import UsageError


@click.command()
@option
def said(soak: float | None) -> None:
    click.echo(f"{soak}")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30m", 1800.0), ("90s", 90.0), ("1h30m", 5400.0), ("600", 600.0), ("0.5h", 1800.0)],
)
def test_a_length_of_time_is_written_as_people_do(written: str, seconds: float) -> None:
    assert CliRunner().invoke(said, ["--soak", written]).output == f"{seconds}\n"


@pytest.mark.parametrize("written", ["soon", "5x", "9s", "-30m", ""])
def test_what_is_no_length_of_time_is_refused_with_how_to_write_one(written: str) -> None:
    error = CliRunner().invoke(said, ["--soak", written]).exception
    assert isinstance(error, UsageError)
    assert "Write it as 30m" in error.sentence()


def test_clicks_are_kept_as_finely_as_a_record_of_a_few_megabytes_allows() -> None:
    assert [interval_s(s) for s in (10, 600, 1800, 3600, 8 * 3600)] == [0.1, 0.2, 0.5, 1.0, 1.0]


def test_somebody_elses_target_is_soaked_only_with_a_budget() -> None:
    with pytest.raises(UsageError, match="--request-budget N"):
        budget_of("https://staging.example.com", None, soaks=True)
    assert budget_of("https://staging.example.com", 90_000, soaks=True) == 90_000
    assert budget_of("https://staging.example.com", None, soaks=False) == REMOTE_BUDGET
    assert budget_of("http://127.0.0.1:3000", None, soaks=True) == sys.maxsize


@pytest.mark.parametrize(
    "call",
    [
        ["run", "--soak", "30m", "--quick"],
        ["run", "--level", "2"],
        ["gate", "--to", "2", "--soak", "30m"],
        ["load", "--soak", "30m", "--stages", "1k,10k"],
        ["load", "--soak", "30m", "--host", "https://staging.example.com"],
    ],
)
def test_what_means_nothing_together_is_refused_before_anything_is_started(
    call: list[str],
) -> None:
    assert isinstance(CliRunner().invoke(phasegate, call).exception, UsageError)
