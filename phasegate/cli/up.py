"""`phasegate up` starts a local stack that stays up, and prints how to reach it; `down` stops it.

`levels.up_down` starts and stops; here its record becomes lines for a shell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from phasegate.cli import console, options
from phasegate.load.options import STAGE_DURATION_S
from phasegate.load.stages import rate_with_enough_sessions
from phasegate.model.prices import Compute
from phasegate.project import Project

if TYPE_CHECKING:  # the rooms take half a second to import; the help does without them
    from phasegate.levels.up_down import State
    from phasegate.stack.emulation import Mode
    from phasegate.stack.postgres import PostgresServer


@click.command()
@click.option("--level", type=options.LEVEL, help="Stack level [1].")
@click.option("--with", "added", help="Parts besides the level's, comma-separated: pooler,replica.")
@click.option("--without", "removed", help="Parts of the level to leave out.")
@click.option("--users", type=options.POSITIVE, help="Registered users of the data set [2,000].")
@options.seed_number
@options.compute
@options.burst
@click.option("--port", type=options.PORT, help="Port of the API [any free one].")
def up(
    level: int | None,
    added: str | None,
    removed: str | None,
    users: int | None,
    seed: int | None,
    compute: str | None,
    port: int | None,
    *,
    burst: bool,
) -> None:
    """Start a local stack that stays up.

    PostgreSQL, the API, and the parts of a --level of phasegate.toml; --with adds parts, --without
    leaves some out. Prints how to reach it; `phasegate down` ends it.
    """
    project = options.project()
    wanted: int | list[str] = level or 1
    project.level(level or 1)
    if added or removed:
        parts = project.parts_in_force(
            level or 1, options.names(added or ""), options.names(removed or "")
        )
        wanted = sorted(parts)
    catalogue = project.catalogue
    size = users or catalogue.run.quick_users
    number = catalogue.run.seed if seed is None else seed
    emulated = options.compute_of(catalogue, compute)
    state = start(
        level=wanted,
        users=size,
        number=number,
        compute=emulated,
        mode=options.mode_of(emulated, burst=burst),
        port=port,
    )
    for line in state_lines(state, project=project, users=size, seed=number):
        click.echo(line)


def start(
    *,
    level: int | Sequence[str],
    users: int,
    number: int,
    compute: Compute | None,
    port: int | None,
    mode: Mode = "sustained",
) -> State:
    """Seed `users` users from seed `number` and start a level, or those parts, on them."""
    from phasegate import seeding
    from phasegate.levels.up_down import up as start_level

    def prepare(server: PostgresServer) -> str:
        with console.row_bar(f"seed {users:,} users") as move:
            dsn, _ = seeding.ensure_dataset(server, users=users, seed=number, on_progress=move)
            return dsn

    return start_level(level=level, prepare=prepare, compute=compute, mode=mode, port=port)


def state_lines(state: State, *, project: Project, users: int, seed: int) -> Iterator[str]:
    """What is up, then what a shell needs to use it: `eval` of the `export` lines works.

    Args:
        state: what is up.
        project: whose sessions drive it, at the rate of its workload.
        users: registered users of its data set.
        seed: of its data set.
    """
    width = max((len(part.name) for part in state.parts), default=0) + 2
    for part in state.parts:
        yield f"# {part.name:<{width}}{part.outcome:<10}{part.note}"
    yield "# Stop it with `phasegate down`. For a shell:"
    yield f"export DATABASE_URL='{state.dsn}'"
    yield f"export SUPABASE_URL='{state.url}'"
    yield f"export SUPABASE_ANON_KEY='{state.anon_key}'"
    yield f"export SUPABASE_JWT_SECRET='{state.jwt_secret}'"
    yield "# Drive it, with these set:"
    yield f"# {load_command(state, project=project, users=users, seed=seed)}"


def load_command(state: State, *, project: Project, users: int, seed: int) -> str:
    """A line for a shell that drives what is up as its users would, long enough to be judged."""
    duration_s = STAGE_DURATION_S
    modelled = project.catalogue.workload.arrival_rate_per_s(users)
    rate = rate_with_enough_sessions(modelled, duration_s)
    more = f" --arrival-rate {rate:g}" if rate > modelled else ""
    command, option = "phasegate load", "--duration"
    if project.is_written_for_us:  # and has the options by itself
        file = options.near(project.locustfile)
        command, option = f"locust -f {file} --headless", "--stage-duration"
    return (
        f"{command} --host {state.url} --level {state.level} --users-registered {users} "
        f"--seed {seed} {option} {duration_s:g}{more}"
    )


@click.command()
def down() -> None:
    """Stop the stack that `phasegate up` started."""
    from phasegate.levels.up_down import down as stop_level

    names = ", ".join(process.name for process in stop_level())
    click.echo(f"Stopped: {names}." if names else "Nothing was up.")
