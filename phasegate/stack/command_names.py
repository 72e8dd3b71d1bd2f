"""What a command is called in a record: its verb and what it is about, never a value. Pure."""

from __future__ import annotations

import re

from phasegate.records.server_events import EventKind

_COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_NAME = r"(?:\"[^\"]+\"|[a-z_][\w$]*)(?:\.(?:\"[^\"]+\"|[a-z_][\w$]*))?"
_KINDS: tuple[tuple[EventKind, re.Pattern[str]], ...] = (
    (
        "refresh",
        re.compile(
            rf"refresh\s+materialized\s+view\s+(?:concurrently\s+)?(?P<what>{_NAME})", re.IGNORECASE
        ),
    ),
    (
        "vacuum",
        re.compile(
            rf"vacuum(?:\s*\([^)]*\)|\s+(?:full|freeze|verbose|analyze))*\s*(?P<what>{_NAME})?",
            re.IGNORECASE,
        ),
    ),
    (
        "analyze",
        re.compile(rf"analyze(?:\s*\([^)]*\)|\s+verbose)*\s*(?P<what>{_NAME})?", re.IGNORECASE),
    ),
)
_AUTOVACUUM = re.compile(
    rf"autovacuum:\s+(?P<verbs>(?:VACUUM\s+|ANALYZE\s+)+)(?P<what>{_NAME})?", re.IGNORECASE
)
_VERBS = re.compile(r"[a-z]+(?:\s+[a-z]+)?", re.IGNORECASE)
_MAINTENANCE = re.compile(
    r"reindex|cluster|create\s+(?:unique\s+)?index|alter\s+\w+|truncate|drop\s+\w+|lock\s+table",
    re.IGNORECASE,
)


def named(query: str) -> tuple[EventKind, str]:
    """The kind of a command at work, and what it is about: a table, a view, or its verb.

    Args:
        query: as pg_stat_activity shows it, perhaps cut short.
    """
    text = _COMMENTS.sub(" ", query).strip()
    if found := _AUTOVACUUM.match(text):
        vacuums = "vacuum" in found["verbs"].lower()
        return ("autovacuum" if vacuums else "autoanalyze"), found["what"] or ""
    for kind, pattern in _KINDS:
        if found := pattern.match(text):
            return kind, found["what"] or ""
    return "maintenance", verb(query)


def verb(query: str) -> str:
    """What a command does, in the words that come before any name or value of its own."""
    text = _COMMENTS.sub(" ", query).strip()
    found = _MAINTENANCE.match(text) or _VERBS.match(text)
    words = found[0].lower().split() if found else ["a command"]
    known = {"refresh": "refresh materialized view"}
    return known.get(words[0]) or " ".join(words if _MAINTENANCE.match(text) else words[:1])
