from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from phasegate.model.catalogue import load
from phasegate.model.errors import ConfigurationError


def _overrides(folder: Path, text: str) -> Path:
    path = folder / "phasegate.toml"
    path.write_text(text)
    return path


def test_the_phases_join_without_gap_and_ascend() -> None:
    phases = load().phases
    assert [phase.number for phase in phases] == [1, 2, 3, 4]
    for below, above in pairwise(phases):
        assert below.users_max == above.users_min


@pytest.mark.parametrize(
    ("users", "phase"), [(0, 1), (999, 1), (1000, 2), (99_999, 3), (100_000, 4), (10**7, 4)]
)
def test_a_user_count_is_in_one_phase(users: int, phase: int) -> None:
    assert load().phase_of(users).number == phase


def test_the_arrival_rate_is_the_workload_models(tmp_path: Path) -> None:
    path = _overrides(
        tmp_path,
        "[workload]\ndaily_active_share = 0.1\nsessions_per_day = 3.0\n"
        "peak_hour_share = 0.2\nburst = 1.5\n",
    )
    # 36,000 users · 0.1 · 3 = 10,800 sessions a day; a fifth in one hour: 2,160; /3600 · 1.5
    assert load(path).workload.arrival_rate_per_s(36_000) == pytest.approx(0.9)


def test_an_override_replaces_one_entry_and_leaves_its_neighbours(tmp_path: Path) -> None:
    changed = load(_overrides(tmp_path, "[slo]\nerror_share_max = 0.5\n"))
    assert changed.slo.error_share_max == 0.5
    assert changed.slo.request_latency_ms_p95 == load().slo.request_latency_ms_p95


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[slo]\nerror_share_maxx = 0.5\n", "error_share_maxx"),
        ('[slo]\nerror_share_max = "half"\n', r"slo\.error_share_max: "),
        ("[sloo]\nx = 1\n", "sloo"),
        ("[slo\n", "not valid TOML"),
    ],
)
def test_a_wrong_override_names_the_file_and_the_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"phasegate\.toml.*{named}"):
        load(_overrides(tmp_path, text))


def test_the_sizes_of_a_run_ascend_and_end_with_the_users_asked_for() -> None:
    run = load().run
    assert run.sizes_up_to(100_000) == (1_000, 10_000, 100_000)
    assert run.sizes_up_to(2_000) == (1_000, 2_000)
    assert run.sizes_up_to(5) == (5,)


def test_the_benchmarks_measure_sizes_between_those_of_a_run_as_well() -> None:
    run = load().run
    assert run.sizes_between(100_000) == (5_000, 30_000)
    assert run.sizes_between(30_000) == (5_000,)
    assert run.sizes_between(5) == ()
