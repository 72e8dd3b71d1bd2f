"""What several verbs share: the catalogue in force, parameter types, naming a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.core import ParameterSource

from phasegate.cli.run_record import RESULTS
from phasegate.model import catalogue as catalogues
from phasegate.model.address import Address
from phasegate.model.dsn import DATABASE_URL, Dsn
from phasegate.model.errors import ConfigurationError
from phasegate.stack.compute import find_compute

OVERRIDES = Path("phasegate.toml")


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


POSITIVE = click.IntRange(min=1)
PORT = click.IntRange(1, 65535)
LEVEL = click.IntRange(1, 3)
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

results = click.option(
    "--results", type=FOLDER, default=RESULTS, help="Where runs are kept [results/]."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
database_url = click.option(
    "--database-url",
    envvar=DATABASE_URL,
    metavar="DSN",
    callback=read_database_url,
    help="PostgreSQL address. Better set DATABASE_URL: process lists show arguments.",
)
seed_number = click.option("--seed", type=int, help="The same seed gives the same bytes.")
compute = click.option(
    "--compute", help="Supabase size whose memory and connections to emulate, as small."
)


def catalogue() -> catalogues.Catalogue:
    """The shipped catalogue, overridden by a `phasegate.toml` in the current folder."""
    return catalogues.load(OVERRIDES if OVERRIDES.exists() else None)


def compute_of(defaults: catalogues.Catalogue, name: str | None) -> catalogues.Compute | None:
    """The compute size of that name; None for this machine as it is.

    Raises:
        UsageError: there is no such size; those that there are are named.
    """
    return None if name is None else find_compute(defaults, name)


def run_folder(named: Path | None) -> Path:
    """The folder of the run that a user named by folder or id; the newest complete one if None.

    Raises:
        ConfigurationError: there is no such run, or none at all.
    """
    if named is not None:
        found = next((path for path in (named, RESULTS / named) if path.is_dir()), None)
        if found is None:
            raise ConfigurationError(
                f"There is no run {str(named)!r}, neither here nor in {RESULTS.name}/",
                then="Give the folder of a run, or its id",
            )
        return found
    runs = sorted(path.parent for path in RESULTS.glob("2*/run.json"))
    if not runs:
        raise ConfigurationError(
            f"There is no run in {RESULTS.name}/ yet", then="Make one with `phasegate run`"
        )
    return runs[-1]


def near(path: Path) -> str:
    """`path` as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
