"""`phasegate gate --host URL`: load a staging stack, read its database, write a run.

Writes `results/<run-id>/` (run.json, target.json, load/, sampler/, the page). It changes nothing on
the target: sessions read, unless writes are allowed, and then remove what they wrote; the database
is looked at read-only. What it was asked makes candidates, measured on a copy of our own
(`advice.json`, `candidates/`). `phasegate gate RUN --database-url DSN` adds target.json to a folder
of load.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from phasegate.advise.found_parts import found_parts
from phasegate.cli import console
from phasegate.cli import options as options_room
from phasegate.cli.run_record import Journal
from phasegate.cli.soak_options import interval_s
from phasegate.load.options import REMOTE_RAMP_S
from phasegate.load.reads import ReadsOnly
from phasegate.load.run import RemoteLimits, Target, run_stage
from phasegate.load.settings import keys_from, keys_read
from phasegate.load.summary import left_behind
from phasegate.load.users import Listed, Seeded
from phasegate.model.address import Address
from phasegate.model.catalogue import Catalogue, Phase
from phasegate.model.errors import CannotMeasure, ConfigurationError, PhasegateError
from phasegate.model.prices import Compute
from phasegate.model.verdict import NO_LOAD, code_of
from phasegate.project import Level, Project, load_project
from phasegate.records import store
from phasegate.records.faults import require_writable
from phasegate.records.load import LoadRecord
from phasegate.records.target import FoundDatabase, TargetRecord
from phasegate.stack.host_metrics import KEY_VARIABLE, Endpoint, watching
from phasegate.stack.inspect import look_at
from phasegate.stack.levels import level_of
from phasegate.stack.sampler import sampling

# The slowest of a target's own rhythms that a minute catches is the checkpoint's and the cache's
# warming; a longer stage is a choice of whoever pays for it.
DURATION_S = 60.0

# Looked up in the database, to see that the sessions act as people who are there: every hundredth
# wrong one then shows with a probability of 63%, every twentieth with 99%.
ACTING_LOOKED_UP = 100

ADVISE = "findings: candidates"
COMPARE_WITH = "a staging run compares no technique; `phasegate run` does, on a server of its own"


@dataclass(frozen=True)
class StagingPlan:
    """What one staging run does."""

    project: Project
    host: str
    database_url: str | None
    phase: Phase
    """To be entered; driven at its upper bound."""
    level: int | None
    """None: the highest whose parts the database has, else that of the phase."""
    compute: Compute | None
    seed: int
    duration_s: float
    request_budget: int
    allow_writes: bool
    users_file: Path | None
    results: Path
    reads: str = ""
    """Requests that change nothing, though they are no GET."""
    metrics: Endpoint | None = None
    advise: bool = True
    """Whether candidates are made of what the database was asked, measured on a copy of ours."""
    soaks: bool = False
    """Whether clicks are kept by interval, and the server's events are watched."""


