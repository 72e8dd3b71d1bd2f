"""Drift over nights, through Apache Otava itself, in its environment."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.nightly import drift
from phasegate.stack.cache import CACHE_VARIABLE

pytestmark = pytest.mark.integration

KEY = "sql/join/after"


def history(nights, ratios, **changed):
    """One night a ratio, with noise of 0.8%."""
    rng = random.Random(7)
    return [
        nights.night(day, nights.series(ratio=ratio * rng.lognormvariate(0, 0.008)), **changed)
        for day, ratio in enumerate(ratios)
    ]


def test_the_lock_file_names_no_registry_and_pins_every_package_by_hash():
    text = drift.LOCK.read_text(encoding="utf-8")
    assert not re.search(r"https?://|index-url|find-links", text)
    pinned = re.findall(r"^[a-z0-9][\w.-]*==.*$", text, flags=re.MULTILINE)
    assert {line.split("==")[0] for line in pinned} == {"apache-otava", "numpy", "scipy"}
    assert all(line.endswith("\\") for line in pinned)


def test_without_its_environment_it_says_what_to_do(nights, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(CannotMeasure, match="make nightly"):
        drift.change_points(history(nights, [1.0] * 8))
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_cannot_be_made_leaves_nothing_behind(tmp_path, monkeypatch):
    lock = tmp_path / "drift.lock"
    lock.write_text("no-such-package==1 --hash=sha256:" + "0" * 64)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(drift, "LOCK", lock)
    with pytest.raises(CannotMeasure, match="could not be made"):
        drift.install()
    assert [path.name for path in (tmp_path / "cache" / "drift").iterdir()] == []


def test_a_history_too_short_asks_for_nothing(nights, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert drift.change_points([]) == {}
    assert drift.change_points(history(nights, [1.0, 1.0, 1.2, 1.2, 1.2])) == {}


@pytest.mark.usefixtures("otava")
def test_quiet_nights_have_no_change_point(nights):
    assert drift.change_points(history(nights, [1.0] * 40)) == {KEY: ()}


@pytest.mark.usefixtures("otava")
def test_a_step_is_found_on_its_third_night_and_not_before(nights):
    ratios = [0.9] * 15 + [0.9 * 1.05] * 3
    assert drift.change_points(history(nights, ratios[:-1])) == {KEY: ()}
    (point,) = drift.change_points(history(nights, ratios))[KEY]
    assert (point.night[:10], point.index, point.nights_after) == ("2026-10-16", 15, 3)
    assert point.detector == "otava"
    assert point.ratio == pytest.approx(1.05, abs=0.012)


@pytest.mark.usefixtures("otava")
def test_a_slope_of_five_percent_in_a_week_is_found_within_it(nights):
    ratios = [0.9] * 20 + [0.9 * 1.05 ** (night / 7) for night in range(1, 8)]
    points = drift.change_points(history(nights, ratios))[KEY]
    assert points
    assert points[-1].after > points[0].before * 1.03


@pytest.mark.usefixtures("otava")
def test_both_ways_are_found_and_a_bad_night_is_left_out(nights):
    ratios = [1.0] * 12 + [0.85] * 12
    made = history(nights, ratios)
    made[20] = nights.night(
        20, nights.series(ratio=2.0), circumstances=nights.circumstances("busy")
    )
    (point,) = drift.change_points(made)[KEY]
    assert (point.index, point.nights_after) == (12, 11)
    assert point.ratio == pytest.approx(0.85, abs=0.02)


@pytest.mark.usefixtures("otava")
def test_a_new_baseline_is_no_change_point(nights):
    made = history(nights, [1.2] * 12)
    made += [
        nights.night(day, nights.series(ratio=1.0), baseline_commit="e" * 40)
        for day in range(12, 20)
    ]
    assert drift.change_points(made) == {KEY: ()}


@pytest.mark.usefixtures("otava")
def test_forty_series_of_a_year_take_a_few_seconds():
    rng = random.Random(3)
    asked = {f"s{n}": [rng.lognormvariate(0, 0.01) for _ in range(365)] for n in range(40)}
    began = time.monotonic()
    assert set(drift.ask(asked)) == set(asked)
    assert time.monotonic() - began < drift.ANSWER_S_MAX / 4


def test_the_program_is_where_the_module_says():
    assert Path(drift.PROGRAM).is_file()
