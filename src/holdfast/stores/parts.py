"""One Parquet file: rows of one cutoff, checked and in order. The same rows give the same bytes."""

from __future__ import annotations

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
    """Write one Parquet file: no pandas or other metadata, no wall clock, fixed row groups."""
    try:
        pq.write_table(
            table.replace_schema_metadata(None),
            file,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            row_group_size=ROW_GROUP,
        )
    except OSError as e:
        raise StoreError(f"cannot write {file}: {e}", fix="Free disk space or check permissions.") from e


def wrong(where: str, what: str) -> DataError:
    """A DataError of the offline store."""
    return DataError("the offline store refused a table", [Problem(where, what)])
