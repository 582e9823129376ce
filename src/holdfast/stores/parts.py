"""One Parquet file: rows of one cutoff, checked and in order. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.artifacts.dataset import cutoff_scalar
from holdfast.artifacts.files import writing_file
from holdfast.clock import iso
from holdfast.errors import DataError, Problem, StoreError

ROW_GROUP = 131_072
ZSTD_LEVEL = 3


def write_part(file: Path, table: pa.Table, schema: pa.Schema, cutoff: datetime) -> int:
    """Write the rows of a cutoff in customer_id order, complete or not at all, and return how many there are.

    Raises
    ------
    DataError
        A column is missing, rows are of another cutoff, or a customer is repeated.
    StoreError
        The disk is full or not writable.
    """
    ordered = in_order(table, schema, cutoff, f"{file.name}, cutoff {iso(cutoff)}")
    with writing_file(file) as temporary:
        write_parquet(temporary, ordered)
    return int(ordered.num_rows)


def write_ordered(file: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema, cutoff: datetime) -> int:
    """`write_part` of rows that come in customer_id order, a batch at a time: the same bytes, and the same refusals."""
    where = f"{file.name}, cutoff {iso(cutoff)}"
    rows, last = 0, ""
    with writing_file(file) as temporary, writing_rows(temporary, schema) as write:
        for batch in batches:
            ordered = in_order(pa.Table.from_batches([batch]), schema, cutoff, where)
            if ordered.num_rows:
                first = ordered.column("customer_id")[0].as_py()
                if rows and first <= last:
                    raise wrong(where, "customer_id is null or repeated")
                rows, last = rows + ordered.num_rows, ordered.column("customer_id")[-1].as_py()
            for chunk in ordered.to_batches():
                write(chunk)
    return rows


def evenly(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows, so many at a time and the rest; one batch without any if there are none."""
    waiting = schema.empty_table()
    some = False
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= rows:
            yield _as_batch(waiting.slice(0, rows))
            waiting, some = waiting.slice(rows), True
    if waiting.num_rows or not some:
        yield _as_batch(waiting)


def _as_batch(table: pa.Table) -> pa.RecordBatch:
    arrays = [column.combine_chunks() for column in table.columns]
    return pa.record_batch(arrays, schema=table.schema)


def in_order(table: pa.Table, schema: pa.Schema, cutoff: datetime, where: str) -> pa.Table:
    """The table with exactly the schema's columns, checked to be of one cutoff, in customer_id order."""
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise wrong(where, f"columns are missing: {', '.join(missing[:10])}")
    try:
        table = table.select(schema.names).cast(schema).combine_chunks()
    except ValueError as e:  # ArrowInvalid is a ValueError
        raise wrong(where, str(e)) from e
    strange = table.filter(pc.not_equal(table.column("cutoff"), cutoff_scalar(cutoff)))
    if strange.num_rows or table.column("cutoff").null_count:
        raise wrong(where, "rows of another cutoff")
    ids = table.column("customer_id")
    if ids.null_count or pc.count_distinct(ids).as_py() != len(ids):
        raise wrong(where, "customer_id is null or repeated")
    return table.take(pc.sort_indices(ids)).combine_chunks()


def write_parquet(file: Path, table: pa.Table) -> None:
    """Write one Parquet file; see `writing_rows`."""
    with writing_rows(file, table.schema) as write:
        for start in range(0, table.num_rows, ROW_GROUP):
            write(_as_batch(table.slice(start, ROW_GROUP)))


@contextmanager
def writing_rows(file: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Takes the rows of one Parquet file, a row group at a time: no pandas or other metadata, no wall clock.

    Raises
    ------
    StoreError
        The disk is full or not writable.
    """
    try:
        with pq.ParquetWriter(
            file, schema.remove_metadata(), compression="zstd", compression_level=ZSTD_LEVEL
        ) as writer:
            yield lambda batch: writer.write_batch(batch.replace_schema_metadata(None))
    except OSError as e:
        raise StoreError(f"cannot write {file}: {e}", fix="Free disk space or check permissions.") from e


def wrong(where: str, what: str) -> DataError:
    """A DataError of the offline store."""
    return DataError("the offline store refused a table", [Problem(where, what)])
