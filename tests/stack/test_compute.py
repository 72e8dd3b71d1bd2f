from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from phasegate.model import catalogue
from phasegate.model.errors import UsageError
from phasegate.stack.compute import find_compute, pooler_pool_size, server_settings
from phasegate.stack.postgres import running_postgres

CATALOGUE = catalogue.load()


def test_the_sizes_are_those_of_the_price_list_in_ascending_order() -> None:
    rows = [(c.name, c.price_usd_month, c.connections_max) for c in CATALOGUE.compute]
    assert rows[0] == ("nano", 0.0, 60)
    assert rows[-1] == ("16xl", 3730.0, 500)
    for column in ("price_usd_month", "memory_gb", "connections_max", "iops"):
        values = [getattr(compute, column) for compute in CATALOGUE.compute]
        assert values == sorted(values)


def test_micro_gets_a_quarter_of_its_gigabyte_as_shared_buffers() -> None:
    assert server_settings(find_compute(CATALOGUE, "Micro")) == {
        "max_connections": "60",
        "shared_buffers": "256MB",
        "effective_cache_size": "768MB",
        "work_mem": "4369kB",  # (1 GiB - 256 MiB) / (60 * 3)
        "maintenance_work_mem": "64MB",
    }
    assert pooler_pool_size(find_compute(CATALOGUE, "micro")) == 24


def test_an_unknown_size_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UsageError, match=r"no compute size 'huge'.*nano, micro, small"):
        find_compute(CATALOGUE, "huge")


@pytest.mark.integration
def test_nano_refuses_the_connection_that_a_nano_would_refuse() -> None:
    nano = find_compute(CATALOGUE, "nano")

    async def count(dsn: str) -> tuple[int, Any]:
        held: list[asyncpg.Connection] = []
        try:
            while len(held) <= nano.connections_max:
                held.append(await asyncpg.connect(dsn))
        except asyncpg.TooManyConnectionsError as refused:
            return len(held), refused.sqlstate
        finally:
            for connection in held:
                await connection.close()
        return len(held), None

    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        home = Path(name)
        home.chmod(0o755)  # as root, the server runs as another user
        with running_postgres(home / "data", settings=server_settings(nano)) as server:
            assert asyncio.run(count(server.dsn())) == (60, "53300")
