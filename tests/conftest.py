"""Fixtures that every room's tests share: a real server of the session's own, empty databases."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasegate.project import VARIABLE
from phasegate.records.night import Circumstances, Evidence, NightRecord, Ratios, Series
from phasegate.records.run import Machine, Server
from phasegate.stack.binaries import BIN_VARIABLE, give_to_service_user, programs, server_version
from phasegate.stack.database import apply_sql, execute
from phasegate.stack.postgres import PostgresServer, running_postgres
from phasegate.stats.paired import ALARM_CONFIDENCE, ratio_of_logs


def pytest_configure() -> None:
    # Started in a shell's background, a process ignores Ctrl-C, and so do its children; the tests
    # send it to theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Sessions of pytest that tests start load what they need: these take half of their start.
    unused = " -p no:hypothesispytest -p no:faker -p no:anyio"
    os.environ["PYTEST_ADDOPTS"] = os.environ.get("PYTEST_ADDOPTS", "") + unused


# Whole commands as a user runs them, and pages in a browser.
END_TO_END = ("cli", "workflows", "test_browser.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test `e2e`, `integration` or `unit`, unless its module says it itself.

    What asks whether the machine is `busy` runs alone, so that it is not skipped.
    """
    for item in items:
        if "busy" in getattr(item, "fixturenames", ()):
            item.add_marker("alone")
        if any(item.get_closest_marker(mark) for mark in ("unit", "integration", "e2e")):
            continue
        if any(part in END_TO_END for part in item.path.parts):
            item.add_marker("e2e")
        elif "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker("integration")
        else:
            item.add_marker("unit")


@pytest.fixture(autouse=True)
def _a_unit_test_stands_alone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that starts a process or opens a connection is no unit test, and says so."""
    if request.node.get_closest_marker("unit") is None:
        return

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a unit test starts no process and opens no connection: mark it integration")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def _a_verb_leaves_its_project_to_itself() -> Iterator[None]:
    """A verb that is called in this process names its project to children, by the environment."""
    before = os.environ.get(VARIABLE)
    yield
    if before is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = before


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files anew instead of comparing"
    )


class Golden:
    """Compares text with a file beside the test, or writes that file under --update-golden."""

    def __init__(self, folder: Path, update: bool) -> None:
        self.folder = folder
        self.update = update

    def check(self, name: str, text: str) -> None:
        path = self.folder / name
        if self.update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is not there: run pytest --update-golden, and read it"
        assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Golden files of the folder that the test is in."""
    return Golden(request.path.parent / "golden", bool(request.config.getoption("--update-golden")))


class Nights:
    """Hand-made nights: quiet ones of two series, to be changed by `msgspec.structs.replace`."""

    BASELINE = "b" * 40
    BLOCKS = 40

    def ratios(self, ratio: float = 1.0, spread: float = 0.01) -> Ratios:
        """Blocks spread evenly about `ratio`, in an order without correlation."""
        n = self.BLOCKS
        steps = [((7 * block) % n - (n - 1) / 2) / n for block in range(n)]
        logs = np.array([math.log(ratio) + 2 * spread * step for step in steps])
        found = ratio_of_logs(logs, ALARM_CONFIDENCE)
        return Ratios(
            logs=tuple(float(each) for each in logs),
            calls_per_block=5,
            estimate=found.estimate,
            low=found.low,
            high=found.high,
        )

    def series(self, key: str = "join", ratio: float = 1.0, **changed: Any) -> Series:
        evidence = Evidence(plan_hash="aaaa1111", shared_buffers=24, statements=1)
        fields: dict[str, Any] = {
            "id": f"sql/{key}/after",
            "name": f"The {key}, after",
            "ratios": self.ratios(ratio),
            "head": evidence,
            "baseline": evidence,
        }
        return Series(**{**fields, **changed})

    def slower(self, key: str = "join", ratio: float = 1.08) -> Series:
        """Measured twice, and slower both times."""
        return self.series(key, ratio, confirmation=self.ratios(ratio - 0.01))

    def night(self, day: int = 0, *series: Series, **changed: Any) -> NightRecord:
        """The night `day` days after 2026-10-01, 02:15 UTC."""
        start = datetime(2026, 10, 1, 2, 15, tzinfo=UTC) + timedelta(days=day)
        fields: dict[str, Any] = {
            "format_version": NightRecord.FORMAT_VERSION,
            "night": start.strftime("%Y-%m-%dT%H%M%SZ"),
            "started_at": start.isoformat(),
            "wall_s": 612.0,
            "phasegate_version": "0.1.0",
            "commit": "c" * 40,
            "dirty": False,
            "baseline": "v0.1.0",
            "baseline_commit": self.BASELINE,
            "machine": Machine(
                cpu="AMD EPYC 7763 64-Core Processor",
                cores=4,
                memory_bytes=16_000_000_000,
                kernel="Linux 6.8.0",
                python="3.11.9",
                load_1m=0.3,
            ),
            "server": Server(version="PostgreSQL 18.6", settings={"shared_buffers": "512MB"}),
            "users": 10_000,
            "seed": 1,
            "sha256": "d" * 64,
            "circumstances": self.circumstances(),
            "series": series or (self.series("join"), self.series("matview")),
        }
        return NightRecord(**{**fields, **changed})

    def circumstances(self, *quarantine: str) -> Circumstances:
        return Circumstances(
            steal_share=0.002,
            busy_share=0.03,
            load_1m=0.3,
            same=(self.ratios(),),
            false_alarms=1,
            pairs=300,
            found=197,
            injections=200,
            quarantine=quarantine,
        )


