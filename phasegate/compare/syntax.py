"""Whether a project's SQL can be read at all: PostgreSQL is asked, before anything is measured.

Sends every statement of `benchmarks/*/` as the body of a function that is never called, in a
transaction that is rolled back: PL/pgSQL reads its statements without asking for their tables,
which a technique's setup may yet have to make. Keeps nothing in the database.
"""

from __future__ import annotations

from phasegate.compare.libpq import Session, StatementError
from phasegate.model.errors import ConfigurationError
from phasegate.project import Project, transactional

READ = """\
create function pg_temp.phasegate_read() returns void language plpgsql as $phasegate_read$
begin
{sql};
end
$phasegate_read$"""


def check_syntax(session: Session, project: Project) -> None:
    """Have the server read every technique's SQL.

    Raises:
        ConfigurationError: it cannot read a file, which is named.
    """
    session.execute("begin")
    try:
        for technique in project.techniques.values():
            for path in sorted(technique.folder.glob("*.sql")):
                sql = transactional(technique.sql(path.name)).rstrip(";")
                if not sql:
                    continue  # what a client changes: comments alone
                session.execute("savepoint read")
                try:
                    session.execute(READ.format(sql=sql))
                except StatementError as error:
                    raise ConfigurationError(
                        f"benchmarks/{technique.id}/{path.name}: {error.what}",
                        untouched="Nothing was changed",
                        then="Correct the statement",
                    ) from error
                session.execute("rollback to read")
    finally:
        session.execute("rollback")
