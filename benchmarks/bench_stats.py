"""Statistics of users: counted live against read from the materialised view of level 3."""

from __future__ import annotations

from phasegate.compare.costs import refresh_costs, relation_size
from phasegate.compare.technique import Compare, Role, Technique, arms_of, statement

VIEW = "private.user_stats"

USER_STATS = Technique(
    "user_stats",
    before=statement("user_stats", "before", "live", lambda _: ()),
    after=statement("user_stats", "after", "materialised", lambda _: ()),
    role=Role.OWNER,
    costs=(
        relation_size("view size", VIEW, of="public.tasks"),
        refresh_costs("user_stats", VIEW),
    ),
)


@arms_of(USER_STATS)
def test_user_stats(compare: Compare, arm: str) -> None:
    """The twenty most diligent users."""
    compare(USER_STATS, arm)


USER_STATS_ONE = Technique(
    "user_stats_one",
    before=statement("user_stats_one", "before", "live", lambda drawn: (drawn.user_id,)),
    after=statement("user_stats_one", "after", "materialised", lambda drawn: (drawn.user_id,)),
)


@arms_of(USER_STATS_ONE)
def test_user_stats_one(compare: Compare, arm: str) -> None:
    """A user's own statistics, under row-level security."""
    compare(USER_STATS_ONE, arm)
