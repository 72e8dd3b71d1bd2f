"""`phasegate history` and `digest`, as a user calls them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from phasegate.cli.main import phasegate
from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.records import history
from phasegate.report import nights as room


@pytest.fixture
def folder(tmp_path, nights):
    """Three nights, something slower in the last, and a file that is none."""
    made = []
    for series in (nights.series(), nights.series(), nights.slower()):
        night = nights.night(len(made), series, nights.series("matview"))
        made.append(room.judge(night, made, {}))
        history.write(tmp_path / "history", made[-1])
    (tmp_path / "history" / "2026-10-09T021500Z.json").write_text("{")
    return tmp_path / "history"


def call(*arguments):
    return CliRunner().invoke(phasegate, [str(each) for each in arguments], catch_exceptions=True)


def test_history_lists_every_series_and_the_file_that_does_not_count(folder):
    done = call("history", "--history", folder)
    assert done.exit_code == 0
    assert "slower 2026-10-03" in done.stdout
    assert "sql/matview/after" in done.stdout
    assert "does not count: 2026-10-09T021500Z.json" in done.stdout


def test_history_shows_one_series_and_draws_the_page_when_asked(folder):
    done = call("history", "join", "--history", folder, "--page")
    assert done.exit_code == 0
    assert "2026-10-03  1.075" in done.stdout
    assert (folder.parent / "history.html").is_file()


def test_history_as_json_has_every_night_of_the_series(folder):
    done = call("history", "join", "--history", folder, "--json")
    (series,) = json.loads(done.stdout)["series"]
    assert [night["findings"] for night in series["nights"]] == [[], [], ["slower"]]
    assert len(json.loads(call("history", "--history", folder, "--json").stdout)["series"]) == 2


def test_an_unknown_series_is_a_wrong_call(folder):
    done = call("history", "jion", "--history", folder)
    assert isinstance(done.exception, UsageError)
    assert "near: sql/join/after" in str(done.exception)


def test_the_digest_is_the_newest_nights(folder):
    assert call("digest", "--history", folder).stdout.startswith(
        "# Night 2026-10-03T021500Z: moved"
    )
    digest = json.loads(call("digest", "--json", "--history", folder).stdout)
    assert (digest["format_version"], digest["verdict"], digest["nights"]) == (1, "moved", 3)


@pytest.mark.parametrize("verb", ["history", "digest"])
def test_without_a_night_both_say_how_to_make_one(verb, tmp_path):
    done = call(verb, "--history", tmp_path)
    assert isinstance(done.exception, ConfigurationError)
    assert "phasegate nightly --baseline REF" in str(done.exception)
