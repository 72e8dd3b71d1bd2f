"""The search for the simplest stack, against stacks whose behaviour is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from phasegate.load.breakpoint import Finding
from phasegate.load.least_parts import Added, Search

HOLDS, FAILS, UNKNOWN = Finding.SUSTAINED, Finding.NOT_SUSTAINED, Finding.UNKNOWN
PARTS = tuple("abcdef")


def search(holds: Callable[[frozenset[str]], Finding], trials_max: int = 99) -> Search[int]:
    """What is seen is the number of parts; parts are tried in the order of the alphabet."""

    def drive(parts: Added) -> tuple[Finding, int]:
        return holds(frozenset(parts)), len(parts)

    def promising(left: Sequence[str], seen: int) -> list[str]:
        del seen
        return sorted(left)

    return Search(drive, promising, trials_max)


def needing(*wanted: str) -> Callable[[frozenset[str]], Finding]:
    return lambda parts: HOLDS if set(wanted) <= parts else FAILS


def test_a_stack_that_holds_as_it_is_needs_nothing_and_is_driven_once() -> None:
    found = search(needing())
    assert found.least((), PARTS) == (HOLDS, ())
    assert len(found.trials) == 1


def test_what_was_added_on_the_way_and_is_not_needed_is_taken_away_again() -> None:
    found = search(needing("b", "d"))
    assert found.least((), PARTS) == (HOLDS, ("b", "d"))
    # Each part that stays was seen to be missed.
    assert found.without(("b", "d"), "b") is not None
    assert found.without(("b", "d"), "d") is not None


def test_what_a_smaller_number_of_users_needed_is_not_taken_away() -> None:
    found = search(needing("c"))
    assert found.least(("a",), PARTS) == (HOLDS, ("a", "c"))


def test_where_all_parts_do_not_do_all_are_named() -> None:
    assert search(lambda _: FAILS).least((), PARTS) == (FAILS, PARTS)


def test_a_stage_that_cannot_be_judged_ends_the_search_without_an_answer() -> None:
    found = search(lambda parts: UNKNOWN if "a" in parts else FAILS)
    assert found.least((), PARTS) == (UNKNOWN, ("a",))


def test_a_part_stays_where_the_stage_without_it_cannot_be_judged() -> None:
    def holds(parts: frozenset[str]) -> Finding:
        return {frozenset("ab"): HOLDS, frozenset("b"): UNKNOWN}.get(parts, FAILS)

    assert search(holds).least((), PARTS) == (HOLDS, ("a", "b"))


def test_no_more_stages_are_driven_than_allowed() -> None:
    found = search(needing("f"), trials_max=4)
    assert found.least((), PARTS) == (UNKNOWN, ("a", "b", "c", "d"))
    assert len(found.trials) == 4


def test_two_that_stand_for_each_other_are_not_both_kept() -> None:
    found = search(lambda parts: HOLDS if parts & set("ab") and "c" in parts else FAILS)
    assert found.least((), PARTS) == (HOLDS, ("a", "c"))


@given(st.lists(st.frozensets(st.sampled_from(PARTS)), min_size=1, max_size=4))
def test_what_is_found_holds_and_fails_without_any_of_its_parts(
    enough: list[frozenset[str]],
) -> None:
    """Any stack that more parts never make worse: it holds with one of `enough`, or more."""

    def holds(parts: frozenset[str]) -> Finding:
        return HOLDS if any(each <= parts for each in enough) else FAILS

    found = search(holds)
    finding, parts = found.least((), PARTS)
    assert finding is HOLDS
    assert holds(frozenset(parts)) is HOLDS
    for part in parts:
        assert holds(frozenset(parts) - {part}) is FAILS
        assert found.without(parts, part) is not None, "it was driven, not inferred"
