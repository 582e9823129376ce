"""A DuckDB file, read only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from holdfast.errors import DataError, Problem, StoreError, did_you_mean
from holdfast.sources.databases import Kind

_PLAIN = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT",
     "DOUBLE", "VARCHAR"}
)  # fmt: skip


MAGIC, MAGIC_AT = b"DUCK", 8
"""What every DuckDB file has at its beginning, after a checksum."""


class DuckDBFile:
    """See `holdfast.sources.databases.Connection`.

    Raises
    ------
    DataError
        There is no such file.
    StoreError
        It cannot be opened: something else is writing it, or it is no DuckDB file.
    """

    def __init__(self, path: Path, *, where: str) -> None:
        self._path = path
        if not path.is_file():
            beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            hint = did_you_mean(path.name, beside) if beside else f"the folder {path.parent} does not exist"
            problem = Problem(where, f"no DuckDB file at {path}", f"Check url: {hint}")
            raise DataError("a source is missing", [problem])
        try:
            with path.open("rb") as file:
                magic = file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:]
        except OSError as e:
            raise StoreError(f"{path} cannot be opened: {e.strerror}", fix="Check its permissions.") from e
        if magic != MAGIC:  # DuckDB would take it for another format, or say so in its own words
            raise StoreError(f"{path} is not a DuckDB file", fix="Check url; other files are declared with path.")
        try:
            self._connection = duckdb.connect(str(path), read_only=True)
            self._connection.begin()
        except duckdb.Error as e:
            raise self._failed("cannot be opened", e) from e

    def columns(self, names: Sequence[str]) -> dict[str, Kind]:
        """See `holdfast.sources.databases.Connection`."""
        schema = names[0] if len(names) > 1 else "main"
        sql = """SELECT column_name, data_type FROM information_schema.columns
                 WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ?
                 ORDER BY ordinal_position"""
        return {name: _kind(type_) for name, type_ in self._rows(sql, [schema, names[-1]])}

    def tables(self) -> list[str]:
        """See `holdfast.sources.databases.Connection`."""
        sql = """SELECT CASE table_schema WHEN 'main' THEN table_name ELSE table_schema || '.' || table_name END
                 FROM information_schema.tables WHERE table_catalog = current_database()"""
        return [row[0] for row in self._rows(sql, [])]

    def copy(self, sql: str, file: Path) -> None:
        """See `holdfast.sources.databases.Connection`."""
        target = str(file).replace("'", "''")
        self._rows(f"COPY ({sql}) TO '{target}' (FORMAT parquet)", [])

    def close(self) -> None:
        """See `holdfast.sources.databases.Connection`."""
        self._connection.close()

    def _rows(self, sql: str, parameters: list[str]) -> list[tuple[str, ...]]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except duckdb.Error as e:
            raise self._failed("cannot be read", e) from e

    def _failed(self, what: str, error: duckdb.Error) -> StoreError:
        said = str(error).strip().splitlines()[0]
        fix = "Check that it is a DuckDB file, that nothing is writing it, and that the disk has room."
        return StoreError(f"{self._path} {what}: {said}", fix=fix)


def _kind(type_: str) -> Kind:
    if type_ in _PLAIN or type_.startswith("DECIMAL"):
        return "plain"
    if type_ in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return type_  # type: ignore[return-value]
    return "TIMESTAMP" if type_.startswith("TIMESTAMP_") else "other"
