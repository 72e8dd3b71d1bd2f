"""The client cache: which share of reads it answered, stage by stage."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.report.charts.percentiles import names_of, role_of
from phasegate.report.format import listed, plain, size, users
from phasegate.report.style import Layout, colour, place
from phasegate.report.traffic import StageTraffic

ROW_PT = 44
BAR_PT = 14
TOP_PT = 6
BOTTOM_PT = 26


def cached(stages: tuple[StageTraffic, ...]) -> tuple[StageTraffic, ...]:
    """The stages whose cache was asked for anything."""
    return tuple(stage for stage in stages if stage.hit_ratio is not None)


def _label(stage: StageTraffic) -> str:
    cache = stage.cache
    assert cache is not None and stage.hit_ratio is not None  # noqa: S101, PT018 - `cached` chose it
    return f"{stage.hit_ratio:.0%}"


def figure(stages: tuple[StageTraffic, ...], layout: Layout) -> Figure:
    """A bar per cached stage, from 0 to 100% of the reads that the cache was asked for."""
    shown = cached(stages)
    fig = layout.figure(len(shown) * ROW_PT + TOP_PT + BOTTOM_PT)
    left, right = (124.0, 20.0) if layout.narrow else (130.0, 176.0)
    axes = place(fig, left, TOP_PT, right, BOTTOM_PT)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shown) * ROW_PT, 0)
    axes.set_yticks([])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100%"])
    names = names_of(stages)
    for index, stage in enumerate(shown):
        y = (index + 0.5) * ROW_PT
        role = colour(role_of(stage, names))
        axes.barh(y, 1, height=BAR_PT, color=colour("band"))
        axes.barh(y, stage.hit_ratio or 0.0, height=BAR_PT, color=role)
        axes.annotate(
            f"{plain(stage.name, 22)}\n{users(stage.users)} users",
            (0, y),
            xytext=(-10, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=role,
            annotation_clip=False,
        )
        _amount(axes, stage, y, role, layout)
    return fig


def _amount(axes: Axes, stage: StageTraffic, y: float, role: str, layout: Layout) -> None:
    saved = size(stage.cache.saved_bytes) if stage.cache else ""
    text = f"{_label(stage)} hits, {saved} not sent"
    if layout.narrow:
        where, offset, align, height = (0.0, y - BAR_PT / 2), (0, 3), "left", "bottom"
    else:
        where, offset, align, height = (1.0, y), (10, 0), "left", "center"
    axes.annotate(
        text,
        where,
        xytext=offset,
        textcoords="offset points",
        ha=align,
        va=height,
        color=role,
        annotation_clip=False,
    )


def alt(stages: tuple[StageTraffic, ...]) -> str:
    """The chart in words."""
    said = [f"{plain(s.name, 40)} at {users(s.users)} users: {_label(s)}" for s in cached(stages)]
    return f"Share of reads that the client cache answered. {listed(said)}."
