"""The page and the charts of a run: whole, interrupted, damaged, hostile."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hdrh.histogram import HdrHistogram

from phasegate import report
from phasegate.model.errors import ConfigurationError
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.load import LoadRecord

pytestmark = pytest.mark.integration  # draws every chart

CHARTS = (
    "phase-matrix", "when-needed", "ratios", "latency-by-users", "load-percentiles", "load-shares",
    "load-seconds", "cache-hits", "monthly-cost", "limits", "distributions",
)  # fmt: skip
RENDERING_S_MAX = 10.0
"""A page is rendered within ten seconds. Counted in processor time: one process does it all, and
other work on the machine says nothing about it."""


def svg(path: Path) -> ET.Element:
    """The root of an SVG that is well-formed."""
    return ET.parse(path).getroot()  # noqa: S314 - the suite's own output


def test_a_whole_run_becomes_a_page_and_every_chart_in_both_formats(built_run):
    assert (built_run / "report.html").exists()
    for name in CHARTS:
        drawn = svg(built_run / "charts" / f"{name}.svg")
        assert drawn.tag.endswith("svg")
        assert drawn.attrib["aria-label"]
        assert (built_run / "charts" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_loads_nothing_from_anywhere(built_run):
    html = (built_run / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
    assert "<script" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_every_file_that_the_page_links_to_is_there(built_run):
    html = (built_run / "report.html").read_text(encoding="utf-8")
    links = set(re.findall(r'href="([^"#:,]+)"', html))
    assert {"run.json", "bench/1000.json", "charts/ratios.svg"} <= links
    assert [link for link in links if not (built_run / link).exists()] == []


def test_the_summary_for_a_pull_request_is_the_golden_one(built_run, golden):
    golden.check("summary.md", (built_run / "summary.md").read_text(encoding="utf-8"))


def test_every_id_on_the_page_is_used_once(built_run):
    html = (built_run / "report.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', html))
    assert referred <= set(ids)


def test_the_same_records_give_the_same_bytes_in_the_time_that_a_page_may_take(
    whole_run, built_run
):
    began = time.process_time()
    report.build(whole_run)
    assert time.process_time() - began <= RENDERING_S_MAX
    names = [
        "report.html",
        *(f"charts/{name}.{kind}" for name in CHARTS for kind in ("svg", "png")),
    ]
    first = {name: (built_run / name).read_bytes() for name in names}
    assert [name for name in names if (whole_run / name).read_bytes() != first[name]] == []


def test_an_interrupted_run_shows_what_there_is_and_is_marked(tmp_path, make_record, whole_run):
    partial = tmp_path / "partial"
    store.write(partial / "run.json", make_record(outcome="interrupted"))
    (partial / "bench").mkdir()
    kept = (whole_run / "bench" / "1000.json").read_bytes()
    (partial / "bench" / "1000.json").write_bytes(kept)
    (partial / "bench" / ".10000.json.partial").write_text("{")
    html = report.build(partial).read_text(encoding="utf-8")
    assert "This run was interrupted" in html
    assert "bench/10000.json" in html
    assert "is not there" in html
    assert 'id="ratios"' in html
    assert report.summary(partial)[0].count("interrupted") == 1


def test_a_run_without_any_measurement_still_has_a_page_and_five_lines(tmp_path, make_record):
    store.write(tmp_path / "run.json", make_record(outcome="failed", server=None, stages=()))
    html = report.build(tmp_path).read_text(encoding="utf-8")
    assert "No technique was compared" in html
    assert "never answered" in html
    assert len(report.summary(tmp_path)) == 5


def test_skipped_and_invalid_parts_are_named_with_their_reason(built_run):
    html = (built_run / "report.html").read_text(encoding="utf-8")
    assert "PgBouncer is not installed: apt-get install pgbouncer" in html
    assert "achieved 71% of the offered sessions" in html


def test_a_step_of_a_search_is_no_cell_and_no_chart_shows_it(built_run):
    html = (built_run / "report.html").read_text(encoding="utf-8")
    assert "sustains 10 sessions/s, the peak of 300k users, on the data of 100k" in html
    assert html.count("probe-level-2-100000-1") == 2  # the link and the name of its file
    assert "level 3 with a replica: no second data directory" in html


def test_a_directory_that_is_no_run_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"holds no run: run\.json is missing"):
        report.build(tmp_path)


def _edit(path: Path, change: dict[str, object]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def _truncate(run: Path) -> str:
    path = run / "bench" / "1000.json"
    path.write_bytes(path.read_bytes()[:500])
    return r"bench/1000\.json is not a"


def _foreign(run: Path) -> str:
    (run / "load" / "level-1-1000.json").write_text('{"hello": "world"}')
    return r"level-1-1000\.json is not a LoadRecord"


def _newer(run: Path) -> str:
    _edit(run / "seed" / "1000.json", {"format_version": 99})
    return r"seed/1000\.json has format version 99"


def _renamed(run: Path) -> str:
    (run / "bench" / "1000.json").rename(run / "bench" / "5000.json")
    return r"bench/5000\.json contradicts itself: it holds 1000 users"


def _other_data(run: Path) -> str:
    _edit(run / "bench" / "1000.json", {"sha256": "f" * 64})
    return r"bench/1000\.json contradicts itself: its data set is not"


def _unpaired(run: Path) -> str:
    path = run / "bench" / "1000.json"
    record = json.loads(path.read_text())
    record["comparisons"][0]["after"]["block_ns"].pop()
    path.write_text(json.dumps(record))
    return r"join has 40 blocks before, 39 after"


def _not_positive(run: Path) -> str:
    path = run / "bench" / "1000.json"
    record = json.loads(path.read_text())
    record["comparisons"][1]["before"]["call_ns"][3] = -5
    path.write_text(json.dumps(record))
    return r"idx_tasks_user_created has a time that is not positive"


def _undecodable(run: Path) -> str:
    path = run / "load" / "level-1-1000.json"
    record = json.loads(path.read_text())
    record["endpoints"][0]["latency_hdr"] = "HISTFAAAnothing"
    path.write_text(json.dumps(record))
    return r"load/level-1-1000\.json holds a histogram that cannot be decoded"


@pytest.mark.parametrize(
    "damage",
    [
        _truncate, _foreign, _newer, _renamed, _other_data, _unpaired, _not_positive, _undecodable,
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_nothing_is_written(whole_run, damage):
    message = damage(whole_run)
    with pytest.raises(ConfigurationError, match=message):
        report.build(whole_run)
    assert not (whole_run / "report.html").exists()


HOSTILE = (
    "</title><script>alert(1)</script>\"'>&amp; $\\frac{1}{0}$ \x00\x1b[31m \u202e😀" + "long " * 40
)


def test_hostile_text_in_records_stays_text(tmp_path, make_record, whole_run):
    hostile = tmp_path / "hostile"
    store.write(hostile / "run.json", make_record(run_id=HOSTILE, commit=HOSTILE))
    record = store.read(whole_run / "bench" / "1000.json", BenchmarkRecord)
    first = record.comparisons[0]
    arm = msgspec.structs.replace(first.before, name=HOSTILE, sql=HOSTILE, plan=HOSTILE)
    changed = msgspec.structs.replace(first, technique=HOSTILE, title=HOSTILE, before=arm)
    store.write(
        hostile / "bench" / "1000.json", msgspec.structs.replace(record, comparisons=(changed,))
    )
    load = store.read(whole_run / "load" / "level-3-1000.json", LoadRecord)
    store.write(
        hostile / "load" / "level-3-1000.json",
        msgspec.structs.replace(load, arm=HOSTILE, invalid=(HOSTILE,)),
    )
    html = report.build(hostile).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "\x00" not in html
    for chart in (hostile / "charts").glob("*.svg"):
        svg(chart)
    assert all("\x1b" not in line for line in report.summary(hostile))


def _disabled(record: BenchmarkRecord) -> BenchmarkRecord:
    """As `--benchmark-disable` leaves it: no blocks, no calls."""
    empty = [
        msgspec.structs.replace(
            one,
            stop="disabled",
            before=msgspec.structs.replace(one.before, block_ns=(), call_ns=()),
            after=msgspec.structs.replace(one.after, block_ns=(), call_ns=()),
        )
        for one in record.comparisons
    ]
    return msgspec.structs.replace(record, comparisons=tuple(empty))


def test_comparisons_that_were_not_timed_are_shown_as_such(tmp_path, make_record, whole_run):
    store.write(tmp_path / "run.json", make_record(sizes=(1_000,)))
    record = store.read(whole_run / "bench" / "1000.json", BenchmarkRecord)
    store.write(tmp_path / "bench" / "1000.json", _disabled(record))
    html = report.build(tmp_path).read_text(encoding="utf-8")
    assert "0 of" not in report.summary(tmp_path)[1]
    assert "too few blocks" in html
    assert "nan" not in html.lower().replace("nano", "")


def test_a_stage_that_nobody_answered_is_shown_and_not_judged(tmp_path, make_record, whole_run):
    store.write(tmp_path / "run.json", make_record(sizes=(1_000,)))
    load = store.read(whole_run / "load" / "level-3-1000.json", LoadRecord)
    nothing = HdrHistogram(1, 1000, 3).encode().decode()
    silent = [
        msgspec.structs.replace(part, requests=0, latency_hdr=nothing, service_hdr=nothing)
        for part in load.endpoints
    ]
    seconds = [
        msgspec.structs.replace(
            second, requests=0, latency_ms_p50=None, latency_ms_p95=None, latency_ms_p99=None
        )
        for second in load.seconds
    ]
    changed = msgspec.structs.replace(
        load, endpoints=tuple(silent), actions=(), seconds=tuple(seconds), cache=None
    )
    store.write(tmp_path / "load" / "level-3-1000.json", changed)
    html = report.build(tmp_path).read_text(encoding="utf-8")
    assert "nobody clicked" in html
    assert "no answer" in html
