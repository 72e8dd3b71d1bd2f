"""The proof counts right: on numbers worked out by hand, and on tiny recordings."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from instruments import detector_eval as trials
from instruments import nightly_simulation as simulation
from instruments import nightly_validation as proof
from instruments.nightly_simulation import Bank, Measurements
from instruments.nightly_validation_record import ProofRecord, Round
from phasegate.model.errors import CannotMeasure
from phasegate.nightly.machine_noise import Shares
from phasegate.records.run import Machine
from phasegate.stats.nightly import slower
from phasegate.stats.paired import ratio_of_logs

NEVER, ALWAYS = -1.0, 1.0


def bank(estimate, low, raw=(0.0, 0.0), repeat=(0, 1)) -> Bank:
    """One series with these measurements."""
    return Bank(
        ("s",),
        Measurements(np.array([estimate]), np.array([low]), np.full((1, len(low)), 20.0)),
        Measurements(np.array([estimate]), np.array([low]), np.full((1, len(low)), 20.0)),
        (np.array(raw),),
        (np.array(repeat),),
    )


def rounds(repeats: int = 3, spread: float = 0.01):
    """Two series of two rounds a repeat, ten blocks each, up and down by turns."""
    for repeat in range(repeats):
        for series in ("a", "b"):
            for number in range(2):
                yield Round(
                    series=series,
                    repeat=repeat,
                    number=number,
                    logs=tuple(spread * (-1) ** block for block in range(10)),
                    head_ns=1e6 * (1 + repeat / 100),
                )


def drawn(found: Bank, shift: float = 0.0, nights: int = 400):
    rows = np.zeros((nights, 100), int)
    return simulation.draw(found, rows, np.full(rows.shape, shift), np.random.default_rng(1))


def test_an_alarm_needs_both_measurements_and_a_shift_moves_both():
    # Of four pairs one has both far above the bars, and two a suspicious first.
    first = Measurements(
        *(np.array([each]) for each in ([0.0, 0.06, 0, 0.06], [0.0] * 4, [20.0] * 4))
    )
    again = Measurements(
        *(
            np.array([each])
            for each in ([0.0, 0, 0.06, 0.06], [NEVER, NEVER, 0.01, 0.01], [20.0] * 4)
        )
    )
    four = Bank(("s",), first, again, (np.zeros(1),), (np.zeros(1, int),))
    found = drawn(four)
    assert found.slower.mean() == pytest.approx(0.25, abs=0.01)
    assert found.suspicious.mean() == pytest.approx(0.5, abs=0.01)
    # A first one above no bar is the night's ratio; a suspicious one is averaged with its second.
    assert set(found.value.round(4).ravel()) == {0.0, 0.03, 0.06}
    assert drawn(four, shift=2.0).slower.all()


@pytest.mark.parametrize(
    ("estimate", "low", "alarms"),
    [(0.6, ALWAYS, True), (0.62, NEVER, False), (0.59, ALWAYS, False)],
)
def test_the_rule_is_the_nightlys(estimate, low, alarms):
    """In shares of ln 1.05: both together must be at 0.6, and the second's bound above 1."""
    step = simulation.STEP * (estimate + 1e-6)
    assert drawn(bank([step], [low]), nights=1).slower.all() == alarms
    assert drawn(bank([step], [low]), nights=1).slower.any() == alarms


def test_a_drawn_measurement_judges_as_its_blocks_do():
    rng = np.random.default_rng(9)
    for _ in range(200):
        first, again = rng.normal(0.035, 0.02, 20), rng.normal(0.03, 0.02, 40)
        once, twice = ratio_of_logs(first, 0.99), ratio_of_logs(again, 0.99)
        one = Measurements(
            *(np.array([[value]]) for value in (np.log(once.estimate), np.log(once.low), 20))
        )
        two = Measurements(
            *(np.array([[value]]) for value in (np.log(twice.estimate), np.log(twice.low), 40))
        )
        night = drawn(Bank(("s",), one, two, (np.zeros(1),), (np.zeros(1, int),)), nights=1)
        assert bool(night.slower[0, 0]) is slower(first, again)


def test_a_run_of_alarms_is_one_episode():
    alarm = np.array([[True, True, False, True], [False, False, False, True]])
    assert simulation.episodes(alarm) == 3


def test_the_first_night_found_is_counted_from_one():
    alarm = np.array([[True, True], [False, True], [False, False]])
    assert simulation.first_found(alarm).tolist() == [1.0, 2.0, math.inf]


def test_a_step_and_a_drift_are_five_percent_in_the_end():
    assert np.exp(simulation.step()).tolist() == pytest.approx([1.05] * 10)
    slope = np.exp(simulation.drift())
    assert slope[6:] == pytest.approx([1.05] * 4)
    assert slope[0] == pytest.approx(1.05 ** (1 / 7))


