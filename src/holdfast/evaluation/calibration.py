"""Whether a predicted 10% means one in ten: log loss, Brier and its parts, ECE, reliability, slope."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from holdfast.evaluation.arrays import P_FLOOR, FloatArray, IntArray, checked, dot, finite_or_none, refuse
from holdfast.evaluation.ranking import row_log_loss

DEFAULT_BINS = 10
Z_95 = 1.959963984540054  # the normal distribution's 97.5% point

NEWTON_STEPS = 100
NEWTON_TOLERANCE = 1e-12
MAX_HALVINGS = 40


@dataclass(frozen=True)
class Brier:
    """Mean squared error of probabilities and its parts (Murphy 1973).

    ``score = reliability - resolution + uncertainty + within``. ``within`` is what is left when predictions
    differ inside a bin (Stephenson, Coelho and Jolliffe 2008); it is 0 when they do not.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of equally many customers: what was predicted and what happened, with Wilson's 95% interval."""

    n: int
    positives: int
    predicted: float
    observed: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CalibrationLine:
    """``logit(observed) = intercept + slope * logit(p)`` (Cox 1958): 0 and 1 when calibrated.

    A slope below 1 means predictions are too extreme; an intercept below 0, that they are too high.
    NaN when one class is absent or the classes are separable.
    """

    intercept: float
    slope: float

    def to_json(self) -> dict[str, Any]:
        return {"intercept": finite_or_none(self.intercept), "slope": finite_or_none(self.slope)}


