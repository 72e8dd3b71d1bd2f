"""What one stack may leave standing for the next one on the same server."""

from __future__ import annotations

from contextlib import ExitStack

from phasegate.stack.postgres import PostgresServer
from phasegate.stack.replica import Replica


class Kept(ExitStack):
    """A server's settings and its replica, until a stack needs others or the block ends.

    A replica copies the whole cluster, with every data set in it: one does for all of them.

    Attributes:
        server: with the settings that the last stack needed; None where those are its own.
        replica: of it; None where there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.server: PostgresServer | None = None
        self.replica: Replica | None = None

    def release(self) -> None:
        """Take the replica away, and give the server its own settings again."""
        self.server = self.replica = None
        self.close()
