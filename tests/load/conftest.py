"""Fixtures of the load room: real servers of our own, in processes of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from phasegate.load.run import Target
from phasegate.stack.tokens import mint_key

JWT_SECRET = "a-secret-of-the-tests-that-is-32-bytes-long"  # noqa: S105 - opens nothing


@dataclass(frozen=True)
class TinyServer:
    """A running `tiny_server.py`."""

    url: str
    process: subprocess.Popen[str]

    @property
    def target(self) -> Target:
        return Target(url=self.url, anon_key=mint_key(JWT_SECRET), jwt_secret=JWT_SECRET)

    @property
    def environment(self) -> dict[str, str]:
        """What `locust` needs to drive it."""
        keys = {"SUPABASE_ANON_KEY": self.target.anon_key, "SUPABASE_JWT_SECRET": JWT_SECRET}
        with socket.create_server(("127.0.0.1", 0)) as free:  # others have a master at this time
            port = str(free.getsockname()[1])
        ports = {"LOCUST_MASTER_BIND_PORT": port, "LOCUST_MASTER_NODE_PORT": port}
        return {**os.environ, **keys, **ports}

    def counted(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/counts", timeout=10) as answer:  # noqa: S310
            return dict(json.load(answer))


# Seconds of processor that a hypervisor kept from this machine: a tenth of a second is noise.
STOLEN_S = 0.1


class Busy:
    """What keeps a generator from being on time, other than the generator."""

    def __init__(self) -> None:
        self._stolen_s = self._stolen()

    def skip_or_fail(self) -> NoReturn:
        """A generator was late: skip where the machine is the reason, and fail where it is not.

        So on a quiet machine, as the one that runs all tests, no test is skipped for this.
        """
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        stolen_s = self._stolen() - self._stolen_s
        why = f"load {load:.1f} on {cores} cores, {stolen_s:.1f} s stolen"
        if load > cores or stolen_s > STOLEN_S:
            pytest.skip(f"this machine is too busy for the generator to be on time: {why}")
        pytest.fail(f"the generator was late although the machine is not busy: {why}")

    @staticmethod
    def _stolen() -> float:
        return float(getattr(psutil.cpu_times(), "steal", 0.0))


@pytest.fixture
def busy() -> Busy:
    """For tests that a machine may be too busy for."""
    return Busy()


@pytest.fixture
def tiny_server() -> Iterator[Callable[..., TinyServer]]:
    """Starts servers: `tiny_server("--status", "429")`; ends them afterwards."""
    yield from _starting("tiny_server.py")


@pytest.fixture
def etag_gateway() -> Iterator[Callable[..., TinyServer]]:
    """Puts gateways that add ETags in front: `etag_gateway(url)`; ends them afterwards."""
    yield from _starting("etag_gateway.py")


def _starting(name: str) -> Iterator[Callable[..., TinyServer]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> TinyServer:
        program = Path(__file__).with_name(name)
        process = subprocess.Popen(
            [sys.executable, str(program), *arguments], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return TinyServer(f"http://127.0.0.1:{int(process.stdout.readline())}", process)

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
