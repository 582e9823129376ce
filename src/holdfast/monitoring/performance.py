"""How good the scores turned out, once their labels matured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from holdfast.errors import DataError, Problem

FloatArray = NDArray[np.float64]

CONFIDENCE = 0.95
P_FLOOR = 1e-15  # a probability of exactly 0 that churned costs 34.5 nats, not infinity


@dataclass(frozen=True)
class TestFigures:
    """The champion's figures on its own test, from the model card.

    Attributes
    ----------
    log_loss : mean, in nats
    log_loss_error : its standard error; 0 if not known, which makes the comparison a little too confident
    """

    __test__ = False  # not a test case, whatever pytest makes of its name

    log_loss: float
    log_loss_error: float = 0.0


@dataclass(frozen=True)
class PerformanceReport:
    """Matured scores against what happened.

    Attributes
    ----------
    enough : whether there are rows and churners enough for a verdict; if not, ``why_not`` says so
    log_loss, log_loss_low, log_loss_high : mean and interval, nats
    skill : 1 - log loss / log loss of always predicting the observed rate; unlike the log loss itself it does not move
        only because churn became more or less frequent
    increase, increase_low, increase_high : log loss / the test's log loss - 1, interval with both errors
    observed, expected : churners and the sum of the predictions, weighted
    ratio, ratio_low, ratio_high : observed / expected, 1 is calibrated in the large
    calibration_p : probability of observed at least this far from expected if the predictions were right
    """

    rows: int
    enough: bool
    why_not: str
    confidence: float
    log_loss: float | None = None
    log_loss_low: float | None = None
    log_loss_high: float | None = None
    skill: float | None = None
    test_log_loss: float | None = None
    increase: float | None = None
    increase_low: float | None = None
    increase_high: float | None = None
    observed: float = 0.0
    expected: float = 0.0
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    calibration_p: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compute_performance(
    labels: NDArray[Any],
    probability: NDArray[Any],
    test: TestFigures,
    *,
    min_rows: int,
    customers: Sequence[str] | NDArray[Any] | None = None,
    weight: NDArray[Any] | None = None,
    confidence: float = CONFIDENCE,
) -> PerformanceReport:
    """Log loss and calibration in the large of scored snapshots that have matured.

    The interval of observed / expected is normal around the observed count with the Poisson-binomial variance
    ``sum p (1 - p)`` (Hong 2013), or, where that is greater, the variance of the residuals summed by customer:
    overlapping label windows of one customer share their churn. A shock that hits everyone at once is in neither.

    Parameters
    ----------
    labels : (n,) zeros and ones, matured only
    probability : (n,) as they were scored then
    test : the champion's test figures
    min_rows : fewer rows than this: no verdict
    customers : (n,) ids, where customers occur more than once
    weight : (n,) positive, 1 by default. Contacted customers churn less *because* they were contacted, so a good
        model would look too gloomy on them. Leave them out, and let the holdout stand for them: weight 1 for customers
        never chosen for an action, 1 / holdout share for those held out (inverse probability of being left alone)

    Raises
    ------
    DataError
        Lengths differ, a label is not 0 or 1, a probability is not in [0, 1] or a weight is not positive.
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    w = np.ones_like(y) if weight is None else np.asarray(weight, dtype=np.float64)
    _check(y, p, w, customers, test)
    n, observed, expected = len(y), float(w @ y), float(w @ p)
    why_not = _why_not(n, int(y.sum()), min_rows)
    if why_not:
        return PerformanceReport(n, False, why_not, confidence, observed=observed, expected=expected)
    group = np.arange(n) if customers is None else np.unique(np.asarray(customers), return_inverse=True)[1]
    z = float(ndtri(0.5 + confidence / 2.0))

    q = np.clip(p, P_FLOOR, 1.0 - P_FLOOR)
    loss = -(y * np.log(q) + (1.0 - y) * np.log1p(-q))
    mean = float(np.average(loss, weights=w))
    error = _clustered(w * (loss - mean), group) / float(w.sum())
    rate = observed / float(w.sum())
    entropy = -(rate * np.log(rate) + (1.0 - rate) * np.log1p(-rate))
    # on the log scale, where the ratio of two means is nearer to normal
    log_ratio = float(np.log(mean / test.log_loss))
    log_error = float(np.hypot(error / mean, test.log_loss_error / test.log_loss))

    binomial = float(np.sqrt(np.sum(w**2 * p * (1.0 - p))))
    spread = max(binomial, _clustered(w * (y - p), group)) if customers is not None else binomial
    return PerformanceReport(
        rows=n,
        enough=True,
        why_not="",
        confidence=confidence,
        log_loss=mean,
        log_loss_low=max(0.0, mean - z * error),
        log_loss_high=mean + z * error,
        skill=float(1.0 - mean / entropy),
        test_log_loss=test.log_loss,
        increase=mean / test.log_loss - 1.0,
        increase_low=float(np.expm1(log_ratio - z * log_error)),
        increase_high=float(np.expm1(log_ratio + z * log_error)),
        observed=observed,
        expected=expected,
        ratio=observed / expected if expected > 0 else None,
        ratio_low=max(0.0, (observed - z * spread) / expected) if expected > 0 else None,
        ratio_high=(observed + z * spread) / expected if expected > 0 else None,
        calibration_p=float(2.0 * ndtr(-abs(observed - expected) / spread)) if spread > 0 else None,
    )


def _why_not(n: int, observed: int, min_rows: int) -> str:
    if n < min_rows:
        return f"{n} matured scores, fewer than {min_rows}"
    if observed in (0, n):
        return "nobody churned" if observed == 0 else "everybody churned"
    return ""


def _clustered(residual: FloatArray, group: NDArray[np.int64]) -> float:
    """Standard error of the sum of residuals, summed by customer first."""
    sums = np.bincount(group, weights=residual)
    return float(np.sqrt(len(sums) / max(len(sums) - 1, 1) * np.sum(sums**2)))


def _check(
    y: FloatArray, p: FloatArray, w: FloatArray, customers: Sequence[str] | NDArray[Any] | None, test: TestFigures
) -> None:
    problems = []
    if y.ndim != 1 or not y.shape == p.shape == w.shape or (customers is not None and len(customers) != len(y)):
        what = f"{y.shape} labels, {p.shape} probabilities and {w.shape} weights do not fit together"
        problems = [Problem("labels", what)]
    elif not (np.isfinite(w) & (w > 0)).all():
        problems.append(Problem("weight", "a weight is not positive"))
    if not np.isin(y, (0.0, 1.0)).all():
        problems.append(Problem("labels", "a label is neither 0 nor 1", "Give matured snapshots only."))
    if not ((p >= 0) & (p <= 1)).all():
        problems.append(Problem("probability", "a probability is not between 0 and 1"))
    if not test.log_loss > 0:
        problems.append(Problem("test figures", f"the test's log loss {test.log_loss} is not positive"))
    if problems:
        raise DataError("performance cannot be measured", problems)
