"""Every chart of the page: what it is called, how it is read, which table and files are behind it.

Takes `Findings`; writes `charts/<name>.svg` and `charts/<name>.png` into the run's directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from phasegate.model.capacity import Profile
from phasegate.model.catalogue import Catalogue
from phasegate.records.project import ProjectNote
from phasegate.report import effects, money, run_files, soak, soak_words, style, tables, traffic
from phasegate.report import resource_usage as used
from phasegate.report.charts import cache_hits as hits
from phasegate.report.charts import (
    costs,
    distributions,
    growth,
    growth_over_time,
    limits,
    over_time,
    percentiles,
    ratios,
    seconds,
    shares,
)
from phasegate.report.charts import max_load as holding
from phasegate.report.charts import when_needed as needed
from phasegate.report.effects import Technique
from phasegate.report.money import Money
from phasegate.report.profiles import profiles
from phasegate.report.resource_usage import StageUse
from phasegate.report.run_files import Run
from phasegate.report.soak import Soak
from phasegate.report.style import NARROW, WIDE, Layout
from phasegate.report.tables import Table
from phasegate.report.traffic import StageTraffic
from phasegate.report.yardstick import Machine, machine


@dataclass(frozen=True)
class Findings:
    """What the page is made of: the records, and what is computed from them."""

    run: Run
    catalogue: Catalogue
    project: ProjectNote
    techniques: tuple[Technique, ...]
    stages: tuple[StageTraffic, ...]
    """Without the steps of a search, whose verdicts are in `run.matrix`."""
    uses: tuple[StageUse, ...]
    profiles: tuple[Profile, ...]
    money: Money | None
    machine: Machine | None
    """By its yardstick; None where it was not measured."""
    soaks: tuple[Soak, ...]


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
class ChartPlan:
    """A chart before it is drawn."""

    name: str
    title: str
    note: str
    alt: str
    draw: Callable[[Layout], Figure]
    table: Table
    sources: Iterable[str]


def findings(run: Run, catalogue: Catalogue, project: ProjectNote | None = None) -> Findings:
    """Everything that is computed from the records.

    Args:
        run: the records.
        catalogue: what to judge by.
        project: that stands in where the run kept none, since an older version made it.
    """
    project = run.run.project or project or run_files.described(run)
    slo = catalogue.slo
    searched = {probe.stage for probe in run.matrix.searched} if run.matrix else set()
    stages = traffic.named(
        tuple(traffic.of_stage(load, slo) for load in run.loads if load.stage not in searched)
    )
    found = profiles(run, stages, project, catalogue)
    techniques = effects.techniques(
        run.benchmarks.values(), slo.statement_latency_ms_p95, catalogue
    )
    return Findings(
        run=run,
        catalogue=catalogue,
        project=project,
        techniques=techniques,
        stages=stages,
        uses=used.of_stages(stages, run.samplers),
        profiles=found,
        money=money.money(found, catalogue, techniques, run.loads, project),
        machine=machine(tuple(run.benchmarks.values()), catalogue.reference),
        soaks=tuple(
            each
            for load in run.loads
            if (each := soak.of_stage(load, run.samplers.get(load.stage))) is not None
        ),
    )


def draw(plan: ChartPlan, folder: Path) -> Chart:
    """Draw a chart at both widths; the wide one is also saved as files."""
    with style.drawing():
        wide, narrow = plan.draw(WIDE), plan.draw(NARROW)
        embedded = style.svg(wide, f"{plan.name}-wide", plan.alt)
        style.save(wide, folder / plan.name, embedded)
        slim = style.svg(narrow, f"{plan.name}-narrow", plan.alt)
    return Chart(
        name=plan.name,
        title=plan.title,
        note=plan.note,
        alt=plan.alt,
        wide=Markup(embedded),  # noqa: S704 - made by matplotlib, which escapes its texts
        narrow=Markup(slim),  # noqa: S704 - the same
        table=plan.table,
        sources=tuple(dict.fromkeys(plan.sources)),
    )


def for_techniques(found: Findings) -> list[ChartPlan]:
    """When they are needed, what they do, when the old way breaks."""
    techniques = found.techniques
    if not techniques:
        return []
    slo = found.catalogue.slo.statement_latency_ms_p95
    phases = found.catalogue.phases
    sources = [effect.source for technique in techniques for effect in technique.effects]
    return [
        ChartPlan(
            "when-needed",
            "When each technique is needed",
            "The bar begins where the old way's p95 breaks its SLO; its thick part is the 95% "
            "interval of that number of users. Grey: measured, and not needed there."
            + needed.sizes_note(techniques)
            + needed.few_calls_note(techniques),
            needed.alt(techniques),
            lambda layout: needed.figure(techniques, phases, layout),
            tables.needed(techniques),
            sources,
        ),
        ChartPlan(
            "ratios",
            "What each technique does",
            "Time of a call after the technique, divided by before: dot and 95% interval, one "
            "row per number of registered users. Grey: no difference shown.",
            ratios.alt(techniques),
            lambda layout: ratios.figure(techniques, layout),
            tables.ratios(techniques),
            sources,
        ),
        ChartPlan(
            "latency-by-users",
            "When the old way breaks",
            "p95 of a call over registered users, both axes logarithmic. A technique is needed "
            "from where its old way crosses the dashed line.",
            growth.alt(techniques, slo),
            lambda layout: growth.figure(techniques, slo, layout),
            tables.growth(techniques),
            sources,
        ),
    ]


def for_matrix(found: Findings) -> list[ChartPlan]:
    """The phase matrix as a picture."""
    stages = found.stages
    if not holding.shown(stages):
        return []
    slo = found.catalogue.slo.request_latency_ms_p95
    return [
        ChartPlan(
            "phase-matrix",
            "How far each stack level goes",
            "p95 over registered users, both axes logarithmic. Above the dashed line the SLO is "
            "missed; a ring could not be judged.",
            holding.alt(stages, slo),
            lambda layout: holding.figure(stages, slo, layout),
            tables.load(stages),
            [stage.source for stage in stages],
        )
    ]


def for_load(found: Findings) -> list[ChartPlan]:
    """Percentiles, shares, seconds and the cache."""
    stages = found.stages
    if not stages:
        return []
    slo = found.catalogue.slo.request_latency_ms_p95
    sources = [stage.source for stage in stages]
    counted = "clicks" if all(stage.counted == "clicks" for stage in stages) else "requests"
    plans = [
        ChartPlan(
            "load-percentiles",
            "Latency under load",
            f"Filled dots are {counted}, counted from when they were due, so a frozen server "
            "shows; rings are requests from when they were sent.",
            percentiles.alt(stages, slo),
            lambda layout: percentiles.figure(stages, slo, layout),
            tables.load(stages),
            sources,
        )
    ]
    long = {each.stage for each in found.soaks}
    if short := seconds.shown(tuple(stage for stage in stages if stage.stage not in long)):
        plans.append(
            ChartPlan(
                "load-seconds",
                "Second by second",
                "The line is the p95 of each second, the band runs from p50 to p99. A freeze is a "
                "hill that an average would hide. Grey: INVALID.",
                seconds.alt(short),
                lambda layout: seconds.figure(short, slo, layout),
                tables.seconds(short),
                [stage.source for stage in short],
            )
        )
    if any(stage.curve for stage in stages):
        plans.append(
            ChartPlan(
                "load-shares",
                "How many waited how long",
                f"Share of {counted} answered within a time. The SLO holds where a curve passes "
                "above and left of the dashed corner. Grey: INVALID.",
                shares.alt(stages, slo),
                lambda layout: shares.figure(stages, slo, layout),
                tables.shares(stages, slo),
                sources,
            )
        )
    if hits.cached(stages):
        plans.append(
            ChartPlan(
                "cache-hits",
                "What the client cache answered",
                "Share of the cache's reads that never reached the server.",
                hits.alt(stages),
                lambda layout: hits.figure(stages, layout),
                tables.cache(stages),
                [stage.source for stage in hits.cached(stages)],
            )
        )
    return plans


def for_soak(found: Findings) -> list[ChartPlan]:
    """Long stages over time."""
    return [
        plan
        for number, each in enumerate(found.soaks)
        for plan in _for_one_soak(each, f"-{number + 1}" if number else "", found.catalogue)
    ]


def _for_one_soak(each: Soak, number: str, catalogue: Catalogue) -> list[ChartPlan]:
    slo = catalogue.slo.request_latency_ms_p95
    sampled = f"sampler/{each.stage}.json"
    plans = [
        ChartPlan(
            f"over-time{number}",
            "Over time",
            "The line is the p95 of clicks by when they were due, the band runs from p50 to p99. "
            "Marks: more slow clicks than chance puts there. Lanes: what the server did.",
            over_time.alt(each),
            lambda layout: over_time.figure(each, slo, layout),
            soak_words.recurring_table(each),
            [each.source, *([sampled] if each.recurrence.events is not None else [])],
        )
    ]
    if growth_over_time.shown(each):
        plans.append(
            ChartPlan(
                f"growth-over-time{number}",
                "What grows",
                "A figure each, between the least and the most of it.",
                growth_over_time.alt(each),
                lambda layout: growth_over_time.figure(each, layout),
                soak_words.series_table(each),
                [sampled],
            )
        )
    return plans


def for_money(found: Findings) -> list[ChartPlan]:
    """Which limit is met first, and what a month costs."""
    if found.money is None:
        return []
    sources = [f"seed/{size}.json" for size in found.run.seeds]
    sources += ["target.json"] if found.run.target else []
    sources += ["sizes.json"] if found.run.sizes else []
    sources += [effect.source for technique in found.techniques for effect in technique.effects]
    sources += [stage.source for stage in found.stages]
    sources += [use.source for use in found.uses]
    held = {profile.level: profile.held_users for profile in found.money.profiles}
    by_level, curves, catalogue = found.money.limits, found.money.curves, found.catalogue
    plans = [
        ChartPlan(
            "monthly-cost",
            "What a month costs",
            "The cheapest plan, compute size and add-ons that meet what was measured, per stack "
            "level; dotted beyond the users whose peak was seen to hold. "
            "A line ends where no plan on the list is enough."
            + (" Grey: what the project's guide says." if catalogue.prices.guide else ""),
            costs.alt(curves),
            lambda layout: costs.figure(curves, held, catalogue, layout),
            money.bills(found.money, catalogue),
            sources,
        )
    ]
    if limits.rows(by_level):
        plans.append(
            ChartPlan(
                "limits",
                "Which limit or alert comes first",
                "Registered users at which each is met, per stack level; bold: an alert. A line is "
                "the interval: over the sizes or stages measured, or 95% of what a peak tells.",
                limits.alt(by_level),
                lambda layout: limits.figure(by_level, layout),
                money.limits_table(found.money),
                sources,
            )
        )
    return plans


def for_data(found: Findings) -> list[ChartPlan]:
    """How the largest data set is distributed."""
    if not found.run.seeds:
        return []
    record = list(found.run.seeds.values())[-1]
    if not any(sum(histogram.counts) for histogram in record.distributions):
        return []
    return [
        ChartPlan(
            "distributions",
            "What the data looks like",
            "The seeded population, drawn as the project declares it.",
            distributions.alt(record),
            lambda layout: distributions.figure(record, layout),
            tables.relations(record),
            [f"seed/{record.users}.json"],
        )
    ]
