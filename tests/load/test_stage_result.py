"""What a stage's samples say about the machine that it ran on: hand-made seconds."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from phasegate.load.size_drives import _used
from phasegate.load.stage_result import (
    Driven,
    marked_where_shared,
    marked_where_stolen,
    says_nothing,
)
from phasegate.model.catalogue import load as catalogue
from phasegate.model.verdict import code_of
from phasegate.records.histogram import Histogram
from phasegate.records.load import Endpoint, LoadRecord
from phasegate.records.sampler import Component, DiskUse, Sample, SamplerRecord

CATALOGUE = catalogue()
SLOW_US, QUICK_US = 900_000, 20_000


def stage(latency_us: int = QUICK_US, clicks: int = 200) -> LoadRecord:
    """Six seconds of load, begun two seconds after the sampler."""
    latency = Histogram({})
    latency.add(np.full(clicks, latency_us))
    action = Endpoint(
        name="open list",
        requests=clicks,
        failures=0,
        statuses={},
        response_bytes=0,
        latency_hdr=latency.encode(),
        service_hdr=latency.encode(),
        latency_ms={},
        service_ms={},
    )
    return LoadRecord(
        format_version=LoadRecord.FORMAT_VERSION,
        stage="s",
        arm="embedded",
        level=2,
        users=100_000,
        target="http://127.0.0.1:1",
        started_at="2026-11-22T10:00:02.000+00:00",
        duration_s=6.0,
        offered_sessions_per_s=5.0,
        achieved_sessions_per_s=5.0,
        dropped_sessions=0,
        schedule_lag_ms_p99=1.0,
        generator_cpu_share_max=0.1,
        invalid=(),
        endpoints=(),
        seconds=(),
        cache=None,
        actions=(action,),
        rate_sessions_per_s=5.0,
        modelled_sessions_per_s=3.3,
    )


def sampled(
    machine: float, stack: float, *, components: bool = True, steal: float | None = None
) -> SamplerRecord:
    """Two cores, of which `machine` is in use under load, and by the stack alone `stack`."""
    seconds = []
    for at_s in range(1, 12):
        under_load = 3 <= at_s <= 8
        part = Component(
            name="postgres",
            cpu_share=2 * (stack if under_load else 0.0),
            process_cpu_share_max=0.1,
            memory_bytes=1,
        )
        seconds.append(
            Sample(
                at_s=float(at_s),
                states={},
                waits={},
                connections=0,
                components=(part,) if components else (),
                machine_cpu_share=machine if under_load else 1.0,
                memory_available_bytes=1,
                pool_size=None,
                pool_in_use=None,
                pool_waiting=None,
                lag_s=None,
                lag_bytes=None,
                # In bursts: every other second.
                steal_share=steal and 2 * steal * (at_s % 2) if under_load else 1.0,
            )
        )
    return SamplerRecord(
        format_version=SamplerRecord.FORMAT_VERSION,
        stage="s",
        started_at="2026-11-22T10:00:00.000+00:00",
        duration_s=11.0,
        interval_s=1.0,
        cores=2,
        memory_bytes=2,
        connections_max=100,
        statements=None,
        samples=tuple(seconds),
        not_sampled=(),
    )


def test_the_processor_is_looked_at_under_load_alone() -> None:
    assert Driven(stage(), sampled(0.4, 0.3)).processor_share() == pytest.approx(0.4)
    assert Driven(stage(), None).processor_share() is None


@pytest.mark.parametrize(
    ("machine", "stack", "said"),
    [
        (1.0, 0.95, None),  # the stack fills the machine: that is its own affair
        (0.5, 0.3, None),  # 20% is not the stack's; up to 5% of it is the generator's
        (1.0, 0.6, "machine-shared: other programs used 35% of all cores meanwhile"),
    ],
)
def test_what_other_programs_used_is_marked(machine: float, stack: float, said: str | None) -> None:
    marked = marked_where_shared(stage(), sampled(machine, stack))
    assert marked.invalid == (() if said is None else (said,))


def test_a_stack_on_another_machine_shares_none() -> None:
    assert marked_where_shared(stage(), sampled(1.0, 0.0, components=False)).invalid == ()
    assert marked_where_shared(stage(), None).invalid == ()


def test_a_miss_beside_other_programs_says_nothing_and_a_pass_all_the_more() -> None:
    busy = sampled(1.0, 0.3)
    missed = Driven(marked_where_shared(stage(SLOW_US), busy), busy)
    probe = missed.probe(CATALOGUE, at_peak=False)
    assert probe.verdict == "INVALID"
    assert "machine-shared" in {code_of(reason) for reason in probe.reasons}
    assert says_nothing(probe)
    held = Driven(marked_where_shared(stage(), busy), busy).probe(CATALOGUE, at_peak=False)
    assert held.verdict == "PASS"
    assert not says_nothing(held)


def test_a_miss_while_the_hypervisor_took_the_processor_says_nothing() -> None:
    # 60% in two of the five seconds that saw nothing but load.
    taken = sampled(0.5, 0.4, steal=0.3)
    marked = marked_where_stolen(stage(SLOW_US), taken)
    assert marked.invalid == (
        "processor-stolen: the hypervisor took 24% of the processors' time away meanwhile",
    )
    probe = Driven(marked, taken).probe(CATALOGUE, at_peak=False)
    assert probe.verdict == "INVALID"
    assert says_nothing(probe)
    assert (
        Driven(marked_where_stolen(stage(), taken), taken).probe(CATALOGUE, at_peak=False).verdict
        == "PASS"
    )


@pytest.mark.parametrize("steal", [None, 0.0, 0.05])
def test_a_little_steal_and_a_machine_that_does_not_tell_are_no_reason(
    steal: float | None,
) -> None:
    assert marked_where_stolen(stage(), sampled(0.5, 0.4, steal=steal)).invalid == ()
    elsewhere = sampled(0.5, 0.4, components=False, steal=0.5)
    assert marked_where_stolen(stage(), elsewhere).invalid == ()


def test_too_few_clicks_say_nothing_and_a_fair_miss_does() -> None:
    quiet = sampled(0.3, 0.25)
    assert says_nothing(Driven(stage(clicks=40), quiet).probe(CATALOGUE, at_peak=False))
    assert not says_nothing(Driven(stage(SLOW_US), quiet).probe(CATALOGUE, at_peak=False))


def test_cores_are_told_by_the_clock_where_a_server_that_is_held_back_answers_late() -> None:
    late = sampled(0.5, 0.2)
    looks = [
        msgspec.structs.replace(
            look,
            at_s=at_s,
            disk=DiskUse(blocks_hit=90, blocks_read=10, reads=4, writes=1, cpu_s=0.2),
        )
        for look, at_s in zip(late.samples, (1.0, 2.0, 3.5, 5.5, 7.5), strict=False)
    ]
    found = _used(Driven(stage(), msgspec.structs.replace(late, samples=tuple(looks))))
    assert found is not None
    # Looks at 3.5, 5.5 and 7.5 s: 0.2 core seconds in each 2 s between them, and 5 operations.
    assert found.cores == pytest.approx(0.1)
    assert found.operations_per_s == pytest.approx(2.5)
