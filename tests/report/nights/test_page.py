"""The history page: whole, quick, and with everything that does not count."""

from __future__ import annotations

import random
import time
from pathlib import Path

import msgspec

from phasegate.records import history
from phasegate.records.history import Damaged, History
from phasegate.report import nights as room

NIGHTS, SERIES = 1_000, 40
PAGE_S_MAX = 10.0


def test_a_thousand_nights_of_forty_series_are_read_and_drawn_in_ten_seconds(nights, tmp_path):
    rng = random.Random(1)
    plain = nights.series()
    for day in range(NIGHTS):
        made = []
        for number in range(SERIES):
            ratio = rng.lognormvariate(0, 0.01)
            measured = msgspec.structs.replace(
                plain.ratios, estimate=ratio, low=ratio * 0.985, high=ratio * 1.015
            )
            made.append(msgspec.structs.replace(plain, id=f"sql/s{number:02}", ratios=measured))
        history.write(tmp_path / "history", nights.night(day, *made))
    began = time.process_time()
    found = history.read(tmp_path / "history")
    out = room.build(found, tmp_path / "history.html")
    assert len(found.nights) == NIGHTS
    assert time.process_time() - began < PAGE_S_MAX
    text = out.read_text(encoding="utf-8")
    assert text.count('class="panel') == SERIES + 1  # each panel, and their grid
    assert len(text) < 3_000_000


def test_it_needs_no_network_and_names_damaged_files_and_bad_nights(nights, tmp_path):
    bad = nights.night(1, circumstances=nights.circumstances("14% steal <b>"))
    damaged = Damaged(Path("x/2026-10-09T021500Z.json"), "it is not a whole NightRecord: truncated")
    out = room.build(History((nights.night(0), bad), (damaged,)), tmp_path / "history.html")
    text = out.read_text(encoding="utf-8")
    assert "://" not in text
    assert "<script" not in text
    assert "Last night does not count" in text
    assert "14% steal &lt;b&gt;" in text
    assert "2026-10-09T021500Z.json</b> it is not a whole NightRecord: truncated" in text
    assert [path.name for path in tmp_path.iterdir()] == ["history.html"]


def test_a_history_without_nights_is_a_page_that_says_so(tmp_path):
    out = room.build(History(), tmp_path / "history.html")
    assert "No night has been recorded yet" in out.read_text(encoding="utf-8")


def test_a_finding_of_many_nights_is_one_line_and_open_ones_come_first(nights):
    from phasegate.report.nights.page import events

    before = []
    for day in range(4):
        night = nights.night(day, nights.slower("a"), nights.series("b"))
        before.append(room.judge(night, before, {}))
    mended = room.judge(nights.night(4, nights.series("a"), nights.slower("b")), before, {})
    found = events((*before, mended))
    assert [(each.finding.series, each.open) for each in found] == [
        ("sql/b/after", True), ("sql/a/after", False),
    ]  # fmt: skip
    bad = nights.night(5, circumstances=nights.circumstances("busy"))
    assert events((*before, mended, bad))[0].open
