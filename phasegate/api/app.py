"""The service as an ASGI application: four prefixes, one answer to every error.

Reads requests and the databases of its settings; writes what those requests ask for.
"""

from __future__ import annotations

import asyncio
import logging

from phasegate.api import errors, functions
from phasegate.api.database import Database, choose
from phasegate.api.failover import ReplicaOrPrimary
from phasegate.api.gotrue import Auth
from phasegate.api.http import (
    Answer,
    HungUp,
    Receive,
    Request,
    Scope,
    Send,
    error_answer,
    json_answer,
    read_request,
    send_answer,
)
from phasegate.api.identity import Tokens, identify
from phasegate.api.rest import Rest
from phasegate.api.settings import ApiSettings
from phasegate.project import Project

logger = logging.getLogger(__name__)

PATIENCE_S = 0.25
"""A request that takes longer is watched for its client hanging up; most never need the watch."""


class App:
    """The ASGI callable.

    Args:
        settings: of this process.
        project: whose users sign in, and whose background jobs can be asked for.
    """

    def __init__(self, settings: ApiSettings, project: Project) -> None:
        self._settings = settings
        self._tokens = Tokens(settings.jwt_secret)
        self._auth = Auth(settings, self._tokens, project.about)
        self._functions = functions.functions_of(project.jobs)
        self._rest = Rest(rows_max=settings.rows_max)
        self._primary = Database(settings.dsn, settings)
        self._replica = (
            None
            if settings.replica_dsn is None
            else ReplicaOrPrimary(settings.replica_dsn, settings, self._primary)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server: a request, or the application's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._primary.close()
                if self._replica is not None:
                    await self._replica.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            bytes_max = self._settings.body_bytes_max
            request = await read_request(scope, receive, body_bytes_max=bytes_max)
            answer = await self._watched(request, receive)
        except errors.ApiError as error:
            answer = error_answer(error)
        except HungUp:
            return
        except Exception:
            logger.exception("A request could not be answered")
            answer = error_answer(errors.ApiError(500, "XX000", "Internal error"))
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    async def _watched(self, request: Request, receive: Receive) -> Answer:
        """The answer, unless its client hangs up or the gateway's patience ends before.

        Then the request is given up, and its transaction with it. Most requests are over before
        the watch begins.
        """
        loop = asyncio.get_running_loop()
        serving = asyncio.current_task()
        watch: asyncio.Task[BaseException] | None = None
        answered = False

        def begin() -> None:
            nonlocal watch
            watch = loop.create_task(_watch(receive, self._settings.gateway_timeout_s))
            watch.add_done_callback(give_up)

        def give_up(done: asyncio.Task[BaseException]) -> None:
            if not (answered or done.cancelled() or serving is None):
                serving.cancel()

        timer = loop.call_later(PATIENCE_S, begin)
        try:
            return await self._answer(request)
        except asyncio.CancelledError:
            if watch is None or not watch.done():
                raise  # the service is stopping
            raise watch.result() from None
        finally:
            answered = True
            timer.cancel()
            if watch is not None:
                watch.cancel()

    async def _answer(self, request: Request) -> Answer:
        path = request.path
        if path == "/ready":
            return await self._ready()
        identity = identify(request.headers, self._tokens)
        database = choose(request, self._primary, self._replica)
        if path.startswith("/rest/v1/"):
            return await self._rest.answer(request, identity, database, path[9:])
        if path.startswith("/auth/v1/"):
            return await self._auth.answer(request, identity, self._primary, path[9:])
        if path.startswith("/functions/v1/"):
            return await functions.answer(
                self._functions, request, identity, self._primary, path[14:]
            )
        raise errors.unknown_path()

    async def _ready(self) -> Answer:
        """200 once the database could be read; what the pool is doing, for the health check."""
        await self._primary.catalogue()
        pool = self._primary.pool
        state = {"size": pool.size, "in_use": pool.in_use, "waiting": pool.waiting}
        answer = {"status": "ok", "level": self._settings.level, "pool": state}
        if self._replica is not None:
            answer["replica"] = "serving" if self._replica.serving else "away"
        return json_answer(200, answer)


async def _watch(receive: Receive, timeout_s: float) -> BaseException:
    """Why a slow request is to be given up, as soon as there is a reason."""
    try:
        async with asyncio.timeout(timeout_s):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return errors.gateway_timeout()
    return HungUp()
