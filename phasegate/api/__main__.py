"""The child process of `api.launch`: serves one listening socket until told to stop.

Reads its settings from the environment, the project that it finds, the socket and the life line
from the file descriptors named in its arguments.

    python -m phasegate.api SOCKET_FD LIFE_LINE_FD WORKERS     (LIFE_LINE_FD -1 for none)
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn

from phasegate.api.app import App
from phasegate.api.settings import from_environment
from phasegate.project import load_project

GRACE_S = 5
"""For requests under way when the service is told to stop."""

BACKLOG = 2048

KEEP_ALIVE_S = 75
"""As the gateway before a Supabase project; uvicorn's own 5 s are shorter than a user thinks, and a
connection closed at the moment of a click looks like a failure."""

COLLECT_AFTER_OBJECTS = 20_000
"""A request leaves hundreds of short-lived objects and hardly a cycle; the default of 700 makes the
collector run every other request."""


def serve(listening: int, life_line: int) -> None:
    """Serve until SIGTERM, or until whoever holds the other end of the life line is gone."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 10, 10)
    server = uvicorn.Server(
        uvicorn.Config(
            App(from_environment(), load_project()),
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )

    async def run() -> None:
        def let_go() -> None:
            asyncio.get_running_loop().remove_reader(life_line)
            server.should_exit = True

        if life_line >= 0:
            asyncio.get_running_loop().add_reader(life_line, let_go)
        await server.serve(sockets=[socket.socket(fileno=listening)])

    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(run())


def supervise(listening: int, life_line: int, workers: int) -> None:
    """Serve with several processes; all stop when one does."""
    children: list[int] = []
    for _ in range(workers):
        child = os.fork()
        if child == 0:
            serve(listening, life_line)
            os._exit(0)
        children.append(child)

    def pass_on(number: int, _: FrameType | None) -> None:
        for child in children:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                continue

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    os.wait()
    pass_on(signal.SIGTERM, None)
    for _ in children[1:]:
        os.wait()


def main() -> None:
    """Read the arguments and serve."""
    listening, life_line, workers = (int(argument) for argument in sys.argv[1:4])
    if workers > 1:
        supervise(listening, life_line, workers)
    else:
        serve(listening, life_line)


if __name__ == "__main__":
    main()
