"""Connections come from what was open at once: at the database, or in front of the pooler."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from phasegate import report
from phasegate.model.catalogue import load as load_catalogue
from phasegate.records import store
from phasegate.records.sampler import Backends, Pooler, SamplerRecord
from phasegate.report import figures, run_files
from phasegate.stats.peak import mean_of_peak

RATE = 100_000 / 30_000
"""Sessions per second of the hand-made stages at 100k users."""


def change(run: Path, level: int, **fields: object) -> None:
    path = run / "sampler" / f"level-{level}-100000.json"
    store.write(path, msgspec.structs.replace(store.read(path, SamplerRecord), **fields))


def seconds(run: Path, level: int) -> float:
    """That a session keeps a connection, on the data of 100k users."""
    found = figures.findings(run_files.read(run), load_catalogue())
    profile = next(profile for profile in found.profiles if profile.level == level)
    return dict(profile.connection_s_per_session)[100_000].estimate


def test_the_most_backends_seen_at_once_are_what_a_level_without_a_pooler_takes(whole_run):
    change(whole_run, 2, backends_peak=Backends(count=6, states={"active": 6}))
    assert seconds(whole_run, 2) == pytest.approx(mean_of_peak(6, 5).estimate / RATE)


def test_behind_a_pooler_its_clients_count_and_not_its_servers(whole_run):
    sampler = store.read(whole_run / "sampler" / "level-3-100000.json", SamplerRecord)
    pooler = Pooler(
        clients_active=8, clients_waiting=1, servers_active=2, servers_idle=1, wait_s_max=0.0,
        waited_s=0.0, transactions=100,
    )  # fmt: skip
    samples = tuple(msgspec.structs.replace(each, pooler=pooler) for each in sampler.samples)
    change(whole_run, 3, samples=samples)
    assert seconds(whole_run, 3) == pytest.approx(mean_of_peak(9, 5).estimate / RATE)


def test_where_no_pooler_was_sampled_littles_law_is_used_and_named(whole_run):
    said = "\n".join(report.cost(whole_run, 10_000))
    assert "level 2 from the measured peak" in said
    assert "level 3 by Little's law, for want of a sample" in said
