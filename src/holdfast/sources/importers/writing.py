"""Where imported tables go: a folder of Parquet per table, all or nothing, and never over anything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.artifacts.files import TEMPORARY, writing_folder
from holdfast.errors import UsageError


def write_tables(out: Path, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Write ``out/<table>/part-0.parquet`` for every table; an earlier import is replaced.

    Returns
    -------
    dict
        Rows by table.

    Raises
    ------
    UsageError
        ``out`` holds something that is not an import, and would be lost.
    StoreError
        ``out`` cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", fix="Name a folder.")
    others = sorted(p.name for p in out.iterdir() if p.name not in tables) if out.is_dir() else []
    others = [name for name in others if not name.startswith(TEMPORARY)]
    if others:
        listed = ", ".join(others[:5])
        raise UsageError(f"{out} holds other things, which an import would remove: {listed}", fix="Name a new folder.")
    with writing_folder(out) as folder:
        for name, table in tables.items():
            (folder / name).mkdir()
            pq.write_table(table, folder / name / "part-0.parquet")
    return {name: table.num_rows for name, table in tables.items()}
