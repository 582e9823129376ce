"""What each feature adds to the log-odds of a sample of snapshots: the SHAP summary, and dependence on its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from holdfast.evaluation.arrays import FloatArray, IntArray
from holdfast.training.card.data import Body
from holdfast.training.card.svg import BLUE, QUIET, SCALE, SIZE, UNKNOWN, as_svg, axes, signed, ticks

STRIP = (6.0, 0.4)
STRIP_AXIS = 0.22
COLUMNS = 110
DOT = 3.2
RANGE = (0.01, 0.99)
"""Quantiles of a feature that its plot spans: one customer of a thousand times the others' use would hide them."""


def moves(dependence: Sequence[Body]) -> dict[str, str]:
    """By name: ``strip_0`` on, contributions on one common axis, coloured by value; ``dependence_0`` on, of numbers.

    Parameters
    ----------
    dependence : as `CardData` has it
    """
    found: dict[str, str] = {}
    parts = [np.array([c for _, c in item["points"]], dtype=np.float64) for item in dependence]
    if not sum(map(len, parts)):
        return found
    together = np.concatenate(parts)
    low, high = float(together.min()), float(together.max())
    room = (high - low) * 0.03 or 0.1
    for i, item in enumerate(dependence):
        last = i == len(dependence) - 1
        height = STRIP[1] + (STRIP_AXIS if last else 0.0)
        figure = Figure(figsize=(STRIP[0], height))
        base = STRIP_AXIS / height if last else 0.0
        ax = figure.add_axes((0.01, base, 0.98, 1 - base))
        ax.set_xlim(low - room, high + room)
        _strip(ax, item, parts[i])
        ax.tick_params(length=0, labelbottom=last, labelleft=False, labelsize=7)
        found[f"strip_{i}"] = as_svg(figure, f"strip_{i}", "Contributions in log-odds, coloured by value")
        if item["kind"] == "number" and any(value is not None for value, _ in item["points"]):
            figure = Figure(figsize=SIZE)
            _dependence(axes(figure, "value", "adds to log-odds"), item, parts[i])
            found[f"dependence_{i}"] = as_svg(figure, f"dependence_{i}", "Contribution in log-odds by value")
    return found


def _values(item: Body) -> FloatArray:
    """The values of a number, NaN for unknown; all NaN for a category, which has no low and high."""
    if item["kind"] != "number":
        return np.full(len(item["points"]), np.nan)
    return np.array([np.nan if value is None else value for value, _ in item["points"]], dtype=np.float64)


def _strip(ax: Axes, item: Body, part: FloatArray) -> None:
    ax.axvline(0, color=QUIET, linewidth=0.8)
    left, right = ax.get_xlim()
    column = np.floor((part - left) / (right - left) * COLUMNS).astype(np.int64)
    height = _stacked(column)
    tallest = max(float(np.abs(height).max()), 6.0)
    tone = _tones(_values(item))
    for k in range(-1, len(SCALE)):
        mine = tone == k
        _dots(ax, part[mine], height[mine] / tallest, UNKNOWN if k < 0 else SCALE[k])
    ax.set_ylim(-1.25, 1.25)
    ax.yaxis.grid(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ticks(ax.xaxis, signed)


def _stacked(column: IntArray) -> FloatArray:
    """(n,) heights 0, 1, -1, 2, -2, … of the points in each column."""
    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(column[order]) != 0))
    place = np.arange(len(column)) - np.repeat(starts, np.diff(np.append(starts, len(column))))
    height = np.empty(len(column))
    height[order] = (place + 1) // 2 * np.where(place % 2, 1, -1)
    return height


def _tones(values: FloatArray) -> IntArray:
    """Which fifth of the known values each lies in; -1 for unknown."""
    known = np.isfinite(values)
    tone: IntArray = np.full(len(values), -1, dtype=np.int64)
    inside, rank = np.unique(values[known], return_inverse=True)
    if len(inside) > 1:
        # by rank among different values: a 0 that most have is low, however many have it
        tone[known] = np.rint(rank / (len(inside) - 1) * (len(SCALE) - 1)).astype(np.int64)
    return tone


def _dependence(ax: Axes, item: Body, part: FloatArray) -> None:
    values = _values(item)
    known = np.isfinite(values)
    x, y = values[known], part[known]
    low, high = np.quantile(x, RANGE)
    shown = (x >= low) & (x <= high)
    ax.axhline(0, color=QUIET, linestyle="--", linewidth=0.9)
    _dots(ax, x[shown], y[shown], BLUE, size=DOT)
    room = float(high - low) * 0.04 or 0.5
    ax.set_xlim(float(low) - room, float(high) + room)
    bottom, top = min(0.0, float(y[shown].min())), max(0.0, float(y[shown].max()))
    room = (top - bottom) * 0.06 or 0.1
    ax.set_ylim(bottom - room, top + room)
    ticks(ax.xaxis, _short)
    ticks(ax.yaxis, signed)


def _short(value: float, _: Any) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 10:
            return f"{value / size:g}{letter}".replace("-", "−")
    return f"{value:.6g}".replace("-", "−")


def _dots(ax: Axes, x: FloatArray, y: FloatArray, colour: str, size: float = DOT) -> None:
    """Points as one path of lines without length, whose round ends are dots: far fewer bytes than markers."""
    if not len(x):
        return
    points = np.repeat(np.column_stack([x, y]), 2, axis=0)
    codes: npt.NDArray[Any] = np.tile([Path.MOVETO, Path.LINETO], len(x))
    path = Path(points, codes)
    path.should_simplify = False
    ax.add_patch(
        PathPatch(path, fill=False, edgecolor=colour, linewidth=size, capstyle="round", alpha=0.6, clip_on=False)
    )
