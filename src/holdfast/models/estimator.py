"""What every model is: something that fits a matrix and answers in log-odds, with exact contributions.

The matrix is float32 (n, f): NaN is missing, category columns hold whole-number codes from 0 (see `encode`).
Implementations: `xgboost_model`, `lightgbm_model`, `logistic`, `rfm`. All run one suite:
``tests/conformance/test_estimators.py``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.errors import DataError, Problem, StoreError
from holdfast.evaluation.arrays import FloatArray

Matrix: TypeAlias = NDArray[np.float32]

MIN_ROWS = 20
MIN_OF_EACH_CLASS = 2
WHERE = "training rows"


class FittedModel(Protocol):
    """A model that has been fitted, and can be written to one native file and read back."""

    name: ClassVar[str]
    filename: ClassVar[str]

    @property
    def n_features(self) -> int:
        """Columns of the matrix it was fitted on."""

    @property
    def rounds(self) -> int:
        """Trees; 0 for a model without trees."""

    @property
    def quick_alone(self) -> bool:
        """Whether a row alone is scored and explained in well under a millisecond."""

    def margin(self, x: Matrix) -> FloatArray:
        """Log-odds of churn, (n,) float64. The same for a row alone and a row among many."""

    def contributions(self, x: Matrix) -> FloatArray:
        """(n, f + 1) float64: each column's exact part of the margin, the base last; a row sums to its margin."""

    def native_contributions(self, x: Matrix) -> FloatArray:
        """The same from the library itself: slower for many rows, and the reference for :meth:`contributions`."""

    def prepare_for_single_rows(self) -> None:
        """Make what answers rows that come alone faster, with the same margins; a second and some megabytes for trees.

        For servers; what answers a few rows and ends is slower with it.
        """

    def dump(self) -> bytes:
        """The model file's bytes; equal for equal fits."""

    def save(self, path: Path) -> None:
        """Write :meth:`dump` to ``path``."""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what :meth:`dump` wrote; StoreError if it is not such a file."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote."""


class Estimator(Protocol):
    """Settings of one kind of model; a frozen dataclass whose fields are its parameters."""

    name: ClassVar[str]

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
    ) -> FittedModel:
        """Fit. The same arguments give a model of the same bytes, whatever the number of threads.

        Parameters
        ----------
        x : (n, f) float32; NaN is missing
        y : (n,) zeros and ones
        seed : fixes everything random
        weight : (n,) positive row weights
        categorical : columns of x that hold category codes
        monotone : (f,) of -1, 0, 1: the direction in which the margin may move as a column rises
        threads : how many may work on it

        Raises
        ------
        DataError
            Fewer than `MIN_ROWS` rows, one class only, labels other than 0 and 1, shapes that differ.
        """


class ModelFile(ABC):
    """Saving and loading for models that know their bytes."""

    name: ClassVar[str]

    @abstractmethod
    def dump(self) -> bytes:
        """See `FittedModel`."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes) -> Self:
        """See `FittedModel`."""

    def save(self, path: Path) -> None:
        path.write_bytes(self.dump())

    @classmethod
    def load(cls, path: Path) -> Self:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot read the model file {path}: {error}") from error
        return cls.from_bytes(data)


class JsonModel(ModelFile):
    """A model that is one JSON document, with one way to its contributions and no rounds.

    Attributes
    ----------
    form : what the document's ``format`` must say
    called : for an error
    """

    filename: ClassVar[str] = "model.json"
    form: ClassVar[str]
    called: ClassVar[str]
    rounds: int = 0
    quick_alone: bool = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        body: dict[str, Any] = json.loads(data)
        if body["format"] != self.form:
            raise ValueError(body["format"])
        self._read(body)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """The model of a document without its ``format``."""
        return cls((json.dumps({"format": cls.form, **body}, indent=1, allow_nan=False) + "\n").encode())

    @abstractmethod
    def _read(self, body: Mapping[str, Any]) -> None:
        """Take what the document says; ValueError, KeyError or TypeError if it does not fit together."""

    @abstractmethod
    def contributions(self, x: Matrix) -> FloatArray:
        """See `FittedModel`."""

    def native_contributions(self, x: Matrix) -> FloatArray:
        """The same: there is no library behind it."""
        return self.contributions(x)

    def prepare_for_single_rows(self) -> None:
        """Nothing: they are fast."""

    def dump(self) -> bytes:
        return self._data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        try:
            return cls(data)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"this is not {cls.called}", fix="Train the model again") from error


def check_matrix(x: Any, n_features: int | None = None) -> Matrix:
    """``x`` as a C-ordered float32 matrix, or a DataError that says which shape was expected."""
    matrix = np.ascontiguousarray(x, dtype=np.float32)
    if matrix.ndim != 2 or (n_features is not None and matrix.shape[1] != n_features):
        expected = "(n, f)" if n_features is None else f"(n, {n_features})"
        raise DataError(
            "this matrix does not fit the model", [Problem("x", f"shape is {matrix.shape}, not {expected}")]
        )
    return matrix


@dataclass(frozen=True)
class TrainingSet:
    """Checked inputs of a fit."""

    x: Matrix
    y: FloatArray
    weight: FloatArray | None
    categorical: tuple[int, ...]
    monotone: tuple[int, ...] | None


def check_training(
    x: Any,
    y: ArrayLike,
    *,
    weight: ArrayLike | None,
    categorical: Sequence[int],
    monotone: Sequence[int] | None,
) -> TrainingSet:
    """Check a fit's arguments once, for every estimator, and report all problems together.

    Raises
    ------
    DataError
        See :meth:`Estimator.fit`.
    """
    matrix = check_matrix(x)
    n, f = matrix.shape
    labels = np.asarray(y, dtype=np.float64)
    weights = None if weight is None else np.asarray(weight, dtype=np.float64)
    problems: list[Problem] = []

    def say(where: str, what: str, fix: str = "") -> None:
        problems.append(Problem(where, what, fix))

    if labels.shape != (n,):
        say("y", f"shape is {labels.shape}, not ({n},)")
    elif not np.isin(labels, (0.0, 1.0)).all():
        say("y", "a label is neither 0 nor 1", "Immature snapshots have no label: leave them out")
    else:
        for label, word in ((1.0, "churners"), (0.0, "customers who stayed")):
            count = int((labels == label).sum())
            if count < MIN_OF_EACH_CLASS:
                say(
                    WHERE,
                    f"{count} {word} among {n} rows; at least {MIN_OF_EACH_CLASS} are needed",
                    "Train on more cutoffs or check the label's definition",
                )
    if n < MIN_ROWS:
        say(WHERE, f"{n} rows; at least {MIN_ROWS} are needed", "Train on more cutoffs")
    if f == 0:
        say(WHERE, "there is no feature column")
    if weights is not None and (weights.shape != (n,) or not (weights > 0).all()):
        say("weight", f"must be {n} positive numbers")
    if any(not 0 <= c < f for c in categorical):
        say("categorical", f"columns {list(categorical)} are not all within 0..{f - 1}")
    if monotone is not None and (len(monotone) != f or not set(monotone) <= {-1, 0, 1}):
        say("monotone", f"must be {f} of -1, 0 and 1")
    if problems:
        raise DataError("a model cannot be fitted to these rows", problems)
    return TrainingSet(
        matrix,
        labels,
        weights,
        tuple(sorted(set(categorical))),
        None if monotone is None or not any(monotone) else tuple(int(m) for m in monotone),
    )
