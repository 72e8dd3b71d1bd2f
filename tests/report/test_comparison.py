"""Two runs beside each other: by ratios within each run, and never across machines unasked."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from phasegate import report
from phasegate.model.errors import Refused
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.load import LoadRecord
from phasegate.records.run import Machine, RunRecord


@pytest.fixture
def other_run(whole_run: Path, tmp_path: Path) -> Path:
    """A second run with the same measurements, to be changed."""
    directory = shutil.copytree(whole_run, tmp_path / "other")
    record = store.read(directory / "run.json", RunRecord)
    changed = msgspec.structs.replace(record, run_id="other")
    store.write(directory / "run.json", changed)
    return directory


def slow_down(run: Path, technique: str, factor: float, plan_hash: str | None = None) -> None:
    """Multiply the after arm of a technique at 100k users."""
    path = run / "bench" / "100000.json"
    record = store.read(path, BenchmarkRecord)
    changed = []
    for one in record.comparisons:
        if one.technique != technique:
            changed.append(one)
            continue
        after = msgspec.structs.replace(
            one.after,
            block_ns=tuple(value * factor for value in one.after.block_ns),
            plan_hash=plan_hash or one.after.plan_hash,
        )
        changed.append(msgspec.structs.replace(one, after=after))
    store.write(path, msgspec.structs.replace(record, comparisons=tuple(changed)))


def test_a_run_compared_with_itself_shows_no_change(whole_run):
    said = report.compare(whole_run, whole_run)
    assert said[1] == "Circumstances: the same."
    assert said[2] == "No change shown, or cannot tell: 24 of 24 comparisons."
    assert len(said) == 3


def test_a_slow_down_of_one_arm_is_found_and_no_other(whole_run, other_run):
    slow_down(other_run, "join", 1.25)
    moved = [line for line in report.compare(whole_run, other_run) if line.startswith("  worse")]
    assert len(moved) == 1
    assert moved[0].startswith("  worse: join at 100k users")
    assert "× 1.25" in moved[0]


def test_the_direction_follows_the_order_of_the_runs(whole_run, other_run):
    slow_down(other_run, "join", 1.25)
    said = report.compare(other_run, whole_run)
    assert any(line.startswith("  better: join at 100k users") for line in said)


def test_a_change_of_plan_is_shown_even_where_no_time_moved(whole_run, other_run):
    slow_down(other_run, "join", 1.0, plan_hash="another")
    said = report.compare(whole_run, other_run)
    assert any("join at 100k users" in line and "changed too: plan" in line for line in said)


def test_what_differs_around_the_runs_is_said(whole_run, other_run):
    record = store.read(other_run / "run.json", RunRecord)
    assert record.server is not None
    server = msgspec.structs.replace(
        record.server, version="PostgreSQL 17.1", settings={"work_mem": "64MB"}
    )
    changed = msgspec.structs.replace(record, commit="b" * 40, server=server)
    store.write(other_run / "run.json", changed)
    said = "\n".join(report.compare(whole_run, other_run))
    assert "PostgreSQL: PostgreSQL 18.6 → PostgreSQL 17.1" in said
    assert "setting shared_buffers: 512MB → default" in said
    assert "setting work_mem: default → 64MB" in said
    assert "commit: 1ef970f" in said


def test_runs_of_different_machines_are_refused_unless_told(whole_run, other_run):
    record = store.read(other_run / "run.json", RunRecord)
    machine = msgspec.structs.replace(record.machine, cpu="another processor")
    assert isinstance(machine, Machine)
    changed = msgspec.structs.replace(record, machine=machine)
    store.write(other_run / "run.json", changed)
    with pytest.raises(Refused, match="different machines"):
        report.compare(whole_run, other_run)
    said = report.compare(whole_run, other_run, any_machine=True)
    assert any("another processor" in line for line in said)


def test_what_only_one_run_measured_is_named(whole_run, other_run):
    (other_run / "bench" / "100000.json").unlink()
    (other_run / "load" / "level-1-1000.json").unlink()
    said = report.compare(whole_run, other_run)
    assert "join at 100k users is in 2026-11-22T101500Z-100k only" in said
    assert any(line.startswith("level 1, 1k users: PASS") for line in said)
    assert any(line.endswith("not driven") for line in said)


def test_runs_of_unlike_targets_are_refused_unless_told(whole_run, other_run):
    for path in (other_run / "load").glob("*.json"):
        record = store.read(path, LoadRecord)
        store.write(path, msgspec.structs.replace(record, target="https://app.example"))
    with pytest.raises(Refused, match="driving https://app"):
        report.compare(whole_run, other_run)
    assert report.compare(whole_run, other_run, any_machine=True)


def test_load_alone_whose_machine_nobody_noted_is_compared_only_when_told(whole_run, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(whole_run / "load", folder / "load")
    with pytest.raises(Refused, match="one that was not recorded"):
        report.compare(folder, folder)
    assert report.compare(folder, folder, any_machine=True)[1] == "Circumstances: the same."
