"""What runs in Spark's executors, where holdfast must be installed as well."""

from __future__ import annotations

import base64
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from holdfast.errors import HoldfastError
from holdfast.stores.duckdb_files import csv_batches
from holdfast.stores.parts import write_part

_MARK = "HOLDFAST-FAILURE:"


class TaskFailure(Exception):
    """A HoldfastError on its way from an executor to the driver, which sees only the text of a traceback."""

    def __init__(self, error: HoldfastError) -> None:
        state = (type(error), vars(error), error.args)
        super().__init__(f"{_MARK}{base64.b64encode(pickle.dumps(state)).decode()}:")


def failure_in(message: str) -> HoldfastError | None:
    """The HoldfastError that an executor raised, if that is what a Spark error tells of."""
    found = re.search(f"{_MARK}([A-Za-z0-9+/=]+):", message)
    if found is None:
        return None
    kind, state, args = pickle.loads(base64.b64decode(found[1]))  # noqa: S301 - our own executors wrote it
    error: HoldfastError = kind.__new__(kind, *args)
    vars(error).update(state)
    error.args = args
    return error


def without_zones(table: pa.Table) -> pa.Table:
    """The table as Holdfast has it: times are UTC and say nothing of it."""
    fields = [f.with_type(pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in table.schema]
    return table.cast(pa.schema([f.with_nullable(True) for f in fields]))


@dataclass(frozen=True)
class MapBatches:
    """A broadcast function over the batches of a partition."""

    function: Any
    schema: pa.Schema

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        plain = (one for batch in batches for one in without_zones(pa.Table.from_batches([batch])).to_batches())
        with _told():
            for batch in self.function.value(plain):
                yield from pa.Table.from_batches([batch]).cast(self.schema).to_batches()


@dataclass(frozen=True)
class WritePart:
    """All rows of one cutoff into one Parquet file; gives back how many there were."""

    file: Path
    schema: pa.Schema
    cutoff: datetime

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = list(batches)
        with _told():
            table = without_zones(pa.Table.from_batches(found)) if found else self.schema.empty_table()
            rows = write_part(self.file, table, self.schema, self.cutoff)
        yield pa.record_batch([pa.array([rows], pa.int64())], names=["rows"])


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except HoldfastError as e:
        raise TaskFailure(e) from e


@dataclass(frozen=True)
class ReadCsv:
    """CSV files, one row of ``path`` each, as text cells of ``columns``; null where a file lacks one."""

    columns: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with _told():
            for batch in batches:
                for path in batch.column("path").to_pylist():
                    yield from self._file(Path(path))

    def _file(self, path: Path) -> Iterator[pa.RecordBatch]:
        for batch in csv_batches(path):
            yield pa.record_batch([self._cells(batch, name) for name in self.columns], names=list(self.columns))

    def _cells(self, batch: pa.RecordBatch, name: str) -> Any:
        found = batch.schema.get_field_index(name)
        return pa.nulls(batch.num_rows, pa.string()) if found < 0 else batch.column(found).cast(pa.string())
