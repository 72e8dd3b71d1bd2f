from __future__ import annotations

import statistics

import pytest

from instruments.load_perf import K6_SCRIPT, agree
from instruments.load_perf_server import delays_s


def test_percentiles_agree_within_a_tenth_or_half_a_millisecond() -> None:
    assert agree([1.4, 1.4, 1.4], [1.0, 1.0, 1.0])
    assert agree([21.9, 21.9, 40.0], [20.0, 20.0, 20.0])
    assert not agree([22.5, 22.5, 20.0], [20.0, 20.0, 20.0])
    assert not agree([17.0, 17.0, 17.0], [20.0, 20.0, 20.0])


def test_any_few_hundred_delays_have_the_whole_distribution() -> None:
    delays_ms = [delay_s * 1000 for delay_s in delays_s(8.0)]
    for start in (0, 100, 600):
        part = sorted(delays_ms[start : start + 400])
        assert statistics.median(part) == pytest.approx(8.0, rel=0.02)
        assert part[379] == pytest.approx(8.0 * 2.2758, rel=0.04)  # exp(0.5 * z of 0.95)
        assert part[395] == pytest.approx(8.0 * 3.2000, rel=0.08)  # exp(0.5 * z of 0.99)


@pytest.mark.integration
def test_the_peers_script_is_shipped() -> None:
    assert "constant-arrival-rate" in K6_SCRIPT.read_text(encoding="utf-8")
