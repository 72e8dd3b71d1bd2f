"""`phasegate serverless`: from how many users on do functions exhaust the connections?

Answers from the model; with `--drive`, real connections are opened until PostgreSQL or PgBouncer
refuses one. Adds `serverless.json` to the folder of a run, whose page is drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from phasegate.cli import options
from phasegate.model.capacity import Span
from phasegate.model.errors import CannotMeasure
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.serverless import ServerlessAnswer, ServerlessRecord, Through, Users
from phasegate.stack.compute import find_compute, pooler_pool_size

if TYPE_CHECKING:  # brings numpy, which the help does without
    from phasegate.model.serverless import Clients, Way

FILE = "serverless.json"
DRIVEN = "nano,micro,small"


@dataclass(frozen=True)
class Asked:
    """What the command was asked for."""

    project: Project
    sizes: tuple[Compute, ...]
    through: tuple[Through, ...]
    requests: Span
    """Of a session."""
    requests_from: str
    users: int
    """Registered users of the data set that is driven."""
    seed: int
    jobs: int
    technique: str | None
    arm: str
    climbs: int

    def clients(self, query_s: float | None = None) -> Clients:
        """The functions; `query_s` where it was measured."""
        from phasegate.model.serverless import clients

        return clients(self.project.catalogue, self.requests.estimate, query_s)

    def way(self, size: Compute, through: Through) -> Way:
        """To the database of a size."""
        from phasegate.model.serverless import Way, straight

        if through == "straight":
            return straight(size, self.project.catalogue)
        return Way(size.pooler_clients_max, pooler_pool_size(size))


@click.command()
@options.run_argument
@click.option(
    "--compute", "sizes", help=f"Compute sizes, comma-separated [all; with --drive: {DRIVEN}]."
)
@click.option(
    "--through",
    type=click.Choice(["straight", "pooler", "both"]),
    default="both",
    show_default=True,
    help="How functions reach the database.",
)
@click.option("--drive", is_flag=True, help="Open real connections until one is refused.")
@click.option(
    "--functions", type=options.POSITIVE, help="Functions, each with instances of its own [1]."
)
@click.option(
    "--concurrency", type=options.POSITIVE, help="Requests that an instance serves at a time [1]."
)
@click.option(
    "--max", "pool_max", type=options.POSITIVE, help="Connections of an instance's pool [10]."
)
@click.option(
    "--request-ms",
    type=click.FloatRange(min=0),
    help="Milliseconds of a request, its statements aside [200].",
)
@click.option(
    "--requests-per-session",
    type=click.FloatRange(min=0.01),
    help="Requests to functions in a session [as RUN measured it, else a click's each].",
)
@click.option("--technique", help="Technique whose statement --drive sends [the self-check's].")
@click.option(
    "--arm", type=click.Choice(["before", "after"]), default="after", help="Its arm [after]."
)
@click.option(
    "--climbs",
    type=options.POSITIVE,
    default=1,
    help="How often --drive climbs on each size and way [1].",
)
@click.option("--users", type=options.POSITIVE, help="Registered users of --drive's data [2,000].")
@options.seed_number
@options.jobs
@options.as_json
def serverless(
    run: Path | None,
    sizes: str | None,
    through: str,
    *,
    drive: bool,
    functions: int | None,
    concurrency: int | None,
    pool_max: int | None,
    request_ms: float | None,
    requests_per_session: float | None,
    technique: str | None,
    arm: str,
    climbs: int,
    users: int | None,
    seed: int | None,
    jobs: int,
    as_json: bool,
) -> None:
    """From how many users on serverless functions exhaust the connections.

    Each instance of a function has a connection pool of its own: straight to PostgreSQL, or through
    the pooler, per compute size. [serverless] of phasegate.toml says what your functions are like,
    unless an option does. The page of RUN (a folder or an id; the newest run if left out) gets a
    section of it.
    """
    from phasegate import report

    project = _with(
        options.project(),
        functions=functions,
        concurrency=concurrency,
        pool_max=pool_max,
        request_s=None if request_ms is None else request_ms / 1000,
    )
    catalogue = project.catalogue
    named = options.names(sizes or (DRIVEN if drive else ""))
    folder = options.run_to_add_to(run, project)
    requests, origin = _requests(project, folder, requests_per_session)
    asked = Asked(
        project=project,
        sizes=tuple(find_compute(catalogue, name) for name in named) or catalogue.compute,
        through=("straight", "pooler") if through == "both" else (through,),  # type: ignore[arg-type]
        requests=requests,
        requests_from=origin,
        users=users or catalogue.run.quick_users,
        seed=catalogue.run.seed if seed is None else seed,
        jobs=jobs,
        technique=technique,
        arm=arm,
        climbs=climbs,
    )
    record = _driven(asked) if drive else _record(asked, tuple(_answers(asked, asked.clients())))
    if folder is not None:
        store.write(folder / FILE, added(folder / FILE, record))
        report.build(folder, options.project())
    if as_json:
        options.print_json(record)
    else:
        for line in report.serverless_lines(record):
            click.echo(line)
    _conclude(record)


def _with(project: Project, **said: float | None) -> Project:
    """`project` with what the flags say in place of its `[serverless]`."""
    given = {key: value for key, value in said.items() if value is not None}
    rules = msgspec.structs.replace(project.catalogue.serverless, **given)
    return replace(project, catalogue=msgspec.structs.replace(project.catalogue, serverless=rules))


def _requests(project: Project, folder: Path | None, said: float | None) -> tuple[Span, str]:
    """Requests of a session, and where the number is from."""
    from phasegate import report

    if said is not None:
        return Span(said), "as told"
    found = None if folder is None else report.requests_per_session(folder, project)
    if folder is not None and found is not None:
        return found, f"measured in {folder.name}"
    clicks = project.catalogue.workload.clicks_per_session
    return Span(float(clicks)), "one for each of clicks_per_session"


def _users(found: Span, requests: Span) -> Users:
    """For the record; the interval holds that of the requests of a session as well."""

    def kept(users: float | None, factor: float = 1.0) -> float | None:
        return None if users is None or math.isinf(users) else users * factor

    low = requests.estimate / requests.high if requests.high else 1.0
    high = requests.estimate / requests.low if requests.low else 1.0
    return Users(
        estimate=kept(found.estimate), low=kept(found.low, low), high=kept(found.high, high)
    )


def answer(asked: Asked, each: Clients, size: Compute, through: Through) -> ServerlessAnswer:
    """What the model says of one size, reached in one way."""
    from phasegate.model.serverless import exhausted_at, pool_runs_out

    way, peak_s = asked.way(size, through), asked.project.catalogue.serverless.peak_s
    return ServerlessAnswer(
        size=size.name,
        through=through,
        limit=way.limit,
        pool=way.pool,
        users=_users(exhausted_at(each, way, peak_s), asked.requests),
        deployed=_users(exhausted_at(each, way, peak_s, deployed=True), asked.requests),
        pool_runs_out=pool_runs_out(each, way, peak_s),
    )


def _answers(asked: Asked, each: Clients) -> Iterator[ServerlessAnswer]:
    for size in asked.sizes:
        for through in asked.through:
            yield answer(asked, each, size, through)


def _driven(asked: Asked) -> ServerlessRecord:
    """The record with real connections: asked for, and refused."""
    from phasegate.cli.drive_serverless import driven

    found = driven(asked)
    return _record(asked, found.answers, found.query_s, found.statement)


def _record(
    asked: Asked,
    answers: tuple[ServerlessAnswer, ...],
    query_s: float | None = None,
    statement: str = "",
) -> ServerlessRecord:
    from phasegate.stack.machine import machine

    said, each = asked.project.catalogue.serverless, asked.clients(query_s)
    return ServerlessRecord(
        format_version=ServerlessRecord.FORMAT_VERSION,
        answered_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        functions=said.functions,
        concurrency=said.concurrency,
        pool_max=said.pool_max,
        queries_at_once=said.queries_at_once,
        idle_timeout_s=said.idle_timeout_s,
        freezes=said.freezes,
        kept_s=said.kept_s,
        cold_start_s=said.cold_start_s,
        peak_s=said.peak_s,
        other_connections=said.other_connections,
        request_s=each.request_s,
        query_s=each.query_s,
        requests_per_session=asked.requests.estimate,
        requests_from=asked.requests_from,
        statement=statement,
        answers=answers,
    )


def added(path: Path, record: ServerlessRecord) -> ServerlessRecord:
    """`record` with what the file has besides of the same functions: sizes, and what was driven."""
    if not path.exists():
        return record
    kept = store.read(path, ServerlessRecord)
    answer_alone = {
        name: getattr(record, name)
        for name in ("answered_at", "machine", "query_s", "request_s", "statement", "answers")
    }
    own_s = (kept.request_s - kept.query_s, record.request_s - record.query_s)
    if msgspec.structs.replace(kept, **answer_alone) != record or not math.isclose(*own_s):
        return record
    found = {(each.size, each.through): each for each in kept.answers}
    for each in record.answers:
        before = found.get((each.size, each.through))
        if each.climbs or before is None or not before.climbs:
            found[each.size, each.through] = each
    whole = tuple(found.values())
    if not record.statement:
        record = msgspec.structs.replace(record, statement=kept.statement)
    return msgspec.structs.replace(record, answers=whole)


def _conclude(record: ServerlessRecord) -> None:
    """End with the exit code that the climbs have.

    Raises:
        CannotMeasure: the machine could not keep time, or the model and what was driven differ.
    """
    for each in record.answers:
        where = f"{each.size}, {each.through}"
        for climb in each.climbs:
            if not climb.fair:
                raise CannotMeasure(
                    f"{where}: the machine was too busy: requests lasted {climb.longer:.2f} times "
                    f"as long as they should have, and were sent {climb.lag_ms_p95:.0f} ms late",
                    then="Drive again while nothing else runs, or with a longer --request-ms",
                )
        if not each.agrees:
            raise CannotMeasure(
                f"{where}: what was driven and the model do not agree",
                then="Drive again while nothing else runs, or with more --climbs",
            )
