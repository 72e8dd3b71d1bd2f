"""The page: charts drawn, tables laid out, everything rendered into one file.

Takes a `Run`; writes `charts/*.svg`, `charts/*.png`, `report.html` and `summary.md` into its
directory. The page needs no network: style and charts are inside, links lead only to the run's own
files.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from phasegate.records import store
from phasegate.records.gate import GateRecord
from phasegate.records.planner_settings import warnings
from phasegate.report import (
    advice,
    figures,
    headline,
    least,
    money,
    savings,
    serverless,
    sizing,
    soak_words,
    style,
    tables,
    transition,
    yardstick,
)
from phasegate.report import format as words
from phasegate.report import matrix_table as matrix
from phasegate.report import resource_usage as used
from phasegate.report.figures import Chart, Findings

TEMPLATES = Path(__file__).with_name("templates")


def environment(*, escape: bool) -> Environment:
    """Templates; an error for a name that is not there."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escape,  # noqa: S701 - off for Markdown alone, which has `cell`
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
        "cell": words.markdown,
        "measured": lambda found: (
            f"{words.interval(found.ratio, found.low, found.high)}, {found.blocks} blocks"
        ),
    }
    return env


def _money(found: Findings) -> dict[str, object] | None:
    """Capacity and cost beside their charts; None where nothing was measured for them."""
    if found.money is None:
        return None
    top = found.money.profiles[-1].level
    return {
        "bills": money.bills(found.money, found.catalogue),
        "savings": money.level_savings(found.money, found.catalogue),
        "technique_savings": savings.table(found.money.saves),
        "untold": (savings.ASSUMED, *savings.untold(found.money.saves)),
        "left_out": money.left_out(found.money),
        "sizes_from": money.sizes_from(found.money),
        "connections_from": money.connections_from(found.money),
        "sessions": money.sessions_table(found.money, found.catalogue),
        "bytes": money.bytes_table(found.run, top, found.project),
        "level": top,
        "price_sources": money.price_sources(found.catalogue),
    }


def _sizing(found: Findings) -> dict[str, object] | None:
    """Which compute size holds; None where that was not searched."""
    record = found.run.sizes
    if record is None:
        return None
    answers = record.answers
    return {
        "answers": sizing.table(answers, found.catalogue),
        "drives": sizing.drives_table(answers),
        "unjudged": any(answer.not_in_force for answer in answers),
        "rests_on": sizing.rests_on(record, found.catalogue),
    }


def _gates(found: Findings) -> list[GateRecord]:
    """Every transition; of a staging run those alone that it was driven for, at its own level."""
    phases = found.catalogue.phases[1:]
    if found.run.target is None:
        return [transition.gate(found, phase.number) for phase in phases] if found.stages else []
    driven = {(stage.users, stage.level) for stage in found.stages}
    return [
        transition.gate(found, phase.number, level)
        for phase in phases
        for users, level in sorted(driven)
        if users == phase.users_max
    ]


def _shared(found: Findings) -> dict[str, object]:
    """What both the page and the summary speak of."""
    run = found.run
    return {
        "run": run.run,
        "project": found.project,
        "marked": run.marked,
        "absent": run.absent,
        "planner_settings": run.planner_settings,
        "warnings": (
            *warnings(run.planner_settings or ()),
            *(found.machine.warnings if found.machine else ()),
        ),
        "yardstick": yardstick.sentence(found.machine, found.catalogue.reference)
        if found.techniques
        else "",
        "sources": run.sources,
        "perf": run.perf,
        "advice": run.advice
        and {
            "summary": advice.summary(run.advice),
            "table": advice.table(run.advice),
            "folder": "candidates/",
        },
        "target": run.target,
        "seeds": tuple(run.seeds.values()),
        "benchmarks": tuple(run.benchmarks.values()),
        "title": least.title(found.run.least, found.project)
        or headline.title(found.techniques, found.stages),
        "verdict": headline.verdict(found.techniques, found.catalogue.slo.statement_latency_ms_p95),
        "shown": headline.ITEMS_SHOWN,
        "load_line": headline.load_sentence(found.stages, found.catalogue),
        "matrix": matrix.matrix(run, found.project, found.stages, found.uses, found.machine),
        "used": used.table(found.uses),
        "used_statements": used.statements(found.uses),
        "gates": _gates(found),
        "not_driven": run.matrix.not_measured if run.matrix else (),
        "not_sampled": used.gaps(found.uses),
        "techniques": found.techniques,
        "stages": found.stages,
        "ratios": tables.ratios(found.techniques, largest_only=True),
        "costs": tables.costs(found.techniques, found.project),
        "least": least.table(found),
        "not_needed": least.not_needed(found),
        "money": _money(found),
        "sizing": _sizing(found),
        "soaks": [tuple(soak_words.answers(each)) for each in found.soaks],
        "serverless": run.serverless
        and {
            "table": serverless.table(run.serverless),
            "climbs": serverless.climbs_table(run.serverless.answers),
            "assumed": serverless.assumed(run.serverless),
        },
    }


def render(found: Findings, charts: dict[str, list[Chart]]) -> str:
    """The page as HTML."""
    sheet = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    template = environment(escape=True).get_template("report.html")
    return template.render(
        **_shared(found),
        charts=charts,
        sheet=Markup(sheet),  # noqa: S704 - a file of this room
        light=style.css("light"),
        dark=style.css("dark"),
        classes=Markup(style.classes()),  # noqa: S704 - made of constants
    )


def markdown(found: Findings) -> str:
    """The summary for a pull request or `$GITHUB_STEP_SUMMARY`."""
    return environment(escape=False).get_template("summary.md").render(**_shared(found))


def replace(path: Path, text: str) -> None:
    """Write `text` so that `path` appears whole or not at all."""
    store.replace(path, text.encode())


def write(found: Findings) -> Path:
    """Draw, render and write; returns the page's path."""
    run = found.run
    folder = run.directory / "charts"
    folder.mkdir(exist_ok=True)
    plans = {
        "matrix": figures.for_matrix(found),
        "techniques": figures.for_techniques(found),
        "load": figures.for_load(found),
        "soak": figures.for_soak(found),
        "money": figures.for_money(found),
        "data": figures.for_data(found),
    }
    charts = {
        section: [figures.draw(plan, folder) for plan in wanted]
        for section, wanted in plans.items()
    }
    path = run.directory / "report.html"
    replace(path, render(found, charts))
    replace(run.directory / "summary.md", markdown(found))
    return path
