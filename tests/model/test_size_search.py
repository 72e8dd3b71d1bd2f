from __future__ import annotations

import pytest

from phasegate.model.size_search import next_size, smallest
from phasegate.model.verdict import Verdict

SIZES = [f"size-{number}" for number in range(11)]


def _search(verdicts: dict[str, Verdict]) -> tuple[str | None, int]:
    seen: dict[str, Verdict] = {}
    while (size := next_size(SIZES, seen)) is not None:
        assert size not in seen
        seen[size] = verdicts[size]
    return smallest(SIZES, seen), len(seen)


@pytest.mark.parametrize("first", range(12))
def test_the_smallest_that_holds_is_found_in_four_drives(first: int) -> None:
    verdicts = {
        size: Verdict.PASS if at >= first else Verdict.FAIL for at, size in enumerate(SIZES)
    }
    found, drives = _search(verdicts)
    assert found == (SIZES[first] if first < len(SIZES) else None)
    assert drives <= 4


def test_a_size_that_cannot_be_judged_is_passed_over_for_a_larger_one() -> None:
    verdicts = dict.fromkeys(SIZES, Verdict.PASS) | {"size-5": Verdict.INVALID}
    assert _search(verdicts)[0] == "size-6"


def test_what_is_known_is_not_driven_again() -> None:
    seen = {"size-10": Verdict.PASS, "size-9": Verdict.FAIL}
    assert next_size(SIZES, seen) is None
    assert smallest(SIZES, seen) == "size-10"
