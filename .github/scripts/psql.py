"""Run psql on the database of DATABASE_URL, with the DSN out of the process list.

Reads DATABASE_URL; becomes `psql ARGUMENTS` with the DSN's parts in libpq's own variables, because
psql takes a DSN only as an argument. Needs nothing but Python: an hourly job installs nothing.
"""

from __future__ import annotations

import os
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")

# What a DSN may say after its question mark, and the variable that says the same to libpq.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def variables(dsn: str) -> dict[str, str]:
    """What libpq should find in the environment.

    Raises:
        ValueError: `dsn` is no address that can be taken apart; nothing of it is in the message.
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        # Its message quotes what it could not read, which may be a piece of the password.
        raise ValueError("it cannot be read as an address") from None
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError("it does not begin with postgresql://")
    said = {
        "host": parts.hostname,
        "port": str(port) if port else None,
        "user": parts.username,
        "password": parts.password,
        "dbname": parts.path.removeprefix("/"),
    }
    found = {VARIABLES[name]: unquote(value) for name, value in said.items() if value}
    for name, value in parse_qsl(parts.query):
        if name not in VARIABLES:
            raise ValueError(f"libpq knows no parameter {name!r}")
        found[VARIABLES[name]] = value
    if found.get("PGHOST", "localhost") not in LOOPBACK:
        found.setdefault("PGSSLMODE", "require")
    return found


def main() -> None:
    """Become psql, or say in one line why not."""
    try:
        found = variables(os.environ.get("DATABASE_URL", ""))
    except ValueError as error:
        sys.exit(f"DATABASE_URL is wrong: {error}. Nothing was sent.")
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    os.execvpe("psql", ["psql", "--no-psqlrc", *sys.argv[1:]], kept | found)


if __name__ == "__main__":
    main()
