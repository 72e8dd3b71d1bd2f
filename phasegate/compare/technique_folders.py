"""Techniques as folders declare them, read for the engine: `technique.toml`, the SQL beside it.

Reads `benchmarks/<id>/`; writes nothing. A pair of statements needs no Python at all; arms that
make several calls come from a `bench_*.py` (`declared`), all else from the folder.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from phasegate.compare.connection import Connection
from phasegate.compare.costs import (
    estimate_off,
    refresh_costs,
    relation_size,
    stated,
    write_slow_down,
)
from phasegate.compare.technique import (
    SUB,
    Answer,
    Arm,
    Beside,
    Body,
    Draw,
    Parameters,
    Probe,
    Role,
    Route,
    Technique,
    Via,
)
from phasegate.model.errors import ConfigurationError
from phasegate.project import Project, TechniqueFolder, find_project, load_project, transactional
from phasegate.project.contract import ArmFile, CostFile
from phasegate.project.contract import Via as ViaName
from phasegate.project.technique import DRAW, NOTHING, SETUP, TEARDOWN

SELF_CHECK = "self_check"
"""The comparison of a statement with itself, which is no technique."""
ANY_STATEMENT = "select $1::text"
"""Where a project has no pair of statements that the self-check could take."""

SERIAL = "serial"
"""A parameter that nobody draws: a number that no call has had before, for keys of new rows."""

ROLES = {"user": Role.USER, "owner": Role.OWNER}
ROUTES = {"direct": Via.NOTHING, "proxy": Via.PROXY, "pooler": Via.POOLER, "replica": Via.REPLICA}

# Data's own numbers are positive. Used twice, a number would meet its own ghosts.
_unused = itertools.count(-1, -1)


@cache
def _project(root: Path) -> Project:
    return load_project(root)


def project_here() -> Project:
    """The project of this process, read once.

    Raises:
        ConfigurationError: there is none, or a file of it says what it must not.
    """
    return _project(find_project())


def sql_of(technique: str, name: str) -> str:
    """The text of `benchmarks/<technique>/<name>.sql` of the project here.

    Raises:
        UsageError: there is no such technique.
        ConfigurationError: there is no such file.
    """
    folder = project_here().technique(technique)
    if not folder.has(f"{name}.sql"):
        raise ConfigurationError(
            f"{folder.path}: there is no file {name}.sql beside it",
            untouched=NOTHING,
            then="Write it, or have the arm of bench_*.py name another",
        )
    return folder.sql(f"{name}.sql")


def body_of(sql: str, names: Sequence[str]) -> Body:
    """An arm's call: one statement with drawn parameters, as $1, $2 and so on."""

    def body(caller: Connection, drawn: Parameters) -> Answer:
        arguments = (str(next(_unused)) if name == SERIAL else drawn[name] for name in names)
        return caller.fetch(sql, *arguments)

    return body


def drawn_by(sql: str) -> Draw:
    """Columns of a technique's own, from a statement: its rows in turn."""

    def draw(caller: Connection, population: Sequence[Parameters]) -> Sequence[Parameters]:
        found = caller.once(sql)
        rows = found()
        if not rows:
            raise ConfigurationError(
                "The technique's draw.sql gives no row",
                untouched="The comparison was not saved",
                then="Draw from tables that seed/population.toml fills",
            )
        return [
            drawn.with_columns(found.names, rows[place % len(rows)])
            for place, drawn in enumerate(population)
        ]

    return draw


def declared(
    id_: str,
    *,
    before: Arm,
    after: Arm,
    requests: bool = False,
    project: Project | None = None,
) -> Technique:
    """The technique of a folder of the project here, with arms in Python.

    Args:
        id_: of the folder.
        before: the arm without the technique.
        after: the arm with it.
        requests: whether the arms make transactions of their own (`Connection.request`).
        project: whose folder it is; the one here if None.

    Raises:
        UsageError: there is no such technique.
    """
    return _technique(project or project_here(), id_, before, after, requests=requests)


def pair(project: Project, id_: str) -> Technique | None:
    """The technique of a folder whose arms are statements; None where they are Python."""
    folder = project.technique(id_)
    before, after = folder.file.before, folder.file.after
    if before is None or after is None:
        return None
    arms = (_arm(project, folder, before, "before"), _arm(project, folder, after, "after"))
    return _technique(project, id_, *arms)


