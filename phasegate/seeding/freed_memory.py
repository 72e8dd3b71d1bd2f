"""What glibc does with freed memory: kept for the next block, given back after a table.

Reads and writes nothing. Elsewhere than on Linux with glibc, both do nothing.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any

# glibc's mallopt: what it sets (malloc.h), and to what. A block's memory is freed a moment before
# the next block wants as much; given back to the kernel each time, it is zeroed and mapped anew:
# two to three times the page faults, some 5 to 8% of a worker's processor time
# (docs/decisions/0005-mallopt-in-seeding.md).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_TRIM_BYTES = 1 << 30
_MMAP_BYTES = 1 << 25  # the largest that glibc allows


@lru_cache(maxsize=1)
def _libc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next block, where its libc can be told to."""
    mallopt = getattr(_libc(), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)


def give_back_freed_memory() -> None:
    """Hand to the kernel what is free now: what one table took, the next may not need."""
    malloc_trim = getattr(_libc(), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
