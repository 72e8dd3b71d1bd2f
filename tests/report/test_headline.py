"""The sentences and the closing lines say what the records hold, and no more."""

from __future__ import annotations

import pytest

from phasegate import report
from phasegate.report import format as words
from phasegate.report.effects import advice_of, outcome_of
from phasegate.stats.crossover import Need
from phasegate.stats.paired import Ratio, ratio


def test_the_five_lines_of_a_whole_run_are_the_golden_ones(whole_run, golden):
    golden.check("summary.txt", "\n".join(report.summary(whole_run)) + "\n")
    assert max(len(line) for line in report.summary(whole_run)) <= 100


def made(low: float, estimate: float, high: float) -> Ratio:
    return Ratio(
        estimate=estimate, low=low, high=high, n=30, n_effective=30.0, lag1=0.0, confidence=0.95,
        minimal_detectable=1.1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (made(0.4, 0.5, 0.6), "helps"),
        (made(1.4, 1.5, 1.6), "slower"),
        (made(0.98, 1.0, 1.03), "same"),
        (made(0.7, 1.0, 1.4), "cannot tell"),
        (None, "cannot tell"),
    ],
)
def test_an_interval_has_one_word(found, outcome):
    assert outcome_of(found) == outcome


@pytest.mark.parametrize(
    ("needed", "last", "advice"),
    [
        (Need.FROM, "helps", "needed"),
        (Need.ALREADY, "helps", "needed"),
        (Need.NOT_YET, "helps", "not needed yet"),
        (Need.NOT_YET, "same", "no difference"),
        (Need.NOT_YET, "cannot tell", "cannot tell"),
        (Need.HARMFUL, "slower", "slower"),
        (Need.CANNOT_TELL, "helps", "cannot tell"),
    ],
)
def test_need_and_effect_make_one_advice(needed, last, advice):
    assert advice_of(needed, last) == advice


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "2× faster"), (1.0, "as fast"), (1.04, "4% slower"), (0.001, "1,000× faster")],
)
def test_a_ratio_is_said_as_people_say_it(value, text):
    assert words.speed(value) == text


def test_a_ratio_of_equal_arms_is_said_to_be_as_fast():
    found = ratio([1.0] * 20, [1.0] * 20)
    assert words.speed(found.estimate) == "as fast"


@pytest.mark.parametrize(
    ("text", "clean"),
    [("a\x00b\nc", "a b c"), ("\u202egnp.exe", "gnp.exe"), ("ok \ud800", "ok ?"), ("  ", "")],
)
def test_text_is_freed_of_what_no_chart_can_show(text, clean):
    assert words.plain(text) == clean


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", "a\\|b"),
        ("<b>", "\\<b\\>"),
        ("[x](y)", "\\[x\\](y)"),
        ("tasks_user", "tasks\\_user"),
        ("@team", "@\u2060team"),
    ],
)
def test_text_in_markdown_neither_ends_its_cell_nor_starts_a_construct(text, safe):
    assert words.markdown(text) == safe
