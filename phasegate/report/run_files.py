"""A run directory as one value.

Reads run.json, seed/*.json, load/*.json, sampler/*.json, bench/*.json, matrix.json, sizes.json,
serverless.json, perf.json, advice.json and target.json of a run directory. Writes nothing. A file
that is there must be whole and must say what its name says; a file that is not there is named in
`Run.absent`.
A folder of load that Locust wrote (`--out FOLDER/load`) needs no run.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from phasegate.model.errors import ConfigurationError
from phasegate.records import store
from phasegate.records.advice import AdviceRecord
from phasegate.records.benchmark import BenchmarkRecord, Comparison
from phasegate.records.least import LeastRecord
from phasegate.records.load import LoadRecord
from phasegate.records.matrix import MatrixRecord
from phasegate.records.perf import PerfRecord
from phasegate.records.planner_settings import PlannerSetting
from phasegate.records.project import LevelNote, ProjectNote
from phasegate.records.run import RENAMED, Machine, RunRecord
from phasegate.records.sampler import SamplerRecord
from phasegate.records.seed import SeedRecord
from phasegate.records.serverless import ServerlessRecord
from phasegate.records.sizes import SizesRecord
from phasegate.records.target import TargetRecord

R = TypeVar("R", bound=store.Record)

MEASURE_AGAIN = "Measure again, or report on another run"
RAW_SUFFIX = ".pytest-benchmark.json"
"""pytest-benchmark's own files lie beside the records; they are not records."""


@dataclass(frozen=True)
class Source:
    """A file that a figure rests on, relative to the run directory."""

    path: str
    what: str


@dataclass(frozen=True)
class Run:
    """Everything that a run left behind, by registered users where that is its key."""

    directory: Path
    run: RunRecord
    seeds: dict[int, SeedRecord]
    loads: tuple[LoadRecord, ...]
    benchmarks: dict[int, BenchmarkRecord]
    samplers: dict[str, SamplerRecord]
    """What a stage used, by the stage's name."""
    matrix: MatrixRecord | None
    least: LeastRecord | None
    """The simplest stack that holds; None where it was not searched."""
    perf: PerfRecord | None
    advice: AdviceRecord | None
    """Candidates, measured; None where nobody asked for any."""
    sizes: SizesRecord | None
    """The search for a compute size; None where none was made."""
    serverless: ServerlessRecord | None
    """From how many users on functions exhaust the connections; None where nobody asked."""
    target: TargetRecord | None
    """What a staging run found; None where the stack was our own."""
    sources: tuple[Source, ...]
    absent: tuple[str, ...]
    """What a complete run of these sizes would hold, and this one does not."""

    @property
    def marked(self) -> str:
        """Why the reader must not take this for a whole run; empty where it is one."""
        if self.run.outcome == "complete":
            return ""
        return f"This run {self.ended}: the page shows what there is, and no more."

    @property
    def planner_settings(self) -> tuple[PlannerSetting, ...] | None:
        """Of everything that was measured, each once; None where no record says."""
        server, database = self.run.server, self.target.database if self.target else None
        found = [
            server.planner_settings if server else None,
            database.planner_settings if database else None,
            *(record.planner_settings for record in self.benchmarks.values()),
        ]
        known = [settings for settings in found if settings is not None]
        return tuple(dict.fromkeys(chain(*known))) if known else None

    @property
    def ended(self) -> str:
        """How the run ended, as a verb."""
        return "failed" if self.run.outcome == "failed" else f"was {self.run.outcome}"


def described(run: Run) -> ProjectNote:
    """The project of `run` as far as its records tell: what an older version's did not keep.

    Levels have the parts that were recorded, and no technique is known by more than its title.
    """
    top = max((load.level for load in run.loads), default=1)
    top = max(top, *run.run.levels, 1)
    arms: dict[int, set[str]] = {}
    for load in run.loads:
        arms.setdefault(load.level, set()).update(filter(None, load.arm.split("+")))
    return ProjectNote(
        name="",
        title="",
        levels=tuple(
            LevelNote(
                title="",
                parts=(
                    *(RENAMED.get(each.name, each.name) for each in run.run.levels.get(level, ())),
                    *sorted(arms.get(level, ())),
                ),
            )
            for level in range(1, top + 1)
        ),
        client_parts=tuple(sorted({arm for each in arms.values() for arm in each})),
        techniques={},
    )


