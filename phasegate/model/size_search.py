"""Search for the smallest of an ascending list of sizes that holds: pure, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from phasegate.model.verdict import Verdict


def next_size(sizes: Sequence[str], seen: Mapping[str, Verdict]) -> str | None:
    """The size to drive next, in the middle of what is open; None when the search is over.

    One that could not be judged counts as one that does not hold: a larger one may.

    Args:
        sizes: ascending.
        seen: verdicts so far.
    """
    low, high = _open(sizes, seen)
    return sizes[(low + high) // 2] if low < high else None


def smallest(sizes: Sequence[str], seen: Mapping[str, Verdict]) -> str | None:
    """The smallest size that holds, when the search is over; None where none does."""
    _, high = _open(sizes, seen)
    return sizes[high] if high < len(sizes) else None


def _open(sizes: Sequence[str], seen: Mapping[str, Verdict]) -> tuple[int, int]:
    """The places that may hold the smallest: from the first to before the second."""
    holds = [at for at, size in enumerate(sizes) if seen.get(size) is Verdict.PASS]
    high = min(holds, default=len(sizes))
    below = [at for at, size in enumerate(sizes[:high]) if size in seen]
    return max(below, default=-1) + 1, high
