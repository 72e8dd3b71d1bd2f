"""A database brought to the parts that the arms need, with a note of what must be undone.

Applies what the project's last level has and the database lacks, and the table
`phasegate.benchmark_session`; takes both away again. A session that was killed leaves them, and the
next one undoes what it finds noted there: the technique's setup at once, the parts at its own end.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import asyncpg

from phasegate.compare.connection import Connection
from phasegate.compare.costs import refresh_of
from phasegate.compare.libpq import Session, StatementError, array_literal
from phasegate.model.errors import CannotMeasure
from phasegate.project import Project
from phasegate.project.technique import TEARDOWN
from phasegate.stack.levels import apply_parts, in_database, present_parts

NO_NOTE = "drop table if exists phasegate.benchmark_session"
NOTE = (Path(__file__).with_name("sql") / "note.sql").read_text(encoding="utf-8")


class Raised:
    """The database behind `dsn` with all parts of the last level; `restore` undoes it.

    Raises:
        CannotMeasure: it cannot be brought there.
    """

    def __init__(self, dsn: str, caller: Connection, project: Project) -> None:
        self._dsn = dsn
        self._caller = caller
        self._project = project
        self._beside: frozenset[str] = frozenset()
        # The arms take away what they compare against, so everything must be there first.
        last = in_database(project, project.parts_of(len(project.levels)))
        try:
            present = present_parts(dsn, project)
            self.found_parts = self._left_behind(last, present)
            self.parts = last | self.found_parts
            self._write_note()
            self._bring_to(self.parts)
            self._refresh(self.parts & present)
        except (asyncpg.PostgresError, StatementError) as error:
            caller.rollback()
            with suppress(StatementError):
                caller.execute(NO_NOTE)
            raise CannotMeasure(
                f"The database cannot be brought to the parts of the last level: {error}",
                untouched="Nothing was changed",
                then="Connect as the owner of its tables, or as a superuser",
            ) from error

    def _bring_to(self, parts: Collection[str]) -> None:
        apply_parts(self._dsn, parts, self._project)

    def _refresh(self, parts: Collection[str]) -> None:
        """Fill views that were there: one older than the last write answers otherwise."""
        for part in sorted(parts):
            technique = self._project.techniques.get(part)
            if technique is not None and technique.file.refresh is not None:
                self._caller.execute(refresh_of(self._caller, technique.file.refresh.view))

    def _write_note(self) -> None:
        self._caller.execute("begin")
        self._caller.execute(NOTE)
        self._caller.execute("delete from phasegate.benchmark_session")
        self._caller.once(
            "insert into phasegate.benchmark_session (found_parts) values ($1)",
            array_literal(sorted(self.found_parts)),
        )
        self._caller.execute("commit")

    def _left_behind(self, last: frozenset[str], present: frozenset[str]) -> frozenset[str]:
        """The parts to go back to; a setup that a killed session left is taken away."""
        noted = self._caller.once("select to_regclass('phasegate.benchmark_session')").column(0)
        if noted == [None]:
            return present
        for technique in self._caller.once(
            "select technique from phasegate.benchmark_session"
        ).column(0):
            if technique in self._project.techniques:
                self._caller.execute(self._project.techniques[technique].sql(TEARDOWN))
        if not last <= present:  # somebody has chosen other parts since
            return present
        parts = self._caller.once("select unnest(found_parts) from phasegate.benchmark_session")
        return frozenset(part for part in parts.column(0) if part in self._project.known_parts)

    def note_setup(self, technique: str | None) -> None:
        """Whose setup is in place from now on; None: nobody's."""
        self._caller.once("update phasegate.benchmark_session set technique = $1", technique)

    def lacking(self, parts: Collection[str]) -> frozenset[str]:
        """Those of `parts` that are not there all the time."""
        return frozenset(parts) - self.parts

    def bring(self, needs: Collection[str]) -> None:
        """What a technique needs beside the last level's parts, and nothing else beside them.

        It stays until another needs something else: neighbours that need the same share it.

        Raises:
            CannotMeasure: a migration fails; nothing was changed.
        """
        wanted = self.lacking(needs)
        if wanted != self._beside:
            self._apply(self.parts | wanted)
            self._beside = wanted

    def keep(self) -> None:
        """Take away what was added to the last level's parts."""
        self.bring(())

    def _apply(self, parts: Collection[str]) -> None:
        try:
            self._bring_to(parts)
        except asyncpg.PostgresError as error:
            raise CannotMeasure(
                f"The parts {', '.join(sorted(parts))} cannot be applied: {error}",
                untouched="Nothing was changed",
                then="Correct the migration of the one that the server names",
            ) from error

    def restore(self) -> None:
        """The parts that were found, and no note. The session's own connection must be closed."""
        if self.found_parts != self.parts | self._beside:
            self._bring_to(self.found_parts)
        session = Session(self._dsn)
        try:
            session.execute(NO_NOTE)
        finally:
            session.close()
