"""Candidates: each estimator's out-of-fold predictions, compared by a proper score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from holdfast.artifacts.memory import trim
from holdfast.artifacts.schema import FeatureSchema
from holdfast.config.learning import EstimatorConfig
from holdfast.errors import DataError, Problem
from holdfast.models.calibrate import CalibratorChoice, choose_calibrator
from holdfast.models.encode import Encoder
from holdfast.models.estimator import MIN_OF_EACH_CLASS, Estimator, FittedModel, Matrix
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

    def rank(self) -> tuple[float, str, str]:
        """What candidates are sorted by, best first."""
        return self.log_loss, self.name, self.config.imbalance[0]


@dataclass(frozen=True)
class Fitted:
    """An encoder and a model fitted on the same rows."""

    encoder: Encoder
    model: FittedModel

    def margin(self, rows: TrainingRows, some: IntArray) -> FloatArray:
        """(len(some),) log-odds of some rows."""
        return self.model.margin(self.encoder.transform_pieces(partial(rows.pieces, some), len(some)))


@dataclass(frozen=True)
class Inputs:
    """What a candidate is fitted on.

    Attributes
    ----------
    columns : (k,) of the full encoding; None for all of them
    categorical, monotone : of those columns, as :meth:`Estimator.fit` wants them
    """

    columns: IntArray | None
    categorical: tuple[int, ...]
    monotone: tuple[int, ...] | None

    def of(self, x: Matrix) -> Matrix:
        return x if self.columns is None else np.ascontiguousarray(x[:, self.columns])


def schema_of(schema: FeatureSchema, config: EstimatorConfig) -> FeatureSchema:
    """The features that a candidate may use, of those there are."""
    return schema.only(config.features) if config.features else schema


def inputs_of(encoder: Encoder, config: EstimatorConfig) -> Inputs:
    """Which columns of an encoding a candidate reads, and what it is told of them."""
    names = encoder.schema.names
    wanted = set(schema_of(encoder.schema, config).names)
    columns = np.array([k for k, i in enumerate(encoder.source) if names[i] in wanted], dtype=np.int64)
    coded = set(encoder.categorical)
    directions = {name: way for name, way in config.monotone.items() if name in wanted}
    along = np.array(encoder.monotone(directions), dtype=np.int64)[columns]
    return Inputs(
        None if len(columns) == encoder.n_columns else columns,
        tuple(k for k, column in enumerate(columns.tolist()) if column in coded),
        tuple(along.tolist()) if directions else None,
    )


def encoded(rows: TrainingRows, train: IntArray, schema: FeatureSchema) -> tuple[Encoder, Matrix]:
    """An encoder fitted on some rows, and these as its matrix."""
    trim()  # of what the last fit took
    return Encoder.fit_transform(partial(rows.pieces, train), len(train), schema, one_hot_max=ONE_HOT_MAX)


def fit(rows: TrainingRows, train: IntArray, schema: FeatureSchema, estimator: Estimator, config: EstimatorConfig,
        *, seed: int, threads: int = 1) -> Fitted:  # fmt: skip
    """Fit an encoder and a model on some rows only, and on no more than a candidate's own features."""
    mine = schema_of(schema, config)
    encoder, *x = encoded(rows, train, mine)
    inputs, y = inputs_of(encoder, config), rows.y[train]
    model = estimator.fit(
        x.pop(), y, seed=seed, weight=class_weights(y, config.imbalance), threads=threads,
        categorical=inputs.categorical, monotone=inputs.monotone,
    )  # fmt: skip
    return Fitted(encoder, model)


def class_weights(y: FloatArray, imbalance: Sequence[str]) -> FloatArray | None:
    """Row weights for one way of weighing the classes; None for no weights.

    ``balanced`` gives both classes the same total at mean 1. ``scale_pos_weight`` gives churners the number of those
    who stayed to one who left, and the others 1: the same model as XGBoost's and LightGBM's own parameter of that name
    at its usual setting gives, save that LightGBM's own starts from the base rate of unweighted rows. Both ways differ
    by a factor alone, and so by what penalties and least weights in a leaf mean.
    """
    (way,) = imbalance
    positives = float(y.sum())
    negatives = len(y) - positives
    if way == "none" or not positives or not negatives:
        return None
    if way == "scale_pos_weight":
        return np.where(y == 1, negatives / positives, 1.0)
    return np.where(y == 1, len(y) / (2 * positives), len(y) / (2 * negatives))


@dataclass(frozen=True)
class EncodedFold:
    """A fold as matrices. The encoder has seen the training rows alone."""

    encoder: Encoder
    x: Matrix
    y: FloatArray
    test: Matrix


