"""What `compare.run` and the pytest session that it starts agree on."""

from __future__ import annotations

# The session's database. By environment, because arguments are visible to every local user.
DSN_VARIABLE = "DATABASE_URL"
# Of the same database on a replica of that server, where there is one.
REPLICA_VARIABLE = "PHASEGATE_REPLICA_URL"

# Lines of the session's output by which its parent follows it.
PROGRESS = "phasegate measures "
FAILURE = "phasegate: "
# Of what is said besides: a reason for nothing, but a reader has to know.
WARNING = "phasegate warns: "
