"""The project that is measured: where its folders are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
BENCHMARKS = ROOT / "benchmarks"