def pairs(project: Project) -> dict[str, Technique]:
    """All techniques whose arms are statements, by id."""
    found = ((id_, pair(project, id_)) for id_ in project.techniques)
    return {id_: technique for id_, technique in found if technique is not None}


def self_check(project: Project) -> Technique:
    """A statement of the project in both arms: what its `self_check` names, or the first that fits.

    Raises:
        UsageError: it names no technique.
    """
    named = project.about.self_check
    candidates = [named] if named else list(project.techniques)
    for id_ in candidates:
        found = pair(project, id_)
        if found is None or (not named and (found.writes or found.role is Role.OWNER)):
            continue
        sql, body = found.after.sql, found.after.body
        first, second = Arm("A", sql, body), Arm("A again", sql, body)
        return replace(found, id=SELF_CHECK, before=first, after=second, costs=())
    body = body_of(ANY_STATEMENT, (SUB,))
    first, second = (Arm(name, ANY_STATEMENT, body) for name in ("A", "A again"))
    return Technique(SELF_CHECK, first, second)


def _technique(
    project: Project, id_: str, before: Arm, after: Arm, *, requests: bool = False
) -> Technique:
    folder = project.technique(id_)
    file = folder.file
    applied = project.applied_by(id_)
    needs = {*file.needs, *((applied.id,) if folder.same_query and applied.migration else ())}
    return Technique(
        id_,
        before,
        after,
        role=ROLES[file.role],
        requests=requests,
        writes=file.writes,
        same_rows=file.same_rows,
        draw=drawn_by(folder.sql(DRAW)) if folder.has(DRAW) else None,
        needs=tuple(sorted(needs)),
        setup=folder.sql(SETUP),
        teardown=folder.sql(TEARDOWN),
        server_major_min=file.server_major_min,
        costs=tuple(_probe(project, folder, cost, before, after) for cost in file.costs),
    )


def _arm(project: Project, folder: TechniqueFolder, arm: ArmFile, side: str) -> Arm:
    sql = folder.sql(folder.query_of(arm, side))
    names = folder.file.parameters if arm.parameters is None else arm.parameters
    arrange = folder.sql(arm.arrange) if arm.arrange else ""
    if not arrange and side == "before" and folder.same_query:
        # Rolled back after each block: what the migration made comes back, on the same heap.
        arrange = transactional(project.applied_by(folder.id).undo)
    beside = Beside(folder.sql(arm.beside), _route(arm.beside_via)) if arm.beside else None
    route = _route(arm.via, arm.delay_ms)
    return Arm(arm.title, sql, body_of(sql, names), arrange, route, beside)


def _route(via: ViaName, delay_ms: float = 0.0) -> Route:
    return Route(ROUTES[via], delay_ms)


def _probe(
    project: Project, folder: TechniqueFolder, cost: CostFile, before: Arm, after: Arm
) -> Probe:
    if cost.probe == "write_slow_down":
        return write_slow_down(cost.title, _writing(project, folder, cost, before, after))
    applied = project.applied_by(folder.id).file.refresh
    make: dict[str, Callable[[], Probe]] = {
        "relation_size": lambda: relation_size(cost.title, cost.relation, of=cost.of),
        "estimate_off": lambda: estimate_off(cost.title, before.sql, after.sql),
        "stated": lambda: stated(cost.title, cost.value, cost.unit, cost.note),
    }
    if cost.probe == "refresh":
        if applied is None:
            raise ConfigurationError(
                f"{folder.path}: the probe `refresh` needs `[refresh]`",
                untouched=NOTHING,
                then="Say which `view` is refreshed and how often (`every_s`)",
            )
        touch = folder.sql(cost.query)
        return refresh_costs(
            cost.title, applied.view, applied.every_s, touch, cost.writes, cost.note
        )
    return make[cost.probe]()


def _writing(
    project: Project, folder: TechniqueFolder, cost: CostFile, before: Arm, after: Arm
) -> Technique:
    """A statement that writes, without the technique and with it."""
    sql = folder.sql(cost.query)
    body = body_of(sql, cost.parameters)
    without = before.arrange
    if not without and not after.arrange:
        without = transactional(project.applied_by(folder.id).undo)
    return Technique(
        folder.id,
        before=Arm(before.name, sql, body, without),
        after=Arm(after.name, sql, body, after.arrange),
        role=ROLES[cost.role],
        writes=cost.writes,
        same_rows=folder.file.same_rows,
        draw=drawn_by(folder.sql(DRAW)) if folder.has(DRAW) else None,
    )
