"""Which cells the instrument `sizes` drives, and what it infers; drives are those of the search."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruments.compute_sizes import Cell, CellRecord, Table, kept, lines, next_cell, told
from phasegate.model.verdict import Verdict
from phasegate.records import store
from phasegate.records.sizes import Cache, Mode, SizeDrive

SIZES = ("nano", "micro", "small", "medium", "large")
TABLE = Table(levels=(1, 2), users=(1_000, 10_000, 100_000), sizes=SIZES)

# The smallest that holds; 5 is none.
TRUTH = {
    (1, 1_000): {"sustained": 0, "burst": 0},
    (1, 10_000): {"sustained": 2, "burst": 1},
    (1, 100_000): {"sustained": 5, "burst": 5},
    (2, 1_000): {"sustained": 0, "burst": 0},
    (2, 10_000): {"sustained": 0, "burst": 0},
    (2, 100_000): {"sustained": 1, "burst": 0},
}


def true_of(cell: Cell) -> Verdict:
    least = TRUTH[cell.level, cell.users][cell.mode]
    return Verdict.PASS if SIZES.index(cell.size) >= least else Verdict.FAIL


def driven() -> dict[Cell, Verdict]:
    seen: dict[Cell, Verdict] = {}
    while (cell := next_cell(TABLE, seen)) is not None:
        assert cell not in seen
        seen[cell] = true_of(cell)
    return seen


def test_every_cell_is_known_in_the_end_and_rightly() -> None:
    seen = driven()
    assert len(seen) < 20  # of 60
    for level, count in TRUTH:
        for mode in ("sustained", "burst"):
            for size in SIZES:
                cell = Cell(level, count, size, mode)
                known = told(cell, seen, SIZES)
                least = TRUTH[level, count][mode]
                if known is None:  # beside the answer, where nothing hangs on it
                    assert SIZES.index(size) not in (least - 1, least)
                else:
                    assert known is true_of(cell)


def test_what_no_size_holds_in_its_burst_costs_one_drive() -> None:
    level_1 = {cell for cell in driven() if (cell.level, cell.users) == (1, 100_000)}
    assert level_1 == {Cell(1, 100_000, "large", "burst")}


@pytest.mark.parametrize(
    ("verdict", "other", "says"),
    [
        (Verdict.PASS, Cell(2, 100_000, "micro", "sustained"), Verdict.PASS),
        (Verdict.PASS, Cell(2, 1_000, "micro", "sustained"), None),
        (Verdict.PASS, Cell(2, 10_000, "medium", "sustained"), None),
        (Verdict.PASS, Cell(2, 10_000, "micro", "burst"), None),
        (Verdict.PASS, Cell(3, 100_000, "micro", "sustained"), None),
        (Verdict.FAIL, Cell(2, 1_000, "medium", "sustained"), Verdict.FAIL),
        (Verdict.FAIL, Cell(2, 1_000, "medium", "burst"), Verdict.FAIL),
        (Verdict.FAIL, Cell(2, 100_000, "medium", "sustained"), None),
        (Verdict.INVALID, Cell(2, 100_000, "nano", "sustained"), None),
    ],
)
def test_more_users_and_smaller_sizes_say_something_and_other_levels_do_not(
    verdict: Verdict, other: Cell, says: Verdict | None
) -> None:
    assert told(Cell(2, 10_000, "small", "sustained"), {other: verdict}, SIZES) is says


def _record(cell: Cell) -> CellRecord:
    def stage(cache: Cache, mode: Mode) -> SizeDrive:
        return SizeDrive(
            stage=f"{cell.name}-{cache}", size=cell.size, mode=mode, cache=cache,
            verdict=true_of(cell).value, reasons=(), latency_ms_p95=12.0, clicks=100, sessions=28,
            rate_sessions_per_s=4.3, bound_by=None, used=None,
        )  # fmt: skip

    return CellRecord(
        format_version=CellRecord.FORMAT_VERSION, level=cell.level, users=cell.users,
        drives=(stage("cold", cell.mode), stage("warm", cell.mode)),
    )  # fmt: skip


def test_a_later_call_goes_on_from_the_files_and_the_table_says_what_was_driven(
    tmp_path: Path,
) -> None:
    for cell in driven():
        store.write(tmp_path / f"{cell.name}.json", _record(cell))
    found = kept(tmp_path)
    assert next_cell(TABLE, {cell: record.verdict for cell, record in found.items()}) is None
    said = list(lines(TABLE, found))
    assert (
        said[2] == "level 1, 100k users: for ever none up to large, in its burst none up to large"
    )
    assert said[3] == "level 2,   1k users: for ever nano (inferred), in its burst nano (inferred)"
    assert said[5] == "level 2, 100k users: for ever micro (driven), in its burst nano (driven)"
