"""What a health check answers: one record for each question.

Pure: reads and writes nothing.
"""

from __future__ import annotations

from typing import Literal

from phasegate.records.store import Part

Outcome = Literal["ok", "failed", "skipped"]


class Check(Part, frozen=True, kw_only=True):
    """One question and its answer."""

    name: str
    """`api`, `auth`, `database`, …: stable, for scripts."""
    outcome: Outcome
    """`skipped` is neither good nor bad: `said` tells why it could not be asked."""
    said: str
    """One sentence, without a password or a key."""
    value: float | None = None
    """What was measured; null where there is no figure."""
    unit: str = ""
    limit: float | None = None
    """Beyond it the check fails; null where there is none."""


def absent(name: str) -> Check:
    """A part of a stack that this database has not."""
    return Check(name=name, outcome="skipped", said="This database has none of phasegate's")


def failed(name: str, said: str) -> Check:
    """A question whose answer is no, without a figure."""
    return Check(name=name, outcome="failed", said=said)


def measured(name: str, said: str, value: float, unit: str, limit: float) -> Check:
    """A figure that must not be beyond `limit`."""
    outcome: Outcome = "failed" if value > limit else "ok"
    return Check(name=name, outcome=outcome, said=said, value=value, unit=unit, limit=limit)


def not_allowed(name: str) -> Check:
    """Something that this role may not look at."""
    return Check(name=name, outcome="skipped", said="This role lacks the right to read it")
