"""`/functions/v1`: named handlers, as Edge Functions are to a Supabase project.

To add one, write a coroutine of `Handler`'s form and enter it in `FUNCTIONS` under the name that
clients invoke. It gets the caller's identity; `database.run` acts as that caller, under row-level
security.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from phasegate.api.database import Database
from phasegate.api.http import Answer, Request, json_answer
from phasegate.api.identity import Identity
from phasegate.api.job_functions import HEAVY_FUNCTIONS

Handler = Callable[[Request, Identity, Database], Awaitable[Answer]]


async def hello_world(request: Request, identity: Identity, database: Database) -> Answer:
    """What `supabase functions new` writes: says hello to `name`."""
    del identity, database
    body = request.json() if request.body else {}
    name = body.get("name", "world") if isinstance(body, dict) else "world"
    return json_answer(200, {"message": f"Hello {name}!"})


FUNCTIONS: Mapping[str, Handler] = {"hello-world": hello_world, **HEAVY_FUNCTIONS}


async def answer(request: Request, identity: Identity, database: Database, name: str) -> Answer:
    """Invoke `name`; 404 where there is no such function."""
    handler = FUNCTIONS.get(name)
    if handler is None:
        missing = {"code": "NOT_FOUND", "message": "Requested function was not found"}
        return json_answer(404, missing)
    return await handler(request, identity, database)
