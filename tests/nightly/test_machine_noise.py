"""When a night counts: pure rules, and what the machine tells."""

from __future__ import annotations

import pytest

from phasegate.nightly.machine_noise import (
    BUSY_SHARE_MAX,
    POWER_MIN,
    STEAL_SHARE_MAX,
    Shares,
    Watch,
    quarantine,
)

QUIET = Shares(steal=0.0, busy=0.0)


def test_a_quiet_night_counts_and_so_does_one_whose_machine_does_not_tell() -> None:
    for shares in (QUIET, Shares(STEAL_SHARE_MAX, BUSY_SHARE_MAX), Shares(None, None)):
        assert quarantine(shares, same_alarmed=(), found=200, injections=200) == ()


@pytest.mark.parametrize(
    ("shares", "alarmed", "found", "said"),
    [
        (Shares(STEAL_SHARE_MAX + 0.05, 0.0), (), 200, "other tenants"),
        (Shares(0.0, BUSY_SHARE_MAX + 0.05), (), 200, "other processes"),
        (QUIET, ("api/health",), 200, "slower than itself, in both measurements: api/health"),
        (QUIET, (), round(200 * POWER_MIN) - 1, "could not have found 5%"),
    ],
)
def test_each_reason_alone_quarantines_and_is_named(
    shares: Shares, alarmed: tuple[str, ...], found: int, said: str
) -> None:
    (reason,) = quarantine(shares, same_alarmed=alarmed, found=found, injections=200)
    assert said in reason


def test_without_any_comparison_power_is_no_reason() -> None:
    assert quarantine(QUIET, same_alarmed=(), found=0, injections=0) == ()


def test_shares_are_of_all_processors_and_what_we_do_is_not_others_doing() -> None:
    others = Watch()
    ours = Watch()
    ours._began = (ours._began[0], ours._began[1] - 1e6)  # as if all of it had been ours
    sum(range(3_000_000))
    shares = others.shares()
    assert shares.steal is not None
    assert shares.busy is not None
    assert 0.0 <= shares.steal <= 1.0
    assert 0.0 <= shares.busy <= 1.0
    assert ours.shares().busy == 0.0
