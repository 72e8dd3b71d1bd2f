"""The population model: who the users are, as pure functions of (seed, index).

Reads and writes nothing. Randomness is integer hashing of (seed, stream,
counter), never a generator's state: a user is the same on every machine, in every order, and
whatever the size of the population.

Users are numbered 0..N-1. Their activity is log-normal with mean 1, in `ACTIVITY_STEPS` steps.
"""

from __future__ import annotations

import hashlib
import math
import random
import uuid
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

MASK = (1 << 64) - 1
# Constants of splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
# generators"): each step is a bijection of 64-bit integers.
GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB

# Burley's constants: even, so that no bit is changed by one above it.
_OWEN = tuple(map(np.uint32, (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6)))
_HALVES = tuple(
    (np.uint32(width), np.uint32(mask))
    for width, mask in (
        (16, 0xFFFF),
        (8, 0x00FF00FF),
        (4, 0x0F0F0F0F),
        (2, 0x33333333),
        (1, 0x55555555),
    )
)
# Activity runs over ±4.6 standard deviations: one user in 500,000 is beyond, so that a million
# users have their busiest ones, and a step of 0.05 is a step of 8% in activity.
ACTIVITY_Z_MAX = 4.6
ACTIVITY_STEPS = 184
# Rounding makes tables equal on machines whose math libraries differ in the last digit.
SIGNIFICANT_DIGITS = 9


class Stream(IntEnum):
    """Sources of randomness of the users themselves; never renumber one, the data would change.

    Those of tables and columns go by their names: `named_stream`.
    """

    USER_ID_HIGH = 1
    USER_ID_LOW = 2
    USER = 3
    SIGNUP = 4


def named_stream(name: str) -> int:
    """The stream of a table or column: renaming one draws it afresh, and no other."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def mix(value: int) -> int:
    """splitmix64's finaliser: 64 bits in, 64 bits out, one to one."""
    value = ((value ^ (value >> 30)) * MIX_1) & MASK
    value = ((value ^ (value >> 27)) * MIX_2) & MASK
    return value ^ (value >> 31)


def stream_key(seed: int, stream: int, counter: int = 0) -> int:
    """Where the stream of one (seed, stream, counter) starts; seeds are any integers."""
    key = mix((seed + GOLDEN) & MASK)
    key = mix((key + stream * GOLDEN) & MASK)
    return mix((key + counter * GOLDEN) & MASK)


def mix_in_place(values: U64, scratch: U64) -> U64:
    """`mix` of each element of `values`, in place; `scratch` is as long and is overwritten."""
    for shift, factor in ((30, MIX_1), (27, MIX_2)):
        np.right_shift(values, np.uint64(shift), out=scratch)
        np.bitwise_xor(values, scratch, out=values)
        np.multiply(values, np.uint64(factor), out=values)
    np.right_shift(values, np.uint64(31), out=scratch)
    return np.bitwise_xor(values, scratch, out=values)


def hashed(key: int, counters: U64) -> U64:
    """Hash of each counter under `key` (from `stream_key`), as a new array."""
    values = counters * np.uint64(GOLDEN)
    values += np.uint64(key)
    return mix_in_place(values, np.empty_like(values))


def user_id(seed: int, index: int) -> uuid.UUID:
    """Profile id of user `index`, the `sub` of the user's token: shaped as a version 4 UUID."""
    high = mix((stream_key(seed, Stream.USER_ID_HIGH) + index * GOLDEN) & MASK)
    low = mix((stream_key(seed, Stream.USER_ID_LOW) + index * GOLDEN) & MASK)
    high = (high & ~0xF000) | 0x4000
    low = (low & (MASK >> 2)) | (1 << 63)
    return uuid.UUID(int=(high << 64) | low)


def user_key(seed: int, index: int, *, numbered: bool = False) -> str:
    """Key of user `index` as tokens carry it in `sub`: a UUID, or 1, 2, 3, … where `numbered`."""
    return str(index + 1) if numbered else str(user_id(seed, index))


def rounded(value: float) -> float:
    """`value` to `SIGNIFICANT_DIGITS`."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def thresholds(weights: Sequence[float], bits: int = 32) -> tuple[int, ...]:
    """Upper bound of each bin of `weights` on a scale of 0..2^bits; the last is 2^bits.

    A uniform number u of `bits` bits falls into the first bin whose bound is above u.
    """
    total, running = math.fsum(weights), 0.0
    bounds = []
    for weight in weights:
        running += weight
        bounds.append(round(rounded(running / total) * (1 << bits)))
    return (*bounds[:-1], 1 << bits)


@lru_cache(maxsize=8)
def activity_steps(sigma: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Bounds of the activity steps on 0..2^32, and the activity of each step; the mean is 1."""
    normal = NormalDist()
    width = 2 * ACTIVITY_Z_MAX / ACTIVITY_STEPS
    edges = [-ACTIVITY_Z_MAX + width * step for step in range(ACTIVITY_STEPS + 1)]
    shares = [normal.cdf(high) - normal.cdf(low) for low, high in pairwise(edges)]
    raw = [math.exp(sigma * (low + width / 2)) for low in edges[:-1]]
    mean = math.fsum(s * r for s, r in zip(shares, raw, strict=True)) / math.fsum(shares)
    return thresholds(shares), tuple(rounded(value / mean) for value in raw)


def activity_rank(seed: int, indices: U64) -> U64:
    """How active each user in `indices` is among all, 0 = least, on a scale of 2^32.

    Not by chance: the first N users have their due share of quiet and of busy ones, whatever N.
    With ranks drawn one by one, the busiest few decide: the mean activity of 1,000 users would be
    off by 11% (standard deviation, sigma 1.6), and so would be the sizes of their tables.

    Van der Corput's sequence in base 2, scrambled by the seed after Owen, in the form of a hash of
    each bit by the ones below it (Burley 2020, "Practical hash-based Owen scrambling", JCGT 9(4),
    listing 1: `laine_karras_permutation`).
    """
    bits = indices.astype(np.uint32)
    bits += np.uint32(stream_key(seed, Stream.USER) & 0xFFFFFFFF)
    for factor in _OWEN:
        bits ^= bits * factor
    return _reversed(bits).astype(np.uint64)


def _reversed(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The 32 bits of each number in the opposite order."""
    for width, mask in _HALVES:
        bits = ((bits >> width) & mask) | ((bits & mask) << width)
    return bits


def activity_step(seed: int, indices: U64, sigma: float) -> NDArray[np.intp]:
    """Activity step (0 = quietest) of each user in `indices`."""
    bounds, _ = activity_steps(sigma)
    rank = activity_rank(seed, indices)
    return np.searchsorted(np.array(bounds, dtype=np.uint64), rank, side="right")


class Activity:
    """Users drawn as often as they are active: what a parameter of a benchmark is drawn from.

    Args:
        seed: of the data set.
        users: registered users, numbered 0..users-1.
        sigma: of the logarithm of their activity (`activity_sigma` of seed/population.toml).
    """

    def __init__(self, seed: int, users: int, sigma: float) -> None:
        steps = activity_step(seed, np.arange(users, dtype=np.uint64), sigma)
        _, weights = activity_steps(sigma)
        scaled = np.rint(np.array(weights) * (1 << 20)).astype(np.int64)
        self._cumulative = np.cumsum(scaled[steps])

    def draw(self, rng: random.Random) -> int:
        """Index of one user, by activity; the same `rng` state gives the same user."""
        point = rng.randrange(int(self._cumulative[-1]))
        return int(np.searchsorted(self._cumulative, point, side="right"))
