"""The page as a browser shows it: Debian's Chromium, headless, driven over a pipe.

Skipped, with the command that would enable it, where there is no Chromium.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from phasegate.records.history import Damaged, History
from phasegate.records.night import LevelChange
from phasegate.report import nights as history_room

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
ANSWER_S_MAX = 60.0
DESKTOP_PX, PHONE_PX = 1100, 390
OUTSIDE_PX_MAX = 4  # a line's leading, which shows nothing
COMPLAINTS = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}


class Browser:
    """The few DevTools calls that the tests need: JSON over two pipes, NUL after each message."""

    def __init__(self, program: str, home: Path) -> None:
        theirs, self._write = os.pipe()
        self._read, answers = os.pipe()

        # Chromium reads from descriptor 3 and writes to 4; the shell puts them there.
        script = f'exec "$0" "$@" 3<&{theirs} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, program, *FLAGS, f"--user-data-dir={home}", "about:blank"],
            pass_fds=(theirs, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(answers)
        self._calls = 0
        self._buffer = b""
        self.events: list[dict[str, Any]] = []

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], ANSWER_S_MAX)
            data = os.read(self._read, 1 << 20) if ready else b""
            assert data, "Chromium does not answer"
            self._buffer += data
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        return message

    def call(self, method: str, session: str | None = None, **params: object) -> dict[str, Any]:
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._calls:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, page: Path, width_px: int, scheme: str) -> str:
        """Load `page` in a tab of its own; returns its session once everything is there."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session: str = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            session,
            width=width_px,
            height=900,
            deviceScaleFactor=1,
            mobile=width_px == PHONE_PX,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", session, features=[feature])
        self.events.clear()
        self.call("Page.navigate", session, url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())
        return session

    def run(self, session: str, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", session, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, session: str) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", session)["data"])

    def close(self) -> None:
        self.call("Browser.close")
        self._process.wait(ANSWER_S_MAX)
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium enables the page's browser tests")
    opened = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


VIEWS = [
    ("report", DESKTOP_PX, "light"),
    ("report", DESKTOP_PX, "dark"),
    ("report", PHONE_PX, "light"),
    ("report", PHONE_PX, "dark"),
    ("history", DESKTOP_PX, "light"),
    ("history", PHONE_PX, "dark"),
]


