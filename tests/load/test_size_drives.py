"""Which sizes are driven, and what is answered; drives themselves are those of the matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phasegate.load.capacity_matrix import Change
from phasegate.load.size_drives import SizePlan, SizeSearch
from phasegate.model.prices import Compute
from phasegate.project import load_project
from phasegate.records.matrix import Outcome
from phasegate.records.sizes import Mode, SizeDrive, SizeUse

PROJECT = load_project()
SIZES = PROJECT.catalogue.compute[:5]
NOBODY: Any = None
"""Nothing is driven here."""


class Scripted(SizeSearch):
    """A search whose drives end as `says` has it."""

    says: Callable[[str, Mode], Outcome]
    driven: list[tuple[str, Mode]]

    def _drive(self, size: Compute, mode: Mode) -> None:
        self.driven.append((size.name, mode))
        for cache in ("cold", "warm"):
            self._drives[size.name, mode, cache] = SizeDrive(
                stage=f"{size.name}-{mode}-{cache}", size=size.name, mode=mode, cache=cache,
                verdict=self.says(size.name, mode), reasons=(), latency_ms_p95=1.0, clicks=100,
                sessions=26, rate_sessions_per_s=2.6, bound_by=None,
                used=SizeUse(cores=0.39, operations_per_s=26.0, sessions=22.1, reads=1,
                             blocks_hit=9, blocks_read=1, blocks_read_first=1),
            )  # fmt: skip


def _search(tmp_path: Path, says: Callable[[str, Mode], Outcome]) -> Scripted:
    plan = SizePlan(users=60_000, level=2, parts=(), change=Change(), sizes=SIZES, seed=1,
                    run_dir=tmp_path, cell_s=1.0)  # fmt: skip
    search = Scripted(plan, PROJECT, NOBODY, NOBODY)
    search.says, search.driven = says, []
    return search


def _holds_from(sustained: str, burst: str) -> Callable[[str, Mode], Outcome]:
    names = [size.name for size in SIZES]

    def says(size: str, mode: Mode) -> Outcome:
        first = sustained if mode == "sustained" else burst
        return "PASS" if names.index(size) >= names.index(first) else "FAIL"

    return says


def test_the_sizes_for_ever_and_in_a_burst_are_found_and_what_comes_after_is_driven(
    tmp_path: Path,
) -> None:
    search = _search(tmp_path, _holds_from("medium", "nano"))
    answer = search.answer()
    assert (answer.sustained, answer.burst) == ("medium", "nano")
    after = answer.drive("nano", "sustained", "warm")
    assert after is not None
    assert after.verdict == "FAIL"
    assert len(search.driven) == len(set(search.driven))
    assert ("large", "burst") not in search.driven  # larger than what holds for ever


def test_use_is_told_at_the_modelled_peak_not_at_the_rate_of_the_stage(tmp_path: Path) -> None:
    answer = _search(tmp_path, _holds_from("medium", "nano")).answer()
    # 60,000 users start 2 sessions a second at the peak, the stage 2.6: 0.39 · 2 / 2.6
    assert answer.burst_cores is not None
    assert abs(answer.burst_cores - 0.3) < 1e-9
    assert answer.burst_operations_per_s is not None
    assert abs(answer.burst_operations_per_s - 20.0) < 1e-9


def test_a_load_that_no_size_holds_has_no_answer(tmp_path: Path) -> None:
    search = _search(tmp_path, lambda size, mode: "FAIL")
    assert not search.holds()
    answer = search.answer()
    assert (answer.sustained, answer.burst) == (None, None)


def test_the_same_search_gives_the_same_size(tmp_path: Path) -> None:
    answers = [_search(tmp_path, _holds_from("small", "micro")).answer() for _ in range(2)]
    assert answers[0] == answers[1]
