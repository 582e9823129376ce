"""A matplotlib figure as SVG to stand inside a page: small, its colours the page's, the same bytes every time.

Text stays text, in the page's font: it can be read aloud, searched and copied, and no glyph is drawn by a library whose
next version draws it otherwise.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

SIZE = (4.2, 3.3)
"""Inches of a plot; a page scales it."""
MARGINS = (0.14, 0.15, 0.79, 0.75)
MOST_TICKS = 6
STEPS = (1, 2, 2.5, 5, 10)
INK, QUIET, GRID, UNKNOWN = "#333333", "#6b6b6b", "#dedede", "#c4c8cc"
BLUE, RED = "#0072b2", "#d55e00"  # Okabe and Ito's, told apart by nearly everyone
SCALE = (BLUE, "#5b8ec4", "#a583b0", "#d9785f", RED)
"""Low to high."""
_VARIABLES = {INK: "ink", QUIET: "quiet", GRID: "grid", UNKNOWN: "unknown", BLUE: "blue", RED: "red"}
STYLE = {
    "svg.hashsalt": "holdfast",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that places do not depend on the machine's fonts
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
_ATTRIBUTE = re.compile(r'\b(?:d|x|y|cx|cy|transform|points|x1|x2|y1|y2)="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")


def settings() -> dict[Any, Any]:
    """Matplotlib's own defaults with `STYLE`, whatever a machine's matplotlibrc says."""
    return {k: v for k, v in mpl.rcParamsDefault.items() if k != "backend"} | STYLE


def axes(figure: Figure, x: str, y: str) -> Axes:
    """Axes with their names; that of the upright one lies above it, where it is read without turning the head."""
    ax = figure.add_axes(MARGINS)
    ax.set_xlabel(x)
    ax.text(-MARGINS[0] / MARGINS[2] + 0.01, 1.06, y, transform=ax.transAxes)
    return ax


def signed(value: float, _: Any = None) -> str:
    """A number with its sign."""
    return f"{value:+.6g}".replace("-", "−") if value else "0"


def _percent(value: float, _: Any) -> str:
    return f"{value * 100:.6g}%"


def ticks(axis: Axis, form: Callable[[float, Any], str] | None = None) -> None:
    """Few ticks at round numbers, as shares unless ``form`` says otherwise."""
    axis.set_major_locator(MaxNLocator(MOST_TICKS, steps=STEPS))
    axis.set_major_formatter(FuncFormatter(form or _percent))


def as_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an ``<svg>`` element.

    Parameters
    ----------
    name : starts every id, so that figures on one page do not share one
    label : what a screen reader says
    """
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    body = written.getvalue()
    body = body[body.index("<svg") :]
    head, _, body = body.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r' ?transform="rotate\(-?0 [^"]*"', "", body)
    body = body.replace("xlink:href=", "href=")
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(href="|url\()#', rf"\1#{name}-", body)
    body = _ATTRIBUTE.sub(lambda m: _DIGITS.sub(r"\1", " ".join(m[0].split())), body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable}, {colour})")
    body = re.sub(r"\s*\n\s*", "\n", body).replace("<defs>\n</defs>\n", "")
    return f'<svg xmlns="http://www.w3.org/2000/svg" {view[0]} role="img" aria-label="{escape(label)}">{body.strip()}'
