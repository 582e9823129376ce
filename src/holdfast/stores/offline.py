"""The offline store: datasets, scores and decisions as Parquet. The same tables give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.artifacts.dataset import MANIFEST, Dataset, DatasetManifest, cutoff_scalar, snapshot_schema
from holdfast.artifacts.files import write_json, write_text, writing_folder
from holdfast.clock import iso
from holdfast.errors import DataError, NotReadyError, Problem, StoreError

DATASETS = "datasets"
LATEST = "LATEST"
BUILD = "Run: holdfast build"
ROW_GROUP = 131_072
ZSTD_LEVEL = 3


def write_dataset(root: Path, manifest: DatasetManifest, parts: Iterable[tuple[datetime, pa.Table]]) -> Dataset:
    """Write ``root/datasets/<dataset_id>`` and point LATEST at it.

    Parameters
    ----------
    root : var/<project>
    manifest : names every cutoff and its count of snapshots
    parts : the snapshots by cutoff, taken one at a time; rows are put in customer_id order

    Raises
    ------
    DataError
        A part is not in the manifest, has other columns or another number of rows, or repeats a customer.
    StoreError
        The disk is full or not writable; the dataset of that id is as it was.
    """
    path = root / DATASETS / manifest.dataset_id
    schema = snapshot_schema(manifest.schema)
    due = {c.cutoff: c.snapshots for c in manifest.cutoffs}
    with writing_folder(path) as folder:
        new = Dataset(folder, manifest)
        for cutoff, table in parts:
            where = f"dataset {manifest.dataset_id}, cutoff {iso(cutoff)}"
            rows = due.pop(cutoff, None)
            if rows != table.num_rows:
                said = "does not have it (or had it already)" if rows is None else f"says {rows}"
                raise _wrong(where, f"{table.num_rows} snapshots; the manifest {said}")
            new.part(cutoff).parent.mkdir()
            write_parquet(new.part(cutoff), in_order(table, schema, cutoff, where))
        if due:
            raise _wrong(f"dataset {manifest.dataset_id}", f"no part for {', '.join(iso(c) for c in sorted(due)[:5])}")
        write_json(folder / MANIFEST, manifest.to_json())
    write_text(root / DATASETS / LATEST, f"{manifest.dataset_id}\n")
    return Dataset(path, manifest)


def latest_dataset(root: Path) -> Dataset:
    """The dataset that LATEST names.

    Raises
    ------
    NotReadyError
        There is none yet.
    StoreError
        LATEST or the manifest cannot be read.
    """
    file = root / DATASETS / LATEST
    try:
        name = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError as e:
        raise NotReadyError(f"no dataset in {file.parent}", fix=BUILD) from e
    except (OSError, UnicodeDecodeError) as e:
        raise StoreError(f"cannot read {file}: {e}", fix=BUILD) from e
    if not name or Path(name).name != name:
        raise StoreError(f"{file} holds {name[:80]!r}, not a dataset's id", fix=BUILD)
    return Dataset.open(file.parent / name)


def in_order(table: pa.Table, schema: pa.Schema, cutoff: datetime, where: str) -> pa.Table:
    """The table with exactly the schema's columns, checked to be of one cutoff, in customer_id order."""
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise _wrong(where, f"columns are missing: {', '.join(missing[:10])}")
    try:
        table = table.select(schema.names).cast(schema).combine_chunks()
    except ValueError as e:  # ArrowInvalid is a ValueError
        raise _wrong(where, str(e)) from e
    strange = table.filter(pc.not_equal(table.column("cutoff"), cutoff_scalar(cutoff)))
    if strange.num_rows or table.column("cutoff").null_count:
        raise _wrong(where, "rows of another cutoff")
    ids = table.column("customer_id")
    if ids.null_count or pc.count_distinct(ids).as_py() != len(ids):
        raise _wrong(where, "customer_id is null or repeated")
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


def _wrong(where: str, what: str) -> DataError:
    return DataError("the offline store refused a table", [Problem(where, what)])
