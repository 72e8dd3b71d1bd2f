from __future__ import annotations

import msgspec
import pytest

from phasegate.load.counters import StageTally
from phasegate.load.expectations import Failure
from phasegate.load.recorder import Recorder


def test_requests_are_counted_by_name_status_and_bytes() -> None:
    recorder = Recorder((100.0,))
    tasks, stats = recorder.name_id("GET tasks"), recorder.name_id("POST stats")
    recorder.record(0, tasks, 100.0, 100.1, 100.3, 200, 500, Failure.NONE)
    recorder.record(0, tasks, 100.0, 100.0, 100.1, 503, 20, Failure.STATUS)
    recorder.record(0, stats, 100.0, 100.0, 102.0, 0, 0, Failure.STATUS)
    tally = recorder.take()[0]
    assert tally.endpoints["GET tasks"].requests == 2
    assert tally.endpoints["GET tasks"].failures == 1
    assert tally.endpoints["GET tasks"].statuses == {200: 1, 503: 1}
    assert tally.endpoints["GET tasks"].response_bytes == 520
    assert tally.endpoints["POST stats"].statuses == {0: 1}


def test_latency_counts_from_due_and_service_from_sent() -> None:
    recorder = Recorder((0.0,))
    recorder.record(0, recorder.name_id("GET tasks"), 1.0, 3.0, 3.5, 200, 0, Failure.NONE)
    endpoint = recorder.take()[0].endpoints["GET tasks"]
    assert endpoint.latency.percentile_ms(50) == pytest.approx(2500, rel=1e-3)
    assert endpoint.service.percentile_ms(50) == pytest.approx(500, rel=1e-3)


def test_a_second_holds_what_was_due_in_it_however_late_the_answer() -> None:
    recorder = Recorder((10.0,))
    name = recorder.name_id("GET tasks")
    for due_s, done_s in ((10.2, 10.3), (11.5, 14.0), (11.9, 14.0), (14.1, 14.2)):
        recorder.record(0, name, due_s, due_s, done_s, 200, 0, Failure.NONE)
    seconds = recorder.take()[0].seconds
    assert {at_s: second.requests for at_s, second in seconds.items()} == {0: 1, 1: 2, 4: 1}
    assert seconds[1].latency.percentile_ms(99) == pytest.approx(2500, rel=1e-3)


def test_a_click_is_no_request() -> None:
    recorder = Recorder((0.0,))
    recorder.record_action(0, recorder.name_id("open list"), 1.0, 1.0, 1.2, Failure.NONE)
    recorder.record(0, recorder.name_id("GET tasks"), 1.0, 1.0, 1.2, 200, 9, Failure.NONE)
    tally = recorder.take()[0]
    assert tally.actions["open list"].requests == 1
    assert tally.actions["open list"].statuses == {}
    assert set(tally.endpoints) == {"GET tasks"}
    assert tally.seconds[1].requests == 1


def test_stages_are_kept_apart() -> None:
    recorder = Recorder((0.0, 10.0))
    name = recorder.name_id("GET tasks")
    recorder.record(0, name, 1.0, 1.0, 1.1, 200, 0, Failure.NONE)
    recorder.record(1, name, 11.0, 11.0, 11.1, 200, 0, Failure.NONE)
    taken = recorder.take()
    assert sorted(taken) == [0, 1]
    assert list(taken[1].seconds) == [1]


def test_reports_taken_one_after_the_other_add_up_to_the_whole() -> None:
    def record(recorder: Recorder, n: int) -> None:
        name = recorder.name_id(f"GET {n % 3}")
        status = 500 if n % 7 == 0 else 200
        due_s = n * 0.01
        recorder.record(0, name, due_s, due_s, due_s + n / 1e4, status, n, Failure(status == 500))
        recorder.lag(0, n / 1e5)
        recorder.tally(0).sessions.due += 1

    once, piecemeal, whole = Recorder((0.0,)), Recorder((0.0,)), StageTally()
    for n in range(500):
        record(once, n)
        record(piecemeal, n)
        if n % 37 == 0:
            sent = msgspec.msgpack.encode(piecemeal.take())
            for tally in msgspec.msgpack.decode(sent, type=dict[int, StageTally]).values():
                whole.merge(tally)
    whole.merge(piecemeal.take()[0])
    assert whole == once.take()[0]


def test_what_is_added_up_is_shown_to_locusts_statistics_too() -> None:
    shown: dict[str, int] = {}
    recorder = Recorder((0.0,), lambda name, rows: shown.update({name: len(rows)}))
    for name in ("a", "b", "b"):
        recorder.record(0, recorder.name_id(name), 1.0, 1.0, 1.1, 200, 0, Failure.NONE)
    recorder.fold()
    assert shown == {"a": 1, "b": 2}
