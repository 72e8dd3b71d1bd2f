"""Stages near the objective: hand-made ones, and searches whose stages are drawn at random."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from phasegate.load.capacity_matrix import Change, Standing
from phasegate.load.edge import Bounds, is_clear, longer, settled
from phasegate.load.run import Target
from phasegate.load.size_drives import SizePlan, SizeSearch, SizeStanding, _marked
from phasegate.load.stage_result import Driven
from phasegate.model.prices import Compute
from phasegate.model.verdict import judge
from phasegate.project import load_project
from phasegate.records.histogram import Histogram
from phasegate.records.load import ClicksOverTime, Interval, LoadRecord, Sessions
from phasegate.records.matrix import Probe
from phasegate.records.sizes import Mode, SizeAnswer
from phasegate.stats.quantile import share_between, student_t_975
from tests.load.test_stage_result import stage

PROJECT = load_project()
SLO = PROJECT.catalogue.slo  # 500 ms, 1% of clicks may fail
NOBODY: Any = None


def test_the_t_of_a_dozen_parts_is_that_of_the_tables() -> None:
    assert student_t_975(11) == pytest.approx(2.201, abs=0.005)
    assert student_t_975(4) == pytest.approx(2.776, abs=0.03)


def test_a_share_is_as_uncertain_as_its_parts_differ() -> None:
    totals = np.full(12, 100.0)
    # Alike: 1,200 independent calls, 2.2 · √(0.05 · 0.95 / 1200).
    alike = share_between(np.full(12, 5.0), totals)
    assert alike == pytest.approx((0.05 - 0.01384, 0.05 + 0.01384), abs=1e-4)
    # All in two parts: deviations of 25 and -5, √(12/11 · 1500) / 1200 = 0.0337.
    apart = np.array([30.0, 30.0] + [0.0] * 10)
    assert share_between(apart, totals) == pytest.approx((0.0, 0.05 + 2.2 * 0.0337), abs=1e-3)


def test_the_bounds_hold_the_p95_of_calls_that_wait_in_one_queue() -> None:
    random, held, held_if_independent, cases = np.random.default_rng(5), 0, 0, 300
    every = np.exp(random.normal(0, 0.5, (4000, 1))) * random.exponential(1, (4000, 100))
    truth = float(np.percentile(every, 95))
    for at in range(cases):
        parts = every[12 * at : 12 * at + 12]
        within = (parts <= np.percentile(parts, 95)).sum(axis=1)
        low, high = share_between(within.astype(np.float64), np.full(12, 100.0))
        held += bool(np.quantile(parts, low) <= truth <= np.quantile(parts, high))
        alone = 1.96 * math.sqrt(0.05 * 0.95 / 1200)
        bounds = np.quantile(parts, [0.95 - alone, min(0.95 + alone, 1.0)])
        held_if_independent += bool(bounds[0] <= truth <= bounds[1])
    assert held / cases >= 0.92
    assert held_if_independent / cases < 0.85


def probe(verdict: Any, p95: float, high: float | None, *, failed: int = 0, why: str = "") -> Probe:
    return Probe(
        stage="s", level=2, users=100_000, rate_sessions_per_s=4.33, verdict=verdict,
        reasons=(f"{why}: because",) if why else (), latency_ms_p95=p95, clicks=1000,
        clicks_failed=failed, bound_by=None, bound_detail=None, statement=None,
        statement_share=None, suspects=(), latency_ms_p95_high=high,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("short", "clear"),
    [
        (probe("PASS", 30, 40), True),
        (probe("PASS", 200, 250), True),
        (probe("PASS", 200, 251), False),
        (probe("PASS", 30, 40, failed=6), False),
        (probe("FAIL", 2499, 2600), False),
        (probe("FAIL", 2500, 2600), True),
        (probe("FAIL", 30, 40, failed=15), False),
        (probe("FAIL", 30, 40, failed=20), True),
        (probe("INVALID", 490, 578, why="too-few"), False),
        (probe("INVALID", 900, 999, why="machine-shared"), False),
        (probe("INVALID", 900, 999, why="machine-smaller"), True),  # so it is the next time
        (probe("INVALID", 900, 999, why="not-in-force"), True),
    ],
)
def test_a_short_stage_is_believed_below_half_and_above_five_times_the_objective(
    short: Probe, clear: bool
) -> None:
    assert is_clear(short, SLO, None) is clear
    assert is_clear(short, SLO, 0.5) is clear
    assert not (short.verdict == "PASS" and is_clear(short, SLO, 0.51))


def test_a_short_stage_far_above_its_peak_is_driven_longer_whatever_it_missed() -> None:
    judged = judge(
        latency_ms_p95=4143,
        latency_ms_p95_high=4900,
        clicks=121,
        clicks_failed=9,
        invalid=(),
        slo=SLO,
        rate_over_peak=34,
    )
    assert len(judged.reasons) == 3  # the rate, and what was missed
    missed = msgspec.structs.replace(probe("INVALID", 4143, 4900), reasons=judged.reasons)
    assert not is_clear(missed, SLO, 1.0)


NONE_FAIL = (0.0, 0.0)


@pytest.mark.parametrize(
    ("long", "bounds", "verdict", "why"),
    [
        (probe("PASS", 300, 330), Bounds((200, 450), NONE_FAIL), "PASS", ""),
        (probe("PASS", 300, 330), Bounds((200, 550), NONE_FAIL), "INVALID", "on-the-edge"),
        (probe("INVALID", 490, 578, why="too-few"), Bounds((400, 560), NONE_FAIL), "INVALID",
         "on-the-edge"),
        (probe("FAIL", 590, 640), Bounds((400, 900), NONE_FAIL), "INVALID", "on-the-edge"),
        (probe("FAIL", 900, 990), Bounds((501, 1500), NONE_FAIL), "FAIL", ""),
        (probe("FAIL", 30, 40, failed=15), Bounds((20, 50), (0.008, 0.022)), "INVALID",
         "on-the-edge"),
        (probe("FAIL", 30, 40, failed=30), Bounds((20, 50), (0.011, 0.05)), "FAIL", ""),
        (probe("INVALID", 30, None, why="too-few"), Bounds((20, 50), NONE_FAIL), "INVALID",
         "too-few"),
        (probe("INVALID", 900, 990, why="machine-shared"), Bounds((600, 990), NONE_FAIL), "INVALID",
         "machine-shared"),
    ],
)  # fmt: skip
def test_a_long_stage_passes_or_fails_where_its_whole_interval_does(
    long: Probe, bounds: Bounds, verdict: str, why: str
) -> None:
    for busy_share in (None, 0.7):
        found, reasons = settled(long, bounds, SLO, busy_share, 0.7)
        assert found == verdict
        assert why in "".join(reasons)
    found, reasons = settled(long, bounds, SLO, 0.79, 0.7)
    assert found == ("INVALID" if verdict == "PASS" else verdict)
    if verdict == "PASS":
        assert reasons == ("on-the-edge: 79% of its processor is in use, 70% leave room",)


def test_a_longer_stage_has_four_times_the_sessions_within_90_seconds() -> None:
    assert longer(6.5, 4.33, 4.5) == (52.0, 4.33)
    assert longer(6.5, 0.433, 4.5) == (90.0, 0.433)
    assert longer(6.5, 0.433, 1.0) == (90.0, 144 / 90)  # a click each: more of them


class Drawn:
    """Stages of a size whose p95 is about `typical_ms`, and wanders while they last."""

    def __init__(self, typical_ms: dict[str, float], random: np.random.Generator) -> None:
        self._typical_ms, self._random, self.longer = typical_ms, random, list[str]()

    def drive(
        self, standing: Standing, name: str, level: int, users: int, rate: float,
        lasts_s: float, change: Change, interval_s: float,
    ) -> Driven:  # fmt: skip
        size = name.partition("-")[0]
        if interval_s:
            self.longer.append(size)
        parts = [
            self._latency(size, round(rate * 4.5 * (interval_s or lasts_s)))
            for _ in range(round(lasts_s / interval_s) if interval_s else 1)
        ]
        whole = Histogram({})
        for part in parts:
            whole.merge(part)
        (action,) = stage().actions
        action = msgspec.structs.replace(
            action, requests=whole.total, latency_hdr=whole.encode(fitted=True)
        )
        over_time = ClicksOverTime(
            begun_at="2026-11-22T10:00:02.000+00:00",
            interval_s=interval_s or lasts_s,
            intervals=tuple(
                Interval(at=at, clicks=each.total, failures=0, latency_hdr=each.encode(fitted=True))
                for at, each in enumerate(parts)
            ),
        )
        load: LoadRecord = msgspec.structs.replace(
            stage(),
            actions=(action,),
            sessions=Sessions(due=round(rate * lasts_s), dropped=0, finished=0, broken=0, cut=0),
            over_time=over_time if interval_s else None,
        )
        return Driven(load, None)

    def _latency(self, size: str, clicks: int) -> Histogram:
        wander = self._random.normal(0, 0.35)
        logs = self._random.normal(0, 0.8, clicks) - 0.8 * 1.645 + wander
        found = Histogram({})
        found.add(np.rint(1000 * self._typical_ms[size] * np.exp(logs)).astype(np.int64))
        return found


def test_what_is_not_in_force_or_smaller_here_goes_into_every_stage() -> None:
    said = "machine-smaller: this machine has a disk of 120 reads/s, not 500"
    up = SizeStanding(
        Standing(Target("", "", ""), {}, marks=(said,)),
        ("disk: no io controller",), (), lambda: None,
    )  # fmt: skip
    assert _marked(up).marks == (said, "not-in-force: disk: no io controller")
    # A miss on a disk that is slower than the size's says nothing of the size.
    load = msgspec.structs.replace(stage(900_000), invalid=(said,))
    missed = Driven(load, None).probe(PROJECT.catalogue, at_peak=True)
    assert (missed.verdict, missed.reasons) == ("INVALID", (said,))


def searched(micro_ms: float, seed: int, out: Path) -> tuple[SizeAnswer, list[str]]:
    @contextmanager
    def stand(size: Compute, mode: Mode) -> Iterator[SizeStanding]:
        yield SizeStanding(Standing(Target("", "", ""), {}), (), (), lambda: None)

    sizes = PROJECT.catalogue.compute[:3]
    plan = SizePlan(users=100_000, level=2, parts=(), change=Change(), sizes=sizes, seed=1,
                    run_dir=out, cell_s=6.5)  # fmt: skip
    search = SizeSearch(plan, PROJECT, stand, NOBODY)
    typical_ms = {"nano": 6000.0, "micro": micro_ms, "small": 20.0}
    drawn = Drawn(typical_ms, np.random.default_rng(seed))
    search._driver = drawn  # type: ignore[assignment]
    return search.answer(), drawn.longer


@pytest.mark.parametrize(
    ("micro_ms", "size", "on_the_edge"), [(470.0, "small", True), (220.0, "micro", False)]
)
def test_searches_near_the_edge_agree_on_a_size_and_say_which_is_on_it(
    micro_ms: float, size: str, on_the_edge: bool, tmp_path: Path
) -> None:
    runs = [searched(micro_ms, seed, tmp_path) for seed in range(12)]
    found = Counter(answer.sustained for answer, _ in runs)
    assert found[size] >= 11
    assert all(set(longer_ones) <= {"micro"} for _, longer_ones in runs)
    said = [answer.drive("micro", "sustained", "warm") for answer, _ in runs]
    edges = sum(drive is not None and drive.is_on_the_edge for drive in said)
    assert edges >= 11 if on_the_edge else edges <= 1
    assert all(drive is not None and drive.verdict != "FAIL" for drive in said)
