"""A database brought to the level that the arms need, with a note of what must be undone.

Creates what the stack's levels lack and the table `phasegate.benchmarking`; takes both away again.
A session that was killed leaves them, and the next one undoes what it finds noted there: the
technique's setup at once, the level at its own end.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import asyncpg

from phasegate.compare.connection import Connection
from phasegate.compare.libpq import Session, StatementError
from phasegate.compare.technique import sql_of
from phasegate.model.errors import CannotMeasure
from phasegate.project import BENCHMARKS
from phasegate.stack.levels import LEVELS, apply_level, current_level

# The arms take away what they compare against, so everything must be there first.
FULL_LEVEL = max(LEVELS)

NO_NOTE = "drop table if exists phasegate.benchmarking"
NOTE = (Path(__file__).with_name("sql") / "note.sql").read_text(encoding="utf-8")


class Raised:
    """The database behind `dsn` at the full level; `restore` undoes it.

    Raises:
        CannotMeasure: it cannot be brought there.
    """

    def __init__(self, dsn: str, caller: Connection) -> None:
        self._dsn = dsn
        self._caller = caller
        try:
            self.found_level = self._left_behind()
            self._write_note()
            apply_level(dsn, FULL_LEVEL)
            if self.found_level == FULL_LEVEL:
                # A view older than the last write answers otherwise than the live count.
                caller.execute("refresh materialized view private.user_stats")
        except (asyncpg.PostgresError, StatementError) as error:
            caller.rollback()
            with suppress(StatementError):
                caller.execute(NO_NOTE)
            raise CannotMeasure(
                f"The database cannot be brought to stack level {FULL_LEVEL}: {error}",
                untouched="Nothing was changed",
                then="Connect as the owner of its tables, or as a superuser",
            ) from error

    def _write_note(self) -> None:
        self._caller.execute("begin")
        self._caller.execute(NOTE)
        self._caller.execute("delete from phasegate.benchmarking")
        level = str(self.found_level)
        self._caller.once("insert into phasegate.benchmarking (found_level) values ($1)", level)
        self._caller.execute("commit")

    def _left_behind(self) -> int:
        """The level to go back to; a setup that a killed session left is taken away."""
        level = current_level(self._dsn)
        if self._caller.once("select to_regclass('phasegate.benchmarking')").column(0) == [None]:
            return level
        for found, technique in self._caller.once(
            "select found_level, technique from phasegate.benchmarking"
        )():
            teardown = BENCHMARKS / (technique or "") / "teardown.sql"
            if technique and teardown.exists():
                self._caller.execute(sql_of(technique, "teardown"))
            if level == FULL_LEVEL:  # else somebody has chosen a level since
                level = int(found or level)
        return level

    def note_setup(self, technique: str | None) -> None:
        """Whose setup is in place from now on; None: nobody's."""
        self._caller.once("update phasegate.benchmarking set technique = $1", technique)

    def restore(self) -> None:
        """The level that was found, and no note. The session's own connection must be closed."""
        if self.found_level != FULL_LEVEL:
            apply_level(self._dsn, self.found_level)
        session = Session(self._dsn)
        try:
            session.execute(NO_NOTE)
        finally:
            session.close()
