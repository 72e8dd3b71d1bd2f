"""`pytest benchmarks`: what is collected, options, the session, the fixture that replays an arm.

Reads `DATABASE_URL` and the project's `benchmarks/`; writes the record that `--record` names, whole
or not at all. `benchmarks/conftest.py` names it in `pytest_plugins`; `-p` does as well.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from phasegate.compare import pytest_options
from phasegate.compare import spend_budget as leftover
from phasegate.compare.connections import Unavailable
from phasegate.compare.dataset import DataSet
from phasegate.compare.engine import BudgetTooSmall
from phasegate.compare.pytest_adapter import replay
from phasegate.compare.pytest_collector import collected
from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.compare.subprocess_protocol import DSN_VARIABLE, FAILURE, PROGRESS, WARNING
from phasegate.compare.technique import Compare, Technique
from phasegate.compare.technique_folders import SELF_CHECK, project_here
from phasegate.model.dsn import Dsn, advice
from phasegate.model.errors import ConfigurationError, PhasegateError
from phasegate.project import VARIABLE, find_project
from phasegate.records import planner_settings, store
from phasegate.records.benchmark import Arm, Comparison
from phasegate.records.faults import explained, require_writable
from phasegate.stats.paired import between_runs, judge, ratio

# Seconds for a whole session by hand, unless --budget says otherwise: what one data set's share
# is in `phasegate run`.
BUDGET_S = 60.0

_parser: pytest.Parser | None = None
"""Knows all options once plug-ins have been loaded: pytest's and its plug-ins' too."""
FIRST_FAULT = pytest.StashKey[PhasegateError]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options that are ours; all of pytest-benchmark's own work as well."""
    group = parser.getgroup("phasegate")
    group.addoption("--budget", type=float, default=BUDGET_S, help="seconds for all comparisons")
    group.addoption("--users", type=int, default=None, help="size that the data set must have")
    group.addoption("--data-sha256", default=None, help="digest that the data set must have")
    group.addoption("--draw-seed", type=int, default=1, help="seed of parameters and block order")
    group.addoption(
        "--stay-raised",
        action="store_true",
        help="leave the database at the level that the arms need, for the next session",
    )
    group.addoption(
        "--settled",
        default="",
        help="techniques whose N* lies below this size, comma-separated: their p95 needs no bound",
    )
    group.addoption("--only", default="", help="techniques to measure, comma-separated [all]")
    group.addoption("--record", type=Path, default=None, help="write a BenchmarkRecord here")
    global _parser
    _parser = parser


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that a session of ours cannot follow, before it collects anything."""
    config.addinivalue_line("python_files", "bench_*.py")
    config.addinivalue_line(
        "markers", "technique(technique): the comparison that a benchmark replays"
    )
    _choose_project(config)
    try:
        defaults = _parser.parse_known_args([]) if _parser else argparse.Namespace()
        pytest_options.refuse(config, defaults)
    except PhasegateError as error:
        pytest.exit(str(error), returncode=int(error.exit_code))


def _choose_project(config: pytest.Config) -> None:
    """Take the project that the named files lie in, whatever the current folder, here and below."""
    if VARIABLE not in os.environ:
        named = (Path(argument.partition("::")[0]) for argument in config.args)
        for path in filter(Path.exists, named):
            with suppress(ConfigurationError):  # the current folder's then, or its error
                os.environ[VARIABLE] = str(find_project(path))
                return


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info: dict[str, object]) -> None:
    """Keep this computer's name out of files that are meant to be shown."""
    machine_info["node"] = ""


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `draw.sql` and the `technique.toml`s of the project's `benchmarks/`."""
    try:
        return collected(file_path, parent)
    except PhasegateError as error:
        pytest.exit(f"{FAILURE}{error}", returncode=int(error.exit_code))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `--only` does not name, and bring the rest into order.

    The self-check first: what it says of the machine holds for what follows. What writes last,
    since what is rolled back still leaves its traces for VACUUM.
    """

    def technique_of(item: pytest.Item) -> Technique | None:
        marker = item.get_closest_marker("technique")
        return marker.args[0] if marker else None

    if only := config.getoption("--only"):
        known = ((item, technique_of(item)) for item in items)
        wanted = {item for item, found in known if found and found.id in only.split(",")}
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = [item for item in items if item in wanted]

    def place(item: pytest.Item) -> int:
        technique = technique_of(item)
        if technique is None or technique.id == SELF_CHECK:
            return 0
        return 2 if technique.writes else 1

    items.sort(key=place)  # stable: the rest stays in order


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[BenchmarkSession]:
    """The session on `DATABASE_URL`; every error ends the run with one clear line."""
    config = request.config
    if not os.environ.get(DSN_VARIABLE):
        pytest.exit(
            f"The benchmarks need a seeded database: set {DSN_VARIABLE}, or use `phasegate run`, "
            "which brings its own. Nothing was measured.",
            returncode=2,
        )
    dsn = _database(config)
    budget_s = config.getoption("--budget")
    if not budget_s > 0:  # also refuses NaN
        pytest.exit(
            f"A --budget of {budget_s:g} s is too small to measure anything. Nothing was measured.",
            returncode=2,
        )
    techniques = {
        marker.args[0].id: marker.args[0]
        for item in request.session.items
        for marker in item.iter_markers("technique")
    }
    budget = Budget(budget_s, len(techniques))
    bench = BenchmarkSession(
        dsn.url,
        project=project_here(),
        users=config.getoption("--users"),
        sha256=config.getoption("--data-sha256"),
        seed=config.getoption("--draw-seed"),
        budget=budget,
        disabled=bool(config.getoption("benchmark_disable")),
        stay_raised=config.getoption("--stay-raised"),
        settled=frozenset(config.getoption("--settled").split(",")),
    )
    bench.plan(tuple(techniques.values()), lambda what: _progress(bench, what))
    path = config.getoption("--record")
    try:
        if path is not None:
            require_writable(path.absolute().parent, purpose="the record")
        bench.__enter__()
    except Exception as error:
        wrong = explained(error)
        said = " ".join(part for part in (str(wrong), advice(dsn, str(wrong))) if part)
        pytest.exit(f"{FAILURE}{said} Nothing was measured.", returncode=int(wrong.exit_code))
    _tell(config, WARNING, planner_settings.sentences(bench.dataset.planner_settings))
    try:
        yield bench
        if path is not None and not request.session.testsfailed:
            _conclude(config, path, bench)
    finally:
        bench.__exit__()


def _conclude(config: pytest.Config, path: Path, bench: BenchmarkSession) -> None:
    """Spend what is left of the budget, and write the record."""
    try:
        if not config.getoption("benchmark_disable"):
            leftover.spend(bench)
        store.write(path, bench.record())
    except Exception as error:
        _fail(config, error)


def _fail(config: pytest.Config, error: Exception) -> NoReturn:
    """Fail this test in one line; the session then ends with the code of its first fault."""
    wrong = explained(error)
    config.stash.setdefault(FIRST_FAULT, wrong)
    print(f"{FAILURE}{wrong}")  # noqa: T201 - see run.py
    pytest.fail(str(wrong), pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where something could not be measured, say so by the exit code, not by pytest's own 1."""
    fault = session.config.stash.get(FIRST_FAULT, None)
    if fault is not None and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
        session.exitstatus = fault.exit_code


