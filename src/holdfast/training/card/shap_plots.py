"""What each feature adds to the log-odds: the SHAP summary, and dependence on its value.

Both are drawn from bins of many snapshots (`holdfast.models.dependence`): nobody's row is in a plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from holdfast.evaluation.arrays import FloatArray
from holdfast.training.card.data import Body
from holdfast.training.card.svg import BLUE, QUIET, SCALE, SIZE, UNKNOWN, as_svg, axes, signed, ticks

STRIP = (6.0, 0.4)
STRIP_AXIS = 0.22


def moves(effects: Sequence[Body]) -> dict[str, str]:
    """By name: ``strip_0`` on, contributions on one common axis, coloured by value; ``dependence_0`` on, of numbers.

    Parameters
    ----------
    effects : as `CardData` has them
    """
    found: dict[str, str] = {}
    shown = [i for i, item in enumerate(effects) if item["swarm"]]
    every = [bead["contribution"] for i in shown for bead in effects[i]["swarm"]]
    if not every:
        return found
    room = (max(every) - min(every)) * 0.03 or 0.1
    limits = (min(every) - room, max(every) + room)
    for i in shown:
        last = i == shown[-1]
        height = STRIP[1] + (STRIP_AXIS if last else 0.0)
        figure = Figure(figsize=(STRIP[0], height))
        base = STRIP_AXIS / height if last else 0.0
        ax = figure.add_axes((0.01, base, 0.98, 1 - base))
        ax.set_xlim(limits)
        _strip(ax, effects[i]["swarm"])
        ax.tick_params(length=0, labelbottom=last, labelleft=False, labelsize=7)
        found[f"strip_{i}"] = as_svg(figure, f"strip_{i}", "Contributions in log-odds, coloured by value")
        if numbers := [
            b for b in effects[i]["dependence"] if effects[i]["kind"] == "number" and b["value"] is not None
        ]:
            figure = Figure(figsize=SIZE)
            _dependence(axes(figure, "value", "adds to log-odds"), numbers)
            found[f"dependence_{i}"] = as_svg(figure, f"dependence_{i}", "Contribution in log-odds by value")
    return found


def _strip(ax: Axes, swarm: Sequence[Body]) -> None:
    """Bars about a middle line, as high as there are snapshots; by its root, so that a few are seen too."""
    ax.axvline(0, color=QUIET, linewidth=0.8)
    at, n = _column(swarm, "contribution"), _column(swarm, "n")
    left, right = ax.get_xlim()
    width = max(float(np.diff(at).min(initial=right - left)) if len(at) > 1 else 0.0, (right - left) / 200)
    height = np.sqrt(n / n.max())
    ax.bar(at, 2 * height, width * 0.9, bottom=-height, color=[_tone(bead["value_rank"]) for bead in swarm])
    ax.set_ylim(-1.15, 1.15)
    ax.yaxis.grid(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ticks(ax.xaxis, signed)


def _tone(rank: float | None) -> str:
    return UNKNOWN if rank is None else SCALE[round(rank * (len(SCALE) - 1))]


def _dependence(ax: Axes, bands: Sequence[Body]) -> None:
    x, low, median, high = (_column(bands, name) for name in ("value", "low", "median", "high"))
    ax.axhline(0, color=QUIET, linestyle="--", linewidth=0.9)
    if len(x) > 1:
        ax.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0)
    else:
        ax.vlines(x, low, high, color=BLUE, linewidth=1.6)
    ax.plot(x, median, color=BLUE, marker="o", markersize=3.5, linewidth=1.2)
    ticks(ax.xaxis, _short)
    ticks(ax.yaxis, signed)


def _column(rows: Sequence[Body], name: str) -> FloatArray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _short(value: float, _: Any) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 10:
            return f"{value / size:g}{letter}".replace("-", "−")
    return f"{value:.6g}".replace("-", "−")
