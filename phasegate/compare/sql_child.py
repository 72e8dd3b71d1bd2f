"""The techniques, measured when told to: the child process of `stack.remote_measure` for SQL.

    python -m phasegate.compare.sql_child

Brings the database to the parts that the arms need, by the SQL of its own checkout. Each arm of
each technique in the project's `benchmarks/` is a series: what the night holds against each other
are not the arms but two commits, so an arm is not slowed by the other's use of the caches.
"""

from __future__ import annotations

import gc
import importlib.util
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from phasegate.compare.block import Side, run_block
from phasegate.compare.engine import REHEARSAL_CALLS
from phasegate.compare.plans import plan_of
from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.compare.technique import Parameters, Technique
from phasegate.compare.technique_folders import SELF_CHECK, pairs, project_here, self_check
from phasegate.model.errors import UsageError
from phasegate.records.night import Evidence
from phasegate.stack.remote_measure import Named, serve

HERE = Path(__file__).resolve().parent
ARMS = ("before", "after")


def techniques() -> dict[str, Technique]:
    """By id, all that the project here declares, the self-check too."""
    project = project_here()
    modules = (_module(path) for path in sorted(project.benchmarks.glob("bench_*.py")))
    found = (value for module in modules for value in vars(module).values())
    in_python = {each.id: each for each in found if isinstance(each, Technique)}
    return {**pairs(project), **in_python, SELF_CHECK: self_check(project)}


def _module(path: Path) -> ModuleType:
    """A `bench_*.py`, imported from where it lies: it need not be part of any package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:  # cannot be: its name ends in .py
        raise UsageError(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


class Bench:
    """An open session on one database."""

    def __init__(self, bench: BenchmarkSession, seed: int) -> None:
        self._bench = bench
        self._rng = random.Random(seed)
        self._techniques = techniques()
        self._undo = ExitStack()
        self._technique: Technique | None = None
        self._side: Side | None = None
        self._population: Sequence[Parameters] = ()

    def all_series(self) -> tuple[Named, ...]:
        """The arms of the techniques, by id."""
        return tuple(
            Named(id=f"sql/{id_}/{side}", name=f"{self._bench.title(technique)}: {arm.name}")
            for id_, technique in sorted(self._techniques.items())
            for side, arm in zip(ARMS, technique.arms, strict=True)
        )

    def _at_work(self) -> tuple[Technique, Side]:
        if self._technique is None or self._side is None:
            raise UsageError("No series was begun")
        return self._technique, self._side

    def begin(self, series: str) -> None:
        """Set up what the technique needs.

        Raises:
            Unavailable: the machine or the server lacks something.
        """
        self.end()
        _, id_, side = series.split("/")
        technique, place = self._techniques[id_], ARMS.index(side)
        with ExitStack() as stack:
            stack.enter_context(self._bench.made_ready(technique))
            arms = stack.enter_context(self._bench.arms(technique))
            caller = arms.callers[place]
            caller.forget()
            self._technique = technique
            self._side = Side(technique.arms[place], caller, arms.besides[place])
            self._population = arms.population
            self._undo = stack.pop_all()
        gc.collect()
        gc.disable()

    def rehearse(self) -> float:
        """See `Instrument`; fills caches and makes plans as well."""
        _, side = self._at_work()
        self.block(0, 1, warm_up=True)
        self.block(0, REHEARSAL_CALLS, warm_up=False)
        quickest = min(side.call_ns[-REHEARSAL_CALLS:])
        side.forget()
        return float(quickest)

    def block(self, number: int, calls: int, warm_up: bool) -> float:
        """See `Instrument`."""
        technique, side = self._at_work()
        size = len(self._population)
        drawn = [self._population[(number * calls + i) % size] for i in range(calls)]
        run_block(technique, [side], drawn, self._rng, warm_up=warm_up)
        return side.block_ns[-1]

    def evidence(self) -> Evidence:
        """See `Instrument`; the plan is that of the last call's first statement."""
        technique, side = self._at_work()
        plan = plan_of(technique, side)
        return Evidence(
            plan_hash=plan.hash if plan else "",
            shared_buffers=plan.shared_buffers if plan else None,
            statements=round(statistics.median(side.round_trips)),
        )

    def end(self) -> None:
        """See `Instrument`."""
        gc.enable()
        self._technique = self._side = None
        self._undo.close()


@contextmanager
def opened(dsn: str, seed: int) -> Iterator[Bench]:
    """A session on the seeded database behind `dsn`."""
    bench = BenchmarkSession(
        dsn, users=None, sha256=None, seed=seed, budget=Budget(0, 0), disabled=False
    )
    with bench:
        yield Bench(bench, seed)


if __name__ == "__main__":
    serve(opened, HERE.parents[1])
