"""Reading HAR files: every dialect, and whatever is broken in them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasegate.model.errors import ConfigurationError
from phasegate.record import record
from phasegate.record.har import read_har

if TYPE_CHECKING:
    from tests.record.conftest import Har

ShopVisit = Callable[..., "Har"]

# 50 MB in a browser's recording is mostly bodies that nobody needs here.
LARGE_BYTES = 50 << 20
LARGE_S_MAX = 20.0
LARGE_MEMORY_RATIO_MAX = 4.0


@pytest.mark.parametrize("dialect", ["firefox", "safari", "playwright", "mitmproxy", "charles"])
def test_every_browser_and_proxy_gives_the_same_locustfile(
    shop_visit: ShopVisit, tmp_path: Path, dialect: str
) -> None:
    expected = record([shop_visit("chrome").write(tmp_path)])
    found = record([shop_visit(dialect).write(tmp_path)])
    assert expected.requests == 8
    assert found.text == expected.text


def test_compressed_files_and_archives_with_bodies_beside_are_read(
    shop_visit: ShopVisit, tmp_path: Path
) -> None:
    visit = shop_visit()
    expected = record([visit.write(tmp_path)]).text
    packed = tmp_path / "localhost.har"
    packed.write_bytes(gzip.compress(visit.text().encode()))
    assert record([packed]).text == expected
    archive = tmp_path / "localhost.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number, entry in enumerate(visit.entries):
            content = entry["response"]["content"]
            if text := content.pop("text", None):
                content["_file"] = f"{number}.json"
                file.writestr(f"{number}.json", text)
        file.writestr("har.har", visit.text())
    assert record([archive]).text == expected


def test_a_body_is_read_from_no_folder_but_the_recordings(har: type[Har], tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('[{"id": 1}]', encoding="utf-8")
    folder = tmp_path / "recordings"
    folder.mkdir()
    recording = har()
    recording.add("GET", "/notes", at=0)
    recording.entries[0]["response"]["content"]["_file"] = "../secret.json"
    (exchange,) = read_har(recording.write(folder)).exchanges
    assert exchange.answer is None


def test_a_file_that_is_cut_off_gives_what_is_whole(shop_visit: ShopVisit, tmp_path: Path) -> None:
    visit = shop_visit()
    text = visit.text()
    path = tmp_path / "cut.har"
    path.write_text(text[: text.rindex('"startedDateTime"') + 30], encoding="utf-8")
    found = read_har(path)
    assert len(found.exchanges) == len(visit.entries) - 1
    assert "ends in the middle" in found.remarks[0]


def test_a_broken_entry_costs_that_entry_alone(shop_visit: ShopVisit, tmp_path: Path) -> None:
    visit = shop_visit()
    good = len(visit.entries)
    started = {"startedDateTime": "2026-11-27T09:30:00Z"}
    broken: list[Any] = [
        {}, None, 7, "text", [], {"startedDateTime": "yesterday", "request": {}},
        {**started, "request": {"method": "GET", "url": "http://[::1"}},
        {**started, "request": {"method": "GET", "url": "data:,"}},
    ]  # fmt: skip
    visit.entries += broken
    found = read_har(visit.write(tmp_path))
    assert len(found.exchanges) == good
    told = f"{len(broken)} of {good + len(broken)} entries of visit.har cannot be read: left out"
    assert found.remarks == (told,)


def test_entries_of_streams_sockets_and_failures_are_left_out(
    har: type[Har], tmp_path: Path
) -> None:
    recording = har()
    recording.add("GET", "/notes", [{"id": 1}], at=0)
    recording.add("GET", "/events", "data: x", at=1, mime="text/event-stream", took_ms=60_000)
    recording.add("GET", "wss://api.shop.example/realtime", at=1, status=101, kind="websocket")
    recording.add("GET", "/cached", [{"id": 1}], at=2, _fromCache="disk")
    recording.add("GET", "/broken", at=3, status=0)
    recording.add("GET", "/gone", {"message": "no"}, at=3, status=404)
    recording.add("POST", "/upload", at=4, sent="--x")
    recording.entries[-1]["request"]["postData"]["mimeType"] = "multipart/form-data; boundary=x"
    found = record([recording.write(tmp_path)])
    assert found.requests == 1
    assert len(found.remarks) == 6


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"[]", b"nothing", b'{"log": {"entries": []}}', b'{"log": {"entries": 3}}',
        b"\x1f\x8b\x08", b"PK\x03\x04broken", b"\xff\xfe", b"\x00" * 100, b"[" * 100_000,
        b'{"log":' * 50_000,
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.har"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        record([path])
    assert "\n" not in str(refused.value)
    assert "Nothing was written" in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)
BODY = JSON.map(json.dumps) | st.text(max_size=30)
ORIGIN = st.sampled_from(["https://a.example", "https://a.example:8443", "http://[::1]", ""])
HEADER = st.fixed_dictionaries({"name": st.text(max_size=9), "value": st.text()})
FORM = "application/x-www-form-urlencoded"
SENT = st.fixed_dictionaries(
    {"mimeType": st.sampled_from(["application/json", FORM]), "text": BODY}
)
REQUEST = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PATCH", "delete", "HEAD", "OPTIONS", ""]),
        "url": st.builds("{}/{}".format, ORIGIN, st.text(max_size=30)),
        "headers": st.none() | st.lists(HEADER, max_size=2),
        "postData": st.none() | SENT,
    }
)
CONTENT = st.fixed_dictionaries(
    {
        "mimeType": st.just("application/json"),
        "text": BODY,
        "encoding": st.none() | st.just("base64"),
    }
)
STARTED = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
ENTRY = st.fixed_dictionaries(
    {
        "startedDateTime": STARTED | st.text(max_size=9),
        "time": st.none() | st.floats() | st.integers() | st.text(max_size=5),
        "request": REQUEST,
        "response": st.fixed_dictionaries({"status": st.integers(-1, 599), "content": CONTENT}),
    }
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(entries=st.lists(ENTRY | JSON, max_size=8))
def test_any_recording_gives_python_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("any", numbered=True) / "x.har"
    text = json.dumps({"log": {"entries": entries}})
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    said, written = "", "pass"
    try:
        written = record([path]).text
    except ConfigurationError as refused:
        said = str(refused)
    assert "\n" not in said
    compile(written, "locustfile.py", "exec")


MEASURE = r"""
import re, sys, time
from pathlib import Path
from phasegate.record import record
begun_s = time.perf_counter()
found = record([Path(sys.argv[1])])
took_s = time.perf_counter() - begun_s
status = Path("/proc/self/status").read_text()  # getrusage's peak begins with the parent's
print(found.requests, took_s, int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024)
"""


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_large_recording_takes_seconds_and_a_few_times_its_size(
    shop_visit: ShopVisit, tmp_path: Path
) -> None:
    visit = shop_visit()
    rows = [{"id": number, "text": "x" * 100} for number in range(4_000)]
    for number in range(15):
        visit.add("GET", f"/rest/v1/lists?of=eq.{number}", rows, at=20 + number * 3)
    filler = "A" * (1 << 20)
    for _ in range(LARGE_BYTES >> 20):
        visit.add("GET", "https://shop.example/film", filler, at=300, mime="video/mp4")
    path = visit.write(tmp_path)
    size = path.stat().st_size
    assert size > LARGE_BYTES
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    requests, took_s, peak_bytes = done.stdout.split()
    assert int(requests) == 8 + 15
    assert float(took_s) < LARGE_S_MAX
    assert int(peak_bytes) < LARGE_MEMORY_RATIO_MAX * size
