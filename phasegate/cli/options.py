"""What several verbs share: the project and its catalogue, parameter types, naming a run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from click.core import ParameterSource

from phasegate.model.address import Address
from phasegate.model.catalogue import Catalogue
from phasegate.model.dsn import DATABASE_URL, Dsn
from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.model.prices import Compute
from phasegate.project import VARIABLE, Project, find_project, load_project
from phasegate.records import store
from phasegate.records.run import RunRecord
from phasegate.stack.compute import find_compute

if TYPE_CHECKING:
    from phasegate.stack.emulation import Mode


def say(remarks: Iterable[str]) -> None:
    """Tell what was passed over in an address or a key, beside the verb's own output."""
    for remark in remarks:
        click.echo(f"phasegate: {remark}", err=True)


def _origin(ctx: click.Context, param: click.Parameter) -> str:
    """The environment variable or the option that a value came from."""
    if param.name is None:
        return "The value"
    by_variable = ctx.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT
    if by_variable and isinstance(param.envvar, str):
        return param.envvar
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def read_database_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The database's address, as every driver reads it; what was passed over is said.

    Raises:
        ConfigurationError: it is none; nothing of it is quoted.
    """
    if value is None:
        return None
    dsn = Dsn.of(value, _origin(ctx, param))
    say(dsn.remarks)
    return dsn.url


def read_api_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The API's address without credentials, fit for logs and process lists.

    Raises:
        ConfigurationError: it is none; nothing of it is quoted.
    """
    if value is None:
        return None
    address = Address.of(value, _origin(ctx, param))
    say(address.remarks)
    return address.url


def read_results(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path:
    """The folder that was named, else `results/` of the project, or of this folder; absolute."""
    del ctx, param
    if value is not None:
        return value.absolute()
    found = project_here()
    return Path.cwd() / "results" if found is None else found.results


def names(said: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(name.strip() for name in said.split(",") if name.strip())


POSITIVE = click.IntRange(min=1)
PORT = click.IntRange(1, 65535)
LEVEL = click.IntRange(min=1)
"""Of a stack; which there are, `Project.level` knows."""
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

run_argument = click.argument(
    "run", metavar="[RUN]", required=False, type=click.Path(path_type=Path)
)
results = click.option(
    "--results",
    type=FOLDER,
    callback=read_results,
    help="Where runs are kept [results/ of the project].",
)
jobs = click.option(
    "--jobs", type=POSITIVE, default=2, show_default=True, help="Seeding processes."
)
fresh = click.option("--fresh", is_flag=True, help="Seed again, even if the data set is there.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
database_url = click.option(
    "--database-url",
    envvar=DATABASE_URL,
    metavar="DSN",
    callback=read_database_url,
    help="PostgreSQL address [DATABASE_URL, which process lists do not show].",
)
seed_number = click.option(
    "--seed",
    type=int,
    help="Seed of the data: the same gives the same bytes [the project's, or 2026].",
)
compute = click.option(
    "--compute",
    metavar="SIZE",
    help="Hold the stack to a size's memory, processor and disk, such as small [no limits].",
)
burst = click.option(
    "--burst", is_flag=True, help="Begin with full burst credits [only what the size has for ever]."
)


def project() -> Project:
    """The project of this call. From here on every process that is started has it too.

    Raises:
        ConfigurationError: there is none, or a file of it is wrong.
    """
    found = load_project()
    os.environ[VARIABLE] = str(found.root)
    return found


def project_here() -> Project | None:
    """The project of this call; None where neither an option nor a folder names one.

    For what answers from a run's own files: these say what was measured.

    Raises:
        ConfigurationError: the one that is named is none, or a file of it is wrong.
    """
    try:
        find_project()
    except ConfigurationError:
        if os.environ.get(VARIABLE):
            raise
        return None
    return project()


def catalogue() -> Catalogue:
    """The defaults in force: the shipped catalogue with the project's overrides."""
    return project().catalogue


def compute_of(defaults: Catalogue, name: str | None) -> Compute | None:
    """The compute size of that name; None for this machine as it is.

    Raises:
        UsageError: there is no such size; those that there are are named.
    """
    return None if name is None else find_compute(defaults, name)


def mode_of(compute: Compute | None, *, burst: bool) -> Mode:
    """What of the compute size is in force.

    Raises:
        UsageError: a burst of no size.
    """
    if burst and compute is None:
        raise UsageError(
            "--burst needs a --compute size, whose credits are spent",
            untouched="Nothing was started",
            then="Add --compute SIZE, or leave --burst out",
        )
    return "burst" if burst else "sustained"


def run_folder(named: Path | None) -> Path:
    """The folder of the run that a user named by folder or id; the newest complete one if None.

    Raises:
        ConfigurationError: there is no such run, or none at all.
    """
    if named is not None and named.is_dir():
        return named
    found = project() if named is None else project_here()
    if found is None:
        raise ConfigurationError(
            f"There is no run {str(named)!r} here, and no project (phasegate.toml) that has it",
            then="Give the folder of a run, or name its project with --project DIR",
        )
    kept = found.results
    if named is not None:
        if (kept / named).is_dir():
            return kept / named
        raise ConfigurationError(
            f"There is no run {str(named)!r}, neither here nor in {near(kept)}",
            then="Give the folder of a run, or its id",
        )
    runs = sorted(path.parent for path in kept.glob("2*/run.json"))
    if not runs:
        raise ConfigurationError(
            f"There is no run in {near(kept)} yet", then="Make one with `phasegate run`"
        )
    return runs[-1]


def run_to_add_to(named: Path | None, project: Project, seed: int | None = None) -> Path | None:
    """The run whose page gets a section more; None where there is none of this project's data.

    Args:
        named: by folder or id; the newest if None.
        project: that the section is about.
        seed: of its data; any if None.

    Raises:
        ConfigurationError: the one that is named is not there.
        UsageError: it is of other data.
    """
    try:
        folder = run_folder(named)
    except ConfigurationError:
        if named is not None:
            raise
        return None
    if not (folder / "run.json").exists():
        return None
    record = store.read(folder / "run.json", RunRecord)
    other = record.project is not None and record.project.name != project.about.name
    if seed in (None, record.seed) and not other:
        return folder
    if named is not None:
        raise UsageError(
            f"{near(folder)} is of another project, or of seed {record.seed}",
            untouched="Nothing was started",
            then="Name another run, or give its --seed",
        )
    return None


def print_json(record: msgspec.Struct) -> None:
    """`record` as JSON, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(record), indent=1))


def near(path: Path) -> str:
    """`path` as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
