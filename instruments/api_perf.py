"""The API's speed compared with pgbench's: the same transaction, the same server, the same cores.

Makes a database of its own on the server, measures, and drops it. Each repetition runs pgbench and
then the API, and its ratio is taken within the repetition. pgbench sends the four statements one by
one, as clients do; the API sends them in one round trip (`api.pipeline`).
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import psutil

from instruments.http_bench import fire
from instruments.perf_row import perf_row
from phasegate.api import Api, running_api
from phasegate.api.catalogue import read_catalogue
from phasegate.api.compiler import Wanted, read
from phasegate.api.database import SEARCH_PATH, SETTINGS_FIXED
from phasegate.api.parameters import parse, split
from phasegate.project import SeedFolder
from phasegate.records.perf import PerfRow
from phasegate.stack.binaries import give_to_service_user
from phasegate.stack.database import apply_sql, execute
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer, run_program
from phasegate.stack.processes import postmaster_of
from phasegate.stack.tokens import mint

DATABASE = "phasegate_api_perf"
SECRET = "of this measurement alone, and of nothing else"  # noqa: S105 - as it says
USERS = 500
TASKS_PER_USER = 40

CLIENTS = 8
"""At once, for the rate: more than there are cores, fewer than would queue for connections."""

WORKERS = 1
"""Processes of the API: its default. With two cores a second one takes from the database what it
adds."""

PGBENCH_THREADS = 2

STRETCH_S = 4.0
REPETITIONS = 5

RATE_RATIO_MIN = 0.5
"""Half of pgbench's rate: then what a load test sees is mostly the database."""

LATENCY_RATIO_MAX = 2.5
"""Of the medians at one client: HTTP, JSON and Python together may add one and a half times what
the bare transaction takes."""

CPU_RATIO_MAX = 2.0
"""The same bound as `RATE_RATIO_MIN`, where both cores are busy; and a busy neighbour, which takes
from one more than from the other, does not move it."""

QUERY = "select=*,projects(name,color)&user_id=eq.{user}&order=created_at.desc&limit=20"

_FILL = f"""
    insert into profiles
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'n', 'en_GB', now()
    from generate_series(1, {USERS}) as n;
    insert into projects
    select gen_random_uuid(), id, 'A project', '#336699', now()
    from profiles, generate_series(1, 2);
    insert into tasks (user_id, project_id, title, created_at)
    select p.user_id, p.id, 'A task of about the usual length', now() - n * interval '1 hour'
    from generate_series(1, {TASKS_PER_USER // 2}) as n, projects as p
    order by n, p.id;
"""  # noqa: S608 - constants


def user_id(number: int) -> str:
    """The users of `_FILL`, from 1 on."""
    return f"00000000-0000-4000-8000-{number:012d}"


@contextmanager
def perf_database(server: PostgresServer) -> Iterator[str]:
    """DSN of a database with level 2's indexes and rows in it; dropped at the end."""
    drop = f"drop database if exists {DATABASE} with (force)"
    execute(server.dsn(), drop, f"create database {DATABASE}")
    dsn = server.dsn(DATABASE)
    try:
        apply_sql(dsn, SeedFolder().schema, SeedFolder().keys)
        apply_level(dsn, 2)
        execute(dsn, _FILL, "vacuum analyze")
        yield dsn
    finally:
        execute(server.dsn(), drop)


async def pgbench_script(dsn: str) -> str:
    """The API's own transaction for the task list as a pgbench script, the user drawn anew."""
    connection = await asyncpg.connect(dsn)
    try:
        catalogue = await read_catalogue(connection)
    finally:
        await connection.close()
    query = parse(split(QUERY.format(user="any").encode()))
    main = read(query, catalogue.relations["tasks"], catalogue, Wanted()).main.sql
    user = "('00000000-0000-4000-8000-' || lpad((:n)::text, 12, '0'))"
    claims = f"""('{{"role":"authenticated","sub":"' || {user} || '"}}')"""
    headers = """'{"accept":"application/json"}'"""
    prelude = _filled(
        f"select {SETTINGS_FIXED}, set_config('statement_timeout', '8s', true)",
        (f"'{SEARCH_PATH}'", "'authenticated'", claims, "'GET'", "'/rest/v1/tasks'", headers),
    )
    main = _filled(main, (":row_limit", ":row_offset", user))  # in the order they are compiled
    # Limit and offset are parameters here too: as constants they would get another plan.
    given = f"\\set n random(1, {USERS})\n\\set row_limit 20\n\\set row_offset 0\n"
    return f"{given}begin read only;\n{prelude};\n{main};\ncommit;\n"


