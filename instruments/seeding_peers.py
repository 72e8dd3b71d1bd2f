"""The seeder on a schema of twenty tables, beside COPY and the npm seeders: rows of `perf`.

Reads `instruments/shop`. Makes databases of its own on the server and a temporary folder, into
which npm installs the peers; drops both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from instruments.perf_row import perf_row
from instruments.seeding_perf import DATABASE, JOBS, Limit, fresh, prepared
from phasegate.model.errors import CannotMeasure
from phasegate.project import SeedFolder
from phasegate.records.perf import PerfRow
from phasegate.seeding import seed_database
from phasegate.seeding.dataset_spec import dataset_spec
from phasegate.seeding.process_pool import run_crew
from phasegate.stack.database import apply_sql, connected, execute, run
from phasegate.stack.postgres import PostgresServer

SHOP = Path(__file__).with_name("shop")
USERS = 20_000
PEER_ROWS = {"drizzle": 2_000, "snaplet": 500}
"""Rows a table, and users: some seconds of each peer at work."""
REPETITIONS = 5
SEED = 1
OVERHEAD_MAX = 1.6
"""Making rows of any schema may cost six tenths of what COPY takes for them."""
PEER_MIN = 20.0
INSTALL_TIMEOUT_S, PEER_TIMEOUT_S = 300, 120
QUIET = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
PEERS = {"drizzle": "drizzle-seed 0.3.1", "snaplet": "@snaplet/seed 0.98.0"}
PREPARE = {"snaplet": ("npx", "snaplet-seed", "sync")}


def rows(server: PostgresServer) -> Iterator[PerfRow]:
    """The seeder's figures on the shop's tables."""
    try:
        yield overhead(server)
        yield from peers(server)
    finally:
        execute(server.dsn(), f"drop database if exists {DATABASE} with (force)")


def overhead(server: PostgresServer) -> PerfRow:
    """What making the rows costs beyond COPY of the same bytes."""
    spec = dataset_spec(USERS, SEED, None, SeedFolder(SHOP))
    ours, limits = [], []
    fresh(server, DATABASE)
    schema = run(prepared(server, spec))
    with closing(Limit(server.dsn(DATABASE), spec, schema)) as limit:
        for _ in range(REPETITIONS):
            fresh(server, DATABASE)
            run(prepared(server, spec))
            limits.append(limit.load_s())
            fresh(server, DATABASE)
            schema = run(prepared(server, spec))
            started = time.perf_counter()
            run_crew(server.dsn(DATABASE), spec, schema, jobs=JOBS, on_rows=lambda _, __: None)
            ours.append(time.perf_counter() - started)
    return perf_row(
        "seed: twenty tables, generate + COPY, against COPY alone",
        "s",
        ours,
        limits,
        "COPY of the same bytes, encoded beforehand, over the same connections",
        f"≤ {OVERHEAD_MAX:g}",
    )


def peers(server: PostgresServer) -> Iterator[PerfRow]:
    """Rows a second of the npm seeders and of ours, in turns, with all keys.

    Raises:
        CannotMeasure: there is no node, or npm cannot install them.
    """
    with tempfile.TemporaryDirectory(prefix="phasegate-peers-") as folder:
        home = Path(folder) / "peers"
        shutil.copytree(SHOP / "peers", home)
        _run(home, server, INSTALL_TIMEOUT_S, "npm", "install", *QUIET)
        (home / ".snaplet").mkdir()
        (home / ".snaplet" / "config.json").write_text('{"adapter": "pg"}', encoding="utf-8")
        for peer, title in PEERS.items():
            pairs = [(_ours(server), _peer(server, home, peer)) for _ in range(REPETITIONS)]
            yield perf_row(
                f"seed: twenty tables with keys, against {title}",
                "rows/s",
                [one for one, _ in pairs],
                [other for _, other in pairs],
                f"{title} on node, keys made before",
                f"≥ {PEER_MIN:g}",
            )


def _ours(server: PostgresServer) -> float:
    fresh(server, DATABASE)
    dsn = server.dsn(DATABASE)
    found = seed_database(dsn, users=USERS, seed=SEED, jobs=JOBS, project=SeedFolder(SHOP))
    return found.rows / found.wall_s


def _peer(server: PostgresServer, home: Path, peer: str) -> float:
    fresh(server, DATABASE)
    apply_sql(server.dsn(DATABASE), SHOP / "seed" / "schema.sql", SHOP / "seed" / "keys.sql")
    if peer in PREPARE:
        _run(home, server, PEER_TIMEOUT_S, *PREPARE[peer])
    said = _run(home, server, PEER_TIMEOUT_S, "node", f"{peer}.mjs", str(PEER_ROWS[peer]))
    return run(_counted(server)) / float(said.split()[-1])


async def _counted(server: PostgresServer) -> int:
    """Rows in all tables."""
    async with connected(server.dsn(DATABASE)) as connection:
        await connection.execute("analyze")
        total = "select sum(reltuples)::bigint from pg_class where relkind = 'r' and relnamespace"
        return int(await connection.fetchval(f"{total} = 'public'::regnamespace"))


def _run(home: Path, server: PostgresServer, timeout_s: float, *command: str) -> str:
    environment = os.environ | server.libpq_environment(DATABASE) | {"CI": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        lines = str(getattr(error, "stderr", None) or error).splitlines()
        words = next((line for line in lines if "error:" in line.lower()), lines[-1])
        raise CannotMeasure(
            f"{command[0]} {command[1]} failed: {words.strip()[:200]}",
            then="The peers need node 20 and npm",
        ) from error
    return done.stdout
