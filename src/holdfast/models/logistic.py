"""L2-regularised logistic regression on a raw matrix: imputation, scaling and category indicators included.

Each numeric column becomes its standardised value (missing: the training median) and, if it was ever missing,
an indicator of being missing. Each category column becomes one indicator per code, all zero when missing.
Everything is stored as JSON, and every term is given back to the column it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.evaluation.arrays import FloatArray
from holdfast.models.estimator import JsonModel, Matrix, check_matrix, check_training
from holdfast.models.newton import logistic_regression

VALUE, MISSING = -2, -1  # what a term is, where it is not the indicator of a category code
CHUNK_ROWS = 4_096
CLIP = 10.0  # standard deviations; one wild value must not decide a customer's score


@dataclass(frozen=True)
class Design:
    """How columns of the raw matrix become terms of the regression.

    Attributes
    ----------
    source : (k,) the raw column of each term
    code : (k,) -2 for a number's value, -1 for its missing indicator, else the category code it indicates
    fill, centre, scale : (k,) imputed value, mean and standard deviation in training
    """

    n_features: int
    source: NDArray[np.int64]
    code: NDArray[np.int64]
    fill: FloatArray
    centre: FloatArray
    scale: FloatArray

    def terms(self, x: Matrix) -> FloatArray:
        """All standardised terms, (n, k)."""
        column = x[:, self.source].astype(np.float64)
        missing = ~np.isfinite(column)
        raw = np.where(
            self.code == VALUE,
            np.where(missing, self.fill, column),
            np.where(self.code == MISSING, missing, column == self.code),
        )
        out: FloatArray = np.clip((raw - self.centre) / self.scale, -CLIP, CLIP)
        return out


def _design(x: Matrix, categorical: Sequence[int]) -> Design:
    terms: list[tuple[int, int, float, float, float]] = []
    for j in range(x.shape[1]):
        column = x[:, j].astype(np.float64)
        seen = np.isfinite(column)
        if j in categorical:
            codes = [int(c) for c in np.unique(column[seen])]
            raws = [(c, 0.0, (column == c).astype(np.float64)) for c in codes]
        else:
            fill = float(np.median(column[seen])) if seen.any() else 0.0
            raws = [(VALUE, fill, np.where(seen, column, fill))]
            if not seen.all():
                raws.append((MISSING, 0.0, (~seen).astype(np.float64)))
        for code, fill, raw in raws:
            scale = float(raw.std())
            if scale > 0:  # a constant column says nothing
                terms.append((j, code, fill, float(raw.mean()), scale))
    table = np.array(terms, dtype=np.float64).reshape(len(terms), 5)
    return Design(
        x.shape[1],
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64),
        *(np.ascontiguousarray(table[:, i]) for i in (2, 3, 4)),
    )


@dataclass(frozen=True)
class Logistic:
    """Logistic regression.

    Parameters
    ----------
    l2 : strength of the penalty ``l2 / 2 * sum(coef ** 2)`` on standardised terms, against the summed log
        loss (scikit-learn's ``1 / C``). The intercept is free.
    """

    name: ClassVar[str] = "logistic"

    l2: float = 10.0

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
    ) -> LogisticModel:
        """See :meth:`holdfast.models.estimator.Estimator.fit`.

        Nothing here is random: ``seed`` and ``threads`` are not used. ``monotone`` bounds the sign of a number's
        coefficient; the fit is the optimum within those bounds.
        """
        data = check_training(x, y, weight=weight, categorical=categorical, monotone=monotone)
        design = _design(data.x, data.categorical)
        w = np.ones(len(data.y)) if data.weight is None else data.weight
        sign = np.zeros(len(design.source))
        if data.monotone is not None:
            sign = np.where(design.code == VALUE, np.array(data.monotone)[design.source], 0)
        intercept, coef = logistic_regression(design.terms(data.x), data.y, w, l2=self.l2, sign=sign)
        return LogisticModel.of(_document(design, intercept, coef))


def _document(design: Design, intercept: float, coef: FloatArray) -> dict[str, Any]:
    return {
        "n_features": design.n_features,
        "intercept": intercept,
        "terms": [
            {"column": int(s), "code": int(c), "fill": f, "centre": m, "scale": d, "coef": b}
            for s, c, f, m, d, b in zip(
                design.source,
                design.code,
                design.fill.tolist(),
                design.centre.tolist(),
                design.scale.tolist(),
                coef.tolist(),
                strict=True,
            )
        ],
    }


class LogisticModel(JsonModel):
    """A fitted logistic regression; its contributions are exact against the training mean."""

    name: ClassVar[str] = "logistic"
    form: ClassVar[str] = "holdfast-logistic-1"
    called: ClassVar[str] = "a logistic model file"

    def _read(self, body: Mapping[str, Any]) -> None:
        terms = body["terms"]

        def read(key: str) -> FloatArray:
            return np.array([t[key] for t in terms], dtype=np.float64)

        self._design = Design(
            int(body["n_features"]),
            read("column").astype(np.int64),
            read("code").astype(np.int64),
            read("fill"),
            read("centre"),
            read("scale"),
        )
        self.intercept = float(body["intercept"])
        self.coef = read("coef")

    @cached_property
    def n_features(self) -> int:
        return self._design.n_features

    def _parts(self, x: Matrix) -> Iterator[tuple[slice, FloatArray]]:
        matrix = check_matrix(x, self.n_features)
        for start in range(0, len(matrix), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            yield rows, self._design.terms(matrix[rows]) * self.coef

    def contributions(self, x: Matrix) -> FloatArray:
        """(n, f + 1): ``coef * (x - mean)`` of each column's terms together, the base last."""
        out = np.zeros((len(x), self.n_features + 1), dtype=np.float64)
        out[:, -1] = self.intercept
        columns, starts = np.unique(self._design.source, return_index=True)
        for rows, parts in self._parts(x):
            if len(columns):
                out[rows, columns] = np.add.reduceat(parts, starts, axis=1)
        return out

    def margin(self, x: Matrix) -> FloatArray:
        margin = np.full(len(x), self.intercept, dtype=np.float64)
        for rows, parts in self._parts(x):
            if parts.shape[1]:
                # a running sum, since it rounds alike for one row and for many; a matrix product does not
                margin[rows] += np.cumsum(parts, axis=1)[:, -1]
        return margin
