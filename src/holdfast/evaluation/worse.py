"""Slices that fare worse, by name: than the customers as a whole, or under a challenger than under the champion.

Looking at many slices finds some that look worse by chance, so p-values are Holm's (1979) over all slices of all
columns: the chance to name even one slice that is not worse stays below the stated level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, ndtr, pdtr, pdtrc

from holdfast.evaluation.arrays import BoolArray, FloatArray, IntArray, checked, dot
from holdfast.evaluation.intervals import DEFAULT_REPLICATES, cluster_codes, replicate_counts
from holdfast.evaluation.ranking import Ranked, row_log_loss
from holdfast.evaluation.slices import MIN_POSITIVES, MIN_ROWS, Names, measurable, value_names
from holdfast.evaluation.weighting import TOP_SHARE

LEVEL = 0.05
CALIBRATION_MARGIN = 0.25
RECALL_MARGIN = 0.1
LEAST_DRAWS = 5
"""A share of replicates stands for a p-value where so many are expected beyond the strictest level."""


@dataclass(frozen=True)
class WorseSlice:
    """One value of a column where something is worse.

    Attributes
    ----------
    metric : ``observed_expected``, ``recall_at_10`` or ``log_loss``
    found, against : the slice's figure, and what it is held against: 1, all customers' recall, the champion's log loss
    p_value : one-sided for recall and log loss, two-sided for calibration; Holm-corrected
    """

    column: str
    value: str
    n: int
    positives: int
    metric: str
    found: float
    against: float
    p_value: float

    def __str__(self) -> str:
        return (
            f"{self.column} = {self.value}: {self.metric} is {self.found:.4g}, against {self.against:.4g} "
            f"({self.n:,} snapshots, {self.positives:,} churners, p = {self.p_value:.2g})"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def worse_slices(
    y: ArrayLike,
    p: ArrayLike,
    columns: Mapping[str, Any],
    clusters: ArrayLike | None = None,
    *,
    calibration_margin: float = CALIBRATION_MARGIN,
    recall_margin: float = RECALL_MARGIN,
    level: float = LEVEL,
) -> list[WorseSlice]:
    """Slices whose calibration or recall is materially worse, at a family-wise ``level``.

    Parameters
    ----------
    y, p : (n,) labels and probabilities
    columns : by name, (n,) values each, as in `holdfast.evaluation.slices.by_slice`
    clusters : (n,) customer codes; each row alone if not given
    calibration_margin : observed / expected is materially wrong above ``1 + margin`` or below ``1 / (1 + margin)``
    recall_margin : recall is materially lower where it is this much below that of all customers

    Notes
    -----
    Recall is the share of the slice's churners among the `TOP_SHARE` of *all* customers with the highest
    predictions (equal opportunity: Hardt, Price and Srebro 2016): whether who leaves is found, whichever group they
    are in. The mean over slices is the overall recall. A group that seldom leaves has a low one also if every
    prediction is right; its calibration says whether they are.

    What is tested is not "the same as all" but "within the margin". The p-value is the larger of two: the normal one
    with a variance clustered by customer, and the exact Poisson (calibration) or binomial (recall) one, which
    keeps its word where there are few churners.
    """
    labels, scores, _ = checked(y, p)
    code, _ = cluster_codes(clusters, len(labels))
    found_at = _top_part(labels, scores)
    overall = dot(labels, found_at) / float(labels.sum()) if labels.any() else 0.0
    judged: list[WorseSlice] = []
    for column, name, at in _cells(columns, labels, min_positives=0):
        mine, positives = int(at.sum()), float(labels[at].sum())
        expected = float(scores[at].sum())
        if max(positives, expected) >= MIN_POSITIVES:
            chance = _calibration_p(labels[at], scores[at], code[at], calibration_margin)
            judged.append(
                WorseSlice(column, name, mine, int(positives), "observed_expected", positives / expected, 1.0, chance)
            )
        if positives >= MIN_POSITIVES:
            hits = dot(labels[at], found_at[at])
            chance = _recall_p(labels, found_at, at, code, overall, recall_margin)
            judged.append(
                WorseSlice(column, name, mine, int(positives), "recall_at_10", hits / positives, overall, chance)
            )
    return _named(judged, level)


def worse_in_slices(
    y: ArrayLike,
    challenger: ArrayLike,
    champion: ArrayLike,
    columns: Mapping[str, Any],
    clusters: ArrayLike | None = None,
    *,
    confidence: float = 1 - LEVEL,
    replicates: int = DEFAULT_REPLICATES,
    seed: int = 0,
) -> list[WorseSlice]:
    """Slices where the challenger's log loss is higher than the champion's: paired, clustered, one-sided.

    Slices of fewer than `MIN_ROWS` rows or `MIN_POSITIVES` churners are not tested.

    Parameters
    ----------
    y, challenger, champion : (n,) labels and both models' probabilities of the same rows
    columns : by name, (n,) values each
    clusters : (n,) customer codes; each row alone if not given
    confidence : one minus the chance to name any slice where the challenger is no worse
    replicates, seed : of the bootstrap over customers

    Notes
    -----
    A p-value is the share of replicates in which the challenger is not worse, ``(1 + k) / (1 + replicates)``, where
    the replicates can resolve what Holm asks of the smallest one: at least `LEAST_DRAWS` of them lie beyond
    ``(1 - confidence) / slices``. With fewer (300 replicates do for one slice at 97.5%) it is the normal tail
    of the difference over the replicates' standard deviation, for all slices alike.
    """
    labels, new, _ = checked(y, challenger)
    _, old, _ = checked(y, champion)
    code, n_clusters = cluster_codes(clusters, len(labels))
    losses = row_log_loss(labels, new), row_log_loss(labels, old)
    cells = list(_cells(columns, labels, min_positives=MIN_POSITIVES))
    if not cells:
        return []
    gap = losses[0] - losses[1]
    sums = np.stack([np.bincount(code[at], weights=gap[at], minlength=n_clusters) for _, _, at in cells])
    sizes = np.stack([np.bincount(code[at], minlength=n_clusters).astype(np.float64) for _, _, at in cells])
    draws = np.array(
        [
            (counts * sums).sum(axis=1) / np.maximum((counts * sizes).sum(axis=1), 1.0)
            for counts in replicate_counts(n_clusters, replicates, seed)
        ]
    )
    difference = sums.sum(axis=1) / sizes.sum(axis=1)
    if (replicates + 1) * (1 - confidence) / len(cells) >= LEAST_DRAWS:
        chances = (1 + (draws <= 0).sum(axis=0)) / (1 + replicates)
    else:
        error = draws.std(axis=0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            chances = np.where(difference > 0, ndtr(-difference / error), 1.0)
    judged = [
        WorseSlice(
            column, name, int(at.sum()), int(labels[at].sum()), "log_loss",
            float(losses[0][at].mean()), float(losses[1][at].mean()), float(chance),
        )
        for (column, name, at), chance in zip(cells, chances, strict=True)
    ]  # fmt: skip
    return _named(judged, 1 - confidence)


def holm(p_values: Sequence[float]) -> FloatArray:
    """Holm's (1979) adjusted p-values, in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    adjusted = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    out = np.empty_like(given)
    out[order] = np.minimum(adjusted, 1.0)
    return out


