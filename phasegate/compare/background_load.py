"""A statement that runs again and again beside the arm that is measured, in a thread of its own.

Uses a connection of its own; what it reads is thrown away. libpq waits outside Python's lock, so
the measured thread is not held up by it, only by what it does to the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from phasegate.compare.libpq import Session, StatementError

# SQLSTATE query_canceled: how the last run ends.
CANCELLED = "57014"
RETRY_S = 0.05


@contextmanager
def running_beside(session: Session | None, sql: str) -> Iterator[None]:
    """Keep `sql` running on `session` for as long as the context lasts; nothing if it is None.

    Raises:
        StatementError: it failed by itself.
    """
    if session is None:
        yield
        return
    stop, failed = threading.Event(), []

    def repeat() -> None:
        try:
            while not stop.is_set():
                session.once(sql)
        except StatementError as error:
            if not (stop.is_set() and error.sqlstate == CANCELLED):
                failed.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        while thread.is_alive():  # one more may have begun just before it was told to stop
            session.cancel()
            thread.join(RETRY_S)
    if failed:
        raise failed[0]
