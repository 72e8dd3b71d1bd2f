"""The nights on disk: each counts once, where its start puts it, whatever else lies there."""

from __future__ import annotations

import json

import msgspec
import pytest

from phasegate.model.errors import Refused
from phasegate.records import history


def test_a_folder_that_is_not_there_is_a_history_without_nights(tmp_path):
    assert history.read(tmp_path / "none") == history.History()


def test_what_is_written_is_read_back_as_it_was(tmp_path, nights):
    record = nights.night(3, nights.slower())
    path = history.write(tmp_path / "history", record)
    assert path.name == "2026-10-04T021500Z.json"
    assert history.read(tmp_path / "history") == history.History((record,))
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_night_is_never_overwritten(tmp_path, nights):
    path = history.write(tmp_path, nights.night(0))
    before = path.read_bytes()
    with pytest.raises(Refused, match="was not overwritten"):
        history.write(tmp_path, nights.night(0, wall_s=1.0))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_that_is_no_start_is_not_written(tmp_path, nights):
    with pytest.raises(ValueError, match="not the start"):
        history.write(tmp_path, nights.night(0, night="../elsewhere"))
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_record_among_good_ones_is_named_and_the_others_count(tmp_path, nights):
    for day in range(4):
        history.write(tmp_path, nights.night(day))
    whole = (tmp_path / "2026-10-02T021500Z.json").read_bytes()
    (tmp_path / "2026-10-02T021500Z.json").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "2026-10-03T021500Z.json").write_text('{"package": "foreign"}')
    newer = {**json.loads(whole), "format_version": 99, "night": "2026-10-10T021500Z"}
    (tmp_path / "2026-10-10T021500Z.json").write_text(json.dumps(newer))
    (tmp_path / "copy.json").write_bytes((tmp_path / "2026-10-01T021500Z.json").read_bytes())
    (tmp_path / "README.md").write_text("not a record")
    found = history.read(tmp_path)
    assert [night.night[:10] for night in found.nights] == ["2026-10-01", "2026-10-04"]
    reasons = {each.path.name[:10]: each.reason for each in found.damaged}
    assert "truncated" in reasons["2026-10-02"]
    assert "missing required field" in reasons["2026-10-03"]
    assert "version 99" in reasons["2026-10-10"]
    assert "says that it is night '2026-10-01T021500Z'" in reasons["copy.json"]
    assert len(reasons) == 4


def test_a_clock_that_went_back_moves_a_night_and_loses_none(tmp_path, nights):
    for day in (5, 6, 2):
        history.write(tmp_path, nights.night(day))
    days = [night.night[:10] for night in history.read(tmp_path).nights]
    assert days == ["2026-10-03", "2026-10-06", "2026-10-07"]


def test_a_renamed_benchmark_keeps_its_history_and_shows_its_newest_name(nights):
    old = [nights.night(day, nights.series(name="Open tasks")) for day in range(3)]
    new = nights.night(3, nights.series(name="Tasks that are open"))
    assert history.newest_names([*old, new]) == {"sql/join/after": "Tasks that are open"}
    assert len(history.ratios([*old, new], "sql/join/after")) == 4


def test_quarantined_and_unmeasured_nights_do_not_enter_a_series(nights):
    quarantined = nights.night(1, circumstances=nights.circumstances("14% steal"))
    unbuilt = nights.night(2, baseline_commit=None)
    unmeasured = nights.night(3, nights.series(ratios=None, note="nothing differs"))
    tonight = nights.night(4)
    used = history.comparable([nights.night(0), quarantined, unbuilt, unmeasured, tonight], tonight)
    found = history.ratios(used, "sql/join/after")
    assert [night[:10] for night, _ in found] == ["2026-10-01", "2026-10-05"]


@pytest.mark.parametrize("what", ["machine", "cores", "baseline", "server", "size"])
def test_a_series_begins_anew_where_its_surroundings_change(nights, what):
    plain = nights.night(0)
    assert plain.server is not None
    changed = {
        "machine": {"machine": msgspec.structs.replace(plain.machine, cpu="Another")},
        "cores": {"machine": msgspec.structs.replace(plain.machine, cores=2)},
        "baseline": {"baseline_commit": "e" * 40},
        "server": {"server": msgspec.structs.replace(plain.server, version="PostgreSQL 19.0")},
        "size": {"users": 1_000},
    }[what]
    earlier = [nights.night(day) for day in range(3)]
    tonight = nights.night(3, **changed)
    assert history.comparable([*earlier, tonight], tonight) == (tonight,)


def test_a_new_minor_version_of_the_server_and_another_kernel_begin_nothing(nights):
    plain = nights.night(0)
    tonight = nights.night(
        1,
        server=msgspec.structs.replace(plain.server, version="PostgreSQL 18.7"),
        machine=msgspec.structs.replace(plain.machine, kernel="Linux 6.9", load_1m=2.0),
    )
    assert len(history.comparable([plain, tonight], tonight)) == 2


def test_a_machine_that_comes_back_finds_its_own_nights(nights):
    plain = nights.night(0)
    other = nights.night(1, machine=msgspec.structs.replace(plain.machine, cpu="Another"))
    again = nights.night(2)
    assert history.comparable([plain, other, again], again) == (plain, again)


def test_the_ratio_of_a_night_measured_twice_is_that_of_both_weighted_by_blocks(nights):
    once = nights.series(ratio=1.21)
    twice = nights.series(ratio=1.21, confirmation=nights.ratios(1.0))
    assert history.combined(once) == pytest.approx(1.21, abs=1e-3)
    assert history.combined(twice) == pytest.approx(1.1, abs=1e-3)
    longer = msgspec.structs.replace(nights.ratios(1.0), logs=(0.0,) * 120)
    weighted = nights.series(ratio=1.21, confirmation=longer)
    assert history.combined(weighted) == pytest.approx(1.21**0.25, abs=1e-3)
    assert history.combined(nights.series(ratios=None)) is None
