"""`phasegate up` and `phasegate health`: what they print.

Starting and stopping is `levels.up_down`'s work, asking is `stack.health`'s; here their records
become lines for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator

from phasegate import seeding
from phasegate.cli import console
from phasegate.levels.up_down import State
from phasegate.levels.up_down import up as start_level
from phasegate.model.catalogue import Compute, Population
from phasegate.stack.health import Check
from phasegate.stack.postgres import PostgresServer

MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "skipped"}


def up(
    *,
    level: int,
    users: int,
    number: int,
    population: Population,
    compute: Compute | None,
    port: int | None,
) -> State:
    """Seed `users` users from seed `number` and start the level on them: it outlives us."""

    def prepare(server: PostgresServer) -> str:
        with console.row_bar(f"seed {users:,} users") as move:
            dsn, _ = seeding.ensure_dataset(
                server, users=users, seed=number, population=population, on_progress=move
            )
            return dsn

    return start_level(level=level, prepare=prepare, compute=compute, port=port)


def state_lines(state: State) -> Iterator[str]:
    """What is up, then what a shell needs to use it: `eval` of the `export` lines works."""
    for part in state.parts:
        yield f"# {part.name:<12}{part.outcome:<10}{part.note}"
    yield "# Stop it with `phasegate down`. For a shell:"
    yield f"export DATABASE_URL='{state.dsn}'"
    yield f"export SUPABASE_URL='{state.url}'"
    yield f"export SUPABASE_ANON_KEY='{state.anon_key}'"
    yield f"export SUPABASE_JWT_SECRET='{state.jwt_secret}'"


def check_lines(checks: tuple[Check, ...]) -> Iterator[str]:
    """The answers as a table: name, outcome, what was said."""
    width = max(len(one.name) for one in checks) + 2
    for one in checks:
        yield f"{one.name:<{width}}{MARKS[one.outcome]:<9}{one.said}"
