"""What applies each technique: a migration, or the query of a client.

A migration is safe on a live table and has an undo.

Reads `report/migrations/<technique>.sql` and `<technique>.undo.sql`, or `clients/<technique>.sql`;
writes nothing. Nothing here is ever run by phasegate: the text is printed, for
`supabase/migrations/`. A client's is all comments, so it does nothing there.
"""

from __future__ import annotations

from pathlib import Path

from phasegate.model.errors import UsageError

FOLDER = Path(__file__).parent
CLIENTS = FOLDER / "clients"

SAME_AS = {
    "idx_tasks_project_delete": "idx_tasks_project",
    "user_stats_one": "user_stats",
    "logs_user": "logs_window",
    "logs_insert": "logs_window",
    "logs_retention": "logs_window",
    "logs_brin_partitions": "logs_window",
    "join_rtt_1ms": "join",
    "join_rtt_5ms": "join",
}
"""Techniques that are measured more than once and applied once."""


def names() -> tuple[str, ...]:
    """Every technique with a migration of its own."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.sql") if not p.name.endswith(".undo.sql")))


def clients() -> tuple[str, ...]:
    """Every technique that changes a client, a role or an address, and has no migration."""
    return tuple(sorted(path.stem for path in CLIENTS.glob("*.sql")))


def known(technique: str) -> bool:
    """Whether there is an answer: a migration, or what a client changes."""
    return SAME_AS.get(technique, technique) in (*names(), *clients())


def sql(technique: str, *, undo: bool = False) -> str:
    """The migration of a technique or its undo; for a change of the client, what to change.

    Raises:
        UsageError: there is no such technique.
    """
    name = SAME_AS.get(technique, technique)
    if name in clients():
        return (CLIENTS / f"{name}.sql").read_text(encoding="utf-8")
    if name not in names():
        raise UsageError(
            f"There is no technique {technique!r}",
            untouched="Nothing was printed",
            then=f"Choose one of {', '.join((*names(), *clients()))}",
        )
    return (FOLDER / f"{name}{'.undo' if undo else ''}.sql").read_text(encoding="utf-8")
