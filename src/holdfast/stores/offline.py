"""The offline store: datasets, scores and decisions as Parquet. The same tables give the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.artifacts.dataset import MANIFEST, Dataset, DatasetManifest, snapshot_schema
from holdfast.artifacts.engine import Engine, Part
from holdfast.artifacts.files import write_json, write_text, writing_folder
from holdfast.clock import iso
from holdfast.errors import NotFoundError, NotReadyError, StoreError
from holdfast.stores.parts import wrong

DATASETS = "datasets"
LATEST = "LATEST"
BUILD = "Run: holdfast build"


def write_dataset(root: Path, manifest: DatasetManifest, engine: Engine, parts: Mapping[datetime, Any]) -> Dataset:
    """Write ``root/datasets/<dataset_id>`` and point LATEST at it.

    Parameters
    ----------
    root : var/<project>
    manifest : names every cutoff and its count of snapshots
    engine : writes the files, in customer_id order
    parts : the snapshots by cutoff, as expressions; or as the file of another dataset that holds just these

    Raises
    ------
    DataError
        A part is not in the manifest, has other columns or another number of rows, or repeats a customer.
    StoreError
        The disk is full or not writable; the dataset of that id is as it was.
    """
    path = root / DATASETS / manifest.dataset_id
    where = f"dataset {manifest.dataset_id}"
    due = {c.cutoff: c.snapshots for c in manifest.cutoffs}
    if missing := sorted(due.keys() - parts.keys()):
        raise wrong(where, f"no part for {', '.join(iso(c) for c in missing[:5])}")
    if strange := sorted(parts.keys() - due.keys()):
        raise wrong(where, f"the manifest does not have {', '.join(iso(c) for c in strange[:5])}")
    with writing_folder(path) as folder:
        new = Dataset(folder, manifest)
        for cutoff, rows in parts.items():
            new.part(cutoff).parent.mkdir()
            if isinstance(rows, Path):
                _link(rows, new.part(cutoff))
        wanted = [Part(new.part(c), c, rows) for c, rows in parts.items() if not isinstance(rows, Path)]
        for part, rows in zip(wanted, engine.write_parts(wanted, snapshot_schema(manifest.schema)), strict=True):
            if rows != due[part.cutoff]:
                raise wrong(f"{where}, cutoff {iso(part.cutoff)}",
                            f"{rows} snapshots; the manifest says {due[part.cutoff]}")  # fmt: skip
        write_json(folder / MANIFEST, manifest.to_json())
    write_text(root / DATASETS / LATEST, f"{manifest.dataset_id}\n")
    return Dataset(path, manifest)


def datasets(root: Path) -> list[Dataset]:
    """Every dataset that can be read, ordered by id."""
    found: list[Dataset] = []
    for file in sorted((root / DATASETS).glob(f"*/{MANIFEST}")):
        with suppress(StoreError, NotFoundError):  # of another version, or not ours
            found.append(Dataset.open(file.parent))
    return found


def _link(file: Path, new: Path) -> None:
    """One more name for a file, or a copy where the file system has no such thing; neither is ever written to again."""
    try:
        new.hardlink_to(file)
    except OSError:
        try:
            shutil.copyfile(file, new)
        except OSError as e:
            raise StoreError(f"cannot write {new}: {e.strerror}", fix="Free disk space or check permissions.") from e


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
