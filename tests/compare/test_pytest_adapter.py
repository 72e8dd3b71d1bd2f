"""What pytest-benchmark shows is exactly what was recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]

SUITE = """
import pytest
from phasegate.compare.pytest_adapter import replay, replayed_clock

@pytest.mark.benchmark(timer=replayed_clock)
def test_recorded(benchmark):
    replay(benchmark, [1_000, 5_000_000, 123_456_789, 3])
"""


def replayed(folder: Path, *arguments: str) -> list[float]:
    (folder / "test_suite.py").write_text(SUITE)
    out = folder / "out.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", folder, f"--benchmark-json={out}", *arguments),
            *("-p", "no:cacheprovider", "-q", f"--rootdir={folder}"),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stdout
    data: list[float] = json.loads(out.read_text())["benchmarks"][0]["stats"]["data"]
    return data


def test_recorded_times_reach_pytest_benchmark_unchanged_and_in_order(tmp_path: Path) -> None:
    assert replayed(tmp_path) == [1e-6, 5e-3, 0.123456789, 3e-9]


def test_profiling_does_not_disturb_the_replay(tmp_path: Path) -> None:
    times = replayed(tmp_path, "--benchmark-cprofile=tottime", "--benchmark-warmup=on")
    assert times == [1e-6, 5e-3, 0.123456789, 3e-9]
