"""Whether the simplest stack is the same on data of other seeds, and fails without each part.

    python -m instruments least --seeds 2

Searches it as `phasegate run` does, the search alone: which part is tried first is taken from the
benchmarks of a run that is there. Writes `<results>/least-<seed>/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from phasegate import seeding
from phasegate.cli import drive_matrix
from phasegate.cli.least_candidates import Candidates
from phasegate.load.capacity_matrix import MatrixPlan
from phasegate.model.verdict import Verdict
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.least import LeastStack
from phasegate.records.matrix import Probe
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.postgres import cluster_dir, running_postgres

FAILS = Verdict.FAIL.value


def search(
    project: Project,
    users: int,
    seeds: Sequence[int],
    run: Path,
    results: Path,
    say: Callable[[str], None],
) -> dict[int, LeastStack]:
    """The simplest stack for `users`, by seed.

    Args:
        project: that is searched.
        users: registered ones.
        seeds: of the data sets and of the arrivals.
        run: folder of a run of the project, whose benchmarks and candidates say what is promising.
        results: where the records go.
        say: told of each stage.
    """
    candidates = Candidates.of_run(project, _benchmarks(run), run)
    run_settings = project.catalogue.run
    found = {}
    with locked(cache_dir(), "instruments least"), running_postgres(cluster_dir()) as server:
        for seed in seeds:
            dsn, _ = seeding.ensure_dataset(server, users=users, seed=seed)
            plan = MatrixPlan(
                levels=(), sizes=(users,), seed=seed, run_dir=results / f"least-{seed}",
                cell_s=run_settings.cell_s,
            )  # fmt: skip
            plan.run_dir.mkdir(parents=True, exist_ok=True)
            record = drive_matrix.find_least(
                server, {users: dsn}, plan, candidates, folder=cluster_dir().parent / "level",
                trials_max=run_settings.least_trials_max,
                on_progress=lambda what, seed=seed: say(f"seed {seed}: {what}"),  # type: ignore[misc]
            )  # fmt: skip
            (found[seed],) = record.stacks
    return found


def _benchmarks(run: Path) -> dict[int, BenchmarkRecord]:
    """By registered users, ascending."""
    sizes = sorted(int(f.stem) for f in (run / "bench").glob("*.json") if f.stem.isdigit())
    return {n: store.read(run / "bench" / f"{n}.json", BenchmarkRecord) for n in sizes}


def told(found: Mapping[int, LeastStack]) -> list[str]:
    """A line for each stage that was driven."""
    return [
        f"seed {seed}: with {', '.join(trial.parts) or 'nothing'}: {_shown(trial.probe)}"
        for seed, stack in found.items()
        for trial in stack.trials
    ]


def _shown(probe: Probe) -> str:
    p95 = probe.latency_ms_p95
    return probe.verdict + (f", p95 {p95:,.0f} ms" if p95 is not None else "")


def faults(found: Mapping[int, LeastStack]) -> list[str]:
    """What is not as claimed, a sentence each; empty where all is."""
    said = []
    for seed, stack in found.items():
        if stack.outcome != "holds":
            said.append(f"seed {seed}: no stack was seen to hold: {stack.outcome}")
        for needed in stack.needed:
            if needed.without is None or needed.without.verdict != FAILS:
                outcome = "not driven" if needed.without is None else needed.without.verdict
                said.append(f"seed {seed}: without {needed.part}: {outcome}, not {FAILS}")
    sets = {frozenset(needed.part for needed in stack.needed) for stack in found.values()}
    if len(sets) > 1:
        shown = " | ".join(", ".join(sorted(each)) or "nothing" for each in sets)
        said.append(f"the seeds do not agree: {shown}")
    return said
