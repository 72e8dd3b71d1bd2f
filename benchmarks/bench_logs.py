"""Activity logs: one flat table against monthly partitions."""

from __future__ import annotations

from benchmarks.technique import Compare, Role, Technique, arms_of, statement

LOGS_WINDOW = Technique(
    "logs_window",
    before=statement("logs_window", "before", "flat", lambda drawn: (drawn.now,)),
    after=statement("logs_window", "after", "partitioned", lambda drawn: (drawn.now,)),
    role=Role.OWNER,
)


@arms_of(LOGS_WINDOW)
def test_logs_window(compare: Compare, arm: str) -> None:
    """What happened in the last seven days: a scan of everything against two partitions."""
    compare(LOGS_WINDOW, arm)
