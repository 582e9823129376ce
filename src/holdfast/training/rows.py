"""Training rows and folds as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso, utc
from holdfast.errors import StoreError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")


MOST_BYTES = 128 * 1024**2
"""Features of a larger dataset are read from its files each time: in memory, a model's matrix of them is enough."""

FEATURES_AT_A_TIME = 10


@dataclass(frozen=True)
class TrainingRows:
    """Matured snapshots.

    Attributes
    ----------
    table : customer_id, cutoff, label and, unless they are in ``dataset``, the schema's columns
    schema : the features
    dataset : where features are read from, cutoff by cutoff, when they are asked for
    """

    table: pa.Table
    schema: FeatureSchema
    dataset: Dataset | None = None

    @classmethod
    def of(cls, dataset: Dataset, *, most_bytes: int = MOST_BYTES) -> Self:
        """The matured snapshots of a dataset; their features in memory if these take at most ``most_bytes``.

        Raises
        ------
        NotFoundError, StoreError
            The dataset cannot be read.
        """
        schema = dataset.manifest.schema
        if dataset.manifest.matured * len(schema) * np.dtype(np.float32).itemsize <= most_bytes:
            return cls(dataset.read(), schema)
        return cls(dataset.read(columns=[]).select(["customer_id", "cutoff", "label"]), schema, dataset)

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

        Rows that follow each other in memory are not copied.
        """
        names = ["cutoff", *self.schema.names] if columns is None else list(columns)
        if self._in_memory(names):
            return _taken(self.table.select(names), rows)
        found = list(self.pieces(rows, names))
        if not found:
            return self.take(np.zeros(1, np.int64), names).slice(0, 0)
        table = pa.concat_tables([piece for _, piece in found])
        order = np.concatenate([at for at, _ in found])
        return table if (np.diff(order) > 0).all() else table.take(pa.array(np.argsort(order)))

    def pieces(self, rows: IntArray, columns: Sequence[str]) -> Iterator[tuple[IntArray, pa.Table]]:
        """Columns of some rows, as many at a time as is cheap, each with the places of its rows among those asked for.

        Raises
        ------
        StoreError
            The dataset is not what it was.
        """
        if self._in_memory(columns):
            yield np.arange(len(rows), dtype=np.int64), _taken(self.table.select(columns), rows)
            return
        assert self.dataset is not None
        features = [name for name in columns if name not in self.table.column_names]
        ascending = len(rows) < 2 or bool((rows[1:] > rows[:-1]).all())
        for cutoff, start, end in self._parts:
            if ascending:
                at = np.arange(*np.searchsorted(rows, (start, end)), dtype=np.int64)
            else:
                at = np.flatnonzero((rows >= start) & (rows < end)).astype(np.int64)
            if len(at):
                part = self.dataset.read([utc(cutoff.astype(object))], columns=features).select(columns)
                if part.num_rows != end - start:
                    raise StoreError(f"dataset {self.dataset.path} changed while it was read", fix="Run it again.")
                yield at, _taken(part, rows[at] - start)

    @cached_property
    def _parts(self) -> list[tuple[Any, int, int]]:
        """Each cutoff with its first row and the one after its last."""
        cutoffs, starts = np.unique(self.cutoffs, return_index=True)
        return list(zip(cutoffs, starts.tolist(), [*starts[1:].tolist(), len(self)], strict=True))

    def of_features(
        self, rows: IntArray, schema: FeatureSchema, found_of: Callable[[pa.Table, FeatureSchema], T], threads: int
    ) -> list[T]:
        """What a function finds in some rows of all features: called with a few features at a time, in threads."""
        parts = [
            FeatureSchema(schema.features[start : start + FEATURES_AT_A_TIME])
            for start in range(0, len(schema), FEATURES_AT_A_TIME)
        ]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda part: found_of(self.take(rows, part.names), part), parts))

    def _in_memory(self, columns: Sequence[str]) -> bool:
        return self.dataset is None or set(columns) <= set(self.table.column_names)

    def values(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """One feature of some rows: numbers as float64 with NaN for null, categories as text or None."""
        column = self.take(rows, [name]).column(name)
        if self.schema[name].kind == "number":
            return np.asarray(column.to_numpy(), dtype=np.float64)
        return np.array(column.to_pylist(), dtype=object)


def _taken(table: pa.Table, rows: IntArray) -> pa.Table:
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return table.slice(int(rows[0]), len(rows))
    return table.take(pa.array(rows))


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
        "shared_customers": _shared(rows.customers[fold.train], rows.customers[fold.test]),
        "shared_snapshots": _shared(fold.train, fold.test),
    }


def _shared(one: IntArray, other: IntArray) -> int:
    """How many numbers are in both; of millions, a table of marks is faster than sorting."""
    marked = np.zeros(1 + max(one.max(initial=-1), other.max(initial=-1)), dtype=np.int8)
    marked[one] = 1
    marked[other] |= 2
    return int(np.count_nonzero(marked == 3))


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
