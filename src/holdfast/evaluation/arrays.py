"""Array types and the one check every metric makes of its input."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.errors import DataError, Problem

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

WHERE = "evaluation"

P_FLOOR = 1e-15  # a probability of exactly 0 or 1 costs 34.5 nats when wrong, not infinity


def refuse(what: str, *problems: str) -> DataError:
    """A DataError about arrays given to this layer."""
    return DataError(what, [Problem(WHERE, p) for p in problems])


def checked(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> tuple[FloatArray, ...]:
    """Labels, predictions and weights as float64 vectors of one length.

    Parameters
    ----------
    y : (n,) zeros and ones (or booleans)
    p : (n,) finite scores; a higher one means a likelier churner
    weight : (n,) not negative; all ones if not given

    Returns
    -------
    y, p, weight : three (n,) float64 arrays

    Raises
    ------
    DataError
        Lengths differ, there are no rows, a label is neither 0 nor 1, a score is not finite or a
        weight is negative.
    """
    labels = np.asarray(y, dtype=np.float64)
    scores = np.asarray(p, dtype=np.float64)
    weights = np.ones_like(labels) if weight is None else np.asarray(weight, dtype=np.float64)
    problems = []
    if labels.ndim != 1 or scores.shape != labels.shape or weights.shape != labels.shape:
        problems.append(f"shapes differ: y {labels.shape}, p {scores.shape}, weight {weights.shape}")
    elif not len(labels):
        problems.append("there are no rows")
    else:
        if not np.isin(labels, (0.0, 1.0)).all():
            problems.append("a label is neither 0 nor 1")
        if not np.isfinite(scores).all():
            problems.append("a score is not finite")
        if not (weights >= 0).all():
            problems.append("a weight is negative or not a number")
    if problems:
        raise refuse("these predictions cannot be measured", *problems)
    return labels, scores, weights


def finite_or_none(value: float) -> float | None:
    """JSON has no NaN: an undefined number is null."""
    return float(value) if np.isfinite(value) else None


def number_or_nan(value: Any) -> float:
    """The inverse of :func:`finite_or_none`."""
    return float("nan") if value is None else float(value)


def dot(a: FloatArray, b: FloatArray) -> float:
    """Sum of products. Unlike BLAS's, its rounding does not depend on the number of threads."""
    return float((a * b).sum())
