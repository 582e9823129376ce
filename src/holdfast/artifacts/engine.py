"""The seam to the query engine: stages say what they want in Ibis, the engine runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa


class Engine(Protocol):
    """Runs Ibis expressions. Tables it makes live until the engine is closed.

    Implementations: `holdfast.stores.engine.DuckDBEngine`; PySpark follows (DESIGN section 4).
    """

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """Column names and engine types of a Parquet or CSV source."""

    def read(self, files: Sequence[Path], name: str, *, text: bool) -> Any:
        """A lazy Ibis table over files of one format; CSV cells come as text where ``text``."""

    def from_arrow(self, table: pa.Table, name: str) -> Any:
        """An Ibis table holding a small Arrow table."""

    def materialize(self, expression: Any, name: str) -> Any:
        """Run an expression once and keep the result as a table."""

    def to_arrow(self, expression: Any) -> pa.Table:
        """Run an expression and fetch the result."""

    def drop(self, *names: str) -> None:
        """Forget tables made here."""

    def row_hash(self, table: Any, columns: Sequence[str]) -> Any:
        """An int64 expression: a hash of each row's columns (integers, texts and times)."""
