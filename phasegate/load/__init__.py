"""The generator of load, and what a project's locustfile imports.

Reads the project, tokens and a locustfile; drives an API over HTTP; writes `load/<stage>.json`
(`records.load.LoadRecord`). Everything that needs gevent stays in the locust child process:
`load.run` and `load.capacity_matrix`, which others import, start no greenlet. So the names below
are imported only as a locustfile asks for them; that also makes Locust's process ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasegate.load.cache import EtagCache, TtlCache
    from phasegate.load.client import Client
    from phasegate.load.expectations import (
        ALWAYS,
        ANY,
        ANYTHING,
        ID,
        NONE,
        NUMBER,
        OBJECT,
        TEXT,
        USUALLY,
        Fields,
        GraphQL,
        Maybe,
        Rows,
    )
    from phasegate.load.response import CaughtResponse, Response
    from phasegate.load.session import Click, Completion, RequestFailed
    from phasegate.load.session_user import SessionUser, on_demand, writes

__all__ = [
    "ALWAYS",
    "ANY",
    "ANYTHING",
    "ID",
    "NONE",
    "NUMBER",
    "OBJECT",
    "TEXT",
    "USUALLY",
    "CaughtResponse",
    "Click",
    "Client",
    "Completion",
    "EtagCache",
    "Fields",
    "GraphQL",
    "Maybe",
    "RequestFailed",
    "Response",
    "Rows",
    "SessionUser",
    "TtlCache",
    "on_demand",
    "writes",
]

_is_installed = False


def __getattr__(name: str) -> Any:
    """A name of `__all__`, and Locust's events wired to the generator as the first is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    global _is_installed
    from phasegate.load import (
        cache,
        client,
        expectations,
        locust_plugin,
        response,
        session,
        session_user,
    )

    if not _is_installed:
        _is_installed = True
        locust_plugin.install()
    for module in (session_user, session, expectations, cache, client, response):
        if hasattr(module, name):
            return getattr(module, name)
    raise AssertionError(f"unreachable: {name} is defined in one of them")
