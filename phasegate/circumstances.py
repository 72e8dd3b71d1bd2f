"""What a run's figures depend on: the machine, the code, the server.

Reads /proc and git; writes nothing. No host name, user name or path is taken down.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import asyncpg
import psutil

from records.run import Machine, Server
from stack.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
UNKNOWN_CPU = "unknown"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or UNKNOWN_CPU
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine() or UNKNOWN_CPU


def machine() -> Machine:
    """The computer that this process runs on."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load_1m=round(os.getloadavg()[0], 2),
    )


def _git(*arguments: str) -> str | None:
    """What git says of this checkout; None where there is no checkout, or no git."""
    try:
        done = subprocess.run(
            ["git", "-C", ROOT, *arguments],  # noqa: S607 - the user's own git
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def commit() -> tuple[str | None, bool | None]:
    """The commit of the code and whether the checkout differs from it; None outside a checkout."""
    name = _git("rev-parse", "HEAD")
    if not name:
        return None, None
    return name, bool(_git("status", "--porcelain"))


def code_version() -> str:
    """The installed version of phasegate."""
    return version("phasegate")


async def describe_server(server: PostgresServer) -> Server:
    """Version and non-default settings of a running server."""
    connection = await asyncpg.connect(server.dsn())
    try:
        full = await connection.fetchval("show server_version")
    finally:
        await connection.close()
    return Server(version=full, settings=dict(server.settings))