@pytest.fixture(scope="session")
def nights() -> Nights:
    return Nights()


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server in a temporary folder, with the settings that users get."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, the server runs as another user
        with running_postgres(home / "data", settings={"shared_buffers": "256MB"}) as server:
            yield server


@dataclass(frozen=True)
class TlsServer:
    """A server with a certificate for 127.0.0.1 that it signed itself."""

    server: PostgresServer
    certificate: Path


@contextmanager
def _serving_tls(programs_folder: Path) -> Iterator[TlsServer]:
    if not (programs_folder / "postgres").exists() or shutil.which("openssl") is None:
        pytest.skip(f"no PostgreSQL in {programs_folder}, or no openssl for a certificate")
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        patched.setenv(BIN_VARIABLE, str(programs_folder))
        programs.cache_clear()
        server_version.cache_clear()
        home = Path(folder)
        home.chmod(0o755)
        certificate, key = home / "server.crt", home / "server.key"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        key.chmod(0o600)
        give_to_service_user(key)
        settings = {
            "shared_buffers": "128MB",
            "ssl": "on",
            "ssl_cert_file": str(certificate),
            "ssl_key_file": str(key),
        }
        try:
            with running_postgres(home / "data", settings=settings) as server:
                yield TlsServer(server, certificate)
        finally:
            patched.undo()
            programs.cache_clear()
            server_version.cache_clear()


@pytest.fixture(scope="session")
def serving_tls() -> Callable[[Path], AbstractContextManager[TlsServer]]:
    """Starts the PostgreSQL in a folder of programs with TLS, which the embedded one has not."""
    return _serving_tls


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """DSN of an empty database, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    execute(postgres.dsn(), f"create database {name}")
    yield postgres.dsn(name)
    execute(postgres.dsn(), f"drop database {name} with (force)")


HOSTED_PROJECT = Path(__file__).with_name("hosted_project.sql").read_text(encoding="utf-8")
HOSTED_ROLE = "project_owner"
HOSTED_PASSWORD = "of-the-tests"  # noqa: S105 - opens nothing else

MAKE_HOSTED_ROLE = f"""
do $$ begin
    if to_regrole('{HOSTED_ROLE}') is null then
        create role {HOSTED_ROLE} login createrole createdb replication bypassrls
            password '{HOSTED_PASSWORD}';
    end if;
end $$
"""


@pytest.fixture
def hosted(postgres: PostgresServer, database: str) -> str:
    """DSN of an empty database as hosted Supabase makes it, of its owner, who is no superuser."""
    name = database.rpartition("/")[2]
    execute(database, MAKE_HOSTED_ROLE)
    execute(database, f"alter database {name} owner to {HOSTED_ROLE}")
    apply_sql(database, "supabase")
    execute(database, HOSTED_PROJECT)
    return f"postgresql://{HOSTED_ROLE}:{HOSTED_PASSWORD}@127.0.0.1:{postgres.port}/{name}"
