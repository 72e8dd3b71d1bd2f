"""The nights kept in `results/history/`: one file a night, named after its start.

Reads every `*.json` there and writes one more. A file that cannot be read is named with its reason
and left as it is; the others count. Nothing there is ever overwritten.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from phasegate.model.errors import ConfigurationError, Refused
from phasegate.records import scrub, store
from phasegate.records.night import NightRecord, Series

_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z")


@dataclass(frozen=True)
class Damaged:
    """A file of the history that does not count.

    Attributes:
        path: the file.
        reason: truncated, foreign, newer, renamed …: in words.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class History:
    """All nights that can be read, by their start, and the files that cannot."""

    nights: tuple[NightRecord, ...] = ()
    damaged: tuple[Damaged, ...] = ()


def read(folder: Path) -> History:
    """The nights in `folder`; none where there is no such folder.

    A night stands where its start puts it, whenever it was written: a clock that went back moves
    a night, it does not lose one. Never raises for a single bad file.
    """
    nights: list[NightRecord] = []
    damaged: list[Damaged] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            nights.append(_read_one(path))
        except ConfigurationError as error:
            damaged.append(Damaged(path, error.what.replace(str(path), "it")))
    return History(tuple(nights), tuple(damaged))


def _read_one(path: Path) -> NightRecord:
    record = store.read(path, NightRecord)
    if path.stem != record.night or not _NIGHT.fullmatch(record.night):
        raise ConfigurationError(f"{path} says that it is night {record.night!r}")
    return record


def write(folder: Path, record: NightRecord) -> Path:
    """Add `record` to `folder`, which is created; the file appears whole or not at all.

    Free text is scrubbed on the way (`records.scrub`).

    Raises:
        ValueError: its `night` is not a start in UTC, as `2026-11-22T021500Z`.
        Refused: there is a night of that start already; it stays as it is.
    """
    if not _NIGHT.fullmatch(record.night):
        raise ValueError(f"{record.night!r} is not the start of a night")
    path = folder / f"{record.night}.json"
    beside = folder / f".{record.night}.{os.getpid()}.new"
    store.write(beside, scrub.night(record))
    try:
        # A link, unlike a rename, fails where the name is taken: also by another process just now.
        os.link(beside, path)
    except FileExistsError:
        raise Refused(
            f"{path} is there already",
            untouched="It was not overwritten",
            then="Measure again: each night is named after the second in which it began",
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    return path


def counts(night: NightRecord) -> bool:
    """Whether `night` was held against a baseline, quietly enough to be compared with others."""
    return (
        night.baseline_commit is not None
        and night.circumstances is not None
        and not night.circumstances.quarantine
    )


def surroundings(night: NightRecord) -> tuple[str | None, str, int, str, int]:
    """What must be the same for two nights' ratios to be comparable.

    Pinned baseline commit, processor, cores, the server's major version, registered users.
    """
    version = night.server.version if night.server else ""
    major = re.search(r"\d+", version)
    return (
        night.baseline_commit,
        night.machine.cpu,
        night.machine.cores,
        major.group() if major else "",
        night.users,
    )


def comparable(nights: Sequence[NightRecord], tonight: NightRecord) -> tuple[NightRecord, ...]:
    """The counted `nights` with tonight's surroundings, so that their ratios can be compared.

    So a series begins anew when the baseline is pinned anew, or the machine, the server's major
    version or the size changes. Where the machine changes back (rented runners have processors of
    two or three models by turns), its earlier nights count again: their ratios are to the same
    baseline on the same processor.
    """
    here = surroundings(tonight)
    return tuple(night for night in nights if counts(night) and surroundings(night) == here)


def series_of(night: NightRecord, series_id: str) -> Series | None:
    """The series of that id; None where the night has none. Names change, ids do not."""
    return next((series for series in night.series if series.id == series_id), None)


def newest_names(nights: Sequence[NightRecord]) -> dict[str, str]:
    """Each series id that ever was, in order of first appearance, with its newest name."""
    return {series.id: series.name for night in nights for series in night.series}


def combined(series: Series) -> float | None:
    """The night's ratio: first measurement and confirmation together, weighted by their blocks.

    Where a second was made, the first alone would be too high: it was measured again because it
    was high. None where it was not measured, or is no positive number.
    """
    measured = [found for found in (series.ratios, series.confirmation) if found]
    if not measured or not all(0 < found.estimate < math.inf for found in measured):
        return None
    total = sum(len(found.logs) for found in measured)
    if len(measured) == 1 or not total:
        return measured[0].estimate
    weighted = sum(len(found.logs) * math.log(found.estimate) for found in measured)
    return math.exp(weighted / total)


def ratios(nights: Sequence[NightRecord], series_id: str) -> tuple[tuple[str, float], ...]:
    """(night, ratio) of one series over `nights`, where it was measured."""
    found = []
    for night in nights:
        series = series_of(night, series_id)
        ratio = None if series is None else combined(series)
        if ratio is not None:
            found.append((night.night, ratio))
    return tuple(found)


def noted(record: NightRecord, note: str) -> NightRecord:
    """`record` with one more note, unless it has it already."""
    if note in record.notes:
        return record
    return msgspec.structs.replace(record, notes=(*record.notes, note))
