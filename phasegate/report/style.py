"""How charts look: one palette for light and dark, one type scale, and the way to a file.

Writes a chart as PNG (light, opaque) and as SVG whose colours follow the reader's light or dark
scheme. Deterministic: no dates, salted ids.

Colours are roles, not values. matplotlib draws with the light value of a role; the SVG then keeps
that value as a presentation attribute (for viewers without CSS) and adds a class, through which
the page, or the file's own style sheet, chooses light or dark.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Of labels within a chart: the smallest that is read without effort on a phone.
LABEL_PT = 10

ROLES: dict[str, tuple[str, str]] = {
    # role: (light, dark). Hues are Okabe & Ito's vermillion, blue and bluish green, and a violet,
    # each moved in lightness until it reads as text on its ground (WCAG contrast ≥ 4.5).
    "ink": ("#1b1f24", "#e8eaed"),
    "muted": ("#5b636e", "#a3abb5"),
    "faint": ("#dfe3e8", "#343a42"),
    "band": ("#f3f5f7", "#1f242b"),
    "paper": ("#ffffff", "#15181d"),
    "before": ("#b34700", "#f0a35e"),
    "after": ("#0067a6", "#6cbcf2"),
    "third": ("#00704f", "#45cf9f"),
    "fourth": ("#6a4fc4", "#b3a3f5"),
    "limit": ("#9b2d6f", "#e79ac6"),
}

SERIES = ("before", "after", "third", "fourth")
"""Roles of lines of one kind, in their order; further ones begin again, and each is named at its
line."""

POINTS_PER_INCH = 72
WIDE_PT = 760
NARROW_PT = 360
PNG_DPI = 160

_ROLE_OF = {light: role for role, (light, _) in ROLES.items()}
_TO_CSS = re.compile(r'style="([^"]*)"')
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(href="#|url\(#)([^")]+)')

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

_SETTINGS: dict[str, object] = {
    "svg.fonttype": "none",  # text stays text: selectable, searchable, small
    "svg.hashsalt": "phasegate",
    "text.parse_math": False,  # a `$` in a title is a dollar
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same layout on every machine
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": ROLES["muted"][0],
    "axes.labelcolor": ROLES["muted"][0],
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlecolor": ROLES["ink"][0],
    "axes.axisbelow": True,
    "text.color": ROLES["ink"][0],
    "xtick.color": ROLES["muted"][0],
    "ytick.color": ROLES["muted"][0],
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "grid.color": ROLES["faint"][0],
    "grid.linewidth": 0.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def colour(role: str) -> str:
    """The value that matplotlib draws `role` with."""
    return ROLES[role][0]


def role_of_level(level: int) -> str:
    """The role of a stack level, counted from 1: the same in every chart of a page."""
    return SERIES[(level - 1) % len(SERIES)]


@dataclass(frozen=True)
class Layout:
    """The width that a chart is drawn for; text keeps its size in both."""

    name: str
    width_pt: int

    @property
    def narrow(self) -> bool:
        """Whether this is for a phone."""
        return self.width_pt < WIDE_PT

    def figure(self, height_pt: float) -> Figure:
        """An empty figure of this width; both in points, 72 an inch."""
        return Figure(figsize=(self.width_pt / POINTS_PER_INCH, height_pt / POINTS_PER_INCH))


WIDE = Layout("wide", WIDE_PT)
NARROW = Layout("narrow", NARROW_PT)


@contextmanager
def drawing() -> Iterator[None]:
    """Set matplotlib up for drawing; leaves the process's own settings as they were."""
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():  # type: ignore[arg-type]
        # A glyph that DejaVu lacks is still text in the SVG, and a box in the PNG.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def place(figure: Figure, left: float, top: float, right: float, bottom: float) -> Axes:
    """Axes at margins in points from the figure's edges."""
    width, height = (float(inch) * POINTS_PER_INCH for inch in figure.get_size_inches())
    return figure.add_axes(
        (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - top - bottom) / height,
        )
    )


def beside(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    role: str,
    **how: Any,
) -> None:
    """Text `offset` points from the point `at` of the axes' data; it may lie outside them."""
    axes.annotate(
        text,
        at,
        xytext=offset,
        textcoords="offset points",
        color=colour(role),
        annotation_clip=False,
        **{"fontsize": LABEL_PT, **how},
    )


def _styled(match: re.Match[str]) -> str:
    """A `style` attribute whose palette colours became attributes with a class each."""
    kept, moved, classes = [], [], []
    for declaration in match.group(1).split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        role = _ROLE_OF.get(value.lower())
        if name in {"fill", "stroke"} and role:
            moved.append(f'{name}="{value}"')
            classes.append(f"{name[0]}-{role}")
        elif name == "font":
            kept.append(re.sub(r"(\d+px).*", rf"\1 {FONTS}", declaration.strip()))
        elif name == "font-family":
            kept.append(f"font-family: {FONTS}")
        elif name:
            kept.append(declaration.strip())
    parts = list(moved)
    if classes:
        parts.append(f'class="{" ".join(classes)}"')
    if kept:
        parts.append(f'style="{"; ".join(kept)}"')
    return " ".join(parts)


def css(scheme: str) -> str:
    """The role classes and their values for `light` or `dark`, as CSS declarations of :root."""
    index = 0 if scheme == "light" else 1
    return "".join(f"--{role}:{values[index]};" for role, values in ROLES.items())


def classes() -> str:
    """The rules that tie the SVG classes to the roles' values."""
    return "".join(
        f".f-{role}{{fill:var(--{role})}}.s-{role}{{stroke:var(--{role})}}" for role in ROLES
    )


def svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an SVG element for embedding: no fixed size, no ground, ids its own."""
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
        buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    body = buffer.getvalue()
    inner = body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")]
    inner = _TO_CSS.sub(_styled, inner)
    inner = _ID.sub(rf'id="{name}-\1"', inner)
    inner = _REFERENCE.sub(rf"\g<1>{name}-\g<2>", inner)
    inner = inner.replace("xlink:href", "href")
    width, height = (float(inch) * POINTS_PER_INCH for inch in figure.get_size_inches())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'role="img" aria-label="{escape(alt)}">{inner}</svg>'
    )


def save(figure: Figure, stem: Path, embedded: str) -> None:
    """Write `<stem>.png` and `<stem>.svg`; the SVG has its own ground and follows the scheme."""
    width, height = (float(inch) * POINTS_PER_INCH for inch in figure.get_size_inches())
    style = (
        f"<style>:root{{{css('light')}}}@media(prefers-color-scheme:dark)"
        f"{{:root{{{css('dark')}}}}}{classes()}</style>"
        f'<rect width="{width:g}" height="{height:g}" fill="{colour("paper")}" class="f-paper"/>'
    )
    head = embedded.index(">") + 1
    sized = embedded[:head].replace("<svg ", f'<svg width="{width:g}" height="{height:g}" ', 1)
    stem.with_suffix(".svg").write_text(sized + style + embedded[head:] + "\n", encoding="utf-8")
    FigureCanvasAgg(figure)
    figure.savefig(
        stem.with_suffix(".png"),
        dpi=PNG_DPI,
        facecolor=colour("paper"),
        metadata={"Software": None},
    )
