"""Migrations of the techniques that change a database: safe on a live table, each with its undo.

Reads `report/migrations/<technique>.sql` and `<technique>.undo.sql`; writes nothing. Nothing here
is ever run by phasegate: the text is printed, for `supabase/migrations/`.
"""

from __future__ import annotations

from pathlib import Path

from phases.errors import UsageError

FOLDER = Path(__file__).parent

SAME_AS = {"idx_tasks_project_delete": "idx_tasks_project", "user_stats_one": "user_stats"}
"""Techniques that are measured twice and applied once."""


def names() -> tuple[str, ...]:
    """Every technique with a migration of its own."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.sql") if not p.name.endswith(".undo.sql")))


def known(technique: str) -> bool:
    """Whether there is a migration for it."""
    return SAME_AS.get(technique, technique) in names()


def sql(technique: str, *, undo: bool = False) -> str:
    """The migration of a technique, or its undo.

    Raises:
        UsageError: it has none: it is unknown, moves data, or changes the client.
    """
    if not known(technique):
        raise UsageError(
            f"There is no ready migration for {technique!r}: it is unknown, moves data, or changes"
            " the client",
            untouched="Nothing was printed",
            then=f"Choose one of {', '.join(names())}",
        )
    name = SAME_AS.get(technique, technique)
    return (FOLDER / f"{name}{'.undo' if undo else ''}.sql").read_text(encoding="utf-8")
