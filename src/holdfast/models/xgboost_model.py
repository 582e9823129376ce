"""Gradient-boosted trees by XGBoost, stored as its JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import xgboost as xgb
from numpy.typing import ArrayLike

from holdfast.errors import StoreError
from holdfast.evaluation.arrays import FloatArray
from holdfast.models.cut_points import cut_points
from holdfast.models.estimator import Matrix, ModelFile, check_matrix, check_training
from holdfast.models.tree_shap import contributions

if TYPE_CHECKING:
    import treelite

    from holdfast.models.forest import Forest
    from holdfast.models.one_row import OneRow

FEW_ROWS = 256  # below this a second thread costs more than it saves


@dataclass(frozen=True)
class XGBoost:
    """XGBoost's settings under its own names where they differ from none of LightGBM's.

    Parameters
    ----------
    rounds : trees
    learning_rate, depth, subsample, colsample, l1, l2, max_bin : as XGBoost's ``eta``, ``max_depth``,
        ``subsample``, ``colsample_bytree``, ``alpha``, ``lambda``, ``max_bin``
    min_child_weight : least sum of hessians (p (1 - p) per row) in a leaf
    min_gain : XGBoost's ``gamma``

    Notes
    -----
    The histogram method gave the same bytes on 1, 2, 3 and 5 threads in every trial (200,000 rows of 30 columns, with
    and without weights, and the estimators' suite): it adds float32 gradients in float64, which are rarely rounded.
    """

    name: ClassVar[str] = "xgboost"

    rounds: int = 300
    learning_rate: float = 0.05
    depth: int = 5
    min_child_weight: float = 5.0
    min_gain: float = 0.0
    subsample: float = 0.8
    colsample: float = 0.7
    l1: float = 0.0
    l2: float = 1.0
    max_bin: int = 256

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
    ) -> XGBoostModel:
        """See :meth:`holdfast.models.estimator.Estimator.fit`."""
        data = check_training(x, y, weight=weight, categorical=categorical, monotone=monotone)
        kinds = ["c" if j in data.categorical else "q" for j in range(data.x.shape[1])]
        quantised = partial(
            xgb.QuantileDMatrix, feature_types=kinds, max_bin=self.max_bin, nthread=threads, enable_categorical=True
        )
        cuts = quantised(cut_points(data.x, self.max_bin, threads=threads))
        train = quantised(data.x, data.y, weight=data.weight, ref=cuts)
        monotone = data.monotone
        del x, data  # training reads the quantised matrix: one that the caller gave up is freed here
        params = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "eta": self.learning_rate,
            "max_depth": self.depth,
            "min_child_weight": self.min_child_weight,
            "gamma": self.min_gain,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "alpha": self.l1,
            "lambda": self.l2,
            "max_bin": self.max_bin,
            "nthread": threads,
            "seed": seed,
            "verbosity": 0,
        }
        if monotone is not None:
            params["monotone_constraints"] = monotone
        booster = xgb.train(params, train, self.rounds)
        return XGBoostModel(bytes(booster.save_raw("json")))


class XGBoostModel(ModelFile):
    """A fitted XGBoost model. Safe to share among threads: each of its boosters only ever predicts."""

    name: ClassVar[str] = "xgboost"
    filename: ClassVar[str] = "model.json"
    native_rows: int = 2_000
    one_row: OneRow | None = None

    def __init__(self, data: bytes) -> None:
        self._data = data
        # always from the file's bytes, so that a model just fitted and one loaded are the same object
        self._one = self._booster(1)

    def _booster(self, threads: int) -> xgb.Booster:
        booster = xgb.Booster({"nthread": threads, "verbosity": 0})
        booster.load_model(bytearray(self._data))
        booster.set_param({"nthread": threads})
        return booster

    @cached_property
    def _many(self) -> xgb.Booster:
        return self._booster(os.cpu_count() or 1)

    @cached_property
    def _forest(self) -> Forest:
        from holdfast.models.forest import Forest  # here, and below: most commands explain nothing

        return Forest(self.trees())

    @cached_property
    def n_features(self) -> int:
        return int(self._one.num_features())

    @cached_property
    def rounds(self) -> int:
        return int(self._one.num_boosted_rounds())

    def margin(self, x: Matrix) -> FloatArray:
        matrix = check_matrix(x, self.n_features)
        if not len(matrix):
            return np.empty(0, dtype=np.float64)
        if len(matrix) == 1 and self.one_row is not None:
            return self.one_row.margin(matrix)
        booster = self._one if len(matrix) <= FEW_ROWS else self._many
        margin = booster.inplace_predict(matrix, predict_type="margin", validate_features=False)
        return np.asarray(margin, dtype=np.float64)

    def native_contributions(self, x: Matrix) -> FloatArray:
        matrix = check_matrix(x, self.n_features)
        if not len(matrix):
            return np.empty((0, self.n_features + 1), dtype=np.float64)
        few = len(matrix) <= FEW_ROWS
        rows = xgb.DMatrix(
            matrix, feature_types=self._one.feature_types, enable_categorical=True, nthread=1 if few else None
        )
        booster = self._one if few else self._many
        return np.asarray(booster.predict(rows, pred_contribs=True), dtype=np.float64)

    def contributions(self, x: Matrix) -> FloatArray:
        return contributions(self, check_matrix(x, self.n_features))

    def forest(self) -> Forest:
        return self._forest

    def trees(self) -> treelite.Model:
        import treelite

        return treelite.frontend.from_xgboost(self._one)

    def start(self) -> np.float32:
        # Computed from the stored probability by the library itself: others round its logarithm otherwise.
        config = json.loads(self._one.save_config())
        base_score = config["learner"]["learner_model_param"]["base_score"].strip("[]")
        nothing = np.zeros((1, 1), dtype=np.float32)
        settings = {"objective": "binary:logistic", "base_score": base_score, "nthread": 1, "verbosity": 0}
        no_trees = xgb.train(settings, xgb.DMatrix(nothing, [0.0], nthread=1), 0)
        return np.float32(no_trees.inplace_predict(nothing, predict_type="margin")[0])

    def prepare_for_single_rows(self) -> None:
        from holdfast.models.one_row import one_row_of

        self.one_row = one_row_of(self)

    @property
    def quick_alone(self) -> bool:
        return self.one_row is not None

    def dump(self) -> bytes:
        return self._data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        try:
            return cls(data)
        except xgb.core.XGBoostError as error:
            raise StoreError("this is not an XGBoost JSON model", fix="Train the model again") from error