class EncodedFolds:
    """The folds of a plan, encoded once for all candidates and trials.

    Parameters
    ----------
    most_bytes : folds that together are larger are encoded anew each time; slower, but memory stays what one fold needs

    Raises
    ------
    DataError
        A fold has too few of one class to train on, or all folds together to be measured on.
    """

    def __init__(
        self, rows: TrainingRows, schema: FeatureSchema, plan: FoldPlan, *, most_bytes: int = MOST_ENCODED_BYTES
    ) -> None:
        self.rows, self.schema, self.folds = rows, schema, plan.folds
        self._require_both_classes(timed=plan.timed)
        cells = sum(len(f.train) + len(f.test) for f in plan.folds) * len(schema)
        self._keep = cells * np.dtype(np.float32).itemsize <= most_bytes
        self._kept: dict[int, EncodedFold] = {}

    def _require_both_classes(self, *, timed: bool) -> None:
        sides = [(f"fold {fold.name}", "trains on", fold.train) for fold in self.folds]
        sides.append(("all folds together", "predict", np.concatenate([fold.test for fold in self.folds])))
        problems = []
        for where, what, numbers in sides:
            churned = int(self.rows.y[numbers].sum())
            for count, word in ((churned, "churners"), (len(numbers) - churned, "customers who stayed")):
                if count < MIN_OF_EACH_CLASS:
                    problems.append(
                        Problem(
                            where,
                            f"{what} {len(numbers):,} snapshots with {count} {word}; at least {MIN_OF_EACH_CLASS} are "
                            "needed",
                            "Lower training.folds.validation_cutoffs, so that folds begin later, or check data.label"
                            if timed
                            else "Lower training.folds.groups, or check data.label",
                        )
                    )
        if problems:
            raise DataError("these folds cannot be trained on", problems)

    def __len__(self) -> int:
        return len(self.folds)

    def __getitem__(self, number: int) -> EncodedFold:
        if number in self._kept:
            return self._kept[number]
        fold = self.folds[number]
        encoder, x = encoded(self.rows, fold.train, self.schema)
        test = encoder.transform_pieces(partial(self.rows.pieces, fold.test), len(fold.test))
        found = EncodedFold(encoder, x, self.rows.y[fold.train], test)
        if self._keep:
            self._kept[number] = found
        return found

    def fit_and_predict(
        self, number: int, estimator: Estimator, config: EstimatorConfig, *, seed: int, threads: int = 1
    ) -> FloatArray:
        """Margins of a fold's test rows by a model fitted on its training rows, in the test rows' order."""
        fold = self[number]
        inputs, weight = inputs_of(fold.encoder, config), class_weights(fold.y, config.imbalance)
        model = estimator.fit(
            inputs.of(fold.x), fold.y, seed=seed, weight=weight, categorical=inputs.categorical,
            monotone=inputs.monotone, threads=threads,
        )  # fmt: skip
        return model.margin(inputs.of(fold.test))


def out_of_fold(
    folds: EncodedFolds,
    name: str,
    config: EstimatorConfig,
    *,
    seed: int,
    threads: int,
    estimator: Estimator | None = None,
    after: Callable[[int, FloatArray, FloatArray], None] = lambda *_: None,
) -> Candidate:
    """Predict every fold with a model fitted on its training rows alone, then choose the calibrator.

    Parameters
    ----------
    after : told, in the folds' order whatever the number of threads, how many folds are done and the margins and labels
        of their test rows so far; what it raises ends the work
    """
    made = estimator or make_estimator(name, config.params)
    rows = folds.rows
    margin, y = np.zeros(0), np.zeros(0)
    each = max(1, threads // len(folds))  # where folds are fewer than threads, none of these is idle
    with ThreadPoolExecutor(threads) as pool:
        waiting = [
            pool.submit(folds.fit_and_predict, k, made, config, seed=seed, threads=each) for k in range(len(folds))
        ]
        try:
            for k, found in enumerate(waiting):
                margin = np.concatenate([margin, found.result()])
                y = np.concatenate([y, rows.y[folds.folds[k].test]])
                after(k + 1, margin, y)
        finally:
            for found in waiting:
                found.cancel()
    numbers = np.concatenate([fold.test for fold in folds.folds])
    fold_of = np.concatenate([np.full(len(f.test), i, dtype=np.int64) for i, f in enumerate(folds.folds)])
    choice = choose_calibrator(margin, y, clusters=rows.customers[numbers])
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


def with_params(config: EstimatorConfig, params: Mapping[str, Any]) -> EstimatorConfig:
    """The same candidate with other parameters."""
    return config.model_copy(update={"params": {**config.params, **params}})
