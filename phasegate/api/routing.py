"""Which database serves a request.

Reads that are marked for analytics (`x-read-replica`, the header of the scaling guide,
docs/method.md#the-scaling-guide) go to the replica, where there is one; everything else goes to the
primary.
"""

from __future__ import annotations

from phasegate.api.database import Database
from phasegate.api.http import Request

REPLICA_HEADER = b"x-read-replica"


def choose(request: Request, primary: Database, replica: Database | None) -> Database:
    """The database for `request`."""
    marked = request.method in ("GET", "HEAD") and REPLICA_HEADER in request.headers
    return replica if replica is not None and marked else primary
