"""From a project to its findings: watch, propose, measure, judge. What `phasegate advise` does.

Writes `advice.json` and `candidates/` into the folder that it is given; databases of ours are left
as they were found, and one of somebody else's is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from phasegate.advise.candidate import Candidate
from phasegate.advise.findings import Seen, findings, without
from phasegate.advise.measure import measure
from phasegate.advise.propose import candidates
from phasegate.advise.schema import Schema, read_schema
from phasegate.advise.statements import read_statements
from phasegate.advise.watch import WATCH_S, Watched, watch
from phasegate.advise.world import prepare, world_of
from phasegate.model.dsn import Dsn
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.advice import AdviceRecord
from phasegate.stack.binaries import give_to_service_user
from phasegate.stack.postgres import PostgresServer

RECORD, FOLDER = "advice.json", "candidates"

OUR_COPY = "our copy"


@dataclass(frozen=True)
class AdvicePlan:
    """What is asked for.

    Attributes:
        project: that is advised on.
        level: of its stack that is there.
        seed: of the data sets.
        budget_s: seconds for measuring, set-up apart.
        foreign_dsn: whose statements and schema are read in place of our copy's.
        new_only: whether to leave out what a technique of the project covers.
        watch_s: seconds of load on our copy.
    """

    project: Project
    level: int
    seed: int
    budget_s: float
    foreign_dsn: str | None = None
    new_only: bool = False
    watch_s: float = WATCH_S


def advise(
    plan: AdvicePlan,
    server: PostgresServer,
    databases: Mapping[int, str],
    out: Path,
    *,
    on_progress: Callable[[str], None] = lambda _: None,
) -> AdviceRecord:
    """Everything that might help the project, measured; also written to `out`.

    Args:
        plan: what is asked for.
        server: of ours, running.
        databases: DSN of data sets on it by registered users, at the plan's level.
        out: folder for `advice.json` and `candidates/`.
        on_progress: told what is being done.

    Raises:
        CannotMeasure: the load could not be driven, or the foreign database has no statistics.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    smallest = min(databases)
    on_progress("read the statements")
    if plan.foreign_dsn is None:
        watched = _watch(plan, server, databases[smallest], smallest, on_progress)
    else:
        watched = Watched(read_statements(plan.foreign_dsn), read_schema(plan.foreign_dsn), 0)
    top = [seen.text for seen in watched.statements if seen.top]
    types = prepare(databases[smallest], top)
    world = world_of(plan.project, watched.schema, watched.statements, types)
    found = candidates(plan.project, watched.schema, watched.statements, types)
    if plan.new_only:
        found = without(found)
    ours = read_schema(databases[max(databases)])
    absent = {each.id: why for each in found if (why := _absent(each, ours))}
    measured = measure(
        plan.project,
        plan.level,
        [each for each in found if each.id not in absent],
        databases,
        folder=out / FOLDER,
        seed=plan.seed,
        budget_s=plan.budget_s,
        on_progress=on_progress,
    )
    measured = replace(measured, skipped={**measured.skipped, **absent})
    size = sum(table.bytes for table in ours.tables.values())
    asked = [
        seen
        for seen in watched.statements
        if seen.top and seen.text in world.found and (seen.tree is None or world.reach[seen.text])
    ]
    record = AdviceRecord(
        format_version=AdviceRecord.FORMAT_VERSION,
        started_at=started_at,
        seed=plan.seed,
        sizes=tuple(sorted(databases)),
        level=plan.level,
        seen_on=OUR_COPY if plan.foreign_dsn is None else Dsn.of(plan.foreign_dsn).shown,
        statements=len(asked),
        unread=sum(seen.tree is None or types.get(seen.text) is None for seen in asked),
        sessions=watched.sessions,
        findings=findings(
            found, measured, Seen(watched.sessions, float(size)), plan.project.catalogue
        ),
    )
    store.write(out / RECORD, record)
    return record


def _absent(candidate: Candidate, ours: Schema) -> str:
    """Why our copy cannot tell of it; empty where it can. Another's database may have more."""
    table = ours.tables.get(candidate.table)
    if table is None:
        return "our copy has no such table: adopt it into the project first"
    named = f"{candidate.title} "
    if candidate.drops and not any(f" {index.name} " in named for index in table.indexes):
        return "our copy has no such index"
    return ""


def _watch(
    plan: AdvicePlan,
    server: PostgresServer,
    dsn: str,
    users: int,
    on_progress: Callable[[str], None],
) -> Watched:
    """In a folder that the server's account can enter, gone at the end."""
    parent = server.data_dir.parent
    with tempfile.TemporaryDirectory(prefix="advise-", dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "level").mkdir()
        give_to_service_user(folder / "level")
        return watch(
            server,
            dsn,
            project=plan.project,
            level=plan.level,
            users=users,
            seed=plan.seed,
            folder=folder,
            duration_s=plan.watch_s,
            on_progress=on_progress,
        )
