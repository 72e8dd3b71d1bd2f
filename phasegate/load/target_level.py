"""Which stack level a target runs, asked where it can tell. Sends one GET /ready."""

from __future__ import annotations

import json
import urllib.request

from phasegate.model.address import Address
from phasegate.project import Project

# The reference API on this machine answers within a few milliseconds, or is in trouble.
TIMEOUT_S = 2.0

_ANSWER_BYTES_MAX = 10_000


def level_told_by(host: str, levels: int) -> int | None:
    """The level that the reference API behind `host` says it is; None where it does not say.

    Args:
        host: its address.
        levels: how many there are.

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
    known = isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= levels
    return level if known else None


def level_in_words(told: int | None, project: Project) -> str:
    """Where the level in force comes from, and what else to give."""
    if told is not None:
        return f"The target says that it runs stack level {told}"
    return (
        f"The target does not tell its stack level: level {project.level_assumed} is assumed; "
        f"give --level N, 1 to {len(project.levels)}, where it is another"
    )
