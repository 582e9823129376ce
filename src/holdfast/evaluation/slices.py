"""Metrics by value of a column: a model that is good on average may be poor for someone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.evaluation.arrays import BoolArray, FloatArray, checked, finite_or_none, refuse
from holdfast.evaluation.intervals import Metric, evaluate

MIN_ROWS = 200
MIN_POSITIVES = 5
MAX_SLICES = 20
NUMBER_BINS = 4
UNKNOWN = "(unknown)"
Names: TypeAlias = NDArray[Any]
"""(n,) strings"""
DEFAULT_METRICS = ("roc_auc", "average_precision", "log_loss", "lift_at_10")


@dataclass(frozen=True)
class Slice:
    """One value of a column: how many, how often, how well predicted."""

    column: str
    value: str
    n: int
    positives: int
    base_rate: float
    mean_p: float
    metrics: dict[str, Metric]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "metrics": {k: m.to_json() for k, m in self.metrics.items()}}


@dataclass(frozen=True)
class Slices:
    """The slices of one column, largest first, and how many rows lie in values too small to measure."""

    column: str
    slices: tuple[Slice, ...]
    rows_left_out: int
    values_left_out: int

    def spread(self, metric: str) -> float:
        """Largest minus smallest value of a metric over the slices; NaN with fewer than two."""
        values = [s.metrics[metric].value for s in self.slices if finite_or_none(s.metrics[metric].value) is not None]
        return max(values) - min(values) if len(values) > 1 else float("nan")

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "slices": [s.to_json() for s in self.slices]}


def by_slice(
    y: ArrayLike,
    p: ArrayLike,
    column: str,
    values: ArrayLike | Sequence[str | None],
    clusters: ArrayLike | None = None,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    min_rows: int = MIN_ROWS,
    min_positives: int = MIN_POSITIVES,
    max_slices: int = MAX_SLICES,
    replicates: int = 0,
    seed: int = 0,
) -> Slices:
    """Measure each value of a column on its own.

    Parameters
    ----------
    y, p : (n,) labels and probabilities
    column : its name
    values : (n,) strings, None for unknown; numbers are cut into `NUMBER_BINS` equal-mass bins first
    clusters : (n,) customer codes, for intervals
    min_rows, min_positives : smaller slices are counted, not measured
    max_slices : only the largest are measured
    replicates : for intervals; 0 for none
    """
    labels, scores, _ = checked(y, p)
    names = value_names(column, values, len(labels))
    customers = None if clusters is None else np.asarray(clusters)
    large = measurable(names, labels, min_rows=min_rows, min_positives=min_positives)[:max_slices]
    found = []
    for name in large:
        at: BoolArray = names == name
        result = evaluate(
            labels[at],
            scores[at],
            None if customers is None else customers[at],
            metrics=metrics,
            replicates=replicates,
            seed=seed,
        )
        found.append(
            Slice(
                column,
                name,
                result.n,
                result.positives,
                result.base_rate,
                float(scores[at].mean()),
                dict(result.metrics),
            )
        )
    measured = sum(s.n for s in found)
    return Slices(column, tuple(found), len(labels) - measured, len(set(names.tolist())) - len(found))


def measurable(names: Names, y: FloatArray, *, min_rows: int, min_positives: int) -> list[str]:
    """Values with enough rows and churners, and someone who stayed; the largest first."""
    known, code = np.unique(names, return_inverse=True)
    sizes = np.bincount(code, minlength=len(known))
    churners = np.bincount(code, weights=y, minlength=len(known))
    return [
        str(known[i])
        for i in np.lexsort((known, -sizes))
        if sizes[i] >= min_rows and churners[i] >= min_positives and churners[i] < sizes[i]
    ]


def value_names(column: str, values: Any, n: int) -> Names:
    """The slice that each of n rows is in, by name; numbers are cut into `NUMBER_BINS` bins of equal mass.

    Raises
    ------
    DataError
        There are not n values.
    """
    given = np.asarray(values)
    if given.shape != (n,):
        raise refuse("this column cannot be sliced", f"{column} has shape {given.shape}, not ({n},)")
    if given.dtype.kind not in "fiu":
        return np.array([UNKNOWN if v is None else str(v) for v in given.tolist()], dtype=object)
    number = given.astype(np.float64)
    finite = np.isfinite(number)
    names = np.full(len(number), UNKNOWN, dtype=object)
    if not finite.any():
        return names
    inside = np.unique(number[finite])
    if len(inside) > NUMBER_BINS:
        cuts = np.quantile(number[finite], np.arange(1, NUMBER_BINS) / NUMBER_BINS, method="higher")
        edges = np.unique(np.concatenate(([inside[0]], cuts, [inside[-1]])))
        texts = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        code = np.clip(np.searchsorted(edges, number[finite], side="right") - 1, 0, len(texts) - 1)
    else:
        texts = [f"{v:g}" for v in inside]
        code = np.searchsorted(inside, number[finite])
    names[finite] = np.array(texts, dtype=object)[code]
    return names