def log_loss(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean negative log likelihood, in nats.

    Examples
    --------
    >>> round(log_loss([1, 0], [0.5, 0.5]), 6)
    0.693147
    """
    labels, probabilities, w = _probabilities(y, p, weight)
    return float(np.average(row_log_loss(labels, probabilities), weights=w))


def brier(y: ArrayLike, p: ArrayLike, bins: int = DEFAULT_BINS) -> Brier:
    """The Brier score with Murphy's decomposition over equal-mass bins."""
    labels, probabilities, _ = _probabilities(y, p)
    counts, predicted, positives = _binned(labels, probabilities, bins)
    share = counts / counts.sum()
    observed, rate = positives / counts, labels.mean()
    score = float(np.mean((probabilities - labels) ** 2))
    reliability = dot(share, (predicted - observed) ** 2)
    resolution = dot(share, (observed - rate) ** 2)
    uncertainty = float(rate * (1 - rate))
    return Brier(score, reliability, resolution, uncertainty, score - (reliability - resolution + uncertainty))


def ece(y: ArrayLike, p: ArrayLike, bins: int = DEFAULT_BINS) -> float:
    """Expected calibration error: mean absolute gap of predicted and observed over equal-mass bins.

    Equal mass rather than equal width: churn predictions crowd near zero (Nixon et al. 2019).
    """
    labels, probabilities, _ = _probabilities(y, p)
    counts, predicted, positives = _binned(labels, probabilities, bins)
    return dot(counts, np.abs(predicted - positives / counts)) / float(counts.sum())


def wilson(positives: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Wilson's (1927) score interval of a share.

    Examples
    --------
    >>> [round(v, 4) for v in wilson(0, 10)]
    [0.0, 0.2775]
    """
    share = positives / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    # the ends are exact where rounding would leave 1e-17
    return (0.0 if positives == 0 else max(0.0, centre - half), 1.0 if positives == n else min(1.0, centre + half))


def reliability_table(y: ArrayLike, p: ArrayLike, bins: int = DEFAULT_BINS) -> list[ReliabilityBin]:
    """Predicted against observed, by equal-mass bins of rising prediction; fewer bins when p has ties."""
    labels, probabilities, _ = _probabilities(y, p)
    table = []
    for n, predicted, positives in zip(*_binned(labels, probabilities, bins), strict=True):
        low, high = wilson(positives, n)
        table.append(ReliabilityBin(int(n), int(positives), float(predicted), float(positives / n), low, high))
    return table


def calibration_line(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> CalibrationLine:
    """Calibration intercept and slope, by logistic regression of y on logit(p)."""
    labels, probabilities, w = _probabilities(y, p, weight)
    margin: FloatArray = logit(np.clip(probabilities, P_FLOOR, 1 - P_FLOOR))
    churned, stayed = margin[(labels == 1) & (w > 0)], margin[(labels == 0) & (w > 0)]
    undefined = CalibrationLine(float("nan"), float("nan"))
    if not len(churned) or not len(stayed):
        return undefined
    if stayed.max() <= churned.min() or churned.max() <= stayed.min():
        return undefined  # separable, or one value: the likelihood has no single maximum
    return CalibrationLine(*logit_line(margin, labels, None if weight is None else w))


def calibration_error(y: ArrayLike, p: ArrayLike) -> float:
    """Mean absolute distance of the predictions from their own recalibration by `calibration_line`.

    The integrated calibration index (Austin and Steyerberg 2019) with logistic recalibration in place of a smoother:
    unlike the binned error it needs no bins, and hardly grows where there are few churners. NaN where the line is.
    """
    _, probabilities, _ = _probabilities(y, p)
    line = calibration_line(y, p)
    margin = logit(np.clip(probabilities, P_FLOOR, 1 - P_FLOOR))
    return float(np.mean(np.abs(expit(line.intercept + line.slope * margin) - probabilities)))


def logit_line(margin: FloatArray, target: FloatArray, weight: FloatArray | None = None) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of ``target`` (n,) in [0, 1] on ``margin`` (n,).

    Newton's method with step halving on a standardised margin (Lin, Lin and Weng 2007). NaN for both when it
    does not converge, as for separable classes.

    Parameters
    ----------
    margin, target : (n,)
    weight : (n,) not negative, not all zero; all alike if not given
    """
    share = np.full(len(margin), 1 / len(margin)) if weight is None else weight / weight.sum()
    counted = margin[share > 0]
    if counted.min() == counted.max():
        return float("nan"), float("nan")
    centre = dot(margin, share)
    scale = float(np.sqrt(dot((margin - centre) ** 2, share)))
    z = (margin - centre) / scale
    a, b = float(logit(np.clip(dot(target, share), 1e-12, 1 - 1e-12))), 0.0
    loss = _line_loss(a, b, z, target, share)
    for _ in range(NEWTON_STEPS):
        da, db, steepest = newton_step(a, b, z, target, share)
        if not np.isfinite(da):
            break
        step = 1.0
        for _ in range(MAX_HALVINGS):
            new = _line_loss(a - step * da, b - step * db, z, target, share)
            if new <= loss:
                break
            step /= 2
        else:
            new, step = loss, 0.0
        a, b, gain, loss = a - step * da, b - step * db, loss - new, new
        if abs(a) > 1e3 or abs(b) > 1e3:
            break  # separable: the likelihood has no maximum
        if gain < NEWTON_TOLERANCE and steepest < 1e-7:
            return a - b * centre / scale, b / scale
    return float("nan"), float("nan")


def newton_step(a: float, b: float, z: FloatArray, target: FloatArray, share: FloatArray) -> tuple[float, float, float]:
    """What to subtract from intercept and slope, and the larger part of the gradient; NaN where it is flat."""
    p = expit(a + b * z)
    g = (p - target) * share
    h = p * (1 - p) * share
    hz = h * z
    g0, g1, h00, h01, h11 = float(g.sum()), dot(g, z), float(h.sum()), float(hz.sum()), dot(hz, z)
    det = h00 * h11 - h01 * h01
    if not det > 0:
        return float("nan"), float("nan"), float("nan")
    return (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det, max(abs(g0), abs(g1))


def _line_loss(a: float, b: float, z: FloatArray, target: FloatArray, share: FloatArray) -> float:
    margin = a + b * z
    return dot(np.logaddexp(0.0, margin) - target * margin, share)


def _probabilities(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> tuple[FloatArray, ...]:
    labels, probabilities, w = checked(y, p, weight)
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise refuse("these predictions cannot be measured", "a prediction lies outside [0, 1]")
    return labels, probabilities, w


def bin_of(p: FloatArray, bins: int) -> IntArray:
    """Equal-mass bin of each row, numbered from 0 without gaps; equal predictions share a bin."""
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins, method="higher"))
    return np.unique(np.searchsorted(edges, p, side="right"), return_inverse=True)[1].astype(np.int64)


def _binned(y: FloatArray, p: FloatArray, bins: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    code = bin_of(p, bins)
    counts = np.bincount(code).astype(np.float64)
    return counts, np.bincount(code, weights=p) / counts, np.bincount(code, weights=y).astype(np.float64)