def test_no_alarm_bounds_the_rate_by_three_and_many_by_little_more():
    assert simulation.poisson_max(0) == pytest.approx(2.996, abs=0.001)
    assert simulation.poisson_max(1) == pytest.approx(4.744, abs=0.001)
    assert simulation.poisson_max(50) == pytest.approx(simulation.poisson_max(51) - 1.1, abs=0.1)


def test_peers_compare_with_the_night_before_in_another_repeat():
    # The two repeats are 8% apart, so every night moves by 8%, up and down by turns.
    apart = bank([0.0], [NEVER], raw=(0.0, math.log(1.08)), repeat=(0, 1))
    moved = simulation.moves(apart, np.zeros(4), np.zeros(50, int), np.random.default_rng(1))
    assert np.abs(moved).ravel() == pytest.approx(math.log(1.08))
    assert simulation.above(1.05)(moved).mean() == pytest.approx(0.5)
    assert not simulation.above(1.10)(moved).any()
    stepped = simulation.moves(
        apart, simulation.step(2), np.zeros(50, int), np.random.default_rng(1)
    )
    assert simulation.above(1.10)(stepped)[:, 0].mean() == pytest.approx(0.5, abs=0.2)


def test_the_rises_are_those_that_the_nightly_would_find():
    from phasegate.stats.drift import raised

    rng = np.random.default_rng(4)
    values = rng.normal(0, 0.01, (6, 40)) + np.concatenate([np.zeros(30), simulation.drift()])
    found = simulation.rises(values)
    names = [str(night) for night in range(40)]
    for row in range(6):
        for night in range(1, 41):
            ratios = np.exp(values[row, :night]).tolist()
            one_by_one = raised(names[:night], ratios) is not None
            assert found[row, night - 1] == one_by_one
    assert found.any()


def test_a_measurement_is_drawn_of_whole_rounds_with_signs():
    six = tuple((0.01 if number % 2 else 0.03,) * 8 for number in range(6))
    recorded = simulation.Recorded("s", six, 2, (1.0,) * 6, (0, 0, 1, 1, 2, 2))
    made = simulation.bank([recorded], np.random.default_rng(1), 200)
    seen = {round(abs(float(value)), 4) for value in made.first.estimate[0]}
    # Twice the one, twice the other, or one of each; with equal signs or unlike ones.
    assert seen == {0.0, 0.01, 0.02, 0.03}
    with pytest.raises(ValueError, match="5 rounds, and 6 are needed"):
        simulation.bank([replace(recorded, rounds=six[1:])], np.random.default_rng(1), 1)
    assert set(made.again.blocks.ravel()) == {32.0}
    # A second one has four rounds: eight blocks of ±1% or ±3% each.
    assert made.again.estimate.std() < made.first.estimate.std()


def test_series_that_not_every_repeat_has_are_left_out_and_one_repeat_is_too_few():
    made = list(rounds())
    assert [(one.series, one.each) for one in proof.recorded(made)] == [("a", 2), ("b", 2)]
    assert [one.series for one in proof.recorded(made[1:])] == ["b"]
    with pytest.raises(CannotMeasure, match="3 repeats"):
        proof.recorded(list(rounds(repeats=2)))


@pytest.mark.integration
@pytest.mark.usefixtures("otava")
def test_the_whole_proof_of_tiny_recordings(tmp_path):
    origin = proof.Origin(
        started_at="2026-11-22T02:15:00+00:00",
        phasegate_version="0.1.0",
        commit=None,
        machine=Machine(cpu="x", cores=2, memory_bytes=1, kernel="k", python="3.11", load_1m=0.0),
        server=None,
        users=1_000,
        shares=Shares(steal=0.0, busy=0.6),
    )
    effort = trials.Effort(months=20, drift_months=2, otava_months=1, cases=3, measurements=20)
    found = proof.prove(list(rounds()), origin, effort)
    assert isinstance(found, ProofRecord)
    # Equal arms with a deviation of 1% a block: no alarm, every step found, every drift in time.
    assert [goal.holds for goal in found.goals] == [True, True, True]
    assert found.rates[0].alarms == 0
    assert found.steps[0].share_next_night == 1.0
    named = {rate.name: rate for rate in found.rates}
    assert named["ours: Otava"].months == 1
    # A round's time differs by 1% or 2% from another repeat's: below 5% on either rule.
    assert named["pytest-benchmark --benchmark-compare-fail=median:5%"].alarms == 0
    # The recording was made beside others, so a night like it would not count, and that is said.
    assert len(found.quarantine) == 1
    lines = proof.table(found).splitlines()
    assert "holds   a step of 5% found the next night: 1.000 (≥ 0.95)" in lines
