"""A compute size as settings: its connections, memory settings and pool sizes.

Reads the catalogue; writes nothing. It makes PostgreSQL behave as one that was configured for that
size: it refuses the connection that one would refuse, and sorts on disk where that one would. The
size's memory, processor and disk are put in force by `stack.emulation`.
"""

from __future__ import annotations

from collections.abc import Mapping

from phasegate.model.catalogue import Catalogue
from phasegate.model.errors import UsageError
from phasegate.model.prices import Compute

# A quarter of memory for shared buffers, and what the planner may assume to be cached by the
# operating system too: three quarters (PostgreSQL manual, 19.4.1 and 19.7.2).
SHARED_BUFFERS_SHARE = 0.25
EFFECTIVE_CACHE_SHARE = 0.75
# Sorts of all connections at once, each with a hash and two sorts, must fit into what shared
# buffers leave (the rule of pgtune, https://github.com/le0pard/pgtune).
NODES_PER_CONNECTION = 3
MAINTENANCE_SHARE = 1 / 16  # pgtune's
MAINTENANCE_MB_MAX = 2048  # pgtune's: more brings an index build nothing
WORK_MEM_KB_MIN = 64  # PostgreSQL's own minimum
# A pooler that takes more than this leaves the API's and auth's own connections too few
# (Supabase, "Connection pooling and limits": 40% where the Data API is used).
POOLER_SHARE = 0.40
# PostgREST's default pool; a size with fewer connections to give would have less.
API_POOL_SIZE = 10


def find_compute(catalogue: Catalogue, name: str) -> Compute:
    """The size of that name, in whichever case.

    Raises:
        UsageError: there is none; those that are there are named.
    """
    for compute in catalogue.compute:
        if compute.name == name.lower():
            return compute
    raise UsageError(
        f"There is no compute size {name!r}",
        untouched="Nothing was started",
        then=f"Choose one of {', '.join(compute.name for compute in catalogue.compute)}",
    )


def server_settings(compute: Compute) -> Mapping[str, str]:
    """PostgreSQL's settings for that size, over and above stack.postgres.SETTINGS."""
    memory_kb = compute.memory_gb * 1024 * 1024
    left_kb = memory_kb * (1 - SHARED_BUFFERS_SHARE)
    work_mem_kb = int(left_kb / (compute.connections_max * NODES_PER_CONNECTION))
    maintenance_mb = min(MAINTENANCE_MB_MAX, int(memory_kb * MAINTENANCE_SHARE) >> 10)
    return {
        "max_connections": str(compute.connections_max),
        "shared_buffers": f"{int(memory_kb * SHARED_BUFFERS_SHARE) >> 10}MB",
        "effective_cache_size": f"{int(memory_kb * EFFECTIVE_CACHE_SHARE) >> 10}MB",
        "work_mem": f"{max(WORK_MEM_KB_MIN, work_mem_kb)}kB",
        "maintenance_work_mem": f"{maintenance_mb}MB",
    }


def pooler_pool_size(compute: Compute) -> int:
    """Connections that the pooler may hold to the server."""
    return int(compute.connections_max * POOLER_SHARE)
