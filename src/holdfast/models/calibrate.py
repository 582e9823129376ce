"""From a margin to a probability: sigmoid or isotonic, whichever does better out of fold.

Fitted on out-of-fold margins only; a calibrator fitted on margins of rows the model has seen makes it look
surer than it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from holdfast.errors import StoreError
from holdfast.evaluation.arrays import FloatArray, IntArray, checked
from holdfast.evaluation.calibration import logit_line
from holdfast.evaluation.ranking import row_log_loss
from holdfast.models.prior import MAX_MARGIN, YEAR, offset, shifted_odds

MIN_POSITIVES = 30  # of each class: below this even two parameters are noise, and the level alone is moved
MIN_POSITIVES_ISOTONIC = 200
FOLDS = 5
MAX_OFFSET = 10.0  # in log-odds: no business moves so far


class Calibrator(Protocol):
    """A non-decreasing map from log-odds to probabilities strictly between 0 and 1."""

    @property
    def kind(self) -> str: ...

    def probability(self, margin: FloatArray, month: IntArray | None = None) -> FloatArray:
        """(n,) margins to (n,) probabilities; ``month`` (n,) since January 1970 matters to `Shifted` alone."""

    def shifted(self, by: float) -> Calibrator:
        """The same with all log-odds moved by a constant."""

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Identity:
    """The model's own log-odds, believed as they are."""

    kind: ClassVar[str] = "identity"

    def probability(self, margin: FloatArray, month: IntArray | None = None) -> FloatArray:
        return np.asarray(expit(_bounded(margin)), dtype=np.float64)

    def shifted(self, by: float) -> Calibrator:
        return Sigmoid(by, 1.0) if by else self

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind}


@dataclass(frozen=True)
class Sigmoid:
    """``expit(intercept + slope * margin)`` (Platt 1999), slope above 0."""

    intercept: float
    slope: float
    kind: ClassVar[str] = "sigmoid"

    def probability(self, margin: FloatArray, month: IntArray | None = None) -> FloatArray:
        return np.asarray(expit(_bounded(self.intercept + self.slope * margin)), dtype=np.float64)

    def shifted(self, by: float) -> Calibrator:
        return Sigmoid(self.intercept + by, self.slope)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "intercept": self.intercept, "slope": self.slope}


@dataclass(frozen=True)
class Isotonic:
    """Linear between the centres of the blocks of an isotonic regression, flat beyond the first and last.

    Centres rather than steps (Oron and Flournoy 2017): customers within a block keep their order.
    """

    margins: tuple[float, ...]
    probabilities: tuple[float, ...]
    kind: ClassVar[str] = "isotonic"

    def probability(self, margin: FloatArray, month: IntArray | None = None) -> FloatArray:
        return np.asarray(np.interp(margin, self.margins, self.probabilities), dtype=np.float64)

    def shifted(self, by: float) -> Calibrator:
        p = np.maximum.accumulate(shifted_odds(np.array(self.probabilities), by))  # rounding must not turn ties round
        return Isotonic(self.margins, tuple(p.tolist()))

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "margins": list(self.margins),
            "probabilities": list(self.probabilities),
        }


@dataclass(frozen=True)
class Shifted:
    """A calibrator whose log-odds are moved by what the calendar month is expected to add (`holdfast.models.prior`).

    Attributes
    ----------
    shape : what turns margins into probabilities
    offsets : 12 log-odds, January first
    """

    shape: Calibrator
    offsets: tuple[float, ...]

    @property
    def kind(self) -> str:
        """The shape's: a shift keeps it."""
        return self.shape.kind

    def probability(self, margin: FloatArray, month: IntArray | None = None) -> FloatArray:
        """Without months, those of an average month."""
        if month is None:
            return self.shape.shifted(float(np.mean(self.offsets))).probability(margin)
        out: FloatArray = np.empty(len(margin))
        of_year = month % YEAR
        for number in np.flatnonzero(np.bincount(of_year, minlength=YEAR)).tolist():
            mine = of_year == number
            out[mine] = self.shape.shifted(self.offsets[number]).probability(margin[mine])
        return out

    def shifted(self, by: float) -> Calibrator:
        return Shifted(self.shape, tuple(o + by for o in self.offsets))

    def to_json(self) -> dict[str, Any]:
        return {**self.shape.to_json(), "offsets": list(self.offsets)}


def _bounded(margin: FloatArray) -> FloatArray:
    return np.clip(margin, -MAX_MARGIN, MAX_MARGIN)


@dataclass(frozen=True)
class CalibratorChoice:
    """The calibrator chosen and the out-of-fold log loss, in nats, of each candidate by its kind."""

    calibrator: Calibrator
    log_loss: Mapping[str, float]


def fit_sigmoid(margin: FloatArray, y: FloatArray) -> Sigmoid | None:
    """Platt scaling with his smoothed targets; None if the margin does not rise with y."""
    positives = float(y.sum())
    negatives = len(y) - positives
    target = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    intercept, slope = logit_line(margin, target)
    return Sigmoid(intercept, slope) if slope > 0 and np.isfinite(intercept) else None


