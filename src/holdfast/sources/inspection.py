"""Looking at files nobody has declared yet: their columns, types and a few counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from holdfast.config.data import ColumnType
from holdfast.errors import DataError, Problem
from holdfast.sources.files import table_files

MAX_CATEGORIES = 50
"""A text column with more different values than this is free text or an id, not a category."""
MAX_SCALE = 6
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_DECIMAL = re.compile(r"DECIMAL\(\d+,\s*(\d+)\)")


@dataclass(frozen=True)
class SeenColumn:
    """A column as found: its type in Holdfast's words (None: cannot be used), decimal digits, distinct values."""

    name: str
    type: ColumnType | None
    scale: int
    distinct: int


@dataclass(frozen=True)
class SeenTable:
    """A table as found."""

    name: str
    path: Path
    rows: int
    columns: tuple[SeenColumn, ...]

    def named(self, words: tuple[str, ...], *types: ColumnType) -> SeenColumn | None:
        """The first column with one of the names, in the order of the names, and one of the types (any if none)."""
        usable = {c.name.lower(): c for c in self.columns if not types or c.type in types}
        return next((usable[w] for w in words if w in usable), None)


def inspect(name: str, path: Path) -> SeenTable:
    """The columns of a Parquet or CSV file, folder or glob.

    Raises
    ------
    DataError
        Nothing is there, or it cannot be read.
    """
    files = [str(f) for f in table_files(path.parent, path.name, where=f"table '{name}'")]
    reader = "read_csv" if files[0].lower().endswith(".csv") else "read_parquet"
    with duckdb.connect() as connection:
        try:
            connection.execute(f"create view seen as select * from {reader}({_list(files)})")  # noqa: S608 - quoted
            described = connection.execute("describe seen").fetchall()
            names, types = [row[0] for row in described], [row[1] for row in described]
            counts = [part for n, t in zip(names, types, strict=True) for part in _counts(_quoted(n), t)]
            row: tuple[Any, ...] = connection.execute(f"select count(*), {', '.join(counts)} from seen").fetchall()[0]  # noqa: S608
        except duckdb.Error as e:
            problem = Problem(f"table '{name}'", str(e).splitlines()[0], "Give Parquet, or CSV in UTF-8 with a header.")
            raise DataError(f"{path} cannot be read", [problem]) from e
    found = [
        SeenColumn(n, _type(t, row[1 + 2 * i]), row[2 + 2 * i], row[1 + 2 * i])
        for i, (n, t) in enumerate(zip(names, types, strict=True))
    ]
    return SeenTable(name, path, row[0], tuple(found))


def _counts(column: str, type_: str) -> tuple[str, str]:
    """SQL for the distinct values and the decimal digits of a column."""
    distinct = f"count(distinct {column})"
    if match := _DECIMAL.fullmatch(type_):
        return distinct, str(min(int(match[1]), MAX_SCALE))
    if type_ in ("DOUBLE", "FLOAT"):
        # The fewest digits that lose nothing; a float that needs more is rounded to the most there are.
        tests = " ".join(f"when bool_and(round({column}, {s}) = {column}) then {s}" for s in range(MAX_SCALE))
        return distinct, f"case {tests} else {MAX_SCALE} end"
    return distinct, "0"


def _type(type_: str, distinct: int) -> ColumnType | None:
    if type_ == "BOOLEAN":
        return "boolean"
    if type_.removeprefix("U") in _INTEGERS or type_ in ("DOUBLE", "FLOAT") or _DECIMAL.fullmatch(type_):
        return "number"
    if type_ == "DATE" or type_.startswith("TIMESTAMP"):
        return "time"
    if type_ == "VARCHAR" or type_.startswith("ENUM"):
        return "category" if distinct <= MAX_CATEGORIES else "text"
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list(files: list[str]) -> str:
    return "[" + ", ".join("'" + f.replace("'", "''") + "'" for f in files) + "]"
