from __future__ import annotations

import random
import uuid
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.model.population import (
    Activity,
    activity_rank,
    activity_step,
    activity_steps,
    hashed,
    mix,
    stream_key,
    thresholds,
    user_id,
    user_key,
)

SIGMA = 1.6
SEED = 7


def test_mix_is_splitmix64s_finaliser() -> None:
    # First output of splitmix64 seeded with 0: mix(golden ratio), as in the reference code.
    assert mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**24))
def test_one_hash_and_many_hashes_agree(key: int, counter: int) -> None:
    many = hashed(key, np.array([counter], dtype=np.uint64))
    assert int(many[0]) == mix((key + counter * 0x9E3779B97F4A7C15) % 2**64)


def test_a_users_id_is_a_version_4_uuid_that_depends_on_seed_and_index_alone() -> None:
    one = user_id(SEED, 41)
    assert one == uuid.UUID("50f4f41f-42df-46e3-85cb-2fa2ab739c05")
    assert (one.version, one.variant) == (4, uuid.RFC_4122)
    assert len({user_id(seed, index) for seed in range(20) for index in range(50)}) == 1000


def test_a_users_key_is_their_id_or_their_number_from_1_on() -> None:
    assert user_key(SEED, 41) == str(user_id(SEED, 41))
    assert user_key(SEED, 41, numbered=True) == "42"


def test_streams_of_one_seed_start_in_different_places() -> None:
    assert len({stream_key(1, stream, n) for stream in range(10) for n in range(10)}) == 100


def test_thresholds_cut_the_scale_in_proportion_and_end_at_its_end() -> None:
    assert thresholds([1, 1, 2], bits=8) == (64, 128, 256)


def test_activity_has_mean_one_and_a_heavy_tail() -> None:
    bounds, activities = activity_steps(SIGMA)
    shares = np.diff(np.array([0, *bounds])) / 2**32
    assert float(shares @ np.array(activities)) == pytest.approx(1, abs=1e-6)
    steps = activity_step(SEED, np.arange(200_000, dtype=np.uint64), SIGMA)
    drawn = np.sort(np.array(activities)[steps])
    # Log-normal with sigma 1.6: the top 1% own Phi(1.6 - 2.326) = 23.4% of the whole.
    assert drawn[-2000:].sum() / drawn.sum() == pytest.approx(0.234, abs=0.03)
    # Its median is exp(-sigma²/2) of the mean.
    assert float(np.median(drawn)) == pytest.approx(0.278, rel=0.1)


@pytest.mark.parametrize("seed", [1, 2, 42])
@pytest.mark.parametrize("users", [1_000, 3_000, 10_000])
def test_the_first_users_have_their_share_of_busy_ones_whatever_their_number(
    seed: int, users: int
) -> None:
    steps = activity_step(seed, np.arange(users, dtype=np.uint64), SIGMA)
    _, activities = activity_steps(SIGMA)
    # Drawn one by one it would be off by 3.4 / sqrt(N): 11%, 6% and 3% (seed 1: 34%, 13%, 2%).
    assert float(np.array(activities)[steps].mean()) == pytest.approx(1, abs=0.03)


def test_ranks_are_one_in_each_part_and_in_another_order_for_another_seed() -> None:
    one, other = (activity_rank(seed, np.arange(64, dtype=np.uint64)) for seed in (1, 2))
    for ranks in (one, other):
        assert sorted((ranks >> np.uint64(26)).tolist()) == list(range(64))
    assert not np.array_equal(one, other)


def test_a_user_keeps_its_activity_when_the_population_grows() -> None:
    small = activity_step(SEED, np.arange(100, dtype=np.uint64), SIGMA)
    large = activity_step(SEED, np.arange(1000, dtype=np.uint64), SIGMA)
    assert np.array_equal(small, large[:100])


def test_users_are_drawn_as_often_as_they_are_active() -> None:
    users, draws = 50, 40_000
    rng = random.Random(3)
    activity = Activity(SEED, users, SIGMA)
    counts = Counter(activity.draw(rng) for _ in range(draws))
    _, activities = activity_steps(SIGMA)
    steps = activity_step(SEED, np.arange(users, dtype=np.uint64), SIGMA)
    weights = np.array(activities)[steps]
    for index, share in enumerate(weights / weights.sum()):
        spread = 5 * (share * (1 - share) / draws) ** 0.5
        assert counts[index] / draws == pytest.approx(share, abs=spread + 1e-4)


def test_the_same_state_of_a_generator_draws_the_same_users() -> None:
    def drawn() -> list[int]:
        rng = random.Random(9)
        activity = Activity(SEED, 1000, SIGMA)
        return [activity.draw(rng) for _ in range(20)]

    assert drawn() == drawn()
