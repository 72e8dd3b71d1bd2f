"""Change points of series, found by Apache Otava: a program for an environment of its own.

Reads JSON from standard input, {"series": {id: [ratio, …]}, "pvalue_max", "magnitude_min"}; writes
JSON to standard output, {id: [{"index", "before", "after", "pvalue"}, …]}. Imports nothing of
phasegate: Otava wants another numpy than ours (`nightly.drift` starts this).
"""

from __future__ import annotations

import json
import sys
from typing import Any

from otava.analysis import compute_change_points


def found(
    ratios: list[float], pvalue_max: float, magnitude_min: float
) -> list[dict[str, float | int]]:
    """Change points of one series, in order.

    `before` and `after` are the mean ratios between the neighbouring change points; `index` is the
    place of the first ratio of the new level.
    """
    # A list, not an array: Otava gives wrong places for arrays.
    points: Any = compute_change_points(
        list(ratios), max_pvalue=pvalue_max, min_magnitude=magnitude_min
    )[0]
    return [
        {
            "index": int(point.index),
            "before": float(point.stats.mean_1),
            "after": float(point.stats.mean_2),
            "pvalue": float(point.stats.pvalue),
        }
        for point in points
    ]


def main() -> None:
    """From standard input to standard output."""
    asked = json.load(sys.stdin)
    answer = {
        name: found(ratios, asked["pvalue_max"], asked["magnitude_min"])
        for name, ratios in asked["series"].items()
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
