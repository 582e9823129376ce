"""Training rows and folds as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso, utc

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainingRows:
    """Matured snapshots: ``table`` has customer_id, cutoff, label and the schema's columns."""

    table: pa.Table
    schema: FeatureSchema

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def y(self) -> FloatArray:
        """(n,) labels, 0 or 1."""
        return np.asarray(self.table.column("label").to_numpy(), dtype=np.float64)

    @cached_property
    def customers(self) -> IntArray:
        """(n,) codes; one per customer."""
        codes = self.table.column("customer_id").combine_chunks().dictionary_encode().indices
        return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)

    @cached_property
    def cutoffs(self) -> npt.NDArray[Any]:
        """(n,) datetime64[us]."""
        return np.asarray(self.table.column("cutoff").to_numpy(), dtype="datetime64[us]")

    def take(self, rows: IntArray, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of some rows: by default the features, and ``cutoff``, since a calibrator may know the months.

        Rows that follow each other are not copied.
        """
        table = self.table.select(["cutoff", *self.schema.names] if columns is None else columns)
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return table.slice(int(rows[0]), len(rows))
        return table.take(pa.array(rows))

    def values(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """One feature of some rows: numbers as float64 with NaN for null, categories as text or None."""
        column = self.table.column(name).take(pa.array(rows))
        if self.schema[name].kind == "number":
            return np.asarray(column.to_numpy(), dtype=np.float64)
        return np.array(column.to_pylist(), dtype=object)


@dataclass(frozen=True)
class Fold:
    """Row numbers to train on and to measure on; ``name`` is for people."""

    name: str
    train: IntArray
    test: IntArray


def recorded(rows: TrainingRows, fold: Fold) -> dict[str, Any]:
    """A fold as JSON: its cutoffs on both sides, and who is on both, so that an audit can judge it later."""

    def cutoffs(numbers: IntArray) -> list[str]:
        return [iso(utc(c)) for c in np.unique(rows.cutoffs[numbers]).astype(object)]

    return {
        "name": fold.name,
        "train": len(fold.train),
        "test": len(fold.test),
        "train_cutoffs": cutoffs(fold.train),
        "test_cutoffs": cutoffs(fold.test),
        "shared_customers": len(np.intersect1d(rows.customers[fold.train], rows.customers[fold.test])),
        "shared_snapshots": len(np.intersect1d(fold.train, fold.test)),
    }


@dataclass(frozen=True)
class FoldPlan:
    """How a model is validated and tested.

    Attributes
    ----------
    folds : each predicts rows its model has not seen
    final : the model that is measured is fitted on ``final.train`` and, where ``timed``, measured on ``final.test``
    timed : walk-forward in time; otherwise customer-grouped, and the folds' own predictions are what is measured
    everything : what the model that serves is fitted on: where ``timed``, the test's rows are among them
    """

    folds: Sequence[Fold]
    final: Fold
    timed: bool
    everything: IntArray