def _database(config: pytest.Config) -> Dsn:
    """The database of `DATABASE_URL`; what was passed over in it is said."""
    try:
        dsn = Dsn.of(os.environ[DSN_VARIABLE], DSN_VARIABLE)
    except PhasegateError as error:
        pytest.exit(f"{FAILURE}{error} Nothing was measured.", returncode=int(error.exit_code))
    _tell(config, FAILURE, dsn.remarks)
    return dsn


def _tell(config: pytest.Config, prefix: str, lines: Iterable[str]) -> None:
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for line in lines:
            print(f"\n{prefix}{line}", end="")  # noqa: T201 - on the terminal, once


def _progress(bench: BenchmarkSession, what: str) -> None:
    print(f"{PROGRESS}{what} ({bench.dataset.users:,} users)")  # noqa: T201 - see run.py


@pytest.fixture
def compare(bench: BenchmarkSession, benchmark: Any, pytestconfig: pytest.Config) -> Compare:
    """Measure a technique (once per session) and replay one arm, `before` or `after`."""

    def compared(technique: Technique, arm: str) -> None:
        try:
            comparison = bench.comparison(technique)
        except (Unavailable, BudgetTooSmall) as error:
            bench.skip(technique, error)
            pytest.skip(str(error))
        except ConfigurationError as error:
            pytest.exit(f"{FAILURE}{error}", returncode=int(error.exit_code))
        except Exception as error:
            _fail(pytestconfig, error)
        shown = comparison.before if arm == "before" else comparison.after
        benchmark.extra_info.update(extra_info(comparison, shown, bench.dataset))
        replay(benchmark, shown.call_ns)

    return compared


def extra_info(comparison: Comparison, arm: Arm, dataset: DataSet) -> dict[str, object]:
    """What pytest-benchmark's JSON says of `arm` besides its times; a missing bound is null."""
    within = ratio(comparison.before.block_ns, comparison.after.block_ns)
    found = between_runs(within, max(len(comparison.turns), 1))
    return {
        "technique": comparison.technique,
        "title": comparison.title,
        "arm": arm.name,
        "users": dataset.users,
        "data_sha256": dataset.sha256,
        "server_version": dataset.server_version,
        "planner_settings": [str(one) for one in dataset.planner_settings],
        "sql": arm.sql,
        "plan": arm.plan,
        "plan_hash": arm.plan_hash,
        "shared_buffers": arm.shared_buffers,
        "round_trips": arm.statements,
        "blocks": found.n,
        "calls_per_block": arm.calls_per_block,
        "stop": comparison.stop,
        "ratio": found.estimate,
        "ratio_low": found.low if found.low > 0 else None,
        "ratio_high": found.high if math.isfinite(found.high) else None,
        "minimal_detectable": (
            found.minimal_detectable if math.isfinite(found.minimal_detectable) else None
        ),
        "verdict": judge(found, within=within).value,
    }
