"""The scorecard of recency, frequency and money: points by fifths of each column, as marketing has long made it.

Each number is cut at its training quintiles, each category code is a bin of its own, and missing is a bin too. A bin's
weight of evidence (Good 1950) is the log-odds of churn in it less the log-odds of all; the points of a bin are its
weight of evidence times the column's slope in a logistic regression on them, as in credit scorecards (Siddiqi 2006,
"Credit Risk Scorecards", chapter 6). The slopes count once what several columns say together, and are never negative,
so that more evidence is never fewer points. Nothing is hidden: the model file is the table of points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.evaluation.arrays import FloatArray
from holdfast.models.estimator import JsonModel, Matrix, check_matrix, check_training
from holdfast.models.newton import logistic_regression

RIDGE = 1.0  # keeps slopes unique where two columns say the same; nothing beside hundreds of rows


@dataclass(frozen=True)
class Column:
    """The bins of one column and what each is worth.

    Attributes
    ----------
    edges : (b - 1,) rising; bin k holds ``edges[k - 1] < x <= edges[k]``. Of a category, (b,) codes, one a bin
    points : (b,) log-odds of each bin, less the training mean
    missing : the points of a missing value, and of a code never seen
    """

    category: bool
    edges: FloatArray
    points: FloatArray
    missing: float

    def of(self, x: Matrix) -> FloatArray:
        """(n,) points of one column's values."""
        return np.append(self.points, self.missing)[bins_of(x, self.edges, category=self.category)]


def bins_of(x: Matrix, edges: FloatArray, *, category: bool) -> NDArray[np.int64]:
    """(n,) the bin of each value, counted from 0; the last, one beyond the others, is for missing and unknown ones."""
    values = x.astype(np.float64)
    found = np.searchsorted(edges, values, side="left")
    if category:
        at = np.minimum(found, len(edges) - 1)
        known = edges[at] == values if len(edges) else np.zeros(len(values), dtype=np.bool_)
        return np.where(known, at, len(edges))
    return np.where(np.isfinite(values), found, len(edges) + 1)


@dataclass(frozen=True)
class RFM:
    """A scorecard of quantile bins.

    Parameters
    ----------
    bins : quantile bins of a number; 5 are quintiles
    smoothing : rows at the training rate that are added to each bin before its log-odds are taken; at least half a one
    """

    name: ClassVar[str] = "rfm"

    bins: int = 5
    smoothing: float = 20.0

    def fit(
        self,
        x: Matrix,
        y: ArrayLike,
        *,
        seed: int,
        weight: ArrayLike | None = None,
        categorical: Sequence[int] = (),
        monotone: Sequence[int] | None = None,
        threads: int = 1,
    ) -> RFMModel:
        """See :meth:`holdfast.models.estimator.Estimator.fit`.

        Nothing here is random: ``seed`` and ``threads`` are not used. For ``monotone`` adjacent bins in the wrong order
        are pooled.
        """
        data = check_training(x, y, weight=weight, categorical=categorical, monotone=monotone)
        w = np.ones(len(data.y)) if data.weight is None else data.weight
        columns = []
        for j in range(data.x.shape[1]):
            category = j in data.categorical
            direction = 0 if data.monotone is None or category else data.monotone[j]
            columns.append(self._evidence(data.x[:, j], data.y, w, category=category, direction=direction))
        evidence = np.column_stack([c.of(data.x[:, j]) for j, c in enumerate(columns)])
        intercept, slopes = logistic_regression(evidence, data.y, w, l2=RIDGE, sign=np.ones(len(columns)))
        centre = np.average(evidence, axis=0, weights=w)
        return RFMModel.of(_document(columns, float(intercept + np.cumsum(slopes * centre)[-1]), slopes, centre))

    def _evidence(self, x: Matrix, y: FloatArray, w: FloatArray, *, category: bool, direction: int) -> Column:
        from scipy.optimize import isotonic_regression  # half a second to import, and few need it

        seen = x[np.isfinite(x)].astype(np.float64)
        if category:
            edges = np.unique(seen)
        else:
            shares = np.arange(1, max(self.bins, 1)) / max(self.bins, 1)
            edges = np.unique(np.quantile(seen, shares, method="inverted_cdf")) if len(seen) else np.zeros(0)
        bin_of = bins_of(x, edges, category=category)
        n = len(edges) + (0 if category else 1)
        rows = np.bincount(bin_of, weights=w, minlength=n + 1)
        churned = np.bincount(bin_of, weights=w * y, minlength=n + 1)
        rate = float(churned.sum() / rows.sum())
        added = max(self.smoothing, 0.5)
        k, stayed = churned + added * rate, rows - churned + added * (1 - rate)
        if direction:
            share = isotonic_regression((k / (k + stayed))[:n], weights=(k + stayed)[:n], increasing=direction > 0).x
            k[:n], stayed[:n] = share, 1 - share
        found = np.log(k / stayed) - np.log(rate / (1 - rate))
        return Column(category, edges, found[:n], float(found[n]))


def _document(columns: Sequence[Column], intercept: float, slopes: FloatArray, centre: FloatArray) -> dict[str, Any]:
    return {
        "intercept": intercept,
        "columns": [
            {
                "category": c.category,
                "edges": c.edges.tolist(),
                "points": (b * (c.points - m)).tolist(),
                "missing": float(b * (c.missing - m)),
            }
            for c, b, m in zip(columns, slopes.tolist(), centre.tolist(), strict=True)
        ],
    }


class RFMModel(JsonModel):
    """A fitted scorecard; its contributions are exact against the training mean."""

    name: ClassVar[str] = "rfm"
    form: ClassVar[str] = "holdfast-rfm-1"
    called: ClassVar[str] = "an RFM scorecard file"

    def _read(self, body: Mapping[str, Any]) -> None:
        self.intercept = float(body["intercept"])
        self.columns = [
            Column(
                bool(c["category"]),
                np.array(c["edges"], dtype=np.float64),
                np.array(c["points"], dtype=np.float64),
                float(c["missing"]),
            )
            for c in body["columns"]
        ]
        if any(len(c.points) != len(c.edges) + (not c.category) for c in self.columns):
            raise ValueError("bins without points")

    @property
    def n_features(self) -> int:
        return len(self.columns)

    def contributions(self, x: Matrix) -> FloatArray:
        """(n, f + 1): the points of each column, the base last."""
        matrix = check_matrix(x, self.n_features)
        out = np.empty((len(matrix), self.n_features + 1), dtype=np.float64)
        for j, column in enumerate(self.columns):
            out[:, j] = column.of(matrix[:, j])
        out[:, -1] = self.intercept
        return out

    def margin(self, x: Matrix) -> FloatArray:
        # a running sum, since it rounds alike for one row and for many
        return np.asarray(np.cumsum(self.contributions(x), axis=1)[:, -1], dtype=np.float64)