def run(plan: StagingPlan) -> Path:
    """Carry `plan` out and return the folder of the finished run.

    Where the sessions did not meet the application, the folder stays hidden: it can be judged, and
    is never taken for the newest run.

    Raises:
        ConfigurationError: a key is missing or no user's, or a DSN or file of users is wrong;
            nothing was sent.
        CannotMeasure: the database cannot be reached, the API refuses before any load, or the
            generator wrote no record.
    """
    catalogue = plan.project.catalogue
    require_writable(plan.results, purpose="results")
    address = Address.of(plan.host)  # a wrong one is named before anything is opened
    file = "" if plan.users_file is None else str(plan.users_file)
    options = argparse.Namespace(target="", users_file=file)
    # Sessions of an API of its own do without Supabase's keys, and so do HttpUsers.
    keys_needed = not plan.project.api.command and plan.project.is_written_for_us
    anon_key, secret = keys_from(os.environ, options, needed=keys_needed)
    options_room.say(remark for key in keys_read(os.environ) for remark in key.remarks)
    target = Target(address.url, anon_key, secret)
    users = plan.phase.users_max
    journal = Journal(
        project=plan.project,
        users=users,
        sizes=(users,),
        seed=plan.seed,
        quick=False,
        results=plan.results,
    )
    with journal.kept_if_begun():
        with journal.stage("database"), console.step("look at the database"):
            record = look(
                plan.database_url, users, host=plan.host, seed=plan.seed,
                users_file=plan.users_file, compute=plan.compute,
                reads_only=not plan.allow_writes, request_budget=plan.request_budget,
            )  # fmt: skip
            store.write(journal.folder / "target.json", record)
        had = record.database.parts if record.database else None
        level = plan.level or _level_of(plan, had)
        name = f"load: level {level} at the peak of {users:,} users"
        try:
            with journal.stage(name), console.step(name), watching(plan.metrics) as watched:
                load = _drive(
                    plan, level, catalogue, target, journal.folder, is_local=address.is_loopback
                )
        except CannotMeasure:
            return journal.folder  # its run.json says why, and a verdict that
        except KeyboardInterrupt:
            # Of a soak what was measured is kept: the generator wrote its record as it was ended.
            found = sorted((journal.folder / "load").glob("[!.]*.json"))
            if not (plan.soaks and found):
                raise
            load = store.read(found[0], LoadRecord)
    if watched.metrics is not None:
        record = msgspec.structs.replace(record, host_metrics=watched.metrics)
        store.write(journal.folder / "target.json", record)
    drove_nothing = NO_LOAD & {code_of(reason) for reason in load.invalid}
    if plan.advise and plan.database_url and had is not None and not drove_nothing:
        _advise(plan, journal, plan.database_url, had)
    journal.skip("benchmarks", COMPARE_WITH)
    # matplotlib takes a second to import; only this step needs it.
    from phasegate import report

    journal.write("complete")
    with console.step("report"):
        report.build(journal.folder, plan.project)
    return journal.folder if drove_nothing else journal.publish()


def metrics_of(host: str, url: str | None) -> Endpoint | None:
    """Where the metrics of the host of the database are; the key is the environment's."""
    return Endpoint.of(host, url, os.environ.get(KEY_VARIABLE, ""))


def _level_of(plan: StagingPlan, had: Mapping[str, str] | None) -> int:
    """By what the database has, where it was looked at; else by the number of the phase."""
    if had is not None:
        return level_of(plan.project, had)
    return min(plan.phase.number, len(plan.project.levels))


def _advise(plan: StagingPlan, journal: Journal, dsn: str, had: Mapping[str, str]) -> None:
    """Candidates from what the target's database was asked, measured on a copy of our own.

    It has the parts that the target was found to have. Without them a verdict on the load is still
    worth its while: the stage says why there are none.
    """
    # Starts a server, which a verdict alone does not need; takes half a second to import.
    from phasegate import seeding
    from phasegate.advise.run import AdvicePlan, advise
    from phasegate.advise.statements import read_statements
    from phasegate.stack.cache import cache_dir, locked
    from phasegate.stack.levels import apply_level
    from phasegate.stack.postgres import cluster_dir, running_postgres

    settings = plan.project.catalogue.run
    found = replace(plan.project, levels=(Level(title="as found", parts=tuple(sorted(had))),))
    with suppress(PhasegateError), journal.stage(ADVISE), console.step(ADVISE) as show:
        read_statements(dsn)  # what it lacks is said before our copy is made
        with locked(cache_dir(), "phasegate gate"), running_postgres(cluster_dir()) as server:
            databases = {}
            for users in settings.sizes_up_to(min(settings.advise_users_max, plan.phase.users_max)):
                show(f"seed {users:,} users")
                databases[users], _ = seeding.ensure_dataset(server, users=users, seed=plan.seed)
                apply_level(databases[users], 1, found)
            asked = AdvicePlan(found, 1, plan.seed, settings.advise_budget_s, foreign_dsn=dsn)
            advise(asked, server, databases, journal.folder, on_progress=show)


