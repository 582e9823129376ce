"""Every metric as a function of one weighting of one presort: what makes a bootstrap replicate cheap.

With whole weights each metric is what it would be on rows repeated so many times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from holdfast.evaluation.arrays import P_FLOOR, FloatArray, IntArray, dot
from holdfast.evaluation.calibration import DEFAULT_BINS, CalibrationLine, calibration_line, newton_step
from holdfast.evaluation.campaign import Campaign, Contacts
from holdfast.evaluation.profit import OfferTerms, empc_of_steps
from holdfast.evaluation.ranking import Ranked, Steps, ap_of_steps, auc_of_steps, recall_of_steps

TOP_SHARE = 0.1
WARM_STEPS = 8
WARM_TOLERANCE = 1e-6  # Newton's error is squared by each step: after one so small it is about 1e-12
NAN = float("nan")


@dataclass(frozen=True)
class _Margins:
    """Standardised margins, and the line of the unweighted rows, from which every weighting's line starts."""

    z: FloatArray
    centre: float
    scale: float
    a: float
    b: float


class Presort:
    """Predictions sorted once, with what each metric needs of them (made when first asked for).

    Parameters
    ----------
    y, p : (n,) labels and scores
    campaign : of the same n rows, for the profit
    """

    def __init__(self, y: ArrayLike, p: ArrayLike, campaign: Campaign | None = None) -> None:
        self.ranked = Ranked(y, p)
        self._campaign = campaign

    def weigh(self, counts: FloatArray) -> Weighting:
        """A weighting, (n,) in the order in which ``y`` and ``p`` were given."""
        return Weighting(self, counts[self.ranked.order])

    def unit(self) -> Weighting:
        return Weighting(self, self.ranked.unit())

    @cached_property
    def probabilities(self) -> bool:
        """Whether the scores are probabilities; what asks for calibration is NaN otherwise."""
        return bool(self.ranked.p[0] <= 1 and self.ranked.p[-1] >= 0)

    @cached_property
    def contacts(self) -> Contacts:
        assert self._campaign is not None, "asked for by NEED_CAMPAIGN"
        return Contacts(self.ranked.y, self.ranked.p, self._campaign.take(self.ranked.order))

    @cached_property
    def tie_ends(self) -> IntArray:
        """(n,) where the group of equal scores ends that a row is in."""
        last = np.append(np.flatnonzero(np.diff(self.ranked.p) != 0), self.ranked.n - 1) + 1
        return np.repeat(last, np.diff(last, prepend=0)).astype(np.int64)

    @cached_property
    def margin(self) -> FloatArray:
        out: FloatArray = logit(np.clip(self.ranked.p, P_FLOOR, 1 - P_FLOOR))
        return out

    @cached_property
    def start(self) -> _Margins:
        line = calibration_line(self.ranked.y, self.ranked.p)
        centre, scale = float(self.margin.mean()), float(self.margin.std()) or 1.0
        z = (self.margin - centre) / scale
        return _Margins(z, centre, scale, line.intercept + line.slope * centre, line.slope * scale)


class Weighting:
    """One weighting of a presort; ``weight`` (n,) in ranked order."""

    def __init__(self, presort: Presort, weight: FloatArray) -> None:
        self.presort, self.ranked, self.weight = presort, presort.ranked, weight

    @cached_property
    def steps(self) -> Steps:
        return self.ranked.steps(self.weight)

    @cached_property
    def line(self) -> CalibrationLine:
        """Intercept and slope of the labels on logit(p); see `calibration_line`.

        Newton's method from the unweighted line, to its own fixed point: the likelihood is strictly concave, so where
        it gets there it is *the* maximum. Where it does not, the careful way.
        """
        if not self.presort.probabilities:
            return CalibrationLine(NAN, NAN)
        start, share = self.presort.start, self.weight / self.steps.total
        a, b = start.a, start.b
        for _ in range(WARM_STEPS):
            da, db, _ = newton_step(a, b, start.z, self.ranked.y, share)
            a, b = a - da, b - db
            if abs(da) + abs(db) < WARM_TOLERANCE:
                return CalibrationLine(a - b * start.centre / start.scale, b / start.scale)
            if not np.isfinite(a + b):
                break
        return calibration_line(self.ranked.y, self.ranked.p, self.weight)

    def mean(self, values: FloatArray) -> float:
        return dot(values, self.weight) / self.steps.total

    def calibration_error(self) -> float:
        line = self.line
        recalibrated = expit(line.intercept + line.slope * self.presort.margin)
        return self.mean(np.abs(recalibrated - self.ranked.p))

    def observed_expected(self) -> float:
        """Churners over the sum of predictions: 1 where the level is right."""
        expected = dot(self.ranked.p, self.weight)
        return self.steps.positives / expected if self.presort.probabilities and expected > 0 else NAN

    def ece(self, bins: int = DEFAULT_BINS) -> float:
        """The binned error over bins of equal weight; `holdfast.evaluation.calibration.ece` of the repeated rows."""
        if not self.presort.probabilities:
            return NAN
        reached = np.cumsum(self.weight)
        most = float(reached[-1]) - 1
        from_top = np.maximum(most - np.ceil(most * (np.arange(1, bins) / bins)), 0.0)
        at = np.minimum(np.searchsorted(reached, from_top, side="right"), self.ranked.n - 1)
        starts = np.unique(np.append(0, self.presort.tie_ends[at]))
        starts = starts[starts < self.ranked.n]
        gap = np.add.reduceat(self.weight * (self.ranked.p - self.ranked.y), starts)
        return float(np.abs(gap).sum()) / self.steps.total

    def profit(self) -> float:
        return self.presort.contacts.profit(self.weight) if self.presort.probabilities else NAN


WeightedMetric: TypeAlias = Callable[[Weighting], float]

METRICS: Final[Mapping[str, WeightedMetric]] = {
    "roc_auc": lambda w: auc_of_steps(w.steps),
    "average_precision": lambda w: ap_of_steps(w.steps),
    "log_loss": lambda w: w.mean(w.ranked.log_loss),
    "brier": lambda w: w.mean(w.ranked.squared_error),
    "lift_at_10": lambda w: recall_of_steps(w.steps, TOP_SHARE) / TOP_SHARE,
    "recall_at_10": lambda w: recall_of_steps(w.steps, TOP_SHARE),
    "ece": lambda w: w.ece(),
    "calibration_error": lambda w: w.calibration_error(),
    "calibration_slope": lambda w: w.line.slope,
    "calibration_intercept": lambda w: w.line.intercept,
    "observed_expected": lambda w: w.observed_expected(),
    "empc": lambda w: empc_of_steps(w.steps, OfferTerms()).value,
    "profit": lambda w: w.profit(),
}
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    **dict.fromkeys(("roc_auc", "average_precision", "brier", "recall_at_10", "ece", "calibration_error"), (0.0, 1.0)),
    **dict.fromkeys(("log_loss", "observed_expected", "empc"), (0.0, float("inf"))),
    "lift_at_10": (0.0, 1 / TOP_SHARE),
}
"""What a metric can be; any number where it is not named."""
NEED_CAMPAIGN: Final = frozenset({"profit"})
ROW_LOSSES: Final[Mapping[str, Callable[[Ranked], FloatArray]]] = {
    "log_loss": lambda ranked: ranked.log_loss,
    "brier": lambda ranked: ranked.squared_error,
}
