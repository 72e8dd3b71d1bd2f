"""Bills worked out by hand from the published price list (model/catalogue.toml, [prices])."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from phasegate.model.catalogue import Catalogue, load
from phasegate.model.cost import GB, Demand, band_of, beside, cheapest, users_at
from phasegate.model.errors import ConfigurationError

CATALOGUE = load(Path(__file__).parents[2] / "phasegate.toml")  # whose guide names prices

SMALL = Demand(
    users=500,
    database_bytes=0.1 * GB,
    connections=3,
    pooled=False,
    replicas=0,
    cores=0.5,
    hosting_bytes=1 * GB,
    metered={"egress": 1, "active-users": 500},
)


def _project(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "phasegate.toml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("change", "plan", "compute", "usd"),
    [
        # All within Free.
        ({}, "Free", "nano", 0.0),
        # Half a gigabyte is still Free's; a byte more is Pro's, whose credit pays for Micro.
        ({"database_bytes": 0.5 * GB}, "Free", "nano", 0.0),
        ({"database_bytes": 0.5 * GB + 1}, "Pro", "micro", 25.0),
        ({"metered": {"egress": 5.1}}, "Pro", "micro", 25.0),
        ({"metered": {"active-users": 50_001}}, "Pro", "micro", 25.0),
        ({"metered": {"function-calls": 500_001}}, "Pro", "micro", 25.0),
        # The disk is billed as provisioned. 7.1 GB fill less than 90% of 8; 7.2 make it 12, 10.8
        # make it 18: 25 + 4 · 0.125, 25 + 10 · 0.125.
        ({"database_bytes": 7.1 * GB}, "Pro", "micro", 25.0),
        ({"database_bytes": 7.2 * GB}, "Pro", "micro", 25.5),
        ({"database_bytes": 10.8 * GB}, "Pro", "micro", 26.25),
        # 500 GB of egress: 25 + 250 · 0.09.
        ({"metered": {"egress": 500}}, "Pro", "micro", 47.5),
        # 150,000 monthly active users: 25 + 50,000 · 0.00325.
        ({"metered": {"active-users": 150_000}}, "Pro", "micro", 187.5),
        # 3 million function calls: 25 + 1 · 2.
        ({"metered": {"function-calls": 3_000_000}}, "Pro", "micro", 27.0),
        # 61 connections need Small: 25 + 15 - 10, the guide's "~$30".
        ({"connections": 61}, "Pro", "small", 30.0),
        # Pooled, Micro's pooler takes 200 clients.
        ({"connections": 61, "pooled": True}, "Free", "nano", 0.0),
        # 2 cores, 1.4 of them used at the peak, are 16,800 core seconds on the modelled day. Nano
        # earns 0.1 · 86,400 = 8,640, Micro 17,280: 25.
        ({"cores": 2}, "Pro", "micro", 25.0),
        # 3 cores need XL: 25 + 210 - 10.
        ({"cores": 3}, "Pro", "xl", 225.0),
        # A replica: Small twice, less the credit, and 1.25 × 8 GB of disk: 25 + 5 + 15 + 1.25.
        ({"replicas": 1}, "Pro", "small", 46.25),
        # Its disk grows with the primary's: 12 GB and 15 GB: 46.25 + 4 · 0.125 + 5 · 0.125.
        ({"replicas": 1, "database_bytes": 7.2 * GB}, "Pro", "small", 47.375),
        # Bills that Supabase works out in its documentation ("Manage your usage"), a project alone.
        # 300 GB of egress and 800 GB cached, on Small: 51.
        ({"metered": {"egress": 300, "cached-egress": 800}, "connections": 61}, "Pro", "small", 51),
        # 1,700 realtime connections are two packages of 1,000 beyond 500: 50.
        ({"metered": {"realtime-connections": 1_700}, "connections": 61}, "Pro", "small", 50),
        # 12 GB of logs, on Micro: 28.5.
        ({"metered": {"log-ingestion": 12}}, "Pro", "micro", 28.5),
        # Large with 3,600 operations per second: 25 + 110 + 600 · 0.024 - 10.
        ({"iops": 3_600}, "Pro", "large", 139.4),
        # With 200 MB/s as well and two replicas: 424.09, less 3 · 4 for IPv4.
        ({"iops": 3_600, "throughput_mb_s": 200, "replicas": 2}, "Pro", "large", 412.075),
        # 1,000 operations per second are Small's, without more of the disk.
        ({"iops": 1_000}, "Pro", "small", 30.0),
        # 2.5 million messages beyond 5 are three packages: 25 + 3 · 2.5.
        ({"metered": {"realtime-messages": 7_500_000}}, "Pro", "micro", 32.5),
        # 200 GB of files: 25 + 100 · 0.0213.
        ({"metered": {"storage": 200}}, "Pro", "micro", 27.13),
        # 9,000 pooled clients are 12XL's: 25 + 2,800 - 10.
        ({"connections": 9_000, "pooled": True}, "Pro", "12xl", 2815.0),
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
    assert cheapest(replace(SMALL, cores=65), CATALOGUE) is None
    # A gp3 disk has no more than 16,000 operations per second, whatever the compute size.
    assert cheapest(replace(SMALL, iops=16_001, database_bytes=40 * GB), CATALOGUE) is None


@pytest.mark.parametrize(
    ("database_gb", "disk_gb"),
    # 8 → 12 → 18 → 27 → 40.5 … 461.32; then by 200 to 661.32, 861.32, 1,061.32, then by a fifth.
    [
        (0, 8),
        (7.19, 8),
        (7.2, 12),
        (16.2, 27),
        (24.3, 40.5),
        (500, 661.3203125),
        (960, 1.2 * 1061.3203125),
    ],
)
def test_a_disk_grows_by_steps(database_gb, disk_gb):
    assert CATALOGUE.disk.provisioned_gb(8, database_gb) == pytest.approx(disk_gb)


@pytest.mark.parametrize(
    ("addons", "replicas", "compute", "usd"),
    [
        # Two weeks of recovery need Small: 25 + 5 + 200.
        ("pitr = 2", 0, "small", 230.0),
        # An address of each database's own, 72 in Supabase's example; its disks: 2 · 10 · 0.125.
        ("ipv4 = 1", 2, "small", 74.5),
        ("custom-domain = 1\nlog-drain = 1", 0, "micro", 95.0),
    ],
)
def test_add_ons_are_billed_by_the_unit_and_never_on_free(tmp_path, addons, replicas, compute, usd):
    own = _project(tmp_path, f"[usage.addons]\n{addons}")
    bill = cheapest(replace(SMALL, replicas=replicas), own)
    assert bill is not None
    assert (bill.plan, bill.compute) == ("Pro", compute)
    assert bill.usd_per_month == pytest.approx(usd)


def test_a_line_that_is_not_settled_says_so():
    bill = cheapest(replace(SMALL, metered={"log-ingestion": 12}), CATALOGUE)
    assert bill is not None
    assert "not in the price catalogue" in bill.lines[-1].name


def test_figures_that_are_old_are_named(tmp_path):
    own = _project(tmp_path, "[sources.firebase-hosting]\nread_on = 2026-01-01")
    assert own.read_before(date(2026, 2, 1)) == ("prices.hosting",)
    assert own.read_before(date(2026, 1, 1)) == ()


def _bill(users):
    return cheapest(replace(SMALL, users=users, database_bytes=users * 1e6), CATALOGUE)


def test_the_user_count_of_an_amount_is_where_the_bill_first_reaches_it():
    # 500 users fill Free's 0.5 GB exactly; the 501st makes it Pro.
    assert users_at(25.0, _bill) == 501
    # 7.2 GB are 90% of 8: the disk grows to 12, and 25 becomes 25.5.
    assert users_at(25.5, _bill) == 7_200
    # (disk - 8) · 0.125 ≥ 25 from 208 GB on; steps: 136.69, 205.03, 307.55, at 184.53 GB.
    assert users_at(50.0, _bill) == 184_529
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
        ("[usage.addons]\nponies = 1", "no add-on is called ponies"),
        ("[disk]\nsource = 'hearsay'", "no source is called hearsay"),
        ("[disk]\ngrowth = 0.0", "disk"),
        ("[prices.meters.egress]\nincluded = { gold = 1 }", "no plan is called gold"),
        ("[prices.meters.egress]\nper = 0.0", "prices"),
        ("[prices.hosting]\nusd_per_gb = 'free'", r"prices\.hosting\.usd_per_gb"),
    ],
)
def test_a_price_list_that_cannot_be_billed_by_is_refused_by_name(tmp_path: Path, line, key):
    with pytest.raises(ConfigurationError, match=key):
        _project(tmp_path, line)


def test_a_price_can_be_overridden(tmp_path: Path):
    own = _project(tmp_path, "[prices.hosting]\nusd_per_gb = 1.0")
    bill = cheapest(replace(SMALL, hosting_bytes=20.8 * GB), own)
    assert bill is not None
    assert bill.usd_per_month == pytest.approx(10.0)
