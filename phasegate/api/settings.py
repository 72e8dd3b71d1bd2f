"""The service's configuration, handed from `running_api` to the child process by environment.

The DSN and the secret travel there because a command line can be read by everybody on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

VARIABLE = "PHASEGATE_API_SETTINGS"

POOL_SIZE = 10
"""PostgREST's db-pool."""

ACQUIRE_TIMEOUT_S = 10.0
"""PostgREST's db-pool-acquisition-timeout."""

STATEMENT_CACHE_SIZE = 200
"""Statements a connection keeps prepared; 0 behind a pooler that cannot follow them."""

ROWS_MAX = 1000
"""Supabase's db-max-rows."""

BODY_BYTES_MAX = 20_000_000
"""A larger body is refused before it is read to its end."""

GATEWAY_TIMEOUT_S = 60.0
"""Of the gateway before a Supabase project: then even a frozen database has an answer."""

SIGN_IN_PASSWORD = "phasegate-local"  # noqa: S105 - of a stand-in on loopback, with invented users
"""Everybody's, unless another is configured."""


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one process of the service is told."""

    dsn: str
    jwt_secret: str
    pool_size: int = POOL_SIZE
    """Of this process; 0 for a connection of its own to each request."""
    level: int = 1
    replica_dsn: str | None = None
    statement_cache_size: int = STATEMENT_CACHE_SIZE
    acquire_timeout_s: float = ACQUIRE_TIMEOUT_S
    gateway_timeout_s: float = GATEWAY_TIMEOUT_S
    rows_max: int = ROWS_MAX
    body_bytes_max: int = BODY_BYTES_MAX
    password: str = SIGN_IN_PASSWORD

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"ApiSettings(level={self.level}, pool_size={self.pool_size}, …)"

    def environment(self) -> dict[str, str]:
        """The variable that carries them."""
        return {VARIABLE: msgspec.json.encode(self).decode()}


def from_environment(environment: Mapping[str, str] | None = None) -> ApiSettings:
    """The settings that this process was started with."""
    return msgspec.json.decode((environment or os.environ)[VARIABLE], type=ApiSettings)
