"""Files as DuckDB reads them, and what it says of those that it cannot. Spark's executors use it for CSV as well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from holdfast.errors import DataError, Problem

BATCH_ROWS = 65_536
DELIMITERS = ",;\t|"
LONGEST_HEADER = 1 << 20


def csv_batches(file: Path) -> Iterator[pa.RecordBatch]:
    """The cells of a CSV file as text.

    Raises
    ------
    DataError
        It cannot be read.
    """
    with reading([file]), duckdb.connect(config={"threads": 1}) as connection:
        cells = connection.sql(f"SELECT * FROM {scan([file], text=True)}")
        yield from cells.to_arrow_reader(BATCH_ROWS)


def _quoted(files: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(f).replace("'", "''") + "'" for f in files) + "]"


def scan(files: Sequence[Path], *, text: bool) -> str:
    """SQL that reads files of one format."""
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
def reading(files: Sequence[Path]) -> Iterator[None]:
    """What DuckDB cannot read is a DataError."""
    try:
        yield
    except duckdb.Error as e:
        raise read_error(str(e), where=str(files[0])) from e


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
