"""The seam to the query engine: stages say what they want in Ibis, the engine runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

BatchFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Part:
    """A Parquet file to write: ``rows`` is an expression, all of one cutoff."""

    file: Path
    cutoff: datetime
    rows: Any


class Engine(Protocol):
    """Runs Ibis expressions. Tables it makes live until the engine is closed.

    Implementations: `holdfast.stores.engine.DuckDBEngine` and `holdfast.stores.spark_engine.SparkEngine`. Both give
    the same values, bit for bit; tests/conformance/test_engines.py holds them to it.
    """

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """Column names and engine types of a Parquet or CSV source."""

    def read(self, files: Sequence[Path], name: str, *, text: bool) -> Any:
        """A lazy Ibis table over files of one format; CSV cells come as text where ``text``."""

    def from_arrow(self, table: pa.Table, name: str) -> Any:
        """An Ibis table holding a small Arrow table."""

    def materialize(self, expression: Any, name: str) -> Any:
        """Run an expression once and keep the result as a table."""

    def view(self, expression: Any, name: str) -> Any:
        """Name an expression, which is run wherever it is read: what is built on it is as short as on a table."""

    def to_arrow(self, expression: Any) -> pa.Table:
        """Run an expression and fetch the result."""

    def drop(self, *names: str) -> None:
        """Forget tables made here."""

    def drop_others(self, *kept: str) -> None:
        """Forget all tables made here but these."""

    def row_hash(self, table: Any, columns: Sequence[str]) -> Any:
        """An int64 expression: a hash of each row's columns (integers, texts and times)."""

    def repeated(self, table: Any, keys: Sequence[str], name: str) -> Any:
        """Keep the keys that come on more than one row, and on how many (``n``); no key with a null in it.

        None where no key does.
        """

    def map_batches(self, expression: Any, function: BatchFunction, schema: pa.Schema, name: str) -> Any:
        """Keep what ``function`` makes of an expression's rows as a table of ``schema``; it runs where the rows are.

        It is pickled, and called with some of the rows, in no order, as often as there are places where rows are.
        """

    def write_parts(self, parts: Sequence[Part], schema: pa.Schema) -> list[int]:
        """Write Parquet files of ``schema``, in customer_id order, and return the rows of each.

        Every engine writes the same bytes. The files' folders are there already.

        Raises
        ------
        DataError
            A part lacks a column, has rows of another cutoff, or repeats a customer.
        """
