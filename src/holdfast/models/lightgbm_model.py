"""Gradient-boosted trees by LightGBM, stored as its text."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from holdfast.errors import StoreError
from holdfast.evaluation.arrays import FloatArray
from holdfast.models.estimator import Matrix, ModelFile, check_matrix, check_training
from holdfast.models.tree_shap import contributions

if TYPE_CHECKING:
    import treelite

    from holdfast.models.forest import Forest
    from holdfast.models.one_row import OneRow

FEW_ROWS = 256


class _SameThreads:
    """Lets calls with one number of threads run side by side; one with another number waits for them to end.

    Every call sets the library's one number of threads. One that runs meanwhile has buffers for another number, and
    writes past their ends: with folds fitted and predicted side by side, the process died now and then.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = self._running = 0

    @contextmanager
    def __call__(self, number: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._running or self._number == number)
            self._number = number
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()


_with_threads = _SameThreads()


@dataclass(frozen=True)
class LightGBM:
    """LightGBM's settings, named as in :class:`holdfast.models.xgboost_model.XGBoost`.

    Parameters
    ----------
    rounds : trees
    depth, leaves : most levels and leaves of a tree; fewer than 2 leaves stand for ``2 ** depth``
    min_rows : least rows in a leaf
    subsample, colsample, l1, l2, max_bin : ``bagging_fraction``, ``feature_fraction``, ``lambda_l1``,
        ``lambda_l2``, ``max_bin``

    Notes
    -----
    ``deterministic`` with ``force_col_wise`` makes the result independent of the number of threads, since each column's
    histogram is summed by one thread (row-wise gave the same bytes and took 1.4 times as long).
    """

    name: ClassVar[str] = "lightgbm"

    rounds: int = 300
    learning_rate: float = 0.05
    depth: int = 5
    leaves: int = 0
    min_rows: int = 20
    min_gain: float = 0.0
    subsample: float = 0.8
    colsample: float = 0.7
    l1: float = 0.0
    l2: float = 1.0
    max_bin: int = 255

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
    ) -> LightGBMModel:
        """See :meth:`holdfast.models.estimator.Estimator.fit`."""
        data = check_training(x, y, weight=weight, categorical=categorical, monotone=monotone)
        params: dict[str, Any] = {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "max_depth": self.depth,
            "num_leaves": self.leaves if self.leaves > 1 else 2**self.depth,
            "min_data_in_leaf": self.min_rows,
            "min_gain_to_split": self.min_gain,
            "bagging_fraction": self.subsample,
            "bagging_freq": 1 if self.subsample < 1 else 0,
            "feature_fraction": self.colsample,
            "lambda_l1": self.l1,
            "lambda_l2": self.l2,
            "max_bin": self.max_bin,
            "num_threads": threads,
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "feature_pre_filter": False,
            "verbosity": -1,
        }
        if data.monotone is not None:
            # LightGBM wants no constraint on a category
            params["monotone_constraints"] = [0 if j in data.categorical else m for j, m in enumerate(data.monotone)]
        import lightgbm as lgb  # here, and below: a process that needs it not is smaller by 35 MB

        train = lgb.Dataset(
            data.x, data.y, weight=data.weight, categorical_feature=list(data.categorical), params=params
        )
        with _with_threads(threads):
            text = lgb.train(params, train, self.rounds).model_to_string()
        return LightGBMModel(_model_text(text).encode())


def _model_text(text: str) -> str:
    # the settings are kept in the bundle's manifest; here they would make the bytes depend on the threads
    start, end = text.find("\nparameters:\n"), text.find("end of parameters\n")
    return text if start < 0 or end < 0 else text[: start + 1] + text[end + len("end of parameters\n") :]


class LightGBMModel(ModelFile):
    """A fitted LightGBM model."""

    name: ClassVar[str] = "lightgbm"
    filename: ClassVar[str] = "model.txt"
    native_rows: int = 2_000
    one_row: OneRow | None = None

    def __init__(self, data: bytes) -> None:
        import lightgbm as lgb

        self._data = data
        self._booster = lgb.Booster(model_str=data.decode())
        self.n_features: int = int(self._booster.num_feature())
        self.rounds: int = int(self._booster.num_trees())

    @cached_property
    def _forest(self) -> Forest:
        from holdfast.models.forest import Forest  # here, and below: most commands explain nothing

        return Forest(self.trees())

    def _predict(self, x: Matrix, **kind: bool) -> FloatArray:
        matrix = check_matrix(x, self.n_features)
        if not len(matrix):
            return np.empty((0, self.n_features + 1) if "pred_contrib" in kind else 0, dtype=np.float64)
        with _with_threads(1):  # several of one are not kept waiting by fits of one
            if len(matrix) <= FEW_ROWS:
                return self._part(matrix, kind)
            threads = os.cpu_count() or 1
            with ThreadPoolExecutor(threads) as pool:
                return np.concatenate(list(pool.map(partial(self._part, kind=kind), np.array_split(matrix, threads))))

    def _part(self, matrix: Matrix, kind: dict[str, bool]) -> FloatArray:
        return np.asarray(self._booster.predict(matrix, num_threads=1, **kind), dtype=np.float64)

    def margin(self, x: Matrix) -> FloatArray:
        if len(x) == 1 and self.one_row is not None:
            return self.one_row.margin(check_matrix(x, self.n_features))
        return self._predict(x, raw_score=True)

    def native_contributions(self, x: Matrix) -> FloatArray:
        return self._predict(x, pred_contrib=True)

    def contributions(self, x: Matrix) -> FloatArray:
        return contributions(self, check_matrix(x, self.n_features))

    def forest(self) -> Forest:
        return self._forest

    def trees(self) -> treelite.Model:
        import treelite

        return treelite.frontend.from_lightgbm(self._booster)

    def start(self) -> np.float64:
        return np.float64(0.0)

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
        import lightgbm as lgb

        try:
            return cls(data)
        except (lgb.basic.LightGBMError, UnicodeDecodeError) as error:
            raise StoreError("this is not a LightGBM text model", fix="Train the model again") from error
