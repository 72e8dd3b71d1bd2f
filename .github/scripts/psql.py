"""Run psql on the database of DATABASE_URL, with the DSN out of the process list.

Reads DATABASE_URL as every verb of phasegate does; becomes `psql ARGUMENTS` with the DSN's parts in
libpq's own variables, because psql takes a DSN only as an argument. Needs nothing but Python and
the package beside it, of which it uses what imports nothing else: an hourly job installs nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from phasegate.model.dsn import DATABASE_URL, Dsn
from phasegate.model.errors import PhasegateError

# libpq's keywords, and the variables that say the same.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def main() -> NoReturn:
    """Become psql, or say in one line why not, and end with the code of a wrong call."""
    try:
        dsn = Dsn.of(os.environ.get(DATABASE_URL, ""), DATABASE_URL)
    except PhasegateError as error:
        sys.stderr.write(f"{error.sentence()}\n")
        sys.exit(error.exit_code)
    for remark in dsn.remarks:
        sys.stderr.write(f"{remark}\n")
    kept = {name: value for name, value in os.environ.items() if name != DATABASE_URL}
    said = dsn.keywords()
    # The passphrase of a client's key has no variable; psql then asks for it, and nobody answers.
    found = {variable: said[keyword] for keyword, variable in VARIABLES.items() if keyword in said}
    os.execvpe("psql", ["psql", "--no-psqlrc", *sys.argv[1:]], kept | found)


if __name__ == "__main__":
    main()
