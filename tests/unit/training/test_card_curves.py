"""The curves are those of the metrics."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.evaluation.ranking import lift_at, recall_at, roc_auc
from holdfast.training.card.curves import MOST_POINTS, Curves, thinned


def some(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 10, n), 3)  # with ties
    return (rng.random(n) < p).astype(float), p


@pytest.mark.parametrize(("n", "within"), [(150, 1e-12), (50_000, 1e-3)])
def test_the_area_and_the_lift_are_the_metrics(n, within):
    y, p = some(n)
    curves = Curves.of(y, p)
    assert curves is not None
    assert len(curves.recall) <= MOST_POINTS
    assert np.trapezoid(curves.recall, curves.fallout) == pytest.approx(roc_auc(y, p), abs=within)
    assert np.interp(0.3, curves.contacted, curves.recall) == pytest.approx(recall_at(y, p, 0.3), abs=5 * within)
    at = len(curves.lift) // 2
    assert curves.lift[at] == pytest.approx(lift_at(y, p, curves.contacted[at]))
    assert curves.precision[-1] == pytest.approx(y.mean())
    assert curves.lift[-1] == pytest.approx(1)


def test_equal_probabilities_are_one_step():
    curves = Curves.of(np.array([1.0, 0, 1, 0]), np.array([0.5, 0.5, 0.5, 0.1]))
    assert curves is not None
    assert curves.contacted.tolist() == [0, 0.75, 1]
    assert curves.recall.tolist() == [0, 1, 1]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_has_no_curve(value):
    assert Curves.of(np.full(5, value), np.linspace(0, 1, 5)) is None


@pytest.mark.parametrize("n", [1, 240, 241, 10_000_000])
def test_thinned_keeps_both_ends(n):
    kept = list(thinned(n))
    assert kept[0] == 0
    assert kept[-1] == n - 1
    assert kept == sorted(set(kept))
    assert len(kept) <= MOST_POINTS
