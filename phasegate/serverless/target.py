"""What functions are driven at: a server of ours, a pooler in front of it, others beside them.

Makes the role that functions log in with, and drops it at the end; starts PgBouncer, and ends it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from phasegate.compare.libpq import Session
from phasegate.model.dsn import Dsn
from phasegate.model.errors import ConfigurationError
from phasegate.model.serverless import Way
from phasegate.stack.pgbouncer import find_pgbouncer, running_pgbouncer
from phasegate.stack.pgbouncer_install import install_command

ROLE = "phasegate_function"
ROLE_SQL = Path(__file__).with_name("sql") / "role.sql"
PASSWORD_BYTES = 24


@contextmanager
def logged_in(dsn: str) -> Iterator[str]:
    """DSN of a role as functions have it, on a server of ours; dropped at the end.

    Args:
        dsn: of a superuser, none of whose connections stays open: it would be one of the limit's.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    owner = Session(dsn)
    try:
        owner.once("select set_config('phasegate.password', $1, false)", password)
        owner.execute(ROLE_SQL.read_text(encoding="utf-8"))
    finally:
        owner.close()
    try:
        yield replace(Dsn.of(dsn), user=ROLE, password=password).url
    finally:
        owner = Session(dsn)
        try:
            owner.execute(f"drop role if exists {ROLE}")
        finally:
            owner.close()


@contextmanager
def reached(dsn: str, way: Way, *, others: int, folder: Path) -> Iterator[str]:
    """DSN that functions use: the server's, with `others` connections taken, or a pooler's.

    Args:
        dsn: of the role that functions log in with.
        way: to the database.
        others: connections straight to the server that other programs hold.
        folder: for the pooler's files; as root it must lie where the service user can go.

    Raises:
        ConfigurationError: there is no PgBouncer on this machine.
    """
    with ExitStack() as undo:
        for _ in range(others):
            undo.callback(Session(dsn).close)
        if way.pool is None:
            yield dsn
            return
        if find_pgbouncer() is None:
            raise ConfigurationError(
                "There is no PgBouncer on this machine",
                untouched="Nothing was driven through it",
                then=f"Try: {install_command()}, or drive with --through straight",
            )
        pooler = undo.enter_context(
            running_pgbouncer(folder, dsn, pool_size=way.pool, clients_max=way.limit)
        )
        yield pooler.dsn
