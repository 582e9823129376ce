"""The plots of a card. Matplotlib takes seconds to import, so only training does.

No name from a user's data is written into a plot: those stand beside it, in the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from holdfast.evaluation.arrays import FloatArray
from holdfast.evaluation.calibration import reliability_table
from holdfast.training.card.curves import Curves
from holdfast.training.card.data import Body, CardData
from holdfast.training.card.shap_plots import moves
from holdfast.training.card.svg import BLUE, MARGINS, QUIET, RED, SIZE, as_svg, settings

MOST_TICKS = 6
HEADROOM = 1.08
MOST_CUTOFF_LABELS = 6


def draw(card: CardData) -> dict[str, str]:
    """Every plot that the data allows, by name, as SVG."""
    found: dict[str, str] = {}

    def add(name: str, label: str, plot: Callable[[Axes], None]) -> None:
        figure = Figure(figsize=SIZE)
        plot(figure.add_axes(MARGINS))
        found[name] = as_svg(figure, name, label)

    with mpl.rc_context(settings()):
        test = card.metrics["test"]
        if (curves := Curves.of(card.y, card.p)) is not None:
            add("roc", "ROC curve", lambda ax: _roc(ax, curves))
            add("precision_recall", "Precision by recall", lambda ax: _precision(ax, curves, test["base_rate"]))
            add("lift", "Lift by share contacted", lambda ax: _lift(ax, curves, test["metrics"].get("lift_at_10")))
        add("reliability", "Predicted against observed churn", lambda ax: _reliability(ax, _bins(card)))
        profit = card.profit
        if profit is not None and len(profit):
            add("profit", "Profit by share contacted", lambda ax: _profit(ax, profit, card.currency))
        entries = test["by_cutoff"]
        if any("metrics" in entry for entry in entries):
            for name, words in (("roc_auc", "ROC-AUC"), ("average_precision", "average precision")):
                add(f"cutoff_{name}", f"{words} by cutoff", lambda ax, n=name, w=words: _by_cutoff(ax, entries, n, w))
        found |= moves(card.dependence)
    return found


def _roc(ax: Axes, curves: Curves) -> None:
    ax.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=0.9)
    ax.plot(curves.fallout, curves.recall, color=BLUE, linewidth=1.8)
    _shares(ax, "stayers pointed out", "churners found")
    ax.set(xlim=(0, 1), ylim=(0, 1.01))


def _precision(ax: Axes, curves: Curves, base_rate: float) -> None:
    ax.axhline(base_rate, color=QUIET, linestyle="--", linewidth=0.9)
    ax.plot(curves.recall, curves.precision, color=BLUE, linewidth=1.8)
    _shares(ax, "churners found (recall)", "of those pointed out, left (precision)")
    ax.set(xlim=(0, 1), ylim=(0, _top(curves.precision, curves.recall, base_rate)))


def _lift(ax: Axes, curves: Curves, at_10: Body | None) -> None:
    ax.axhline(1, color=QUIET, linestyle="--", linewidth=0.9)
    ax.plot(curves.contacted, curves.lift, color=BLUE, linewidth=1.8)
    top = _top(curves.lift, curves.contacted, 1.0)
    if at_10 is not None and at_10.get("low") is not None:
        ax.plot([0.1, 0.1], [at_10["low"], at_10["high"]], color=RED, linewidth=2)
        ax.plot([0.1], [at_10["value"]], color=RED, marker="o", markersize=5)
        top = max(top, at_10["high"] * HEADROOM)
    _shares(ax, "share contacted, riskiest first", "")
    ax.set(xlim=(0, 1), ylim=(0, top), ylabel="times the base rate")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}×"))


def _top(values: FloatArray, share: FloatArray, least: float) -> float:
    """The height of a plot: the first per cent of a ranking is a handful of customers, and may leave it."""
    settled = values[(share >= 0.01) & np.isfinite(values)]
    return max(float(settled.max(initial=0.0)), least) * 1.15


def _bins(card: CardData) -> Sequence[Body]:
    found: Sequence[Body] = card.metrics["test"].get("reliability") or []
    return found or [b.to_json() for b in reliability_table(card.y, card.p)]


def _reliability(ax: Axes, bins: Sequence[Body]) -> None:
    predicted, observed = (np.array([b[k] for b in bins]) for k in ("predicted", "observed"))
    low, high = (np.array([b[k] for b in bins]) for k in ("low", "high"))
    top = min(1.0, max(float(high.max()), float(predicted.max())) * HEADROOM)
    ax.plot([0, top], [0, top], color=QUIET, linestyle="--", linewidth=0.9)
    ax.vlines(predicted, low, high, color=BLUE, linewidth=1.6)
    ax.plot(predicted, observed, color=BLUE, marker="o", markersize=4.5, linewidth=0.8)
    _shares(ax, "predicted", "observed")
    ax.set(xlim=(0, top), ylim=(0, top))


def _profit(ax: Axes, profit: FloatArray, currency: str) -> None:
    ax.axhline(0, color=QUIET, linestyle="--", linewidth=0.9)
    ax.plot(profit[:, 0], profit[:, 1], color=BLUE, linewidth=1.8)
    best = profit[profit[:, 1].argmax()]
    ax.plot([best[0]], [best[1]], color=RED, marker="o", markersize=5)
    _shares(ax, "share contacted, riskiest first", "")
    ax.set(xlim=(0, 1))
    unit = f" ({currency})" if currency.isalpha() and currency.isascii() else ""
    ax.set_ylabel(f"profit per customer{unit}", rotation_mode="anchor")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def _by_cutoff(ax: Axes, entries: Sequence[Body], name: str, words: str) -> None:
    known = [i for i, e in enumerate(entries) if e.get("metrics", {}).get(name, {}).get("value") is not None]
    found = [entries[i]["metrics"][name] for i in known]
    value = np.array([m["value"] for m in found])
    low, high = (np.array([m["value"] if m[k] is None else m[k] for m in found]) for k in ("low", "high"))
    chance = [0.5 if name == "roc_auc" else e["positives"] / e["n"] for e in entries]
    ax.step(range(len(entries)), chance, where="mid", color=QUIET, linestyle="--", linewidth=0.9)
    if len(entries) == 1:
        ax.axhline(chance[0], color=QUIET, linestyle="--", linewidth=0.9)
    ax.vlines(known, low, high, color=BLUE, linewidth=1.6)
    ax.plot(known, value, color=BLUE, marker="o", markersize=4.5, linewidth=0.8)
    step = -(-len(entries) // MOST_CUTOFF_LABELS)
    shown = range((len(entries) - 1) % step, len(entries), step)
    ax.set_xticks(list(shown), [str(entries[i]["cutoff"])[:7 if step > 1 or len(entries) > 3 else 10] for i in shown])
    ax.set(xlim=(-0.5, len(entries) - 0.5), xlabel="cutoff")
    ax.set_ylabel(words, rotation_mode="anchor")
    ax.xaxis.grid(False)
    bottom, top = min([*low, *chance]), max([*high, *chance])
    room = (top - bottom) * 0.08 or 0.05
    ax.set_ylim(max(0.0, bottom - room), min(1.0, top + room) if top <= 1 else top + room)
    ax.yaxis.set_major_locator(MaxNLocator(MOST_TICKS))


def _shares(ax: Axes, x: str, y: str) -> None:
    """Both axes as shares."""
    ax.set_xlabel(x)
    ax.set_ylabel(y, rotation_mode="anchor")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(MOST_TICKS))
        axis.set_major_formatter(PercentFormatter(1.0))