def look(
    database_url: str | None,
    users: int,
    *,
    host: str,
    seed: int,
    users_file: Path | None,
    compute: Compute | None,
    reads_only: bool,
    request_budget: int,
) -> TargetRecord:
    """The record of a target; its database is None where no URL of it is known."""
    database: FoundDatabase | None = None
    found: int | None = None
    acting: list[str] = []
    if database_url is not None:
        here = load_project()
        acting = _acting(here, users, seed, users_file)
        database, found = look_at(database_url, here.about, acting)
        parts = dict(found_parts(database_url, here))
        database = msgspec.structs.replace(database, parts=parts)
    return TargetRecord(
        format_version=TargetRecord.FORMAT_VERSION,
        host=host,
        compute=None if compute is None else compute.name,
        reads_only=reads_only,
        request_budget=request_budget,
        acting_users=None if found is None else len(acting),
        acting_users_found=found,
        database=database,
    )


def complete(
    folder: Path, database_url: str, compute: Compute | None, users_file: Path | None
) -> None:
    """Write `target.json` beside the load that somebody drove with Locust itself.

    Raises:
        ConfigurationError: the folder holds no load, or a file of it is not whole.
        CannotMeasure: the database cannot be reached.
    """
    require_writable(folder, purpose="the run")
    loads = [store.read(path, LoadRecord) for path in sorted((folder / "load").glob("*.json"))]
    if not loads:
        raise ConfigurationError(
            f"{folder} holds no load", then="Run locust with --out FOLDER/load first"
        )
    largest = max(loads, key=lambda load: load.users)
    writes = any(load.rows_created for load in loads)
    record = look(
        database_url, largest.users, host=largest.target, seed=largest.seed or 0,
        users_file=users_file, compute=compute, reads_only=not writes, request_budget=0,
    )  # fmt: skip
    store.write(folder / "target.json", record)


def _acting(project: Project, users: int, seed: int, users_file: Path | None) -> list[str]:
    """Ids spread evenly over the users that sessions will act as; none where they are unknown."""
    if users_file is None and not (project.seed.folder / "population.toml").is_file():
        return []
    source = (
        Seeded(seed, users, project.seed.population) if users_file is None else Listed(users_file)
    )
    count = len(source)
    picked = sorted({i * count // ACTING_LOOKED_UP for i in range(ACTING_LOOKED_UP)})
    return [source.of_index(i).id for i in picked]


def _drive(
    plan: StagingPlan,
    level: int,
    catalogue: Catalogue,
    target: Target,
    folder: Path,
    *,
    is_local: bool,
) -> LoadRecord:
    """One stage at the modelled peak with head-room, sampled where the database is known."""
    users = plan.phase.users_max
    stage = f"level-{level}-{users}-users"
    ramp_s = 0.0 if is_local else REMOTE_RAMP_S
    with ExitStack() as watched:
        if plan.database_url is not None:
            watched.enter_context(
                sampling(
                    plan.database_url,
                    stage=stage,
                    out=folder / "sampler",
                    api_url=target.url if is_local else None,
                    events=plan.soaks,
                )
            )
        load = run_stage(
            target,
            stage=stage,
            project=plan.project,
            level=level,
            users=users,
            seed=plan.seed,
            # The whole duration at the full rate: what rises before it is not counted as peak.
            duration_s=plan.duration_s + ramp_s,
            arrival_rate_per_s=catalogue.workload.arrival_rate_per_s(users)
            * catalogue.gate.head_room,
            out=folder / "load",
            warm_up_s=0.0,  # it would begin at the full rate, before the ramp
            interval_s=interval_s(plan.duration_s) if plan.soaks else 0.0,
            limits=RemoteLimits(
                ramp_s=ramp_s,
                request_budget=plan.request_budget,
                allow_writes=plan.allow_writes,
                users_file=plan.users_file,
                reads=plan.reads,
            ),
        )
    if not load.endpoints:
        raise CannotMeasure(
            f"{plan.host} received no request in {plan.duration_s:g} s",
            then="Give --duration more seconds",
        )
    left = left_behind([load], ReadsOnly.of(plan.host, plan.reads))
    if left and not plan.project.is_written_for_us:
        options_room.say([left])
    return load
