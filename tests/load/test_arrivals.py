from __future__ import annotations

import random
import time
from itertools import pairwise

import gevent
import pytest
from gevent.event import Event

from phasegate.load.arrivals import Dispatcher, due_times
from phasegate.load.recorder import Recorder
from phasegate.load.stages import Stage
from phasegate.load.timer import Timer


def stage(rate: float, duration_s: float, ramp_s: float = 0.0) -> Stage:
    return Stage(name="s", users=10, sessions_per_s=rate, duration_s=duration_s, ramp_s=ramp_s)


def times(*stages: Stage, share: float = 1.0, seed: int = 1) -> list[tuple[int, float]]:
    return list(due_times(random.Random(seed), stages, share))


def test_arrivals_are_poisson_at_the_rate_asked_for() -> None:
    due = [at_s for _, at_s in times(stage(50, 1000))]
    gaps = [later - sooner for sooner, later in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(1 / 50, rel=0.02)  # 50,000 gaps: σ of the mean is 0.45%
    assert variance**0.5 == pytest.approx(mean, rel=0.03)  # an exponential's σ is its mean


def test_stages_follow_each_other_and_each_arrival_lies_in_its_own() -> None:
    due = times(stage(20, 10), stage(200, 5))
    assert due == sorted(due)
    assert all(number == (0 if at_s < 10 else 1) for number, at_s in due)
    assert all(at_s < 15 for _, at_s in due)
    assert sum(number for number, _ in due) == pytest.approx(1000, abs=130)  # 4σ


def test_workers_share_the_rate() -> None:
    assert len(times(stage(100, 100), share=0.25)) == pytest.approx(2500, abs=200)


def test_a_ramp_halves_the_arrivals_of_its_time() -> None:
    due = [at_s for _, at_s in times(stage(100, 100, ramp_s=100))]
    assert len(due) == pytest.approx(5000, abs=290)
    assert sum(at_s < 50 for at_s in due) == pytest.approx(1250, abs=150)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert times(stage(10, 10)) == times(stage(10, 10))
    assert times(stage(10, 10)) != times(stage(10, 10), seed=2)


def test_a_session_that_hangs_delays_no_other() -> None:
    recorder, begun = Recorder((0.0,)), []
    hang = Event()

    def session(due_s: float) -> None:
        begun.append(time.perf_counter() - due_s)
        hang.wait()

    dispatcher = Dispatcher(recorder, session, Timer())
    dispatcher.dispatch(iter([(0, n * 0.01) for n in range(20)]), time.perf_counter())
    gevent.sleep(0.01)
    assert len(begun) == 20
    hang.set()
    dispatcher.drain(5)
    sessions = recorder.tally(0).sessions
    assert (sessions.due, sessions.finished, sessions.dropped) == (20, 20, 0)


def test_arrivals_beyond_the_bound_are_dropped_and_counted() -> None:
    recorder, hang = Recorder((0.0,)), Event()
    dispatcher = Dispatcher(recorder, lambda _: hang.wait(), Timer(), sessions_max=3)
    dispatcher.dispatch(iter([(0, 0.0)] * 10), time.perf_counter())
    hang.set()
    dispatcher.drain(5)
    sessions = recorder.tally(0).sessions
    assert (sessions.due, sessions.dropped, sessions.finished) == (10, 7, 3)


def test_sessions_that_outlast_the_drain_are_cut_and_counted() -> None:
    recorder = Recorder((0.0,))
    dispatcher = Dispatcher(recorder, lambda _: Event().wait(), Timer())
    dispatcher.dispatch(iter([(0, 0.0)] * 5), time.perf_counter())
    gevent.sleep(0)
    begun_s = time.perf_counter()
    dispatcher.drain(0.2)
    assert 0.2 <= time.perf_counter() - begun_s < 2
    assert recorder.tally(0).sessions.cut == 5


def test_nothing_starts_once_the_test_closes() -> None:
    recorder, timer = Recorder((0.0,)), Timer()
    begun: list[float] = []
    dispatcher = Dispatcher(recorder, begun.append, timer)
    gevent.spawn_later(0.1, timer.close)
    begun_s = time.perf_counter()
    dispatcher.dispatch(iter([(0, 0.0), (0, 60.0)]), begun_s)
    assert time.perf_counter() - begun_s < 5
    dispatcher.drain(1)
    assert len(begun) == 1
    assert recorder.tally(0).sessions.due == 1


def test_an_error_in_a_sessions_code_is_counted_and_said_once(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def session(_: float) -> None:
        raise ZeroDivisionError

    recorder = Recorder((0.0,))
    dispatcher = Dispatcher(recorder, session, Timer())
    dispatcher.dispatch(iter([(0, 0.0)] * 3), time.perf_counter())
    dispatcher.drain(1)
    assert recorder.tally(0).sessions.broken == 3
    assert list(recorder.tally(0).errors.values()) == [3]
    (said,) = (record.getMessage() for record in caplog.records)
    assert "ZeroDivisionError" in said
    assert "Traceback" not in capfd.readouterr().err


def test_the_alarm_wakes_in_order_and_hardly_late() -> None:
    timer, woken = Timer(), []

    def wait(number: int, after_s: float) -> None:
        due_s = begun_s + after_s
        timer.wait_until(due_s)
        woken.append((number, time.perf_counter() - due_s))

    begun_s = time.perf_counter()
    waiting = [gevent.spawn(wait, n, 0.3 - n * 0.01) for n in range(30)]
    gevent.joinall(waiting, timeout=5)
    assert [number for number, _ in woken] == list(reversed(range(30)))
    assert all(late_s >= 0 for _, late_s in woken)
    timer.close()


def test_closing_wakes_everybody_at_once() -> None:
    timer = Timer()
    waiting = [gevent.spawn(timer.wait_until, time.perf_counter() + 60) for _ in range(3)]
    gevent.spawn_later(0.05, timer.close)
    assert [one.get(timeout=5) for one in waiting] == [True] * 3
    assert timer.wait_until(time.perf_counter() + 60)


def test_the_alarm_works_without_a_kernel_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasegate.load.timer.sys.platform", "darwin")
    test_the_alarm_wakes_in_order_and_hardly_late()
    test_closing_wakes_everybody_at_once()
