"""The gate says GO, NO-GO or INVALID for the right reasons, and what to do next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from phasegate import report
from phasegate.model.catalogue import load as load_catalogue
from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.gate import GateRecord
from phasegate.records.load import LoadRecord
from phasegate.records.project import noted
from phasegate.records.run import RENAMED, RunRecord, StackPart
from phasegate.records.sampler import SamplerRecord
from phasegate.records.seed import Relation
from phasegate.records.target import FoundDatabase, TargetRecord
from phasegate.report.transition import had_by


def change(run: Path, stage: str, **fields: object) -> None:
    """Rewrite a stage of load with some of its fields replaced."""
    path = run / "load" / f"{stage}.json"
    record = store.read(path, LoadRecord)
    store.write(path, msgspec.structs.replace(record, **fields))


def with_head_room(run: Path, stage: str, factor: float) -> None:
    record = store.read(run / "load" / f"{stage}.json", LoadRecord)
    modelled = record.modelled_sessions_per_s
    assert modelled is not None
    change(run, stage, rate_sessions_per_s=modelled * factor)


def text(record: GateRecord) -> str:
    return "\n".join(report.gate_lines(record)) + "\n"


def test_a_phase_that_is_held_with_head_room_within_the_budget_is_a_go(whole_run, golden):
    with_head_room(whole_run, "level-2-10000", 1.25)
    found = report.gate(whole_run, 2)
    assert found.decision == "GO"
    golden.check("gate-go.txt", text(found))


def test_a_cell_that_fails_fairly_is_a_no_go_and_comes_first(whole_run, golden, slow_actions):
    with_head_room(whole_run, "level-3-100000", 1.25)
    change(whole_run, "level-3-100000", actions=slow_actions)
    found = report.gate(whole_run, 3)
    assert found.decision == "NO-GO"
    assert found.reasons[0].kind == "fails"
    golden.check("gate-no-go.txt", text(found))


def test_a_cell_that_could_not_be_measured_fairly_is_invalid(whole_run, golden):
    with_head_room(whole_run, "level-3-100000", 1.25)
    change(whole_run, "level-3-100000", invalid=("generator-cpu: the generator was at its limit",))
    found = report.gate(whole_run, 3)
    assert found.decision == "INVALID"
    golden.check("gate-invalid.txt", text(found))


def test_a_pass_without_head_room_is_invalid_and_says_so(whole_run):
    found = report.gate(whole_run, 2)
    assert found.decision == "INVALID"
    assert "driven at 1.00× the peak, not 1.25×" in found.reasons[0].text


def test_a_size_that_was_not_driven_is_invalid_even_where_the_bill_is_extrapolated(whole_run):
    found = report.gate(whole_run, 4)
    assert found.decision == "INVALID"
    assert "Level 3 at 1M users was not driven" in [reason.text for reason in found.reasons]


def test_a_fair_no_stands_beside_what_could_not_be_measured(whole_run, slow_actions):
    change(whole_run, "level-3-100000", actions=slow_actions)
    record = store.read(whole_run / "run.json", RunRecord)
    changed = msgspec.structs.replace(record, outcome="interrupted")
    store.write(whole_run / "run.json", changed)
    found = report.gate(whole_run, 3)
    assert found.decision == "NO-GO"
    assert [reason.kind for reason in found.reasons][:2] == ["fails", "invalid"]


def test_an_interrupted_run_cannot_be_a_go(whole_run):
    with_head_room(whole_run, "level-2-10000", 1.25)
    record = store.read(whole_run / "run.json", RunRecord)
    changed = msgspec.structs.replace(record, outcome="interrupted")
    store.write(whole_run / "run.json", changed)
    assert report.gate(whole_run, 2).decision == "INVALID"


def test_a_month_over_the_budget_is_a_no_go(whole_run, tmp_path):
    with_head_room(whole_run, "level-3-100000", 1.25)
    overrides = tmp_path / "phasegate.toml"
    overrides.write_text("[alerts]\nbudget_usd_per_month = 20.0")
    found = report.gate(whole_run, 3, catalogue=load_catalogue(overrides))
    assert found.decision == "NO-GO"
    assert found.reasons[0].kind == "cost"
    assert "over the budget of $20" in found.reasons[0].text


def test_a_run_with_nothing_in_it_is_invalid(tmp_path, make_record):
    store.write(tmp_path / "run.json", make_record())
    found = report.gate(tmp_path, 2)
    assert found.decision == "INVALID"
    assert found.next_technique is None


@pytest.mark.parametrize("phase", [0, 1, 5])
def test_a_transition_that_does_not_exist_is_refused(whole_run, phase):
    with pytest.raises(UsageError, match=f"no transition to phase {phase}"):
        report.gate(whole_run, phase)


def test_the_next_technique_is_the_one_that_takes_most_off_the_p95(whole_run):
    overrides = whole_run / "phasegate.toml"
    overrides.write_text("[slo]\nstatement_latency_ms_p95 = 1.0")
    step = report.gate(whole_run, 2, level=1, catalogue=load_catalogue(overrides)).next_technique
    assert step is not None
    assert step.technique == "idx_tasks_user_created"
    assert step.command == "phasegate sql idx_tasks_user_created"


def test_what_the_judged_level_has_is_not_the_next_technique(whole_run):
    step = report.gate(whole_run, 3).next_technique
    assert step is not None
    assert step.technique == "partitioned_logs_recent"
    assert step.command is None


PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.mark.parametrize("to", [2, 3, 4])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_next_technique_of_the_published_run_is_no_part_of_the_judged_level(to, level):
    step = report.gate(PUBLISHED, to, level, load_project()).next_technique
    if step is None:
        return
    project = load_project()
    run = store.read(PUBLISHED / "run.json", RunRecord)
    recorded = {RENAMED.get(part.name, part.name) for part in run.levels[level]}
    assert not recorded & set(project.parts_with(step.technique))
    first = project.level_with(step.technique)
    assert first is None or first > level


def test_the_published_run_has_a_next_technique_below_level_3():
    step = report.gate(PUBLISHED, 3, 2, load_project()).next_technique
    assert step is not None
    assert step.technique == "user_stats"


def part(name, outcome="running"):
    return StackPart(name=name, outcome=outcome, note="")


def test_a_part_that_was_skipped_is_not_had_whatever_the_level():
    parts = (part("pgbouncer", "skipped"), part("replica"))
    had = had_by(noted(load_project()), 3, parts, "embedded+cache")
    assert "pooled" not in had
    assert {"replica", "client_cache", "join", "idx_tasks_user_created", "user_stats"} <= had


def test_a_part_that_is_recorded_is_had_although_the_level_is_defined_without():
    had = had_by(noted(load_project()), 1, (part("user_stats", "in place"),), None)
    assert {"user_stats", "user_stats_one", "rls_uid"} <= had
    assert not {"join", "idx_tasks_project", "client_cache", "keyset"} & had


def test_the_clients_techniques_are_those_of_the_arm_that_was_driven():
    had = had_by(noted(load_project()), 3, (), "n-plus-1")
    assert not {"join", "client_cache"} & had
    assert "heavy_work" in had


def test_an_index_for_flat_logs_is_not_proposed_beside_partitions():
    project = noted(load_project())
    assert "logs_brin" in had_by(project, 3, (part("partitions", "in place"),), None)
    assert "logs_brin" not in had_by(project, 2, (), None)


def test_what_can_wait_and_what_would_harm_is_listed(whole_run):
    said = report.gate(whole_run, 2).not_yet
    assert {one.technique: one.why for one in said} == {
        "join": "can wait",
        "matview": "can wait",
        "partitioned_logs_user": "harmful here",
        "idx_tasks_user_created": "needed later",
        "idx_tasks_project": "needed later",
        "partitioned_logs_recent": "needed later",
        "count_planned": "no difference",
    }


def test_the_json_of_a_verdict_follows_its_published_schema(whole_run, golden):
    schema = msgspec.json.schema(GateRecord)
    golden.check("../../../phasegate/report/gate.schema.json", json.dumps(schema, indent=1) + "\n")
    found = report.gate(whole_run, 3)
    assert msgspec.json.decode(msgspec.json.encode(found), type=GateRecord) == found


def staged(run: Path, **changed: object) -> None:
    """Make of `run` what `phasegate gate --host` leaves behind: load, and what the target holds."""
    for folder in ("seed", "bench", "sampler"):
        shutil.rmtree(run / folder)
    (run / "matrix.json").unlink()
    relation = Relation(name="tasks", rows=1, table_bytes=30_000_000, index_bytes={"pkey": 10**7})
    database = {
        "version": "17.6", "connections_max": 90, "size_bytes": 50_000_000,
        "relations": (relation,), "users_table": "auth.users", "registered_users": 10_000,
        "counted": "counted",
    }  # fmt: skip
    fields: dict[str, Any] = {
        "host": "https://app.example", "compute": "small", "reads_only": True,
        "request_budget": 20_000, "acting_users": 100, "acting_users_found": 100,
    }  # fmt: skip
    fields |= {key: value for key, value in changed.items() if key in fields}
    database |= {key: value for key, value in changed.items() if key in database}
    record = TargetRecord(
        format_version=1,
        database=FoundDatabase(**database) if changed.get("looked", True) else None,
        **fields,
    )
    store.write(run / "target.json", record)


def test_a_staging_run_that_holds_on_a_known_size_with_its_users_is_a_go(whole_run, golden):
    staged(whole_run)
    with_head_room(whole_run, "level-2-10000", 1.25)
    found = report.gate(whole_run, 2)
    assert found.decision == "GO"
    golden.check("gate-staging-go.txt", text(found))


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({"registered_users": 9_400}, "missing", "9.4k users are registered, too few to speak"),
        ({"registered_users": None}, "missing", "no table of users could be read"),
        ({"looked": False}, "missing", "give --database-url"),
        ({"acting_users_found": 60}, "invalid", "40 of 100 users that sessions acted as are not"),
        ({"compute": None}, "missing", "name it with --compute"),
    ],
)
def test_a_staging_run_that_cannot_speak_for_the_phase_is_invalid(whole_run, changed, kind, said):
    staged(whole_run, **changed)
    with_head_room(whole_run, "level-2-10000", 1.25)
    found = report.gate(whole_run, 2)
    assert found.decision == "INVALID"
    (reason,) = [reason for reason in found.reasons if reason.kind in ("missing", "invalid")]
    assert reason.kind == kind
    assert said in reason.text
    # Without its size the bill is a lower bound, and says so.
    at_least = any(one.text.startswith("At least $") for one in found.reasons)
    assert at_least == (changed == {"compute": None})


def test_the_page_of_a_staging_run_answers_for_what_was_driven_alone(whole_run):
    staged(whole_run)
    for path in (whole_run / "load").glob("*.json"):
        if path.stem != "level-2-10000":
            path.unlink()
    with_head_room(whole_run, "level-2-10000", 1.25)
    html = report.build(whole_run).read_text(encoding="utf-8")
    assert "<h1>Level 2 holds 10k users" in html
    assert "<strong>Phase 2</strong>" in html
    assert "<strong>Phase 3</strong>" not in html
    assert "https://app.example, small compute, PostgreSQL 17.6, 10,000 registered users" in html


def test_a_full_machine_of_the_generators_is_not_what_a_target_was_bound_by(
    whole_run, slow_actions
):
    samplers = {path.name: path.read_bytes() for path in (whole_run / "sampler").glob("*.json")}
    staged(whole_run)
    (whole_run / "sampler").mkdir()
    (whole_run / "sampler" / "level-2-10000.json").write_bytes(samplers["level-2-10000.json"])
    path = whole_run / "sampler" / "level-2-10000.json"
    record = store.read(path, SamplerRecord)
    full = tuple(
        msgspec.structs.replace(sample, machine_cpu_share=1.0, components=())
        for sample in record.samples
    )
    store.write(path, msgspec.structs.replace(record, samples=full))
    with_head_room(whole_run, "level-2-10000", 1.25)
    change(whole_run, "level-2-10000", actions=slow_actions)
    found = report.gate(whole_run, 2)
    assert found.decision == "NO-GO"
    assert "no resource was near its limit" in found.reasons[0].text
    assert "cores in use" not in found.reasons[0].text


def test_a_damaged_target_is_named(whole_run):
    staged(whole_run)
    path = whole_run / "target.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"reads_only"', '"reads"'))
    with pytest.raises(ConfigurationError, match=r"target\.json is not a whole TargetRecord"):
        report.gate(whole_run, 2)


def test_a_staging_run_is_priced_from_its_bytes_per_user_and_the_size_it_ran_on(whole_run):
    staged(whole_run)
    found = [line for line in report.cost(whole_run, 10_000) if line.startswith("Level 2")]
    # 40 MB for 10,000 users fit into Free; but nothing smaller than small is known to do.
    assert found[0].startswith("Level 2, 10k users, a month: $31: Pro, small")


def test_a_folder_of_load_alone_needs_no_run_json(whole_run):
    staged(whole_run)
    with_head_room(whole_run, "level-2-10000", 1.25)
    (whole_run / "run.json").unlink()
    assert report.gate(whole_run, 2).decision == "GO"
    (whole_run / "target.json").unlink()
    assert report.gate(whole_run, 2).decision == "INVALID"


def test_a_staging_run_has_load_alone_and_can_say_no_but_not_go(whole_run, slow_actions):
    for folder in ("seed", "bench", "sampler"):
        shutil.rmtree(whole_run / folder)
    (whole_run / "matrix.json").unlink()
    with_head_room(whole_run, "level-2-10000", 1.25)
    found = report.gate(whole_run, 2)
    assert found.decision == "INVALID"
    assert "Nothing was seeded, so neither capacity nor cost is known" in [
        reason.text for reason in found.reasons
    ]
    change(whole_run, "level-2-10000", actions=slow_actions)
    assert report.gate(whole_run, 2).decision == "NO-GO"
