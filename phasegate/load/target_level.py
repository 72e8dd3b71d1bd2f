"""Which stack level a target runs, asked where it can tell. Sends one GET /ready."""

from __future__ import annotations

import json
import urllib.request

from phasegate.load.read_strategies import ARM_OF_LEVEL
from phasegate.load.url import Address

# Where nobody says, and the target cannot: the embedded select, which works on any PostgREST.
LEVEL_ASSUMED = 2

# The reference API on this machine answers within a few milliseconds, or is in trouble.
TIMEOUT_S = 2.0

_ANSWER_BYTES_MAX = 10_000


def level_told_by(host: str) -> int | None:
    """The level that the reference API behind `host` says it is; None where it does not say.

    Only this machine is asked: the reference API listens nowhere else, and no other API has a word
    for it.
    """
    if not Address.of(host).is_loopback:
        return None
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{host.rstrip('/')}/ready", timeout=TIMEOUT_S) as answer:
            said = json.loads(answer.read(_ANSWER_BYTES_MAX))
    except (OSError, ValueError):
        return None
    level = said.get("level") if isinstance(said, dict) else None
    return level if level in ARM_OF_LEVEL else None


def level_in_words(told: int | None) -> str:
    """Where the level in force comes from, and what else to give."""
    if told is not None:
        return f"The target says that it runs stack level {told}"
    return (
        f"The target does not tell its stack level: the client of level {LEVEL_ASSUMED} is "
        "assumed; give --level 1, 2 or 3 where it is another"
    )
