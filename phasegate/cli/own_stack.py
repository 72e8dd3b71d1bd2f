"""`phasegate up` and `phasegate health`: what they print.

Starting and stopping is `levels.up_down`'s work, asking is `stack.health`'s; here their records
become lines for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator

from phasegate import seeding
from phasegate.cli import console
from phasegate.cli.options import near
from phasegate.levels.up_down import State
from phasegate.levels.up_down import up as start_level
from phasegate.load.options import STAGE_DURATION_S
from phasegate.load.stages import rate_with_enough_sessions
from phasegate.model.catalogue import Compute, Population, Workload
from phasegate.project import LOCUSTFILE
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


def state_lines(state: State, *, users: int, seed: int, workload: Workload) -> Iterator[str]:
    """What is up, then what a shell needs to use it: `eval` of the `export` lines works.

    Args:
        state: what is up.
        users: registered users of its data set.
        seed: of its data set.
        workload: its rate, raised where too few sessions would come to judge by.
    """
    for part in state.parts:
        yield f"# {part.name:<12}{part.outcome:<10}{part.note}"
    yield "# Stop it with `phasegate down`. For a shell:"
    yield f"export DATABASE_URL='{state.dsn}'"
    yield f"export SUPABASE_URL='{state.url}'"
    yield f"export SUPABASE_ANON_KEY='{state.anon_key}'"
    yield f"export SUPABASE_JWT_SECRET='{state.jwt_secret}'"
    yield "# Drive it, with these set:"
    yield f"# {load_command(state, users=users, seed=seed, workload=workload)}"


def load_command(state: State, *, users: int, seed: int, workload: Workload) -> str:
    """A line for a shell that drives what is up as its users would, long enough to be judged."""
    duration_s = STAGE_DURATION_S
    modelled = workload.arrival_rate_per_s(users)
    rate = rate_with_enough_sessions(modelled, duration_s)
    more = f" --arrival-rate {rate:g}" if rate > modelled else ""
    return (
        f"locust -f {near(LOCUSTFILE)} --headless --host {state.url} --level {state.level} "
        f"--users-registered {users} --seed {seed} --stage-duration {duration_s:g}{more}"
    )


def check_lines(checks: tuple[Check, ...]) -> Iterator[str]:
    """The answers as a table: name, outcome, what was said."""
    width = max(len(one.name) for one in checks) + 2
    for one in checks:
        yield f"{one.name:<{width}}{MARKS[one.outcome]:<9}{one.said}"