def fit_isotonic(margin: FloatArray, y: FloatArray) -> Isotonic:
    """Isotonic regression by pooling adjacent violators; never 0 or 1.

    A block of n rows without a churner is given ``1 / (n + 2)`` (the rule of succession), but no more than
    its neighbour; one of churners only, the mirror image.
    """
    from scipy.optimize import isotonic_regression  # half a second to import, and few need it

    values, code = np.unique(margin, return_inverse=True)
    rows = np.bincount(code).astype(np.float64)
    positives = np.bincount(code, weights=y)
    fit = isotonic_regression(positives / rows, weights=rows)
    starts = np.asarray(fit.blocks[:-1], dtype=np.int64)
    n = np.add.reduceat(rows, starts)
    k = np.add.reduceat(positives, starts)
    centre = np.add.reduceat(values * rows, starts) / n
    # rounding may put a mean outside its block, and so on its neighbour's
    centre = np.clip(centre, values[starts], values[np.append(starts[1:], len(values)) - 1])
    p = k / n
    inner = p[(p > 0) & (p < 1)]
    low, high = (float(inner.min()), float(inner.max())) if len(inner) else (1.0, 0.0)
    p = np.where(k == 0, np.minimum(1 / (n + 2), low), p)
    p = np.where(k == n, np.maximum(1 - 1 / (n + 2), high), p)
    return Isotonic(tuple(centre.tolist()), tuple(np.maximum.accumulate(p).tolist()))


def choose_calibrator(
    margin: ArrayLike, y: ArrayLike, *, clusters: ArrayLike | None = None, folds: int = FOLDS
) -> CalibratorChoice:
    """Fit the calibrator with the least log loss on margins it was not fitted on.

    Parameters
    ----------
    margin : (n,) out-of-fold log-odds
    y : (n,) labels
    clusters : (n,) integer customer codes; a customer's rows share a fold. Rows themselves if not given.
    folds : number of folds

    Returns
    -------
    CalibratorChoice
        `Identity` when there is one class only. When either class has fewer than `MIN_POSITIVES` rows, the sigmoid's
        slope is held at 1, so that it moves the level and nothing else. `Isotonic` is tried from
        `MIN_POSITIVES_ISOTONIC` rows of each on. A richer kind must gain more than one standard error of its gain
        (Breiman et al. 1984, section 3.4.3), clustered by customer: by chance alone isotonic often looks better by
        less.
    """
    labels, m, _ = checked(y, margin)
    candidates = ["identity"]
    rarer = min(labels.sum(), len(labels) - labels.sum())
    if rarer:
        candidates.append("sigmoid")
    level_only = bool(rarer < MIN_POSITIVES)
    if rarer >= MIN_POSITIVES_ISOTONIC:
        candidates.append("isotonic")
    code = np.arange(len(m)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    fold = _folds(code, folds)
    losses: dict[str, FloatArray] = {}
    for kind in candidates:
        out = np.empty_like(m)
        for k in range(folds):
            test = fold == k
            fitted = _fit(kind, m[~test], labels[~test], level_only=level_only)
            if fitted is None:
                break
            out[test] = fitted.probability(m[test])
        else:
            losses[kind] = row_log_loss(labels, out)
    best = "identity"
    for kind in losses:
        gain = np.bincount(code, weights=losses[best] - losses[kind])
        if gain.sum() > gain.std() * np.sqrt(len(gain)):
            best = kind
    means = {kind: float(loss.mean()) for kind, loss in losses.items()}
    return CalibratorChoice(_fit(best, m, labels, level_only=level_only) or Identity(), means)


def _fit(kind: str, margin: FloatArray, y: FloatArray, *, level_only: bool) -> Calibrator | None:
    if kind == "identity":
        return Identity()
    if level_only:
        return Sigmoid(offset(_bounded(margin), y)[0], 1.0)
    if y.min() == y.max():
        return None
    return fit_sigmoid(margin, y) if kind == "sigmoid" else fit_isotonic(margin, y)


def _folds(code: IntArray, folds: int) -> IntArray:
    # neighbouring codes may be alike: a fixed shuffle spreads them
    shuffled = np.random.default_rng(0).permutation(int(code.max(initial=-1)) + 1)
    return np.asarray(shuffled[code] % folds, dtype=np.int64)


def calibrator_from_json(body: Mapping[str, Any]) -> Calibrator:
    """Read what ``to_json`` wrote; StoreError if it is not that, or is not monotone within (0, 1)."""
    try:
        if "offsets" in body:
            offsets = tuple(float(v) for v in body["offsets"])
            if len(offsets) == YEAR and all(abs(v) <= MAX_OFFSET for v in offsets):
                return Shifted(calibrator_from_json({k: v for k, v in body.items() if k != "offsets"}), offsets)
        kind = None if "offsets" in body else body["kind"]
        if kind == Identity.kind:
            return Identity()
        if kind == Sigmoid.kind and float(body["slope"]) > 0:
            return Sigmoid(float(body["intercept"]), float(body["slope"]))
        if kind == Isotonic.kind:
            m = tuple(float(v) for v in body["margins"])
            p = tuple(float(v) for v in body["probabilities"])
            rising = np.all(np.diff(m) > 0) and np.all(np.diff(p) >= 0)
            if len(m) == len(p) > 0 and rising and 0 < p[0] <= p[-1] < 1:
                return Isotonic(m, p)
    except (KeyError, TypeError, ValueError):
        pass
    raise StoreError("this is not a calibrator file", fix="Train the model again")
