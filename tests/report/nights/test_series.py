"""Series over the nights: what is drawn, grouped, listed and said in the terminal."""

from __future__ import annotations

import math

import msgspec
import pytest

from phasegate.model.errors import UsageError
from phasegate.records.history import History
from phasegate.records.night import LevelChange
from phasegate.report import nights as room
from phasegate.report.charts import nights as chart
from phasegate.report.nights.series import breaks, lines


def quiet(nights, count):
    return History(tuple(nights.night(day) for day in range(count)))


def test_a_series_has_a_point_for_each_night_that_had_it(nights):
    found = History((nights.night(0), nights.night(1, nights.series()), nights.night(2)))
    by_id = {line.id: [point.place for point in line.points] for line in lines(found)}
    assert by_id == {"sql/join/after": [0, 1, 2], "sql/matview/after": [0, 2]}


def test_what_moved_in_the_newest_night_comes_first(nights):
    tonight = room.judge(nights.night(1, nights.series("a"), nights.slower("z")), (), {})
    found = History((nights.night(0, nights.series("a")), tonight))
    assert [line.id for line in lines(found)] == ["sql/z/after", "sql/a/after"]


def test_breaks_say_what_changed_and_forget_nights_that_were_not_measured(nights):
    plain = nights.night(0)
    unbuilt = nights.night(1, baseline_commit=None, circumstances=None, server=None)
    other = msgspec.structs.replace(plain.machine, cpu="Another")
    moved = nights.night(3, baseline_commit="e" * 40, machine=other)
    found = breaks([plain, unbuilt, nights.night(2), moved])
    assert [(one.place, one.baseline, one.what) for one in found] == [
        (3, "eeeeeee", "another baseline, another machine")
    ]


def test_where_a_series_stands_is_its_newest_night_that_counts(nights):
    bad = nights.night(1, nights.series(ratio=2.0), circumstances=nights.circumstances("busy"))
    (line,) = lines(History((nights.night(0, nights.series()), bad)))
    assert line.last is not None
    assert (line.last.place, line.last.counts) == (0, True)
    found = History((bad,))
    assert any("2.000 (does not count)" in text for text in room.table(found))


def test_many_nights_are_drawn_in_groups_that_hide_no_finding(nights):
    made = [nights.night(day, nights.series(ratio=1 + day % 2 / 100)) for day in range(20)]
    made[11] = room.judge(nights.night(11, nights.slower(ratio=1.2)), (), {})
    (line,) = lines(History(tuple(made)))
    shown = chart.groups(line.points, 5)
    assert [group.place for group in shown] == [4, 9, 14, 18, 19]
    assert [group.moved for group in shown] == [False, False, True, False, False]
    assert shown[2].high > 1.2 > shown[1].high
    assert shown[-1].ratio == line.points[-1].ratio


def test_nights_without_an_interval_are_drawn_all_the_same(nights):
    few = msgspec.structs.replace(nights.ratios(1.02), low=None, high=None)
    (line,) = lines(History((nights.night(0, nights.series(ratios=few)),)))
    (group,) = chart.groups(line.points)
    assert group.low == group.high == group.ratio
    assert chart.svg(line, ["2026-10-01T021500Z"], ()).count("<circle") == 1


def test_a_night_that_does_not_count_is_a_tick_and_no_point(nights):
    bad = nights.night(1, nights.series(ratio=2.0), circumstances=nights.circumstances("busy"))
    found = History((nights.night(0, nights.series()), bad))
    (line,) = lines(found)
    assert len(chart.groups(line.points)) == 1
    drawn = chart.svg(line, [night.night for night in found.nights], ())
    assert drawn.count('class="s-muted" stroke-width="2"') == 1
    assert drawn.count("<circle") == 1


def test_one_wild_night_does_not_press_the_others_into_a_line(nights):
    points = (chart.Group(0, 1.0, 0.99, 1.01, False), chart.Group(1, 50.0, 40.0, 60.0, False))
    on = chart.scale(points, 2)
    assert math.exp(on.high) == pytest.approx(3.0)
    assert on.y(50.0) == on.y(60.0) == chart.TOP


def test_change_points_are_those_that_the_newest_night_of_the_surroundings_knew(nights):
    def change(night):
        return LevelChange(
            series="sql/join/after", night=night, before=1.0, after=1.05, pvalue=1e-6,
            detector="otava",
        )  # fmt: skip

    found = History(
        (
            nights.night(0, changes=(change("2026-10-01T021500Z"),)),
            nights.night(1, changes=(change("2026-10-02T021500Z"),)),
            nights.night(2, users=1_000, changes=(change("2026-10-03T021500Z"),)),
        )
    )
    line = next(line for line in lines(found) if line.id == "sql/join/after")
    assert [each.night[:10] for each in line.changes] == ["2026-10-02", "2026-10-03"]


def test_the_terminal_shows_a_series_night_by_night(nights, golden):
    made = [nights.night(day, nights.series(ratio=0.98 + day / 100)) for day in range(6)]
    made[2] = nights.night(
        2, nights.series(ratio=1.3), circumstances=nights.circumstances("14% steal")
    )
    made[4] = nights.night(4, nights.series(ratios=None, note="nothing differs"))
    made[5] = room.judge(nights.night(5, nights.slower(), baseline_commit="e" * 40), made[:5], {})
    level = LevelChange(
        series="sql/join/after", night=made[3].night, before=0.985, after=1.01, pvalue=1e-6,
        detector="raised",
    )  # fmt: skip
    made[4] = msgspec.structs.replace(made[4], changes=(level,))
    found = History(tuple(made))
    golden.check("chart.txt", "\n".join(room.chart(found, room.find(found, "join"))) + "\n")
    golden.check("table.txt", "\n".join(room.table(found)) + "\n")


def test_a_series_is_found_by_id_name_or_part(nights):
    found = quiet(nights, 2)
    for name in ("sql/join/after", "The join, after", "join", "JOIN"):
        assert room.find(found, name).id == "sql/join/after"


def test_an_unknown_name_is_answered_with_near_ones_and_a_part_of_several_with_all(nights):
    with pytest.raises(UsageError, match=r"no series 'sql/jion'; near: sql/join/after"):
        room.find(quiet(nights, 1), "sql/jion")
    with pytest.raises(UsageError, match="2 series have 'after'"):
        room.find(quiet(nights, 1), "after")
