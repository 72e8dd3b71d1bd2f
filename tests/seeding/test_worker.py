from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

# Eight blocks of a MB are taken and let go, over and over, as a queue of them is in a load.
SCRIPT = """
import resource, sys
import numpy as np
from phasegate.seeding.freed_memory import keep_freed_memory

def blocks():
    return [np.full(1 << 20, 1, dtype=np.uint8) for _ in range(8)]

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3):
    blocks()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Pages that the kernel had to map anew."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    return int(told.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="only glibc can be told to keep freed memory",
)
def test_a_worker_keeps_freed_memory_for_its_next_blocks() -> None:
    assert 20 * faults("keep") < faults("give back")
