"""The yardstick in a session: what it measures, what it leaves behind, and a load that it shows."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from phasegate.compare.connection import Connection
from phasegate.compare.cpu_affinity import Placement
from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.compare.technique import Answer, Arm, Parameters, Technique
from phasegate.compare.yardstick import ROUNDS_WANTED, SHARE, Yardstick
from phasegate.model.yardstick import KINDS, LOOK_UP
from phasegate.stats.yardstick import WANDER_MAX, wander

RELATIONS = (
    "select count(*) from pg_class where relnamespace::regnamespace::text !~ '^pg_toast_temp'"
)


@pytest.fixture
def caller(populated: str) -> Iterator[Connection]:
    with closing(Connection(populated)) as connection:
        yield connection


def scanning(caller: Connection, drawn: Parameters) -> Answer:
    return caller.fetch("select count(*) from generate_series(1, 1000)")


def test_a_session_records_rounds_of_every_kind_and_leaves_nothing_behind(populated: str) -> None:
    with closing(Connection(populated)) as connection:
        before = connection.execute(RELATIONS)()
    arm = Arm("series", "", scanning)
    technique = Technique("series", arm, arm)
    bench = BenchmarkSession(
        populated, users=None, sha256=None, seed=1, budget=Budget(0.5, 1), disabled=False
    )
    with bench:
        bench.comparison(technique)
        found = bench.record().yardstick
    assert found is not None
    assert found.steal_share is not None
    assert 0 <= found.steal_share <= 1
    assert set(found.times_ns) == set(KINDS)
    assert len(found.at_s) >= ROUNDS_WANTED  # however short the session was
    assert all(len(times) == len(found.at_s) for times in found.times_ns.values())
    assert all(time_ns > 0 for times in found.times_ns.values() for time_ns in times)
    with closing(Connection(populated)) as connection:
        assert connection.execute(RELATIONS)() == before


def test_a_session_that_measures_nothing_makes_no_table(populated: str) -> None:
    with BenchmarkSession(
        populated, users=None, sha256=None, seed=1, budget=Budget(0.5, 1), disabled=False
    ) as bench:
        assert bench.record().yardstick is None
        assert bench.caller.execute(
            "select to_regclass('pg_temp.phasegate_yardstick') is null"
        )() == [("t",)]


def test_rounds_take_their_small_share_of_the_time(caller: Connection) -> None:
    # On a clock of ours each look comes 5 ms after the one before, and so a round takes 5 ms.
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += 0.005
        return now_s

    yardstick = Yardstick(caller, random.Random(1), clock)
    yardstick.between()
    while now_s < 15:
        yardstick.between()
    spent_s = 0.005 * len(yardstick.at_s)
    assert SHARE / 2 < spent_s / now_s < 0.035


def test_a_role_that_may_make_no_temporary_table_is_measured_without(
    populated: str, caller: Connection
) -> None:
    caller.execute(
        "create role without_temporary; set role without_temporary;"
        "select set_config('search_path', 'public', false)"
    )
    database = str(caller.execute("select current_database()")()[0][0])
    with closing(Connection(populated)) as owner:
        owner.execute(f"revoke temporary on database {database} from public")
        try:
            yardstick = Yardstick(caller, random.Random(1))
            yardstick.between()
            yardstick.between()
        finally:
            caller.execute("reset role")
            owner.execute("drop role without_temporary")
    assert "permission denied" in yardstick.missing
    assert yardstick.record(None) is None


def test_other_programs_on_the_core_show_in_the_yardstick(caller: Connection) -> None:
    placement = Placement(caller._dsn)
    placement.take(caller.backend_pid)
    yardstick = Yardstick(caller, random.Random(1))
    yardstick.between()
    # They inherit this process's core.
    hogs: list[subprocess.Popen[bytes]] = []
    try:
        for hog in range(2):
            for _ in range(24):
                yardstick._round()
            if not hog:
                hogs += [
                    subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)
                ]
                time.sleep(0.2)
    finally:
        for process in hogs:
            process.kill()
            process.wait()
        placement.release()
    assert wander(yardstick.times_ns[LOOK_UP]) > WANDER_MAX