def _named(judged: Sequence[WorseSlice], level: float) -> list[WorseSlice]:
    corrected = holm([one.p_value for one in judged])
    named = [replace(one, p_value=float(p)) for one, p in zip(judged, corrected, strict=True) if p <= level]
    return sorted(named, key=lambda one: one.p_value)


def _cells(
    columns: Mapping[str, Any], labels: FloatArray, *, min_positives: int
) -> Iterator[tuple[str, str, BoolArray]]:
    for column, values in columns.items():
        names: Names = value_names(column, values, len(labels))
        for name in measurable(names, labels, min_rows=MIN_ROWS, min_positives=min_positives):
            yield column, name, names == name


def _top_part(y: FloatArray, p: FloatArray) -> FloatArray:
    """(n,) how much of each row is among the `TOP_SHARE` with the highest scores; ties at the edge in equal part."""
    ranked = Ranked(y, p)
    first = np.append(True, np.diff(ranked.p) != 0)
    start = np.flatnonzero(first)
    size = np.diff(np.append(start, ranked.n))
    part = np.clip((TOP_SHARE * ranked.n - start) / size, 0.0, 1.0)
    out = np.empty(ranked.n)
    out[ranked.order] = np.repeat(part, size)
    return out


def _calibration_p(y: FloatArray, p: FloatArray, code: IntArray, margin: float) -> float:
    """Two-sided, of "observed / expected is within the margin"."""
    observed, expected = float(y.sum()), float(p.sum())
    most, least = (1 + margin) * expected, expected / (1 + margin)
    above = max(
        _normal_tail(observed - most, y - (1 + margin) * p, code), float(pdtrc(observed - 1, most)) if observed else 1.0
    )
    below = max(_normal_tail(least - observed, p / (1 + margin) - y, code), float(pdtr(observed, least)))
    return min(1.0, 2 * min(above, below))


def _recall_p(
    y: FloatArray, found_at: FloatArray, at: BoolArray, code: IntArray, overall: float, margin: float
) -> float:
    """One-sided, of "recall is no more than the margin below that of all"."""
    least = overall - margin
    if least <= 0:
        return 1.0
    positives = float(y[at].sum())
    recall = dot(y[at], found_at[at]) / positives
    influence = y * (found_at - overall) / y.sum() - np.where(at, y * (found_at - recall) / positives, 0.0)
    normal = _normal_tail(least - recall, influence, code)
    return max(normal, float(bdtr(np.ceil(recall * positives), int(positives), least)))


def _normal_tail(excess: float, rows: FloatArray, code: IntArray) -> float:
    """Chance of so large an excess, where rows' parts add up to it and are independent between clusters."""
    by_cluster = np.bincount(np.unique(code, return_inverse=True)[1], weights=rows)
    error = float(np.sqrt(((by_cluster - by_cluster.mean()) ** 2).sum()))
    if error == 0:
        return 0.0 if excess > 0 else 1.0
    return float(ndtr(-excess / error))
