"""The techniques, measured when told to: the child process of `stack.turns` for SQL.

    python -m benchmarks.turns

Brings the database to the level that the arms need, by the SQL of its own checkout; every technique
that a `bench_*.py` declares is a job of two series, its arms.
"""

from __future__ import annotations

import gc
import importlib
import random
import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.engine import Comparing, plan_of
from benchmarks.lab import Budget, Lab
from benchmarks.technique import Technique
from phases.errors import PhasegateError
from records.night import Evidence
from stack.turns import Job, Named, serve

HERE = Path(__file__).resolve().parent
ARMS = ("before", "after")


def techniques() -> dict[str, Technique]:
    """By id, all that the bench modules of this checkout declare."""
    modules = (
        importlib.import_module(f"benchmarks.{path.stem}") for path in HERE.glob("bench_*.py")
    )
    found = (value for module in modules for value in vars(module).values())
    return {each.id: each for each in found if isinstance(each, Technique)}


class Bench:
    """An open session on one database."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self._lab = lab
        self._seed = seed
        self._techniques = techniques()
        self._job = ExitStack()
        self._comparing: Comparing | None = None

    def jobs(self) -> tuple[Job, ...]:
        """The techniques, by id."""
        return tuple(
            Job(
                id=f"sql/{id_}",
                series=tuple(
                    Named(id=f"sql/{id_}/{side}", name=f"{self._lab.title(technique)}: {arm.name}")
                    for side, arm in zip(ARMS, technique.arms, strict=True)
                ),
            )
            for id_, technique in sorted(self._techniques.items())
        )

    @property
    def _at_work(self) -> Comparing:
        if self._comparing is None:
            raise PhasegateError("No technique was begun")
        return self._comparing

    def begin(self, job: str) -> None:
        """Set up what the technique needs.

        Raises:
            Unavailable: the machine or the server lacks something.
        """
        self.end()
        technique = self._techniques[job.removeprefix("sql/")]
        with ExitStack() as stack:
            stack.enter_context(self._lab.made_ready(technique))
            arms = stack.enter_context(self._lab.arms(technique))
            for caller in arms.callers:
                caller.forget()
            rng = random.Random(f"{self._seed} {job}")
            self._comparing = Comparing(arms.callers, arms.besides, technique, arms.population, rng)
            self._job = stack.pop_all()
        gc.collect()
        gc.disable()

    def rehearse(self) -> float:
        """See `Instrument`."""
        return self._at_work.rehearse() * 1e9

    def block(self, number: int, calls: int, slowest_ns: float) -> Mapping[str, float]:
        """See `Instrument`; the order of the arms within a block is the same everywhere too."""
        comparing = self._at_work
        comparing.size_blocks(slowest_ns / 1e9)
        comparing.calls = calls
        rng = random.Random(f"{self._seed} {comparing.technique.id} {number}")
        times = comparing.numbered_block(number, rng)
        return dict(zip(self._ids(), times, strict=True))

    def evidence(self) -> Mapping[str, Evidence]:
        """See `Instrument`; the plan of each arm's first statement."""
        comparing = self._at_work
        plans = [plan_of(comparing.technique, side) for side in comparing.sides]
        return {
            id_: Evidence(
                plan_hash=plan.hash if plan else "",
                shared_buffers=plan.shared_buffers if plan else None,
                statements=round(statistics.median(side.round_trips)),
            )
            for id_, side, plan in zip(self._ids(), comparing.sides, plans, strict=True)
        }

    def _ids(self) -> list[str]:
        return [f"sql/{self._at_work.technique.id}/{side}" for side in ARMS]

    def end(self) -> None:
        """See `Instrument`."""
        gc.enable()
        self._comparing = None
        self._job.close()


@contextmanager
def opened(dsn: str, seed: int) -> Iterator[Bench]:
    """A session on the seeded database behind `dsn`."""
    lab = Lab(dsn, users=None, sha256=None, seed=seed, budget=Budget(0, 0), disabled=False)
    with lab:
        yield Bench(lab, seed)


if __name__ == "__main__":
    serve(opened, HERE.parent)