def _disagrees(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(f"{path} contradicts itself: {what}", then=MEASURE_AGAIN)


def _check_comparison(path: Path, comparison: Comparison) -> None:
    """A comparison must be paired and positive, or no ratio may be drawn from it."""
    before, after = comparison.before, comparison.after
    name = comparison.technique
    if len(before.block_ns) != len(after.block_ns):
        raise _disagrees(
            path, f"{name} has {len(before.block_ns)} blocks before, {len(after.block_ns)} after"
        )
    if any(value <= 0 for arm in (before, after) for value in (*arm.block_ns, *arm.call_ns)):
        raise _disagrees(path, f"{name} has a time that is not positive")
    if before.rows != after.rows:
        raise _disagrees(path, f"{name} returned {before.rows} rows before, {after.rows} after")


def _by_size(
    folder: Path, kind: type[R], users_of: Callable[[R], int], check: Callable[[Path, R], None]
) -> dict[int, R]:
    """Records of `<users>.json` in `folder`, ascending; each must hold the users of its name."""
    found: dict[int, R] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(RAW_SUFFIX) or path.name.startswith("."):
            continue
        record = store.read(path, kind)
        if path.stem != str(users_of(record)):
            raise _disagrees(path, f"it holds {users_of(record)} users")
        check(path, record)
        found[users_of(record)] = record
    return dict(sorted(found.items()))


def _check_benchmark(path: Path, record: BenchmarkRecord) -> None:
    for comparison in record.comparisons:
        _check_comparison(path, comparison)


def _check_seed(path: Path, record: SeedRecord) -> None:
    for histogram in record.distributions:
        if len(histogram.edges) != len(histogram.counts) + 1:
            raise _disagrees(path, f"distribution {histogram.name} has edges that do not fit")


def _read_if_there(path: Path, kind: type[R]) -> R | None:
    return store.read(path, kind) if path.exists() else None


def _read_loads(folder: Path) -> tuple[LoadRecord, ...]:
    loads: list[LoadRecord] = []
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith("."):
            continue
        record = store.read(path, LoadRecord)
        if record.stage != path.stem:
            raise _disagrees(path, f"it holds stage {record.stage!r}")
        loads.append(record)
    return tuple(sorted(loads, key=lambda load: (load.users, load.level, load.stage)))


def _read_samplers(folder: Path) -> dict[str, SamplerRecord]:
    found = {}
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith("."):
            continue
        record = store.read(path, SamplerRecord)
        if record.stage != path.stem:
            raise _disagrees(path, f"it holds stage {record.stage!r}")
        found[record.stage] = record
    return found


def _check_same_data(run: Run) -> None:
    """A benchmark must have run on the data set that the run seeded."""
    for users, benchmark in run.benchmarks.items():
        seeded = run.seeds.get(users)
        if seeded is not None and seeded.sha256 != benchmark.sha256:
            raise _disagrees(
                run.directory / "bench" / f"{users}.json",
                f"its data set is not the one of seed/{users}.json",
            )


def _sources(directory: Path, run: Run) -> tuple[Source, ...]:
    named = [Source("run.json", "circumstances and stages")]
    named += [Source(f"seed/{users}.json", "data set: rows, bytes, SHA-256") for users in run.seeds]
    named += [Source(f"bench/{users}.json", "blocks, calls and plans") for users in run.benchmarks]
    named += [Source(f"load/{load.stage}.json", "histograms per endpoint") for load in run.loads]
    named += [Source(f"sampler/{name}.json", "what the stage used") for name in run.samplers]
    if run.matrix is not None:
        named.append(Source("matrix.json", "the phase matrix and how far each level goes"))
    if run.least is not None:
        named.append(Source("least.json", "the simplest stack that holds, and every set tried"))
    if run.sizes is not None:
        named.append(Source("sizes.json", "the same load under one compute size after another"))
    if run.serverless is not None:
        named.append(Source("serverless.json", "when functions exhaust the connections"))
    if run.target is not None:
        named.append(Source("target.json", "what the target of the load holds"))
    if run.perf is not None:
        named.append(Source("perf.json", "our figures compared with peers and limits"))
    if run.advice is not None:
        named.append(Source("advice.json", "candidates from the statements seen, measured"))
    return tuple(source for source in named if (directory / source.path).exists())


def _absent(run: Run) -> tuple[str, ...]:
    if run.target is not None or not (run.directory / "run.json").exists():
        return ()  # a staging run sets out to do nothing but load
    missing = [f"seed/{size}.json" for size in run.run.sizes if size not in run.seeds]
    if not any(load.over_time for load in run.loads):  # a soak compares nothing
        missing += [f"bench/{size}.json" for size in run.run.sizes if size not in run.benchmarks]
    loaded = {load.users for load in run.loads}
    missing += [f"load/ of {size} users" for size in run.run.sizes if size not in loaded]
    return tuple(missing)


def _of_load_alone(directory: Path, loads: tuple[LoadRecord, ...]) -> RunRecord:
    """What run.json would say of load that somebody drove with Locust itself."""
    sizes = tuple(sorted({load.users for load in loads}))
    return RunRecord(
        format_version=RunRecord.FORMAT_VERSION,
        run_id=directory.resolve().name,
        started_at=min(load.started_at for load in loads),
        outcome="complete",
        users=sizes[-1],
        sizes=sizes,
        seed=loads[-1].seed or 0,
        quick=False,
        phasegate_version="not recorded",
        commit=None,
        dirty=None,
        machine=Machine(
            cpu="not recorded", cores=0, memory_bytes=0, kernel="not recorded",
            python="not recorded", load_1m=0.0,
        ),
        server=None,
        levels={},
        stages=(),
    )  # fmt: skip


def read(directory: Path) -> Run:
    """Everything in `directory`.

    Raises:
        ConfigurationError: run.json is missing where there is not load alone, or a file is
            truncated, foreign, of another version, or contradicts its name or another file; the
            file is named.
    """
    loads = _read_loads(directory / "load")
    path = directory / "run.json"
    others = [name for name in ("seed", "bench", "matrix.json") if (directory / name).exists()]
    if not path.exists() and (others or not loads):
        raise ConfigurationError(
            f"{directory} holds no run: run.json is missing",
            then="Name a directory under results/, or make one with `phasegate run`",
        )
    found = Run(
        directory=directory,
        run=store.read(path, RunRecord) if path.exists() else _of_load_alone(directory, loads),
        seeds=_by_size(directory / "seed", SeedRecord, lambda record: record.users, _check_seed),
        loads=loads,
        benchmarks=_by_size(
            directory / "bench", BenchmarkRecord, lambda record: record.users, _check_benchmark
        ),
        samplers=_read_samplers(directory / "sampler"),
        matrix=_read_if_there(directory / "matrix.json", MatrixRecord),
        least=_read_if_there(directory / "least.json", LeastRecord),
        perf=_read_if_there(directory / "perf.json", PerfRecord),
        advice=_read_if_there(directory / "advice.json", AdviceRecord),
        sizes=_read_if_there(directory / "sizes.json", SizesRecord),
        serverless=_read_if_there(directory / "serverless.json", ServerlessRecord),
        target=_read_if_there(directory / "target.json", TargetRecord),
        sources=(),
        absent=(),
    )
    _check_same_data(found)
    return Run(
        **{
            **found.__dict__,
            "sources": _sources(directory, found),
            "absent": _absent(found),
        }
    )
