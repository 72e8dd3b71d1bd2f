"""A server that is reached over TLS, by `pytest benchmarks` as by a session of its own."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from phasegate.compare.connection import Connection
from phasegate.compare.connections import Routes
from phasegate.compare.cpu_affinity import Placement
from phasegate.compare.libpq import Session
from phasegate.compare.technique import Route, Via
from phasegate.model.dsn import Dsn
from phasegate.model.errors import CannotMeasure
from phasegate.stack.postgres import PostgresServer

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path("/usr/lib/postgresql/15/bin")  # Debian 12's; the embedded server has no TLS
IN_USE = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def tls(serving_tls: Callable[[Path], AbstractContextManager[Any]]) -> Iterator[Any]:
    with serving_tls(PROGRAMS) as started:
        yield started


@pytest.fixture(scope="module")
def population(tls: Any, populated_server: Callable[[PostgresServer], str]) -> str:
    """DSN of a small population behind TLS, without parameters."""
    dsn = populated_server(tls.server)
    # From now on a connection in the clear is refused, whoever opens it.
    rules = tls.server.data_dir / "pg_hba.conf"
    rules.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n", encoding="ascii")
    session = Session(tls.server.dsn())
    session.execute("select pg_reload_conf()")
    session.close()
    return dsn


def test_a_session_encrypts_where_the_address_says_so(tls: Any) -> None:
    session = Session(f"{tls.server.dsn()}?sslmode=require")
    assert session.once(IN_USE).column(0) == ["true"]
    session.close()


@pytest.mark.integration
def test_the_certificate_is_held_against_the_one_that_the_user_trusts(
    tls: Any, tmp_path: Path
) -> None:
    session = Session(f"{tls.server.dsn()}?sslmode=verify-full&sslrootcert={tls.certificate}")
    assert session.once(IN_USE).column(0) == ["true"]
    session.close()

    key, stranger = tmp_path / "key.pem", tmp_path / "stranger.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(stranger)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(CannotMeasure, match="certificate verify failed") as told:
        Session(f"{tls.server.dsn()}?sslmode=verify-full&sslrootcert={stranger}")
    assert tls.server.password not in str(told.value)


def test_this_machines_certificates_are_found_where_python_finds_them(
    tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = f"{tls.server.dsn()}?sslrootcert=system"
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(variable, "")  # what is set meanwhile is taken back
        monkeypatch.delenv(variable)
    with pytest.raises(CannotMeasure, match="certificate verify failed"):
        Session(dsn)  # no public authority signed it
    trusting = ssl.get_default_verify_paths()._replace(cafile=str(tls.certificate))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: trusting)
    session = Session(dsn)
    assert session.once(IN_USE).column(0) == ["true"]
    session.close()


@pytest.mark.integration
def test_a_proxy_that_delays_is_no_reason_not_to_verify_the_server(tls: Any) -> None:
    dsn = f"{tls.server.dsn()}?sslmode=verify-full&sslrootcert={tls.certificate}"
    direct = Connection(dsn)
    routes = Routes(dsn, direct, Placement(dsn))
    delayed = routes.caller(Route(Via.PROXY, 1))
    assert delayed.once(IN_USE).column(0) == ["true"]
    routes.close()
    direct.close()

    other_name = dsn.replace("127.0.0.1", "localhost")  # which the certificate does not hold
    with pytest.raises(CannotMeasure, match="does not match host name"):
        Session(other_name, near_port=tls.server.port)


def test_a_server_on_another_machine_is_asked_for_tls_unless_told_otherwise(
    tls: Any, database: str
) -> None:
    elsewhere = tls.server.dsn().replace("127.0.0.1", "database.invalid")
    session = Session(elsewhere, near_port=tls.server.port)
    assert session.once(IN_USE).column(0) == ["true"]
    session.close()

    embedded = Dsn.of(database)
    without_tls = embedded.at(host="database.invalid").url.partition("?")[0]
    with pytest.raises(CannotMeasure, match="does not support SSL"):
        Session(without_tls, near_port=embedded.port)
    session = Session(f"{without_tls}?sslmode=disable", near_port=embedded.port)
    assert session.once(IN_USE).column(0) == ["false"]
    session.close()


@pytest.mark.integration
def test_pytest_benchmarks_measures_a_server_that_takes_tls_alone(
    tls: Any, population: str, tmp_path: Path
) -> None:
    written = tmp_path / "measured.json"
    trusting = f"{population}?sslmode=verify-full&sslrootcert={tls.certificate}"
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"]
    command += ["-k", "join", "--budget", "4", f"--benchmark-json={written}"]
    for dsn, code in ((f"{population}?sslmode=disable", 3), (trusting, 0)):
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "DATABASE_URL": dsn},
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert written.exists() == (code == 0)
        assert tls.server.password not in done.stdout + done.stderr


def test_a_server_without_tls_is_not_measured_where_the_address_asks_for_it(database: str) -> None:
    with pytest.raises(CannotMeasure, match="does not support SSL"):
        Session(f"{database}?sslmode=require")
