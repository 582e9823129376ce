"""Penalised logistic regression with bounds on signs, by a projected Newton method."""

from __future__ import annotations

import threading

import numpy as np
from scipy.special import expit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships none

from holdfast.evaluation.arrays import FloatArray

STEPS = 100
TOLERANCE = 1e-10  # of the projected gradient's largest entry, per unit of weight
LEAST_PENALTY = 1e-9  # keeps the Hessian invertible where terms say the same, and the intercept free
_ONE_FIT = threading.Lock()


def logistic_regression(
    z: FloatArray, y: FloatArray, w: FloatArray, *, l2: float, sign: FloatArray | None = None
) -> tuple[float, FloatArray]:
    """Minimise ``sum(w * log loss) + l2 / 2 * sum(coef ** 2)`` subject to ``coef * sign >= 0``.

    The problem is strictly convex, so its minimum is unique: where the gradient is zero in every coefficient that is
    free, and points out of bounds in every one that is held at zero. Each step holds those whose gradient points
    outward, takes a Newton step in the others, clips what leaves its bound, and halves it until the loss falls; so a
    coefficient that was held is let go as soon as its gradient turns (Bertsekas 1982, "Projected Newton methods for
    optimization problems with simple constraints").

    Parameters
    ----------
    z : (n, k) terms
    y, w : (n,) labels and positive weights
    l2 : below `LEAST_PENALTY` it counts as that
    sign : (k,) of -1, 0 and 1; None for no bounds

    Returns
    -------
    tuple
        The intercept, which is free, and the (k,) coefficients.
    """
    # BLAS adds in another order on another number of threads. Its limit is the whole process's, so one fit at a
    # time: another would lift the limit when it ends
    with _ONE_FIT, threadpool_limits(limits=1, user_api="blas"):
        return _minimum(z, y, w, l2, np.zeros(z.shape[1]) if sign is None else sign)


def _minimum(z: FloatArray, y: FloatArray, w: FloatArray, l2: float, sign: FloatArray) -> tuple[float, FloatArray]:
    a = np.column_stack([np.ones(len(y)), z])
    low = np.concatenate([[-np.inf], np.where(sign > 0, 0.0, -np.inf)])
    high = np.concatenate([[np.inf], np.where(sign < 0, 0.0, np.inf)])
    penalty = np.full(a.shape[1], max(l2, LEAST_PENALTY))
    penalty[0] = LEAST_PENALTY
    beta = np.zeros(a.shape[1])
    rate = float(np.average(y, weights=w))
    beta[0] = np.log(rate / (1 - rate))

    def loss(b: FloatArray) -> float:
        m = a @ b
        return float(np.dot(w, np.logaddexp(0.0, m) - y * m) + 0.5 * np.dot(penalty, b * b))

    now = loss(beta)
    for _ in range(STEPS):
        p = expit(a @ beta)
        gradient = a.T @ (w * (p - y)) + penalty * beta
        free = ~(((beta == low) & (gradient > 0)) | ((beta == high) & (gradient < 0)))
        if np.abs(gradient[free]).max() <= TOLERANCE * w.sum():
            break
        active = a if free.all() else a[:, free]
        hessian = (active * (w * p * (1 - p))[:, None]).T @ active + np.diag(penalty[free])
        step = np.zeros_like(beta)
        step[free] = np.linalg.solve(hessian, gradient[free])
        size = 1.0
        while (new := loss(tried := np.clip(beta - size * step, low, high))) > now and size > 1e-10:
            size /= 2
        if new > now:
            break
        beta, now = tried, new
    return float(beta[0]), beta[1:]
