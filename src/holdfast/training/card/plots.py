"""The plots of a card. Matplotlib takes seconds to import, so only training does.

No name from a user's data is written into a plot: those stand beside it, in the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from holdfast.evaluation.arrays import FloatArray
from holdfast.evaluation.calibration import reliability_table
from holdfast.training.card.curves import Curves, thinned
from holdfast.training.card.data import Body, CardData
from holdfast.training.card.shap_plots import moves
from holdfast.training.card.svg import BLUE, QUIET, RED, SIZE, as_svg, axes, settings, ticks

CONTACTED = "share contacted, riskiest first"
HEADROOM = 1.08
MOST_CUTOFF_LABELS = 5
FIRST_SHARE = 0.01
"""The first per cent of a ranking is a handful of customers: its precision and lift are noise."""


def draw(card: CardData) -> dict[str, str]:
    """Every plot that the data allows, by name, as SVG."""
    test = card.metrics["test"]
    found: dict[str, str] = {}

    def add(name: str, label: str, x: str, y: str, plot: Callable[[Axes], None]) -> None:
        figure = Figure(figsize=SIZE)
        plot(axes(figure, x, y))
        found[name] = as_svg(figure, name, label)

    with mpl.rc_context(settings()):
        if (curves := Curves.of(card.y, card.p)) is not None:
            add("roc", "ROC curve", "stayers pointed out", "churners found", lambda ax: _roc(ax, curves))
            add(
                "precision_recall", "Precision by recall", "churners found", "churners among those pointed out",
                lambda ax: _precision(ax, curves, test["base_rate"]),
            )  # fmt: skip
            add(
                "lift", "Lift by share contacted", CONTACTED, "churners found, times chance",
                lambda ax: _lift(ax, curves, test["metrics"].get("lift_at_10")),
            )  # fmt: skip
        add(
            "reliability",
            "Predicted against observed",
            "predicted",
            "observed",
            lambda ax: _reliability(ax, _bins(card)),
        )
        if (profit := card.profit) is not None and len(profit):
            unit = f", {card.currency}" if card.currency.isalpha() and card.currency.isascii() else ""
            add(
                "profit", "Profit by share contacted", "contacted, best value for money first",
                f"profit per customer{unit}", lambda ax: _profit(ax, profit),
            )  # fmt: skip
        if any("metrics" in entry for entry in test["by_cutoff"]):
            for name, words in (("roc_auc", "ROC-AUC"), ("average_precision", "average precision")):
                cutoffs = partial(_by_cutoff, entries=test["by_cutoff"], name=name)
                add(f"cutoff_{name}", f"{words} by cutoff", "cutoff", words, cutoffs)
        found |= moves(card.effects)
    return found


def _chance(ax: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """What it would be by chance, or were it right: dashed."""
    ax.plot(x, y, color=QUIET, linestyle="--", linewidth=0.9)


def _roc(ax: Axes, curves: Curves) -> None:
    _chance(ax, (0, 1), (0, 1))
    ax.plot(curves.fallout, curves.recall, color=BLUE, linewidth=1.8)
    ax.set(xlim=(0, 1), ylim=(0, 1.01))
    ticks(ax.xaxis)
    ticks(ax.yaxis)


def _precision(ax: Axes, curves: Curves, base_rate: float) -> None:
    _chance(ax, (0, 1), (base_rate, base_rate))
    shown = curves.contacted >= FIRST_SHARE
    ax.plot(curves.recall[shown], curves.precision[shown], color=BLUE, linewidth=1.8)
    ax.set(xlim=(0, 1), ylim=(0, min(1.01, float(curves.precision[shown].max()) * HEADROOM)))
    ticks(ax.xaxis)
    ticks(ax.yaxis)


def _lift(ax: Axes, curves: Curves, at_10: Body | None) -> None:
    _chance(ax, (0, 1), (1, 1))
    shown = curves.contacted >= FIRST_SHARE
    ax.plot(curves.contacted[shown], curves.lift[shown], color=BLUE, linewidth=1.8)
    top = float(curves.lift[shown].max())
    if at_10 is not None and at_10.get("low") is not None:
        ax.plot([0.1, 0.1], [at_10["low"], at_10["high"]], color=RED, linewidth=2)
        ax.plot([0.1], [at_10["value"]], color=RED, marker="o", markersize=5)
        top = max(top, at_10["high"])
    ax.set(xlim=(0, 1), ylim=(0, top * HEADROOM))
    ticks(ax.xaxis)
    ticks(ax.yaxis, lambda v, _: f"{v:.6g}×")


def _bins(card: CardData) -> Sequence[Body]:
    found: Sequence[Body] = card.metrics["test"].get("reliability") or []
    return found or [b.to_json() for b in reliability_table(card.y, card.p)]


def _reliability(ax: Axes, bins: Sequence[Body]) -> None:
    predicted, observed, low, high = (np.array([b[k] for b in bins]) for k in ("predicted", "observed", "low", "high"))
    top = min(1.0, max(float(high.max()), float(predicted.max())) * HEADROOM)
    _chance(ax, (0, top), (0, top))
    _measured(ax, predicted, observed, low, high)
    ax.set(xlim=(0, top), ylim=(0, top))
    ticks(ax.xaxis)
    ticks(ax.yaxis)


def _measured(ax: Axes, x: FloatArray, value: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Values with their intervals."""
    ax.vlines(x, low, high, color=BLUE, linewidth=1.6)
    ax.plot(x, value, color=BLUE, marker="o", markersize=4.5, linewidth=0.8)


def _profit(ax: Axes, profit: FloatArray) -> None:
    reach = min(1.0, float(profit[-1, 0]) * HEADROOM) or 1.0  # who is not worth contacting at all is not on the curve
    _chance(ax, (0, reach), (0, 0))
    curve = profit[list(thinned(len(profit)))]
    ax.plot(curve[:, 0], curve[:, 1], color=BLUE, linewidth=1.8)
    best = profit[profit[:, 1].argmax()]
    ax.plot([best[0]], [best[1]], color=RED, marker="o", markersize=5)
    ax.set(xlim=(0, reach))
    ticks(ax.xaxis)
    ticks(ax.yaxis, lambda v, _: f"{v:.6g}".replace("-", "−"))


def _by_cutoff(ax: Axes, *, entries: Sequence[Body], name: str) -> None:
    known = [i for i, e in enumerate(entries) if e.get("metrics", {}).get(name, {}).get("value") is not None]
    found = [entries[i]["metrics"][name] for i in known]
    value = np.array([m["value"] for m in found])
    low, high = (np.array([m["value"] if m[k] is None else m[k] for m in found]) for k in ("low", "high"))
    chance = [0.5 if name == "roc_auc" else e["positives"] / e["n"] for e in entries]
    for i, level in enumerate(chance):
        _chance(ax, (i - 0.5, i + 0.5), (level, level))
    _measured(ax, np.array(known, dtype=np.float64), value, low, high)
    step = -(-len(entries) // MOST_CUTOFF_LABELS)
    shown = range((len(entries) - 1) % step, len(entries), step)
    length = 10 if len(entries) <= 3 else 7  # days where they fit
    ax.set_xticks(list(shown), [str(entries[i]["cutoff"])[:length] for i in shown])
    ax.xaxis.grid(False)
    ticks(ax.yaxis, lambda v, _: f"{v:.6g}")
    bottom, top = min([*low, *chance]), max([*high, *chance])
    room = (top - bottom) * 0.06 or 0.05
    ax.set(xlim=(-0.5, len(entries) - 0.5), ylim=(max(0.0, bottom - room), min(1.0, top + room)))
