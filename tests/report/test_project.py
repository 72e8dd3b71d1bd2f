"""A page says of the app what the run's project says: levels, techniques, tables, whichever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from phasegate import report
from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.project import LevelNote, ProjectNote, TechniqueNote, noted
from phasegate.records.run import RunRecord
from phasegate.records.seed import Relation, SeedRecord
from phasegate.report import figures, profiles, run_files
from tests.report.conftest import load

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


def note(levels: int) -> ProjectNote:
    """A project of so many levels, the last one with pooler and replica."""
    declared = [LevelNote(title=f"step {n}", parts=("paged",)) for n in range(1, levels)]
    return ProjectNote(
        name="shop",
        title="The shop",
        levels=(*declared, LevelNote(title="everything", parts=("pooler", "replica", "monthly"))),
        client_parts=("paged",),
        techniques={
            "monthly": TechniqueNote(
                title="Orders by month",
                cost="upkeep",
                parts=("monthly",),
                replaces={"public.orders": "public.orders_by_month"},
            )
        },
    )


def change(folder: Path, **fields: object) -> None:
    record = store.read(folder / "run.json", RunRecord)
    store.write(folder / "run.json", msgspec.structs.replace(record, **fields))


@pytest.fixture
def by_levels(whole_run: Path) -> Path:
    """A run without load, whose levels a test declares."""
    shutil.rmtree(whole_run / "load")
    for name in ("matrix.json", "sampler"):
        path = whole_run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return whole_run


@pytest.mark.parametrize("levels", [1, 6])
def test_any_number_of_levels_is_drawn(by_levels: Path, levels: int) -> None:
    for level in range(1, levels + 1):
        for users in (1_000, 10_000):
            record = msgspec.structs.replace(
                load("paged", min(level, 3), users), level=level, stage=f"l{level}-{users}"
            )
            store.write(by_levels / "load" / f"{record.stage}.json", record)
    change(by_levels, project=note(levels), levels={})
    html = report.build(by_levels).read_text(encoding="utf-8")
    assert "The shop" in html
    assert f"Level {levels}: everything" in html
    assert f"Level {levels + 1}" not in html
    assert "Guide</th>" not in html, "of another project"
    said = report.cost(by_levels, 10_000)
    assert [
        line.split(",")[0] for line in said if line.startswith("Level") and "month" in line
    ] == [f"Level {level}" for level in range(1, levels + 1)]
    assert report.gate(by_levels, 4).level == min(4, levels)
    with pytest.raises(UsageError, match=f"no stack level {levels + 1}"):
        report.gate(by_levels, 2, levels + 1)


def test_pooler_and_replica_are_billed_where_the_level_has_them(by_levels: Path) -> None:
    store.write(by_levels / "load" / "one.json", msgspec.structs.replace(
        load("paged", 1, 1_000), stage="one"
    ))  # fmt: skip
    change(by_levels, project=note(2), levels={})
    first, second = figures.findings(run_files.read(by_levels), load_project().catalogue).profiles
    assert (first.pooled, first.replicas) == (False, 0)
    assert (second.pooled, second.replicas) == (True, 1)


def test_of_a_table_that_stands_twice_each_level_counts_one(by_levels: Path) -> None:
    seeded = store.read(by_levels / "seed" / "1000.json", SeedRecord)
    names = ("orders", "orders_by_month", "customers")
    relations = [Relation(name=name, rows=1, table_bytes=8192, index_bytes={}) for name in names]
    record = msgspec.structs.replace(seeded, relations=tuple(relations))
    of_level = [set(profiles.relations([record], level, note(2))) for level in (1, 2)]
    assert of_level == [{"orders", "customers"}, {"orders_by_month", "customers"}]


def test_what_a_technique_adds_counts_from_the_level_that_has_it(whole_run: Path) -> None:
    run = run_files.read(whole_run)
    project = noted(load_project())
    added = [profiles.added(run, level, project) for level in (1, 2, 3)]
    assert added[0] == {}
    assert list(added[1]) == ["idx_tasks_user_created"]
    assert added[2] == added[1]


def test_a_run_of_the_version_before_is_read(whole_run: Path) -> None:
    path = whole_run / "run.json"
    tables = json.loads(path.read_bytes())
    tables.pop("project")
    path.write_text(json.dumps({**tables, "format_version": 1}))
    assert any(line.startswith("Level 3") for line in report.cost(whole_run, 10_000))
    with_it = report.build(whole_run, load_project()).read_text(encoding="utf-8")
    assert "Level 3: pooler, replica, summaries, queue" in with_it


def test_a_run_of_a_later_version_is_refused(whole_run: Path) -> None:
    path = whole_run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format_version": 3}))
    with pytest.raises(ConfigurationError, match="Use a newer phasegate"):
        report.build(whole_run)


def test_a_run_is_judged_elsewhere_as_its_own_project_judges(
    whole_run: Path, tmp_path: Path
) -> None:
    project = noted(load_project())
    strict = msgspec.structs.replace(project, overrides={"slo": {"request_latency_ms_p95": 1.0}})
    change(whole_run, project=strict)
    assert report.gate(whole_run, 2).decision == "NO-GO"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "phasegate.toml").write_text(
        '[project]\nname="shop"\ntitle="x"\nusers_table="public.c"\n[[levels]]\ntitle="as it is"\n'
    )
    assert report.gate(whole_run, 2, None, load_project(elsewhere)).decision == "NO-GO"
    assert report.gate(whole_run, 2, None, load_project()).decision == "INVALID"


def test_overrides_survive_the_record(tmp_path: Path) -> None:
    (tmp_path / "phasegate.toml").write_text(
        '[project]\nname="shop"\ntitle="x"\nusers_table="public.c"\n[[levels]]\ntitle="as it is"\n'
        "[sources.usage]\nread_on = 2027-01-02\n[run]\nusers = 7\n"
    )
    kept = noted(load_project(tmp_path)).overrides
    again = msgspec.json.decode(msgspec.json.encode(kept))
    assert again == {"sources": {"usage": {"read_on": "2027-01-02"}}}


def test_published_results_are_drawn(tmp_path: Path) -> None:
    folder = shutil.copytree(PUBLISHED, tmp_path / "published")
    html = report.build(folder, load_project()).read_text(encoding="utf-8")
    assert "Level 3" in html
    assert "Guide</th>" in html  # the task app's own


def test_levels_that_read_alike_are_told_apart(by_levels: Path) -> None:
    for level in (1, 2):
        stage = f"cell-{level}"
        record = msgspec.structs.replace(load("paged", level, 1_000), stage=stage)
        store.write(by_levels / "load" / f"{stage}.json", record)
    change(by_levels, project=note(2), levels={})
    stages = figures.findings(run_files.read(by_levels), load_project().catalogue).stages
    assert [stage.name for stage in stages] == ["level 1, paged", "level 2, paged"]


def test_a_technique_whose_cost_was_not_measured_has_it_in_words(built_run: Path) -> None:
    html = (built_run / "report.html").read_text(encoding="utf-8")
    assert "none on the server; the client&#39;s code changes" in html
