"""Statistics of users: counted live against read from the materialised view of level 3."""

from __future__ import annotations

from benchmarks.technique import Compare, Role, Technique, arms_of, statement

USER_STATS = Technique(
    "user_stats",
    before=statement("user_stats", "before", "live", lambda _: ()),
    after=statement("user_stats", "after", "materialised", lambda _: ()),
    role=Role.OWNER,
)


@arms_of(USER_STATS)
def test_user_stats(compare: Compare, arm: str) -> None:
    """The twenty most diligent users."""
    compare(USER_STATS, arm)
