"""The prior shift between the training months and the month that is scored, and whether correcting it is safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logit

from holdfast.artifacts.schema import FeatureSchema
from holdfast.evaluation.ranking import row_log_loss
from holdfast.models.calibrate import Calibrator, Shifted
from holdfast.models.estimator import MIN_OF_EACH_CLASS
from holdfast.models.prior import YEAR, Forecast, MonthOffsets, forecast, month_of, month_offsets, shifted_odds
from holdfast.training.candidates import Candidate, fit
from holdfast.training.rows import FloatArray, FoldPlan, IntArray, TrainingRows

GROUPS = 3
"""Of customers: each is predicted by a model fitted on the others."""
MIN_MONTHS = 6
"""Known before the first forecast; with fewer there is no evidence for a correction, and none is made."""
DECIMALS = 9


@dataclass(frozen=True)
class PriorShift:
    """What the months are expected to add to the log-odds, with the evidence.

    Attributes
    ----------
    applied : whether the correction is made
    why : a sentence, for people
    known : the offsets of the training months; None where there were too few
    expected : of the next January to December; None likewise
    gain, gain_se : log loss saved in forecasts of past months, in nats over ``forecasts`` snapshots, with its
        customer-clustered standard error
    margin : of the training snapshots, each by a model that has not seen its customer
    """

    applied: bool
    why: str
    known: MonthOffsets | None = None
    expected: Forecast | None = None
    gain: float = 0.0
    gain_se: float = 0.0
    forecasts: int = 0
    margin: FloatArray | None = None

    def applied_to(self, shape: Calibrator) -> Calibrator:
        """The calibrator with the shift, or as it was."""
        if not self.applied or self.expected is None:
            return shape
        return Shifted(shape, tuple(self.expected.offset.tolist()))

    def to_json(self) -> dict[str, Any]:
        """``months`` is a list for a plot; ``expected`` has 12 entries, January first."""
        body: dict[str, Any] = {"applied": self.applied, "why": self.why}
        if self.known is None or self.expected is None:
            return body
        se = np.sqrt(np.diag(self.known.covariance))
        rows = zip(
            self.known.months, self.known.offset.round(DECIMALS).tolist(), se.round(DECIMALS).tolist(), strict=True
        )
        expected = zip(self.expected.offset.tolist(), self.expected.se.tolist(), strict=True)
        return {
            **body,
            "gain": round(self.gain, DECIMALS),
            "gain_se": round(self.gain_se, DECIMALS),
            "forecasts": self.forecasts,
            "months": [{"month": str(np.datetime64(int(m), "M")), "offset": o, "se": s} for m, o, s in rows],
            "expected": [{"offset": o, "se": s} for o, s in expected],
        }


def prior_shift(
    rows: TrainingRows, plan: FoldPlan, schema: FeatureSchema, chosen: Candidate, *, seed: int, threads: int = 1
) -> PriorShift:
    """What the calendar adds to a calibrated candidate's log-odds, from the final model's training months alone.

    Each training snapshot is predicted by a model that has not seen its customer. What is left over month by month
    is forecast (see `holdfast.models.prior`). The correction is made if forecasts of past months, from what was known
    as long before them as the test is after the last training month, were not worse than no correction by more than
    one standard error.
    """
    if not plan.timed:
        return PriorShift(False, "history is reconstructed: its months are not those of the business")
    train = plan.final.train
    months = np.unique(month_of(rows.cutoffs[train]))
    if not _forecast_from(months, _lag(rows, plan)):
        return PriorShift(False, f"{len(months)} training months are too few to try a correction on")
    group = _groups(rows, train, seed)
    for label, who in ((1, "churners"), (0, "customers who stayed")):
        mine = group[rows.y[train] == label]
        if min(np.count_nonzero(mine != k) for k in range(GROUPS)) < MIN_OF_EACH_CLASS:
            return PriorShift(False, f"too few {who} ({len(mine)}) to predict each customer by a model of the others")
    margin = _unseen_margins(rows, train, group, schema, chosen, seed, threads)
    return _shift(rows, train, margin, chosen.calibration.calibrator, _lag(rows, plan))


def shift_again(
    before: PriorShift, rows: TrainingRows, plan: FoldPlan, shape: Calibrator, margin: FloatArray
) -> PriorShift:
    """The shift of the model that is fitted again on everything matured: the test's months are known to it too.

    Parameters
    ----------
    before : of the model that was measured; where its months were too few, none is made here either
    shape : the calibrator of the model fitted again
    margin : (len(plan.final.test),) what the measured model said of the test
    """
    if before.margin is None:
        return before
    known = np.concatenate([plan.final.train, plan.final.test])
    return _shift(rows, known, np.concatenate([before.margin, margin]), shape, _lag(rows, plan))


def _lag(rows: TrainingRows, plan: FoldPlan) -> int:
    """Months from the last that is trained on to the first that is tested."""
    return int(month_of(rows.cutoffs[plan.final.test]).min() - month_of(rows.cutoffs[plan.final.train]).max())


def _shift(rows: TrainingRows, known_rows: IntArray, margin: FloatArray, shape: Calibrator, lag: int) -> PriorShift:
    month, y, customers = month_of(rows.cutoffs[known_rows]), rows.y[known_rows], rows.customers[known_rows]
    p = shape.probability(margin)
    known = month_offsets(logit(p), y, month, customers)
    saved = np.zeros(len(y))
    tried = _forecast_from(known.months, lag)
    for t in tried:
        mine = month == t
        by = float(forecast(known.before(t - lag + 1), np.array([t])).offset[0])
        saved[mine] = row_log_loss(y[mine], p[mine]) - row_log_loss(y[mine], shifted_odds(p[mine], by))
    by_customer = np.bincount(np.unique(customers, return_inverse=True)[1], weights=saved)
    gain, se = float(by_customer.sum()), float(by_customer.std() * np.sqrt(len(by_customer)))
    coming = known.months[-1] + 1 + np.arange(YEAR, dtype=np.int64)
    ahead = forecast(known, coming)
    order = np.argsort(coming % YEAR)
    # solving a linear system may differ in the last bits between machines; a bundle must not show it
    expected = Forecast(ahead.offset[order].round(DECIMALS), ahead.se[order].round(DECIMALS))
    over = f"forecasts of {len(tried)} past months saved {gain:.1f} nats of log loss (standard error {se:.1f})"
    forecasts = int(np.isin(month, tried).sum())
    return PriorShift(gain >= -se, over, known, expected, gain, se, forecasts, margin)


def _forecast_from(months: IntArray, lag: int) -> list[int]:
    """The months with at least `MIN_MONTHS` known ``lag`` months before them."""
    return [int(t) for t in months if np.count_nonzero(months <= t - lag) >= MIN_MONTHS]


def _groups(rows: TrainingRows, train: IntArray, seed: int) -> IntArray:
    """(len(train),) the group of each row's customer."""
    shuffled = np.random.default_rng(seed).permutation(int(rows.customers.max()) + 1)
    return np.asarray(shuffled[rows.customers[train]] % GROUPS, dtype=np.int64)


def _unseen_margins(
    rows: TrainingRows, train: IntArray, group: IntArray, schema: FeatureSchema, chosen: Candidate, seed: int,
    threads: int,
) -> FloatArray:  # fmt: skip
    """(len(train),) margins, each by a model fitted on the other groups."""
    margin = np.empty(len(train))
    for k in range(GROUPS):
        fitted = fit(rows, train[group != k], schema, chosen.estimator, chosen.config, seed=seed, threads=threads)
        margin[group == k] = fitted.margin(rows, train[group == k])
    return margin
