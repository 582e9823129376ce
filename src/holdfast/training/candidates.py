"""Candidates: each estimator's out-of-fold predictions, compared by a proper score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdfast.artifacts.schema import FeatureSchema
from holdfast.config.learning import EstimatorConfig
from holdfast.models.calibrate import CalibratorChoice, choose_calibrator
from holdfast.models.encode import Encoder
from holdfast.models.estimator import Estimator, FittedModel, Matrix
from holdfast.models.registry import make_estimator
from holdfast.training.rows import FloatArray, FoldPlan, IntArray, TrainingRows

ONE_HOT_MAX = 6
"""Categories with at most this many levels are one-hot; the others are the library's own categories."""
MOST_ENCODED_BYTES = 2 * 1024**3
"""Folds are kept encoded up to this size together: the demo's take 0.2 GB, a million snapshots would take ten."""


@dataclass(frozen=True)
class Candidate:
    """An estimator with its out-of-fold margins.

    Attributes
    ----------
    rows : (m,) row numbers that some fold predicted
    margin : (m,) raw log-odds of those rows
    calibration : the calibrator fitted on them, chosen out of fold
    log_loss : out-of-fold and cross-calibrated, in nats: what candidates are compared by
    """

    name: str
    config: EstimatorConfig
    estimator: Estimator
    rows: IntArray
    margin: FloatArray
    fold: IntArray
    calibration: CalibratorChoice
    log_loss: float


@dataclass(frozen=True)
class Fitted:
    """An encoder and a model fitted on the same rows."""

    encoder: Encoder
    model: FittedModel


def fit(rows: TrainingRows, train: IntArray, schema: FeatureSchema, estimator: Estimator, config: EstimatorConfig,
        *, seed: int) -> Fitted:  # fmt: skip
    """Fit an encoder and a model on some rows only."""
    table = rows.take(train)
    encoder = Encoder.fit(table, schema, one_hot_max=ONE_HOT_MAX)
    y = rows.y[train]
    model = estimator.fit(
        encoder.transform(table), y, seed=seed, weight=class_weights(y, config.imbalance),
        categorical=encoder.categorical,
    )  # fmt: skip
    return Fitted(encoder, model)


def class_weights(y: FloatArray, imbalance: str) -> FloatArray | None:
    """Row weights that give both classes the same total, mean 1; None for no weights."""
    if imbalance == "none":
        return None
    positives = float(y.sum())
    if positives in (0.0, float(len(y))):
        return None
    return np.where(y == 1, len(y) / (2 * positives), len(y) / (2 * (len(y) - positives)))


@dataclass(frozen=True)
class EncodedFold:
    """A fold as matrices. The encoder has seen the training rows alone."""

    x: Matrix
    y: FloatArray
    categorical: tuple[int, ...]
    test: Matrix


class EncodedFolds:
    """The folds of a plan, encoded once for all candidates and trials.

    Parameters
    ----------
    most_bytes : folds that together are larger are encoded anew each time; slower, but memory stays what one fold needs
    """

    def __init__(
        self, rows: TrainingRows, schema: FeatureSchema, plan: FoldPlan, *, most_bytes: int = MOST_ENCODED_BYTES
    ) -> None:
        self.rows, self.schema, self.folds = rows, schema, plan.folds
        cells = sum(len(f.train) + len(f.test) for f in plan.folds) * len(schema)
        self._keep = cells * np.dtype(np.float32).itemsize <= most_bytes
        self._kept: dict[int, EncodedFold] = {}

    def __len__(self) -> int:
        return len(self.folds)

    def __getitem__(self, number: int) -> EncodedFold:
        if number in self._kept:
            return self._kept[number]
        fold = self.folds[number]
        table = self.rows.take(fold.train)
        encoder = Encoder.fit(table, self.schema, one_hot_max=ONE_HOT_MAX)
        test = encoder.transform(self.rows.take(fold.test))
        found = EncodedFold(encoder.transform(table), self.rows.y[fold.train], encoder.categorical, test)
        if self._keep:
            self._kept[number] = found
        return found


def out_of_fold(
    folds: EncodedFolds,
    name: str,
    config: EstimatorConfig,
    *,
    seed: int,
    threads: int,
    estimator: Estimator | None = None,
) -> Candidate:
    """Predict every fold with a model fitted on its training rows alone, then choose the calibrator."""
    made = estimator or make_estimator(name, config.params)
    rows = folds.rows

    def one(number: int) -> FloatArray:
        fold = folds[number]
        weight = class_weights(fold.y, config.imbalance)
        return made.fit(fold.x, fold.y, seed=seed, weight=weight, categorical=fold.categorical).margin(fold.test)

    with ThreadPoolExecutor(threads) as pool:
        margins = list(pool.map(one, range(len(folds))))
    numbers = np.concatenate([fold.test for fold in folds.folds])
    margin = np.concatenate(margins)
    fold_of = np.concatenate([np.full(len(f.test), i, dtype=np.int64) for i, f in enumerate(folds.folds)])
    y, customers = rows.y[numbers], rows.customers[numbers]
    choice = choose_calibrator(margin, y, clusters=customers)
    loss = choice.log_loss[choice.calibrator.to_json()["kind"]]
    return Candidate(name, config, made, numbers, margin, fold_of, choice, float(loss))


def cross_calibrated(candidate: Candidate, y: FloatArray, customers: IntArray) -> FloatArray:
    """(m,) probabilities of a candidate's rows, each by a calibrator fitted on the other folds."""
    found = np.empty_like(candidate.margin)
    for k in np.unique(candidate.fold):
        test = candidate.fold == k
        if test.all():
            return candidate.calibration.calibrator.probability(candidate.margin)
        choice = choose_calibrator(candidate.margin[~test], y[~test], clusters=customers[~test])
        found[test] = choice.calibrator.probability(candidate.margin[test])
    return found


def compare(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The candidates, best first, as JSON."""
    ordered = sorted(candidates, key=lambda c: (c.log_loss, c.name))
    return [
        {
            "estimator": c.name,
            "params": dict(c.config.params),
            "imbalance": c.config.imbalance,
            "calibrator": c.calibration.calibrator.to_json()["kind"],
            "out_of_fold_log_loss": round(c.log_loss, 6),
        }
        for c in ordered
    ]


def best(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate with the least out-of-fold log loss."""
    return min(candidates, key=lambda c: (c.log_loss, c.name))


def with_params(config: EstimatorConfig, params: Mapping[str, Any]) -> EstimatorConfig:
    """The same candidate with other parameters."""
    return config.model_copy(update={"params": {**config.params, **params}})
