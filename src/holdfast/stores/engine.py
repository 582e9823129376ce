"""The DuckDB engine behind Ibis."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa

from holdfast.errors import DataError, HoldfastError, Problem, StoreError

_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")
_NULL_MARK = "\x1f"
DELIMITERS = ",;\t|"
LONGEST_HEADER = 1 << 20
_HASH_DIGITS = 15  # 60 bits of md5 fit an int64


class DuckDBEngine:
    """Ibis on an in-memory DuckDB that spills to ``spill``.

    Parameters
    ----------
    spill : folder for what does not fit in memory; removed on close
    threads : 0 means as many as there are cores; results do not depend on it
    memory : DuckDB memory limit, for example ``8GB``; by default DuckDB's own (80% of the machine)
    """

    def __init__(self, spill: Path | None = None, *, threads: int = 0, memory: str | None = None) -> None:
        parent = None if spill is None else str(spill)
        try:
            if spill is not None:
                spill.mkdir(parents=True, exist_ok=True)
            self._spill = tempfile.TemporaryDirectory(prefix="duckdb-", dir=parent, ignore_cleanup_errors=True)
        except OSError as e:
            raise StoreError(f"cannot write to {spill}: {e.strerror}", fix="Free disk space or check it.") from e
        settings: dict[str, Any] = {"threads": threads or os.cpu_count() or 1, "temp_directory": self._spill.name}
        if memory is not None:
            settings["memory_limit"] = memory
        self._backend = ibis.duckdb.connect(**settings)
        self._sql("SET preserve_insertion_order = false")
        self._sql("SET enable_progress_bar = false")
        self._sql("SET TimeZone = 'UTC'")

    def _sql(self, statement: str) -> Any:
        return self._backend.con.execute(statement)

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """See `holdfast.artifacts.engine.Engine`."""
        with _reading(files):
            rows = self._sql(f"DESCRIBE SELECT * FROM {_scan(files, text=True)}").fetchall()
        return {row[0]: row[1] for row in rows}

    def read(self, files: Sequence[Path], name: str, *, text: bool) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        _check_name(name)
        with _reading(files):
            self._sql(f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT * FROM {_scan(files, text=text)}')
            return self._backend.table(name, database=("temp", "main"))

    def from_arrow(self, table: pa.Table, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        _check_name(name)
        self._backend.con.register(f"{name}_arrow", table)
        try:
            self._sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM "{name}_arrow"')
        finally:
            self._backend.con.unregister(f"{name}_arrow")
        return self._backend.table(name, database=("temp", "main"))

    def materialize(self, expression: Any, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        _check_name(name)
        with _running():
            self._sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {self._backend.compile(expression)}')
        return self._backend.table(name, database=("temp", "main"))

    def to_arrow(self, expression: Any) -> pa.Table:
        """See `holdfast.artifacts.engine.Engine`."""
        with _running():
            return self._backend.con.sql(self._backend.compile(expression)).to_arrow_table()

    def drop(self, *names: str) -> None:
        """See `holdfast.artifacts.engine.Engine`."""
        for name in names:
            _check_name(name)
            self._sql(f'DROP TABLE IF EXISTS "{name}"')

    def row_hash(self, table: Any, columns: Sequence[str]) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        parts = [table[name].cast("string").fill_null(_NULL_MARK) for name in columns]
        digest = ibis.literal("\x1e").join(parts).hexdigest("md5")
        return (ibis.literal("0x") + digest.substr(0, _HASH_DIGITS)).cast("int64")

    def close(self) -> None:
        """Release memory and remove the spill folder."""
        self._backend.disconnect()
        self._spill.cleanup()

    def __enter__(self) -> DuckDBEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise ValueError(f"not a table name: {name!r}")


def _quoted(files: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(f).replace("'", "''") + "'" for f in files) + "]"


def _scan(files: Sequence[Path], *, text: bool) -> str:
    if files[0].suffix.lower() == ".parquet":
        return f"read_parquet({_quoted(files)}, union_by_name = true)"
    # the dialect is fixed: DuckDB's own guess drops rows that begin with # and takes apostrophes for quotes
    cells = "all_varchar = true, " if text else ""
    dialect = f"delim = '{_delimiter(files[0])}', quote = '\"', escape = '\"', comment = '', skip = 0"
    return f"read_csv({_quoted(files)}, {cells}header = true, union_by_name = true, nullstr = '', {dialect})"


def _delimiter(file: Path) -> str:
    """The delimiter that the header has most of; a comma where it has none."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            header = re.sub(r'"[^"]*"', "", lines.readline(LONGEST_HEADER))
    except OSError as e:
        raise read_error(str(e), where=str(file)) from e
    return max(DELIMITERS, key=header.count)


@contextmanager
def _reading(files: Sequence[Path]) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as e:
        raise read_error(str(e), where=str(files[0])) from e


@contextmanager
def _running() -> Iterator[None]:
    """Engine failures become errors a person can act on."""
    try:
        yield
    except duckdb.OutOfMemoryException as e:
        raise HoldfastError(f"DuckDB ran out of memory: {_first_line(e)}", fix="Free memory or disk.") from e
    except duckdb.IOException as e:
        raise StoreError(f"DuckDB cannot read or write: {_first_line(e)}", fix="Check the disk.") from e
    except (duckdb.InvalidInputException, duckdb.ConversionException) as e:
        raise read_error(str(e), where="sources") from e
    except duckdb.OutOfRangeException as e:
        fix = "Check the largest values, or declare a smaller scale."
        problem = Problem("sources", "a sum or a product has more than 38 digits", fix)
        raise DataError("numbers are too large to add up exactly", [problem]) from e


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def read_error(message: str, *, where: str) -> DataError:
    """A DataError for what DuckDB said of a file that it cannot read; it never quotes a row."""
    first = message.strip().splitlines()[0] if message.strip() else "cannot be read"
    low = message.lower()
    file = re.search(r"^\s*file = (.+)$", message, re.MULTILINE)
    line = re.search(r"csv error on line: (\d+)", low)
    at = f" at line {line[1]}" if line else ""
    where = file[1].strip() if file else where
    if "not utf-8" in low or "invalid unicode" in low or "invalid utf" in low:
        problem = Problem(where, f"is not UTF-8 text{at}", "Save it as UTF-8 (for example: iconv -t UTF-8).")
    elif "when sniffing file" in low or "expected number of columns" in low:
        what = f"a row{at} has more or fewer cells than the header"
        problem = Problem(where, what, "Put cells that hold the delimiter or a line break in double quotes.")
    else:
        problem = Problem(where, first + at, "Check that the file is complete and in the format its name says.")
    return DataError("a source file cannot be read", [problem])
