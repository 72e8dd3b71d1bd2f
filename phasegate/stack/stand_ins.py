"""Extensions that our own server lacks, stood in for by plain SQL, so that schemas can be made.

Reads `stack/extensions/`; writes a copy of it into the cache folder, where the server can read it.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

from phasegate.stack.cache import cache_dir, make_open

FOLDER = Path(__file__).with_name("extensions")

# The first server that looks for extensions in more than one folder.
VERSION_MIN = 18

STOOD_IN: dict[str, str] = {
    "uuid-ossp": "its UUIDs of version 1 are random, those of version 5 have other values",
    "pgcrypto": "nothing is encrypted, and passwords are hashed once",
    "pgjwt": "no token is signed",
    "pg_net": "no request is sent",
    "http": "no request is sent",
    "pg_cron": "no job runs",
    "pg_graphql": "GraphQL answers nothing",
    "pg_jsonschema": "every document counts as valid",
    "pg_uuidv7": "",
    "pgmq": "no message is kept",
    "pgsodium": "nothing is encrypted",
    "supabase_vault": "there are no secrets",
}
"""By name: what differs from the extension itself; empty where nothing does that a load sees."""

NAMES_ONLY: tuple[str, ...] = (
    "address_standardizer", "hypopg", "index_advisor", "pg_bigm", "pg_hashids", "pg_ivm",
    "pg_partman", "pg_repack", "pg_search", "pg_stat_monitor", "pg_tle", "pgaudit", "pgroonga",
    "pgroonga_database", "pgrouting", "pgtap", "plpgsql_check", "plv8", "postgis", "postgis_raster",
    "postgis_sfcgal", "postgis_tiger_geocoder", "postgis_topology", "rum", "sslinfo", "supautils",
    "timescaledb", "timescaledb_toolkit", "vchord", "wrappers", "xml2", "zhparser",
)  # fmt: skip
"""Made without anything in them: what needs their types or functions cannot be made."""


def folder() -> Path:
    """Where the server finds them, made once per version of theirs; other accounts may read it."""
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}
    for name in NAMES_ONLY:
        files |= {f"{name}.control": _CONTROL.format(name=name).encode(), f"{name}--1.0.sql": b""}
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:12]
    home = cache_dir() / f"extensions-{digest}"
    if not home.exists():
        beside = home.with_name(f".{home.name}.partial")
        shutil.rmtree(beside, ignore_errors=True)
        make_open(beside / "extension")
        for name, content in files.items():
            path = beside / "extension" / name
            path.write_bytes(content)
            path.chmod(0o644)
        with suppress(OSError):  # another process was first; its copy is the same
            beside.rename(home)
    return home


_CONTROL = """\
comment = '{name}: its name alone (stand-in of phasegate)'
default_version = '1.0'
relocatable = true
"""


def settings(version: int) -> dict[str, str]:
    """What lets a server of major `version` find them: nothing, where it could not."""
    home = folder() if version >= VERSION_MIN else None
    return {} if home is None or ":" in str(home) else {"extension_control_path": f"$system:{home}"}
