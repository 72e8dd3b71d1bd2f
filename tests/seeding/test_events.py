from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phasegate.seeding.events import _drop_in_place


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_what_comes_twice_is_dropped_in_the_same_memory(values: list[int]) -> None:
    keys = np.sort(np.array([*values, values[0]], dtype=np.uint64))
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    kept = _drop_in_place(keys, twice)
    assert kept.tolist() == sorted(set(values))
    assert np.shares_memory(kept, keys)
