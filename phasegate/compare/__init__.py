"""Technique by technique, before against after: interleaved, exact, from how many users on.

What a project's `benchmarks/bench_*.py` import is here; pairs of statements need no Python.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phasegate.compare.connection import Connection
    from phasegate.compare.libpq import array_literal
    from phasegate.compare.technique import (
        Answer,
        Arm,
        Beside,
        Compare,
        Parameters,
        Role,
        Route,
        Technique,
        Via,
        arms_of,
    )
    from phasegate.compare.technique_folders import declared, sql_of

__all__ = [
    "Answer",
    "Arm",
    "Beside",
    "Compare",
    "Connection",
    "Parameters",
    "Role",
    "Route",
    "Technique",
    "Via",
    "arms_of",
    "array_literal",
    "declared",
    "sql_of",
]

_ELSEWHERE = {
    "Connection": "connection",
    "array_literal": "libpq",
    "declared": "technique_folders",
    "sql_of": "technique_folders",
}


def __getattr__(name: str) -> object:
    """One of these, imported when it is asked for: the room's own helpers start without pytest."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'technique')}"), name)
