"""The page: charts drawn, tables laid out, everything rendered into one file.

Takes a `Run`; writes `charts/*.svg`, `charts/*.png` and `report.html` into its directory. The page
needs no network: style and charts are inside, links lead only to the run's own files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from phases.catalogue import Catalogue
from report import effects, headline, style, tables, traffic, words
from report.charts import growth, hits, percentiles, ratios
from report.effects import Technique
from report.run_files import Run
from report.style import NARROW, WIDE, Layout
from report.tables import Table
from report.traffic import StageTraffic

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Chart:
    """A figure of the page, drawn for both widths, with the table behind it."""

    name: str
    title: str
    note: str
    """How to read it, in a sentence or two."""
    alt: str
    wide: Markup
    narrow: Markup
    table: Table
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """What the page is made of."""

    run: Run
    catalogue: Catalogue
    techniques: tuple[Technique, ...]
    stages: tuple[StageTraffic, ...]


def findings(run: Run, catalogue: Catalogue) -> Findings:
    """Everything that is computed from the records."""
    return Findings(
        run=run,
        catalogue=catalogue,
        techniques=effects.techniques(
            run.benchmarks.values(), catalogue.slo.statement_latency_ms_p95
        ),
        stages=tuple(traffic.of_stage(load) for load in run.loads),
    )


def _chart(
    folder: Path,
    name: str,
    title: str,
    draw: Callable[[Layout], Figure],
    *,
    note: str,
    alt: str,
    table: Table,
    sources: list[str],
) -> Chart:
    """Draw a chart at both widths; the wide one is also saved as files."""
    with style.drawing():
        wide, narrow = draw(WIDE), draw(NARROW)
        embedded = style.svg(wide, f"{name}-wide", alt)
        style.save(wide, folder / name, embedded)
        slim = style.svg(narrow, f"{name}-narrow", alt)
    return Chart(
        name=name,
        title=title,
        note=note,
        alt=alt,
        wide=Markup(embedded),  # noqa: S704 - made by matplotlib, which escapes its texts
        narrow=Markup(slim),  # noqa: S704 - the same
        table=table,
        sources=tuple(dict.fromkeys(sources)),
    )


def _technique_charts(found: Findings, folder: Path) -> list[Chart]:
    techniques = found.techniques
    if not techniques:
        return []
    slo = found.catalogue.slo.statement_latency_ms_p95
    sources = [effect.source for technique in techniques for effect in technique.effects]
    return [
        _chart(
            folder,
            "ratios",
            "What each technique does",
            lambda layout: ratios.figure(techniques, layout),
            note="Time of a call after the technique, divided by before: dot and 95% interval, "
            "one row per number of registered users. Grey: no difference shown.",
            alt=ratios.alt(techniques),
            table=tables.ratios(techniques),
            sources=sources,
        ),
        _chart(
            folder,
            "latency-by-users",
            "When the old way breaks",
            lambda layout: growth.figure(techniques, slo, layout),
            note="p95 of a call over registered users, both axes logarithmic. A technique is "
            "needed from where its old way crosses the dashed line.",
            alt=growth.alt(techniques, slo),
            table=tables.growth(techniques),
            sources=sources,
        ),
    ]


def _load_charts(found: Findings, folder: Path) -> list[Chart]:
    stages = found.stages
    if not stages:
        return []
    slo = found.catalogue.slo.request_latency_ms_p95
    sources = [stage.source for stage in stages]
    charts = [
        _chart(
            folder,
            "load-percentiles",
            "Latency under load",
            lambda layout: percentiles.figure(stages, slo, layout),
            note="Filled dots count from when a request was due, so a frozen server shows; "
            "rings count from when it was sent.",
            alt=percentiles.alt(stages, slo),
            table=tables.load(stages),
            sources=sources,
        )
    ]
    if hits.cached(stages):
        charts.append(
            _chart(
                folder,
                "cache-hits",
                "What the client cache answered",
                lambda layout: hits.figure(stages, layout),
                note="Share of the cache's reads that never reached the server.",
                alt=hits.alt(stages),
                table=tables.cache(stages),
                sources=[stage.source for stage in hits.cached(stages)],
            )
        )
    return charts


def environment() -> Environment:
    """Templates with escaping on, and an error for a name that is not there."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "size": words.size,
        "users": words.users,
        "ms": words.milliseconds,
        "duration": words.duration,
        "plain": words.plain,
        "block": words.block,
    }
    return env


def render(found: Findings, charts: dict[str, list[Chart]]) -> str:
    """The page as HTML."""
    sheet = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("report.html")
        .render(
            run=found.run.run,
            marked=found.run.marked,
            absent=found.run.absent,
            sources=found.run.sources,
            perf=found.run.perf,
            seeds=tuple(found.run.seeds.values()),
            title=headline.title(found.techniques),
            verdict=headline.verdict(
                found.techniques, found.catalogue.slo.statement_latency_ms_p95
            ),
            load_line=headline.load_sentence(found.stages, found.catalogue),
            techniques=found.techniques,
            stages=found.stages,
            charts=charts,
            sheet=Markup(sheet),  # noqa: S704 - a file of this room
            light=style.css("light"),
            dark=style.css("dark"),
            classes=Markup(style.classes()),  # noqa: S704 - made of constants
        )
    )


def write(run: Run, catalogue: Catalogue) -> Path:
    """Draw, render and write; returns the page's path. The page appears whole or not at all."""
    found = findings(run, catalogue)
    folder = run.directory / "charts"
    folder.mkdir(exist_ok=True)
    html = render(
        found,
        {"techniques": _technique_charts(found, folder), "load": _load_charts(found, folder)},
    )
    beside = run.directory / ".report.html.partial"
    beside.write_text(html, encoding="utf-8")
    path = run.directory / "report.html"
    os.replace(beside, path)  # noqa: PTH105 - the name of the system call that is meant
    return path
