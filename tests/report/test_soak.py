"""A soak's answer, from hand-made records whose laws are written down here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from phasegate import report
from phasegate.records import store
from phasegate.records.histogram import Histogram
from phasegate.records.load import ClicksOverTime, Interval, LoadRecord
from phasegate.records.sampler import SamplerRecord
from phasegate.records.server_events import Growth, Rhythm, ServerEvent
from phasegate.report import soak, soak_words

LENGTH_S, WIDTH_S, RATE = 600.0, 0.5, 20.0
# The sampler begins so long before the stage: events are counted from there.
BEFORE_S = 2.5
EVERY_S, LASTS_S = 60.0, 1.5


def clicks(*, growing: float = 1.0, stalls: bool = True) -> ClicksOverTime:
    """Log-normal about 12 ms; every minute 1.5 s of ten times as much; `growing` to the end."""
    random = np.random.default_rng(4)
    intervals = []
    for at in range(round(LENGTH_S / WIDTH_S)):
        begin_s = at * WIDTH_S
        count = int(random.poisson(RATE * WIDTH_S))
        if not count:
            continue
        factor = growing ** (begin_s / LENGTH_S)
        if stalls and (begin_s - 10.0) % EVERY_S < LASTS_S:
            factor *= 10
        histogram = Histogram()
        histogram.add((random.lognormal(np.log(12_000), 0.4, count) * factor).astype(np.int64))
        encoded = histogram.encode(fitted=True)
        intervals.append(Interval(at=at, clicks=count, failures=0, latency_hdr=encoded))
    return ClicksOverTime(
        begun_at="2026-11-27T10:00:02.500+00:00", interval_s=WIDTH_S, intervals=tuple(intervals)
    )


def events() -> tuple[ServerEvent, ...]:
    """Refreshes of `m`, every minute as it stalls; vacuums, every 47 s, which do nothing."""
    refreshes = [
        ServerEvent(
            kind="refresh",
            what="public.m",
            begin_s=BEFORE_S + 10.0 + EVERY_S * k,
            end_s=BEFORE_S + 10.0 + EVERY_S * k + LASTS_S,
        )
        for k in range(10)
    ]
    vacuums = [
        ServerEvent(kind="autovacuum", what="public.t", begin_s=25.0 + 47 * k, end_s=26.0 + 47 * k)
        for k in range(12)
    ]
    return (*refreshes, *vacuums)


@pytest.fixture
def loaded(records_of_a_run: Path) -> LoadRecord:
    record = store.read(records_of_a_run / "load" / "level-3-10000.json", LoadRecord)
    return msgspec.structs.replace(
        record, started_at="2026-11-27T10:00:01.500+00:00", duration_s=LENGTH_S, over_time=clicks()
    )


@pytest.fixture
def used(records_of_a_run: Path) -> SamplerRecord:
    record = store.read(records_of_a_run / "sampler" / "level-3-10000.json", SamplerRecord)
    (part, *_), first = record.samples[0].components, record.samples[0]
    samples = tuple(
        msgspec.structs.replace(
            first,
            at_s=10.0 * k,
            components=(
                msgspec.structs.replace(part, name="api", memory_bytes=200_000_000 + k * 1_000_000),
            ),
            growth=Growth(wal_bytes=k, size_bytes=10**9, dead_rows=1000),
        )
        for k in range(62)
    )
    return msgspec.structs.replace(
        record,
        started_at="2026-11-27T10:00:00.000+00:00",
        samples=samples,
        events=events(),
        rhythms=(
            Rhythm(kind="checkpoint", what="", every_s=300.0, said_by="checkpoint_timeout"),
            Rhythm(kind="refresh", what="public.m", every_s=60.0, said_by="every_s"),
        ),
        not_sampled=(),
    )


def test_what_recurs_has_its_period_its_height_and_its_suspect(
    loaded: LoadRecord, used: SamplerRecord
) -> None:
    found = soak.of_stage(loaded, used)
    assert found is not None
    (each,) = found.recurrence.found
    assert each.suspect is not None
    assert (each.suspect.trial.kind, each.suspect.trial.what) == ("refresh", "public.m")
    assert (each.times, each.of, each.also) == (10, 10, ())
    assert each.period_s == pytest.approx(60)
    assert each.duration_s == pytest.approx(LASTS_S, abs=0.5)
    # p95 of a log-normal: 12 ms · exp(1.645 · 0.4) = 23 ms, and ten times that.
    assert each.typical_ms_p95 == pytest.approx(23, rel=0.1)
    assert each.latency_ms_p95 == pytest.approx(232, rel=0.15)
    assert each.clicks_share == pytest.approx(LASTS_S / EVERY_S, rel=0.25)
    assert found.recurrence.others == ()


def test_the_lines_say_it_and_what_was_and_was_not_met(
    loaded: LoadRecord, used: SamplerRecord
) -> None:
    found = soak.of_stage(loaded, used)
    assert found is not None
    said = list(soak_words.lines(found))
    assert said[0].startswith("10 min of 10,000 users at level 3: 20 clicks/s, p95 typically 23 ms")
    assert "every 1 min, 10 times: p95 2" in said[1]
    assert said[1].endswith("suspect: refresh of public.m (10 of 10)")
    # 1 MB every 10 s.
    assert "  drifts        memory of api grows by 360 MB an hour (360 MB to 360 MB)" in said[2]
    assert said[3:] == [
        "  not met       checkpoint (every 5 min by checkpoint_timeout)",
        "  met           refresh of public.m, 10 times (every 1 min by every_s)",
        "  met           autovacuum, 12 times",
    ]


def test_without_a_database_there_is_a_rhythm_and_no_suspect(loaded: LoadRecord) -> None:
    found = soak.of_stage(loaded, None)
    assert found is not None
    (each,) = found.recurrence.found
    assert (each.suspect, each.times) == (None, 10)
    assert each.period_s == pytest.approx(60, abs=0.5)
    assert "no suspect among what was watched" in soak_words.sentence(each)
    assert any("DATABASE_URL" in line for line in soak_words.lines(found))


def test_events_that_nothing_coincides_with_are_no_suspects(
    loaded: LoadRecord, used: SamplerRecord
) -> None:
    quiet = msgspec.structs.replace(loaded, over_time=clicks(stalls=False))
    found = soak.of_stage(quiet, used)
    assert found is not None
    assert found.recurrence.found == ()
    assert (
        "nothing that chance does not explain (0 excursions; 2 kinds"
        in list(soak_words.lines(found))[1]
    )


def test_a_p95_that_grows_is_a_drift(loaded: LoadRecord) -> None:
    slower = msgspec.structs.replace(loaded, over_time=clicks(growing=1.5, stalls=False))
    found = soak.of_stage(slower, None)
    assert found is not None
    (drift,) = found.drifts
    # From 23 to 35 ms in ten minutes.
    assert drift.trend.slope == pytest.approx(6 * 11.6, rel=0.25)
    assert drift.trend.low < 6 * 11.6 < drift.trend.high
    assert not drift.levels_off
    assert "p95 of clicks grows by" in soak_words.drift_sentence(drift)


@pytest.mark.parametrize(
    ("grown", "leaks"),
    [
        # 3 MB in ten minutes, 4.6%: as much as a real API was once seen to grow, and not told.
        (lambda share: 3e6 * share, True),
        # As much, of a cache that fills: nine tenths of it in the first half.
        (lambda share: 3e6 * (1 - 0.1 ** (2 * share)), False),
        # Less than the process gains and loses anyway.
        (lambda share: 0.05e6 * share, False),
    ],
    ids=["a leak", "a cache that fills", "noise"],
)
def test_memory_that_grows_steadily_is_a_leak_also_where_it_is_little_so_far(
    loaded: LoadRecord, used: SamplerRecord, grown: Callable[[float], float], leaks: bool
) -> None:
    random = np.random.default_rng(5)
    grows = [
        msgspec.structs.replace(
            sample,
            components=(
                msgspec.structs.replace(
                    sample.components[0],
                    memory_bytes=round(
                        65e6 + grown(sample.at_s / LENGTH_S) + random.normal(0, 0.2e6)
                    ),
                ),
            ),
        )
        for sample in used.samples
    ]
    found = soak.of_stage(loaded, msgspec.structs.replace(used, samples=tuple(grows)))
    assert found is not None
    assert len(found.drifts) == leaks
    for drift in found.drifts:
        assert drift.trend.low < 6 * 3e6 < drift.trend.high
        assert "; a day of it: " in soak_words.drift_sentence(drift)
        assert drift.after_a_day == pytest.approx(65e6 + 3e6 * (1 + 24 * 6), rel=0.25)


def test_the_page_and_the_summary_have_it(
    tmp_path: Path, loaded: LoadRecord, used: SamplerRecord
) -> None:
    store.write(tmp_path / "load" / "level-3-10000.json", loaded)
    store.write(tmp_path / "sampler" / "level-3-10000.json", used)
    page = report.build(tmp_path).read_text(encoding="utf-8")
    assert 'id="soak"' in page
    assert "refresh, 10 times: suspect" in page  # a lane of the chart
    assert "suspect: refresh of public.m (10 of 10)" in page
    assert 'id="load-seconds"' not in page  # ten minutes, second by second
    assert (tmp_path / "charts" / "over-time.svg").exists()
    assert "memory of api: drifts" in page
    assert "refresh of public.m" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert report.soak_lines(tmp_path)[1].endswith("refresh of public.m (10 of 10)")


def test_a_stage_of_seconds_is_no_soak(records_of_a_run: Path) -> None:
    record = store.read(records_of_a_run / "load" / "level-3-10000.json", LoadRecord)
    assert soak.of_stage(record, None) is None
