"""Bills worked out by hand from the published price list (model/catalogue.toml, [prices])."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from phasegate.model.catalogue import load
from phasegate.model.cost import GB, Demand, band_of, beside, cheapest, users_at
from phasegate.model.errors import ConfigurationError

CATALOGUE = load()

SMALL = Demand(
    users=500,
    database_bytes=0.1 * GB,
    egress_bytes=1 * GB,
    monthly_active_users=500,
    function_calls=0,
    connections=3,
    pooled=False,
    replicas=0,
    cores=2,
    hosting_bytes=1 * GB,
)


@pytest.mark.parametrize(
    ("change", "plan", "compute", "usd"),
    [
        # All within Free.
        ({}, "Free", "nano", 0.0),
        # Half a gigabyte is still Free's; a byte more is Pro's, whose credit pays for Micro.
        ({"database_bytes": 0.5 * GB}, "Free", "nano", 0.0),
        ({"database_bytes": 0.5 * GB + 1}, "Pro", "micro", 25.0),
        ({"egress_bytes": 5.1 * GB}, "Pro", "micro", 25.0),
        ({"monthly_active_users": 50_001}, "Pro", "micro", 25.0),
        ({"function_calls": 500_001}, "Pro", "micro", 25.0),
        # 10 GB of disk: 25 + 2 · 0.125.
        ({"database_bytes": 10 * GB}, "Pro", "micro", 25.25),
        # 500 GB of egress: 25 + 250 · 0.09.
        ({"egress_bytes": 500 * GB}, "Pro", "micro", 47.5),
        # 150,000 monthly active users: 25 + 50,000 · 0.00325.
        ({"monthly_active_users": 150_000}, "Pro", "micro", 187.5),
        # 3 million function calls: 25 + 1 · 2.
        ({"function_calls": 3_000_000}, "Pro", "micro", 27.0),
        # 61 connections need Small: 25 + 15 - 10, the guide's "~$30".
        ({"connections": 61}, "Pro", "small", 30.0),
        # Pooled, Micro's pooler takes 200 clients.
        ({"connections": 61, "pooled": True}, "Free", "nano", 0.0),
        # 3 cores need XL: 25 + 210 - 10.
        ({"cores": 3}, "Pro", "xl", 225.0),
        # A replica: Small twice, less the credit, and 1.25 × 8 GB of disk: 25 + 5 + 15 + 1.25.
        ({"replicas": 1}, "Pro", "small", 46.25),
        # 20.8 GB hosted: 10 beyond 0.36 · 30 = 10.8, at 0.15.
        ({"hosting_bytes": 20.8 * GB}, "Free", "nano", 1.5),
    ],
)
def test_a_month_costs_what_the_price_list_says(change, plan, compute, usd):
    bill = cheapest(replace(SMALL, **change), CATALOGUE)
    assert bill is not None
    assert (bill.plan, bill.compute) == (plan, compute)
    assert bill.usd_per_month == pytest.approx(usd)


def test_a_bill_says_why_nothing_cheaper_would_do():
    bill = cheapest(replace(SMALL, database_bytes=1 * GB, connections=61), CATALOGUE)
    assert bill is not None
    assert bill.refused == ("Free lacks disk", "Pro with micro lacks connections")


def test_what_no_plan_sells_has_no_price():
    assert cheapest(replace(SMALL, connections=10_000), CATALOGUE) is None
    assert cheapest(replace(SMALL, cores=17), CATALOGUE) is None


def _bill(users):
    return cheapest(replace(SMALL, users=users, database_bytes=users * 1e6), CATALOGUE)


def test_the_user_count_of_an_amount_is_where_the_bill_first_reaches_it():
    # 500 users fill Free's 0.5 GB exactly; the 501st makes it Pro.
    assert users_at(25.0, _bill) == 501
    # 25 + (users · 0.001 - 8) · 0.125 = 50 at 208,000 users.
    assert users_at(50.0, _bill) == 208_000
    assert users_at(1e9, _bill) is None


@pytest.mark.parametrize(
    ("users", "usd", "found"),
    [
        (1_000, {}, "within"),
        (10_000, {}, "cheaper"),
        (10_000, {"connections": 61}, "within"),
        (10_000, {"cores": 3}, "dearer"),
        (100_000, {"cores": 3}, "within"),
        (1_000_000, {"cores": 3}, "cheaper"),
        (1_000_000, {"cores": 99}, "dearer"),
    ],
)
def test_a_bill_is_held_beside_the_guides_band(users, usd, found):
    bill = cheapest(replace(SMALL, users=users, **usd), CATALOGUE)
    assert beside(bill, band_of(users, CATALOGUE)) == found


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("[prices]\nreplica_compute_min = 'tiny'", "no compute size is called tiny"),
        ("[alerts]\nbudget_shares = [0.5, 2.0]", "alerts"),
        ("[prices]\nplans = []", "prices"),
        ("[prices.hosting]\nusd_per_gb = 'free'", r"prices\.hosting\.usd_per_gb"),
    ],
)
def test_a_price_list_that_cannot_be_billed_by_is_refused_by_name(tmp_path: Path, line, key):
    path = tmp_path / "phasegate.toml"
    path.write_text(line)
    with pytest.raises(ConfigurationError, match=key):
        load(path)


def test_a_price_can_be_overridden(tmp_path: Path):
    path = tmp_path / "phasegate.toml"
    path.write_text("[prices.hosting]\nusd_per_gb = 1.0")
    bill = cheapest(replace(SMALL, hosting_bytes=20.8 * GB), load(path))
    assert bill is not None
    assert bill.usd_per_month == pytest.approx(10.0)
