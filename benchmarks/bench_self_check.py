"""The instrument measured by itself: the same statement in both arms."""

from __future__ import annotations

from phasegate.compare.technique import Compare, Technique, arms_of, statement

SELF_CHECK = Technique(
    "self_check",
    before=statement("self_check", "list", "A", lambda drawn: (drawn.user_id,)),
    after=statement("self_check", "list", "A again", lambda drawn: (drawn.user_id,)),
)


@arms_of(SELF_CHECK)
def test_self_check(compare: Compare, arm: str) -> None:
    """A/A: whatever ratio is found here is the instrument's own."""
    compare(SELF_CHECK, arm)