@pytest.fixture(scope="module")
def built_history(nights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a month with everything on it that a history page may have."""
    change = LevelChange(
        series="sql/join/after",
        night=nights.night(20).night,
        before=1.0,
        after=1.06,
        pvalue=1e-6,
        detector="otava",
    )
    made = []
    for day in range(30):
        ratio = 1.06 if day >= 20 else 1.0
        series = nights.slower() if day > 27 else nights.series(ratio=ratio)
        long = nights.series("matview", name="A series with quite a long name, " * 3)
        odd = nights.series("odd", ratio=1.6 if day == 9 else 0.8)
        changed: dict[str, Any] = {}
        if day % 9 == 4:
            changed["circumstances"] = nights.circumstances("14% of the processor went elsewhere")
        if day < 6:
            changed["baseline_commit"] = "e" * 40
        made.append(history_room.judge(nights.night(day, series, long, odd, **changed), made, {}))
        if day > 22:
            made[-1] = msgspec.structs.replace(made[-1], changes=(change,))
    damaged = Damaged(Path("2026-10-09T021500Z.json"), "it is not a whole NightRecord: truncated")
    out = tmp_path_factory.mktemp("history") / "history.html"
    return history_room.build(History(tuple(made), (damaged,)), out)


@pytest.fixture(params=VIEWS, ids=[f"{page}-{width}px-{scheme}" for page, width, scheme in VIEWS])
def view(browser, built_run, built_history, request) -> str:
    page, width, scheme = request.param
    shown = {"report": built_run / "report.html", "history": built_history}[page]
    session = browser.open(shown, width, scheme)
    browser.run(session, "document.querySelectorAll('details').forEach(d => d.open = true)")
    return session


def test_the_page_shows_without_a_complaint_or_a_request(browser, view):
    methods = [event["method"] for event in browser.events]
    assert "Network.requestWillBeSent" in methods  # the page itself: events do arrive
    assert [event for event in browser.events if event["method"] in COMPLAINTS] == []
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_nothing_is_wider_than_the_window(browser, view):
    assert browser.run(
        view, "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


SHOWN_TEXTS = """
[...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().width > 0)
  .map(s => [...s.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => {
    const r = t.getBoundingClientRect(), b = s.getBoundingClientRect();
    return {text: t.textContent, left: r.left, right: r.right, top: r.top, bottom: r.bottom,
            out: Math.max(b.left - r.left, r.right - b.right, b.top - r.top, r.bottom - b.bottom),
            size: parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a};
  }))
"""


def test_every_figure_shows_exactly_one_drawing(browser, view):
    shown = browser.run(
        view,
        "[...document.querySelectorAll('figure')].map(f => [...f.querySelectorAll('svg')]"
        ".filter(s => s.getBoundingClientRect().height > 40).length)",
    )
    assert shown
    assert set(shown) == {1}


def test_text_in_charts_is_legible_and_inside_the_window(browser, view):
    width = browser.run(view, "document.documentElement.clientWidth")
    texts = [text for chart in browser.run(view, SHOWN_TEXTS) for text in chart]
    assert texts
    # Beyond its drawing a text would be cut off in the files, though not on the page.
    assert [text for text in texts if text["out"] > OUTSIDE_PX_MAX] == []
    assert [text for text in texts if text["left"] < -1 or text["right"] > width + 1] == []
    assert [text for text in texts if text["size"] < 9.4] == []


def test_no_two_texts_of_a_chart_overprint(browser, view):
    clashes = []
    for chart in browser.run(view, SHOWN_TEXTS):
        for index, one in enumerate(chart):
            for other in chart[index + 1 :]:
                across = min(one["right"], other["right"]) - max(one["left"], other["left"])
                down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
                # Boxes hold the line's leading; texts touch only where boxes share a third of it.
                if across > 1 and down > (one["bottom"] - one["top"]) * 0.4:
                    clashes.append((one["text"], other["text"]))
    assert clashes == []


def test_links_within_the_page_lead_somewhere(browser, view):
    broken = browser.run(
        view,
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href'))"
        ".filter(h => !document.getElementById(h.slice(1)))",
    )
    assert broken == []


def test_on_paper_the_page_is_light_and_its_charts_are_the_wide_ones(browser, built_run):
    session = browser.open(built_run / "report.html", 700, "dark")
    browser.call("Emulation.setEmulatedMedia", session, media="print")
    shown = browser.run(
        session,
        "[...document.querySelectorAll('figure div')].filter(d => d.offsetHeight > 0)"
        ".map(d => d.className)",
    )
    assert set(shown) - {"scroll"} == {"wide"}
    assert browser.run(session, "getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )


def test_light_and_dark_are_different_pictures(browser, built_run):
    page = built_run / "report.html"
    pictures = [
        browser.screenshot(browser.open(page, PHONE_PX, scheme)) for scheme in ("light", "dark")
    ]
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_the_ground(browser, built_run, scheme):
    """WCAG AA: a contrast of 4.5 for text of this size, in the page and in the charts."""
    session = browser.open(built_run / "report.html", DESKTOP_PX, scheme)
    pairs = browser.run(
        session,
        """(() => { const ground = getComputedStyle(document.body).backgroundColor;
        const leaf = e => [...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim());
        const shown = document.querySelectorAll('body *:not(style, metadata *)');
        const css = e => getComputedStyle(e);
        const paint = e => e.namespaceURI.includes('svg') ? css(e).fill : css(e).color;
        const all = [...shown].filter(leaf).map(paint);
        return {ground, all: [...new Set(all)]}; })()""",
    )
    assert len(pairs["all"]) >= 4
    weak = {found: _contrast(found, pairs["ground"]) for found in pairs["all"]}
    assert {found: ratio for found, ratio in weak.items() if ratio < 4.5} == {}


def _luminance(rgb: str) -> float:
    """WCAG 2.2 relative luminance of `rgb(r, g, b)`."""
    channels = [int(part) / 255 for part in rgb[rgb.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
