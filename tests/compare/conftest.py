"""A small population made by SQL, so that the benchmarks' own tests need no seeder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phasegate.project import SeedFolder
from phasegate.stack.database import execute, read_sql
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer

POPULATION = Path(__file__).with_name("population.sql").read_text(encoding="utf-8")
USERS = 300
TEMPLATE = "benchmark_population"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def population(postgres: PostgresServer) -> str:
    """Name of a template database at stack level 1."""
    populate(postgres)
    return TEMPLATE


def populate(server: PostgresServer) -> str:
    """Make the population on `server`, and return its DSN."""
    execute(server.dsn(), f"create database {TEMPLATE}")
    execute(
        server.dsn(TEMPLATE),
        read_sql(SeedFolder().schema),
        POPULATION,
        read_sql(SeedFolder().keys),
        "create schema phasegate",
        "create table phasegate.dataset"
        " (state text, users int, seed bigint, sha256 text, tables oid[])",
        f"insert into phasegate.dataset select 'complete', {USERS}, 1, 'feed', array_agg(oid)"
        " from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')",
        "analyze",
    )
    apply_level(server.dsn(TEMPLATE), 1)
    return server.dsn(TEMPLATE)


@pytest.fixture(scope="session")
def populated_server() -> Callable[[PostgresServer], str]:
    """Fills a server of a test's own; the DSN of what it then holds."""
    return populate


@pytest.fixture
def populated(postgres: PostgresServer, population: str) -> Iterator[str]:
    """DSN of a fresh copy of the population, dropped afterwards."""
    name = f"populated_{next(_numbers)}"
    execute(postgres.dsn(), f"create database {name} template {population}")
    yield postgres.dsn(name)
    execute(postgres.dsn(), f"drop database {name} with (force)")
