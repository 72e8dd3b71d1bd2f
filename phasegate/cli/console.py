"""What a person sees while work goes on. Progress goes to standard error, results to output.

On a terminal: a line per step with a live bar, rate and time left. Elsewhere: a plain line when a
step ends. `NO_COLOR` is honoured (by rich).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from phasegate.records.planner_settings import PlannerSetting, sentences

if TYPE_CHECKING:  # brings numpy
    from phasegate.seeding import Progress as SeedProgress

_errors = Console(stderr=True, highlight=False)


def say(line: str) -> None:
    """A line of progress."""
    _errors.print(line, markup=False, soft_wrap=True)


def tell_planner_settings(found: Iterable[PlannerSetting]) -> None:
    """What a reader of the figures has to know of them."""
    for sentence in sentences(found):
        say(f"  {sentence}")


@contextmanager
def step(name: str) -> Iterator[Callable[[str], None]]:
    """Announce a step and how long it took; yields a function that shows where it stands."""
    began = time.monotonic()
    if not _errors.is_terminal:
        yield lambda _state: None
    else:
        with _errors.status(name) as status:
            yield lambda state: status.update(f"{name}: {state}")
    say(f"  {name:<34}{time.monotonic() - began:7.1f} s")


@contextmanager
def row_bar(name: str) -> Iterator[Callable[[SeedProgress], None]]:
    """A bar over rows, with rate and time left; yields the function that moves it."""
    began = time.monotonic()
    total = 0

    def note_total(at: SeedProgress) -> None:
        nonlocal total
        total = at.rows_done

    if not _errors.is_terminal:
        yield note_total
    else:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.completed:,.0f} rows"),
            TextColumn("{task.fields[rate]:,.0f} rows/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=_errors, transient=True) as progress:
            bar = progress.add_task(name, total=None, rate=0.0)

            def move(at: SeedProgress) -> None:
                note_total(at)
                rate = at.rows_done / max(time.monotonic() - began, 1e-9)
                progress.update(bar, completed=at.rows_done, total=at.rows_total, rate=rate)

            yield move
    took = time.monotonic() - began
    rows = f"   {total:,} rows, {total / took:,.0f} rows/s" if total else ""
    say(f"  {name:<34}{took:7.1f} s{rows}")
