"""Handing recorded times to pytest-benchmark, by its public API alone.

pytest-benchmark runs a function and reads a clock before and after it. The function given to it
here moves the clock on by the next recorded time, so its tables, JSON and comparisons show what
was measured in interleaved blocks. Reads and writes nothing but that clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_now_s = 0.0


def replayed_clock() -> float:
    """Seconds on the clock that `replay` moves; pass it as the benchmark's timer."""
    return _now_s


def replay(benchmark: Any, call_ns: Sequence[int]) -> None:
    """Show `call_ns` to the pytest-benchmark fixture as that many rounds of one iteration each."""
    times = iter(call_ns)

    def start() -> None:
        global _now_s
        _now_s = 0.0  # so that a time is the difference from zero: exact

    def pass_time() -> None:
        global _now_s
        # --benchmark-cprofile calls once more than there are rounds.
        _now_s += next(times, 0) / 1e9

    benchmark.pedantic(pass_time, setup=start, rounds=max(1, len(call_ns)))
