"""The DuckDB engine behind Ibis."""

from __future__ import annotations

import os
import re
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
from ibis.backends.sql.compilers.duckdb import compiler
from numpy.typing import NDArray
from sqlglot import ErrorLevel

from holdfast.artifacts.engine import BatchFunction, Part
from holdfast.errors import DataError, HoldfastError, Problem, StoreError
from holdfast.stores.duckdb_files import read_error, reading, scan
from holdfast.stores.parts import ROW_GROUP, evenly, write_ordered, write_part, writing_rows

_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")
NULL_MARK, SEPARATOR = "\x1f", "\x1e"
_HASH_DIGITS = 15  # 60 bits of md5 fit an int64
STATEMENTS = 4096
HASHES_AT_A_TIME = 2**27
"""A GiB of them is sorted at once."""
MOST_PASSES = 64
"""Hashes that do not part are those of one key: they are sorted whatever there is of them."""
MAPPED_AT_A_TIME = 2
PARTS_AT_A_TIME = 2
"""Files written at once; each is a cutoff's rows in memory, twice while they are put in order."""


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
        ibis.options.sql.fuse_selects = False  # a third of all time to compile, and DuckDB merges them itself
        self._sql("SET preserve_insertion_order = false")
        self._sql("SET enable_progress_bar = false")
        self._sql("SET TimeZone = 'UTC'")

    def _sql(self, statement: str) -> Any:
        return self._backend.con.execute(statement)

    def _table(self, name: str) -> Any:
        """A table made here. It knows no connection: one expression is equal on all engines, and compiled once."""
        schema = self._backend.get_schema(name, catalog="temp", database="main")
        return ibis.table(schema, name=name)

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """See `holdfast.artifacts.engine.Engine`."""
        with reading(files):
            rows = self._sql(f"DESCRIBE SELECT * FROM {scan(files, text=True)}").fetchall()
        return {row[0]: row[1] for row in rows}

    def read(self, files: Sequence[Path], name: str, *, text: bool) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        check_name(name)
        with reading(files):
            self._sql(f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT * FROM {scan(files, text=text)}')
            return self._table(name)

    def from_arrow(self, table: pa.Table, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        check_name(name)
        self._backend.con.register(f"{name}_arrow", table)
        try:
            self._sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM "{name}_arrow"')
        finally:
            self._backend.con.unregister(f"{name}_arrow")
        return self._table(name)

    def materialize(self, expression: Any, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        check_name(name)
        with _running():
            self._sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {compiled(expression)}')
        return self._table(name)

    def view(self, expression: Any, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        check_name(name)
        with _running():
            self._sql(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {compiled(expression)}')
        return self._table(name)

    def to_arrow(self, expression: Any) -> pa.Table:
        """See `holdfast.artifacts.engine.Engine`."""
        with _running():
            return self._backend.con.sql(compiled(expression)).to_arrow_table()

    def drop(self, *names: str) -> None:
        """See `holdfast.artifacts.engine.Engine`."""
        for name in names:
            check_name(name)
            self._sql(f'DROP TABLE IF EXISTS "{name}"')

    def drop_others(self, *kept: str) -> None:
        """See `holdfast.artifacts.engine.Engine`."""
        tables = self._sql("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
        self.drop(*(name for (name,) in tables if name not in kept))

    def row_hash(self, table: Any, columns: Sequence[str]) -> Any:
        """See `holdfast.artifacts.engine.Engine`."""
        parts = [table[name].cast("string").fill_null(NULL_MARK) for name in columns]
        digest = ibis.literal(SEPARATOR).join(parts).hexdigest("md5")
        return (ibis.literal("0x") + digest.substr(0, _HASH_DIGITS)).cast("int64")

    def repeated(self, table: Any, keys: Sequence[str], name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`.

        Nearly all keys come once, and grouping would hold each of them. Hashes say which may come again: sorting them
        takes 8 bytes and a fraction of the time a row; only rows with one of those hashes are grouped.
        """
        check_name(name)
        with _running():
            keyed = compiled(table.filter(*[table[k].notnull() for k in keys]).select(*keys))
            columns = ", ".join(f'"{k}"' for k in keys)
            again = self._repeated_hashes(f"SELECT hash({columns}) AS h FROM ({keyed})")
            if not len(again):  # as nearly always
                return None
            self._backend.con.register(f"{name}_arrow", pa.table({"h": again}))
            try:
                made = self._sql(
                    f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT {columns}, count(*) AS n FROM ({keyed}) '
                    f'WHERE hash({columns}) IN (SELECT h FROM "{name}_arrow") GROUP BY {columns} HAVING n > 1'
                ).fetchall()
            finally:
                self._backend.con.unregister(f"{name}_arrow")
        return None if made == [(0,)] else self._table(name)

    def _repeated_hashes(self, hashes: str) -> NDArray[np.uint64]:
        """Those of a query's one column that it has more than once."""
        passes = 1
        while (found := self._repeated_in(hashes, passes)) is None:
            passes *= 4
        return found

    def _repeated_in(self, hashes: str, passes: int) -> NDArray[np.uint64] | None:
        """The same, of a part of the hashes at a time; None where one has more than `HASHES_AT_A_TIME`."""
        found = []
        for part in range(passes):
            query = f"SELECT h FROM ({hashes})" + (f" WHERE h % {passes} = {part}" if passes > 1 else "")
            read, rows = [np.empty(0, np.uint64)], 0
            for batch in self._backend.con.sql(query).to_arrow_reader(ROW_GROUP):
                read.append(batch.column(0).to_numpy())
                rows += len(read[-1])
                if rows > HASHES_AT_A_TIME and passes < MOST_PASSES:
                    return None
            together = np.concatenate(read)
            together.sort()
            found.append(np.unique(together[1:][together[1:] == together[:-1]]))
        return np.concatenate(found)

    def map_batches(self, expression: Any, function: BatchFunction, schema: pa.Schema, name: str) -> Any:
        """See `holdfast.artifacts.engine.Engine`. In batches of `ROW_GROUP` rows in the expression's order.

        The function works on `MAPPED_AT_A_TIME` of them at once, in threads.
        """
        check_name(name)
        name = f"{name}_mapped"  # a view takes the place of no table
        file = Path(self._spill.name) / f"{name}.parquet"
        with writing_rows(file, schema) as write, ThreadPoolExecutor(MAPPED_AT_A_TIME) as pool:
            mapping: deque[Future[list[pa.RecordBatch]]] = deque()

            def write_first() -> None:
                for made in mapping.popleft().result():
                    write(made.cast(schema))

            for batch in self._batches(expression):
                mapping.append(pool.submit(lambda b: list(function(iter([b]))), batch))
                if len(mapping) > MAPPED_AT_A_TIME:
                    write_first()
            while mapping:
                write_first()
        self._sql(f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT * FROM {scan([file], text=False)}')
        return self._table(name)

    def write_parts(self, parts: Sequence[Part], schema: pa.Schema) -> list[int]:
        """See `holdfast.artifacts.engine.Engine`. While one is fetched, those before it are sorted and written.

        A part alone, which may be everyone there is, is sorted by DuckDB and written batch by batch.
        """
        if len(parts) == 1:
            (part,) = parts
            rows = self._batches(part.rows.order_by("customer_id"))
            return [write_ordered(part.file, rows, schema, part.cutoff)]
        writing: list[Future[int]] = []
        with ThreadPoolExecutor(PARTS_AT_A_TIME) as pool:
            for part in parts:
                if len(writing) >= PARTS_AT_A_TIME:
                    writing[-PARTS_AT_A_TIME].result()  # no more tables in memory than these and the next
                writing.append(pool.submit(write_part, part.file, self.to_arrow(part.rows), schema, part.cutoff))
        return [written.result() for written in writing]

    def _batches(self, expression: Any) -> Iterator[pa.RecordBatch]:
        """The rows of an expression, `ROW_GROUP` at a time and the rest; one batch without any if there are none."""
        with _running():
            reader = self._backend.con.sql(compiled(expression)).to_arrow_reader(ROW_GROUP)
            yield from evenly(reader, reader.schema, ROW_GROUP)

    def close(self) -> None:
        """Release memory and remove the spill folder."""
        self._backend.disconnect()
        self._spill.cleanup()

    def __enter__(self) -> DuckDBEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def compiled(expression: Any) -> str:
    """DuckDB's SQL of an expression. Making it takes longer than running it on small tables, so it is kept."""
    return _compiled(expression.op())


@lru_cache(maxsize=STATEMENTS)
def _compiled(operation: Any) -> str:
    query = compiler.to_sqlglot(operation.to_expr())
    sql: str = query.sql(dialect="duckdb", copy=False, unsupported_level=ErrorLevel.RAISE)
    return sql


def check_name(name: str) -> None:
    """ValueError unless ``name`` can be a table's as it is."""
    if not _NAME.match(name):
        raise ValueError(f"not a table name: {name!r}")


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
