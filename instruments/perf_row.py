"""A row of `python -m instruments perf`, from paired repetitions. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from phasegate.records.perf import PerfRow


def perf_row(
    name: str,
    unit: str,
    ours: Sequence[float],
    peer: Sequence[float],
    peer_name: str,
    goal: str,
    *,
    holds: bool | None = None,
) -> PerfRow:
    """Medians of both, and of the ratios within each repetition, with their spread.

    Args:
        name: of the figure.
        unit: of `ours` and `peer`.
        ours: one a repetition.
        peer: of the same repetitions.
        peer_name: what it is compared with.
        goal: `≥ x` or `≤ x` of the ratio, or in other words.
        holds: whether the goal is met, where it is in other words.
    """
    ratios = [one / other for one, other in zip(ours, peer, strict=True)]
    ratio = statistics.median(ratios)
    if holds is None:
        bound = float(goal[2:])
        holds = ratio >= bound if goal.startswith("≥") else ratio <= bound
    return PerfRow(
        name=name,
        unit=unit,
        ours=statistics.median(ours),
        peer=statistics.median(peer),
        peer_name=peer_name,
        ratio=ratio,
        ratio_low=min(ratios),
        ratio_high=max(ratios),
        repetitions=len(ratios),
        goal=goal,
        holds=holds,
    )
