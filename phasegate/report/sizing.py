"""On which compute size: the answers of `sizes.json` in words and as a table. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from phasegate.model.catalogue import Catalogue
from phasegate.model.credits import (
    CREDIT_CORE_S,
    Outlook,
    modelled_day,
    of_operations,
    of_processor,
    outlook,
)
from phasegate.model.prices import Compute
from phasegate.records.sizes import Mode, SizeAnswer, SizeDrive, SizesRecord
from phasegate.report.format import (
    duration,
    listed,
    milliseconds,
    plain,
    significant,
    users,
)
from phasegate.report.tables import Table


def processor_outlook(answer: SizeAnswer, size: Compute, catalogue: Catalogue) -> Outlook | None:
    """What becomes of the credits of `size` day by day; None where the use was not sampled."""
    if answer.burst_cores is None:
        return None
    return outlook(of_processor(size), modelled_day(answer.burst_cores, catalogue.workload))


def disk_outlook(answer: SizeAnswer, size: Compute, catalogue: Catalogue) -> Outlook | None:
    """The same of its disk I/O budget."""
    if answer.burst_operations_per_s is None:
        return None
    budget = of_operations(size, catalogue.disk)
    return outlook(budget, modelled_day(answer.burst_operations_per_s, catalogue.workload))


def _outlooks(answer: SizeAnswer, size: Compute, catalogue: Catalogue) -> list[Outlook | None]:
    return [look(answer, size, catalogue) for look in (processor_outlook, disk_outlook)]


def daily(answer: SizeAnswer, catalogue: Catalogue) -> str | None:
    """The smallest size that holds every modelled day, for ever or since its credits never run out.

    None where none does. A size between the smallest that holds in its burst and the smallest that
    holds for ever is not driven again: it has the same cores, and more memory and disk.
    """
    if answer.burst is None:
        return answer.sustained
    by_name = {each.name: each for each in catalogue.compute}
    for name in answer.sizes[answer.sizes.index(answer.burst) :]:
        if name == answer.sustained:
            return name
        if name not in by_name:
            continue
        looks = [
            look(answer, by_name[name], catalogue) for look in (processor_outlook, disk_outlook)
        ]
        if all(each is not None and each.runs_out_on is None for each in looks):
            return name
    return answer.sustained


def table(answers: Iterable[SizeAnswer], catalogue: Catalogue) -> Table:
    """A row for each number of users and set of parts."""
    rows = []
    for answer in answers:
        burst = answer.drive(answer.burst, "burst", "warm")
        after = answer.drive(answer.burst, "sustained", "warm")
        rows.append(
            (
                f"{users(answer.users)} users, {_stack(answer)}",
                _for_the_day(answer, catalogue),
                _held(answer, answer.sustained),
                f"{answer.burst}: {_outcome(burst)}, then {_outcome(after)}"
                f"{_passed_over(answer, answer.burst, 'burst')}"
                if burst
                else "–",
                lasts(answer, catalogue),
            )
        )
    head = (
        "Users and stack",
        "For the modelled day",
        "Holds for ever",
        "Holds in its burst",
        "Which lasts",
    )
    return Table(head, tuple(rows))


def drives_table(answers: Iterable[SizeAnswer]) -> Table:
    """Every stage that was driven."""
    rows = [
        (
            f"{users(answer.users)} users, {_stack(answer)}: {_under(drive)}",
            _judged(drive),
            *_use(drive),
        )
        for answer in answers
        for drive in answer.drives
    ]
    head = (
        "Stage",
        "Verdict",
        "Cores",
        "Disk operations/s",
        "Blocks read a session",
        "Found in shared buffers",
    )
    return Table(head, tuple(rows))


def _use(drive: SizeDrive) -> tuple[str, str, str, str]:
    used = drive.used
    if used is None:
        return ("not sampled",) * 4
    blocks = used.blocks_hit + used.blocks_read
    return (
        "–" if used.cores is None else significant(used.cores),
        "–" if used.operations_per_s is None else significant(used.operations_per_s),
        significant(used.blocks_read / used.sessions) if used.sessions else "–",
        f"{used.blocks_hit / blocks:.1%}" if blocks else "–",
    )


def lasts(answer: SizeAnswer, catalogue: Catalogue) -> str:
    """How long the burst lasts at the modelled peak, and on the modelled day."""
    size = next((each for each in catalogue.compute if each.name == answer.burst), None)
    if size is None or answer.burst == answer.sustained:
        return "–" if size is None else "for ever"
    if answer.burst_cores is None:
        return "not sampled"
    seconds = of_processor(size).lasts_s(answer.burst_cores)
    if answer.burst_operations_per_s is not None:
        disk = of_operations(size, catalogue.disk)
        seconds = min(seconds, disk.lasts_s(answer.burst_operations_per_s))
    at_peak = "for ever" if math.isinf(seconds) else duration(seconds)
    days = _outlooks(answer, size, catalogue)
    ends = [each.runs_out_on for each in days if each is not None and each.runs_out_on]
    day = f"used up on day {min(ends)}" if ends else "never used up on the modelled day"
    return f"{at_peak} at the peak; {day}"


def lines(record: SizesRecord, catalogue: Catalogue) -> Iterator[str]:
    """The answers for a terminal."""
    for answer in record.answers:
        yield f"{users(answer.users)} registered users, {_stack(answer)}:"
        yield f"  for the modelled day    {_for_the_day(answer, catalogue)}"
        yield f"  for ever                {_held(answer, answer.sustained)}"
        if answer.burst is not None and answer.burst != answer.sustained:
            burst = answer.drive(answer.burst, "burst", "warm")
            after = answer.drive(answer.burst, "sustained", "warm")
            smaller = _passed_over(answer, answer.burst, "burst")
            yield f"  while the burst lasts   {answer.burst}: {_outcome(burst)}{smaller}"
            how_long = f"{lasts(answer, catalogue)}{_credits(answer, catalogue)}"
            yield f"  that lasts              {how_long}"
            yield f"  after that              {_outcome(after)}"
        for drive in answer.drives:
            if drive.verdict == "INVALID" and drive.cache == "warm":  # sizes are judged by it
                what = "on the edge" if drive.is_on_the_edge else "not judged"
                yield f"  {what:<23} {_under(drive)}: {_reason(drive)}"
    yield from rests_on(record, catalogue)


def rests_on(record: SizesRecord, catalogue: Catalogue) -> tuple[str, ...]:
    """What no size can be judged for, and what every answer assumes, a sentence each."""
    missing = dict.fromkeys(each for answer in record.answers for each in answer.not_in_force)
    left_out = dict.fromkeys(each for answer in record.answers for each in answer.left_out)
    assumed = (
        f"Driven at {record.head_room:g} times the modelled peak, or above. Assumed: a core of a "
        f"size does what one of this machine's does ({record.machine.cpu}), and a burst begins "
        "with full credits."
    )
    return (
        *(f"No size can be judged, for want of: {each}." for each in missing),
        assumed,
        *_too_large(record, catalogue),
        *([f"Not emulated: {'; '.join(left_out)}."] if left_out else []),
    )


def _too_large(record: SizesRecord, catalogue: Catalogue) -> Iterator[str]:
    """Which sizes were not driven, since this machine has less than they."""
    here, driven = record.machine, {name for answer in record.answers for name in answer.sizes}
    names = [
        each.name
        for each in catalogue.compute
        if each.name not in driven
        and (
            of_processor(each).baseline_per_s > here.cores
            or each.memory_gb * (1 << 30) > here.memory_bytes
        )
    ]
    if names:
        has = f"{here.cores} cores and {here.memory_bytes / (1 << 30):.1f} GiB"
        yield f"Not driven, since this machine has {has}: {listed(names)}."


def _for_the_day(answer: SizeAnswer, catalogue: Catalogue) -> str:
    """The size that every modelled day is held on, and why."""
    size = daily(answer, catalogue)
    if size is None:
        return "none"
    why = "it holds for ever" if size == answer.sustained else "its credits are never used up"
    return f"{_sold(size, catalogue)}: {why}{_passed_over(answer, size, 'burst')}"


def _sold(size: str, catalogue: Catalogue) -> str:
    """A size, and the plan where only one has it, so that a bill of another has a larger one."""
    plans = [plan.name for plan in catalogue.prices.plans if size in plan.compute]
    return f"{size} (on {plans[0]} alone)" if len(plans) == 1 else size


def _credits(answer: SizeAnswer, catalogue: Catalogue) -> str:
    size = next((each for each in catalogue.compute if each.name == answer.burst), None)
    found = None if size is None else processor_outlook(answer, size, catalogue)
    if found is None:
        return ""
    earned, spent = (each / CREDIT_CORE_S for each in (found.usual.earned, found.usual.spent))
    return f" (a day earns {significant(earned)} credits and spends {significant(spent)})"


def _held(answer: SizeAnswer, size: str | None) -> str:
    """A size with its p95 under both caches."""
    if size is None:
        unsure = _passed_over(answer, None, "sustained")
        return f"none of {', '.join(answer.sizes)} was seen to{unsure}"
    found = []
    for cache in ("warm", "cold"):
        drive = answer.drive(size, "sustained", cache)
        if drive is not None:
            found.append(f"{cache} cache {_outcome(drive)}")
    return f"{size}: {', '.join(found)}{_passed_over(answer, size, 'sustained')}"


def _passed_over(answer: SizeAnswer, size: str | None, mode: Mode) -> str:
    """What is smaller than `size` and neither holds nor fails: why the answer is not that."""
    below = answer.sizes[: None if size is None else answer.sizes.index(size)]
    drives = [each for name in below if (each := answer.drive(name, mode, "warm"))]
    edge = [each.size for each in drives if each.is_on_the_edge]
    untold = [each.size for each in drives if each.verdict == "INVALID" and not each.is_on_the_edge]
    how = " in its burst" if mode == "burst" else ""
    on_it = f"; {listed(edge)} {'is' if len(edge) == 1 else 'are'} on the edge{how}" if edge else ""
    return f"{on_it}; {listed(untold)} could not be judged{how}" if untold else on_it


def _under(drive: SizeDrive) -> str:
    how = "for ever" if drive.mode == "sustained" else "in its burst"
    return f"{drive.size} {how}, {drive.cache} cache"


def _outcome(drive: SizeDrive | None) -> str:
    if drive is None:
        return "not driven"
    verdict = "on the edge" if drive.is_on_the_edge else drive.verdict
    if drive.latency_ms_p95 is None:
        return verdict
    between = ""
    if drive.latency_ms_p95_between is not None:
        low, high = map(milliseconds, drive.latency_ms_p95_between)
        between = f", {low} to {high}"
    return f"{verdict} (p95 {milliseconds(drive.latency_ms_p95)}{between})"


def _judged(drive: SizeDrive) -> str:
    """The same, with why it could not be judged."""
    unfair = drive.verdict == "INVALID" and not drive.is_on_the_edge
    why = f": {_reason(drive)}" if unfair else ""
    return f"{_outcome(drive)}{why}"


def _reason(drive: SizeDrive) -> str:
    """The weightiest, without its code."""
    return plain(drive.reasons[0].partition(": ")[2]) if drive.reasons else "no reason was noted"


def _stack(answer: SizeAnswer) -> str:
    """The parts; a level says more where it has as many."""
    many = len(answer.parts)
    return f"{', '.join(answer.parts) or 'no parts'}" if many < PARTS_SHOWN else _level(answer)


def _level(answer: SizeAnswer) -> str:
    return f"level {answer.level} ({len(answer.parts)} parts)"


PARTS_SHOWN = 4
"""From so many parts on, their names would hide the answer."""
