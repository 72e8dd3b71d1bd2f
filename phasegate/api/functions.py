"""`/functions/v1`: named handlers, as Edge Functions are to a Supabase project.

Two for each background job of the project, and the one that `supabase functions new` writes. A
handler gets the caller's identity; `database.run` acts as that caller, under row-level security.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from phasegate.api import job_functions
from phasegate.api.database import Database
from phasegate.api.http import Answer, Request, json_answer
from phasegate.api.identity import Identity
from phasegate.project import ON_THE_SPOT

Handler = Callable[[Request, Identity, Database], Awaitable[Answer]]


async def hello_world(request: Request, identity: Identity, database: Database) -> Answer:
    """What `supabase functions new` writes: says hello to `name`."""
    del identity, database
    body = request.json() if request.body else {}
    name = body.get("name", "world") if isinstance(body, dict) else "world"
    return json_answer(200, {"message": f"Hello {name}!"})


def functions_of(jobs: Iterable[str]) -> Mapping[str, Handler]:
    """The functions of a project with these background jobs, by the name that clients invoke."""
    found: dict[str, Handler] = {"hello-world": hello_world}
    for job in jobs:
        found[job] = partial(job_functions.accept, job=job)
        found[job + ON_THE_SPOT] = partial(job_functions.on_the_spot, job=job)
    return found


async def answer(
    functions: Mapping[str, Handler],
    request: Request,
    identity: Identity,
    database: Database,
    name: str,
) -> Answer:
    """Invoke `name`; 404 where there is no such function."""
    handler = functions.get(name)
    if handler is None:
        missing = {"code": "NOT_FOUND", "message": "Requested function was not found"}
        return json_answer(404, missing)
    return await handler(request, identity, database)