def _filled(statement: str, values: Sequence[str]) -> str:
    return re.sub(r"\$(\d+)", lambda found: values[int(found[1]) - 1], statement)


class Peer:
    """pgbench with the script."""

    def __init__(self, server: PostgresServer, script: Path) -> None:
        self._environment = server.libpq_environment(DATABASE)
        self._script = script

    def run(self, *, clients: int, stretch_s: float) -> tuple[float, float]:
        """(transactions/s, median latency in ms)."""
        with tempfile.TemporaryDirectory(prefix="phasegate-pgbench-") as folder:
            log = Path(folder)
            give_to_service_user(log)
            run_program(
                "pgbench",
                *("--no-vacuum", "--protocol", "prepared", "--file", self._script),
                *("--client", str(clients), "--jobs", str(min(clients, PGBENCH_THREADS))),
                *("--time", str(round(stretch_s)), "--log", "--log-prefix", log / "log"),
                env=self._environment,
            )
            lines = [line for path in log.iterdir() for line in path.read_text().splitlines()]
        latencies = [int(line.split()[2]) / 1000 for line in lines]
        return len(latencies) / round(stretch_s), statistics.median(latencies)


def requests(anon_key: str) -> list[bytes]:
    """One task list for each user, signed in."""
    return [
        (
            f"GET /rest/v1/tasks?{QUERY.format(user=user_id(number))} HTTP/1.1\r\n"
            f"host: 127.0.0.1\r\naccept: application/json\r\napikey: {anon_key}\r\n"
            f"authorization: Bearer {mint(SECRET, user_id(number))}\r\n\r\n"
        ).encode()
        for number in range(1, USERS + 1)
    ]


def rows(server: PostgresServer) -> Iterator[PerfRow]:
    """Rate at several clients, and median latency at one."""
    with perf_database(server) as dsn, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, pgbench runs as another user
        script = home / "task_list.sql"
        script.write_text(asyncio.run(pgbench_script(dsn)), "utf-8")
        peer = Peer(server, script)
        with running_api(dsn, jwt_secret=SECRET, pool_size=CLIENTS, workers=WORKERS) as api:
            sent = requests(api.anon_key)
            for clients in (CLIENTS, 1):  # warm: statements prepared, tokens known
                fire(api.url, sent, clients=clients, stretch_s=1.0)
            yield from _rates(peer, api, sent, server)
            pairs = [
                (peer.run(clients=1, stretch_s=2.0)[1], ours.latency_ms_p50)
                for ours in (
                    fire(api.url, sent, clients=1, stretch_s=2.0) for _ in range(REPETITIONS)
                )
            ]
            yield _row("API: median of a task list", "ms", pairs, f"≤ {LATENCY_RATIO_MAX}")


def _rates(
    peer: Peer, api: Api, sent: Sequence[bytes], server: PostgresServer
) -> Iterator[PerfRow]:
    """Requests a second, and what one costs all processes but the load generator."""
    postmaster = postmaster_of(server.data_dir)
    rates: list[tuple[float, float]] = []
    costs: list[tuple[float, float]] = []
    for _ in range(REPETITIONS):
        began_s = _cpu_s(postmaster) + _ended_children_s()
        rate = peer.run(clients=CLIENTS, stretch_s=STRETCH_S)[0]
        spent_s = _cpu_s(postmaster) + _ended_children_s() - began_s
        cost_us = spent_s / (rate * round(STRETCH_S)) * 1e6
        began_s = _cpu_s(postmaster) + _cpu_s(api.pid)
        volley = fire(api.url, sent, clients=CLIENTS, stretch_s=STRETCH_S)
        spent_s = _cpu_s(postmaster) + _cpu_s(api.pid) - began_s
        rates.append((rate, volley.rate_per_s))
        costs.append((cost_us, spent_s / volley.answers * 1e6))
    yield _row("API: task lists", "requests/s", rates, f"≥ {RATE_RATIO_MIN}")
    yield _row("API: processor time of a task list", "µs", costs, f"≤ {CPU_RATIO_MAX}")


def _cpu_s(pid: int) -> float:
    """Processor time of a process and all its children, those that ended included."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    spent_s = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent_s += times.user + times.system
    return spent_s


def _ended_children_s() -> float:
    """Processor time of the programs that this process ran: of pgbench."""
    times = os.times()
    return times.children_user + times.children_system


def _row(name: str, unit: str, pairs: Sequence[tuple[float, float]], goal: str) -> PerfRow:
    """`pairs` are (pgbench, API), one a repetition."""
    peer, ours = zip(*pairs, strict=True)
    return perf_row(name, unit, ours, peer, "pgbench -M prepared, same transaction", goal)
