"""How well scores order customers: ROC-AUC, average precision, lift and recall of the top share.

All take weights, so that a bootstrap replicate is a weighted metric on one presort (`intervals`). Ties are
exact: a group of equal scores counts as one step, as in scikit-learn, and the top share of a list that
ends within a tie takes the expected value over random orders of that tie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from holdfast.evaluation.arrays import P_FLOOR, FloatArray, IntArray, checked, dot

NAN = float("nan")


@dataclass(frozen=True)
class Steps:
    """What the ranking metrics need of one weighting, at each of the g scores that some churner has.

    Attributes
    ----------
    gain : (g,) weight of the churners with that score
    true : (g,) weight of the churners with that score or a higher one
    above, rows : (g,) weight of all rows with a higher score, and with that score or a higher one
    total : weight of all rows
    """

    gain: FloatArray
    true: FloatArray
    above: FloatArray
    rows: FloatArray
    total: float

    @property
    def positives(self) -> float:
        return float(self.true[-1]) if len(self.true) else 0.0


class Ranked:
    """Rows sorted once by falling score, so that any number of weightings can be measured cheaply.

    Attributes
    ----------
    order : (n,) row numbers by falling score
    y, p : (n,) labels and scores in that order
    log_loss, squared_error : (n,) each row's loss, in that order
    """

    def __init__(self, y: ArrayLike, p: ArrayLike) -> None:
        labels, scores, _ = checked(y, p)
        self.n = len(labels)
        # stable, so that the same rows in the same order give the same bytes
        self.order: IntArray = np.argsort(-scores, kind="stable").astype(np.int64)
        self.y: FloatArray = labels[self.order]
        self.p: FloatArray = scores[self.order]
        self.log_loss = row_log_loss(self.y, self.p)
        self.squared_error: FloatArray = (self.p - self.y) ** 2
        # churners are few: only the scores that one of them has can move a metric
        self._churners: IntArray = np.flatnonzero(self.y == 1)
        first = np.append(True, np.diff(self.p) != 0)
        tie = np.cumsum(first) - 1
        edges = np.append(np.flatnonzero(first), self.n)
        used, self._starts = np.unique(tie[self._churners], return_index=True)
        self._above, self._rows = edges[used], edges[used + 1]

    def steps(self, weight: FloatArray) -> Steps:
        """Sums of a weighting, (n,) in ranked order."""
        rows = np.zeros(self.n + 1)
        np.cumsum(weight, out=rows[1:])
        gain = np.add.reduceat(weight[self._churners], self._starts) if len(self._starts) else np.empty(0)
        return Steps(gain, np.cumsum(gain), rows[self._above], rows[self._rows], float(rows[-1]))

    def unit(self) -> FloatArray:
        return np.ones(self.n)


def row_log_loss(y: FloatArray, p: FloatArray) -> FloatArray:
    """Each row's log loss in nats, with p kept `P_FLOOR` away from 0 and 1. NaN where p is no probability."""
    inside = np.where((p >= 0) & (p <= 1), p, np.nan)
    kept = np.clip(inside, P_FLOOR, 1 - P_FLOOR)
    out: FloatArray = -np.where(y == 1, np.log(kept), np.log1p(-kept))
    return out


def auc_of_steps(steps: Steps) -> float:
    """Weight of (churner, stayer) pairs in the right order, ties half, over all pairs."""
    positives = steps.positives
    negatives = steps.total - positives
    if positives <= 0 or negatives <= 0:
        return NAN
    above = steps.above - (steps.true - steps.gain)
    tied = steps.rows - steps.above - steps.gain
    return dot(steps.gain, negatives - above - tied / 2) / (positives * negatives)


def ap_of_steps(steps: Steps) -> float:
    """Sum of precision times the gain in recall, without interpolation (scikit-learn's definition)."""
    if steps.positives <= 0:
        return NAN
    precision = np.divide(steps.true, steps.rows, out=np.zeros_like(steps.true), where=steps.rows > 0)
    return dot(steps.gain, precision) / steps.positives


def recall_of_steps(steps: Steps, share: float) -> float:
    """Share of the churners within the top ``share`` of the rows; linear within a tie."""
    if steps.positives <= 0:
        return NAN
    size = steps.rows - steps.above
    reached = np.divide(share * steps.total - steps.above, size, out=np.zeros_like(size), where=size > 0).clip(0, 1)
    return dot(steps.gain, reached) / steps.positives


def base_rate(y: ArrayLike) -> float:
    """The share of positives."""
    return float(np.mean(np.asarray(y, dtype=np.float64)))


def roc_auc(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Probability that a churner's score exceeds a stayer's, ties counting half.

    Parameters
    ----------
    y, p, weight : (n,) labels, scores and optional weights

    Returns
    -------
    float
        In [0, 1]; NaN when one class is absent.

    Examples
    --------
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return auc_of_steps(_steps(y, p, weight))


def average_precision(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Area under the precision-recall steps; NaN when there is no positive.

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return ap_of_steps(_steps(y, p, weight))


def recall_at(y: ArrayLike, p: ArrayLike, share: float, weight: ArrayLike | None = None) -> float:
    """Share of all churners found among the ``share`` (0 to 1) of customers with the highest scores.

    ``share * n`` need not be whole: the last customer counts in part, as does a tie at the edge.

    Examples
    --------
    >>> recall_at([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], 0.5)
    0.5
    """
    return recall_of_steps(_steps(y, p, weight), share)


def lift_at(y: ArrayLike, p: ArrayLike, share: float, weight: ArrayLike | None = None) -> float:
    """Churn rate among the top ``share`` of customers over the churn rate of all."""
    return recall_at(y, p, share, weight) / share


def _steps(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None) -> Steps:
    _, _, w = checked(y, p, weight)
    ranked = Ranked(y, p)
    return ranked.steps(w[ranked.order])
