"""The offline store: datasets, scores and decisions as Parquet. The same tables give the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.artifacts.dataset import MANIFEST, Dataset, DatasetManifest, snapshot_schema
from holdfast.artifacts.engine import Engine, Part
from holdfast.artifacts.files import sha256_of, write_json, write_text, writing_folder
from holdfast.clock import iso
from holdfast.errors import (
    MAX_EXAMPLES,
    NotFoundError,
    NotReadyError,
    StoreError,
    UsageError,
    did_you_mean,
    shown,
)
from holdfast.stores.parts import wrong

DATASETS = "datasets"
LATEST = "LATEST"
BUILD = "Run: holdfast build"


def write_dataset(root: Path, manifest: DatasetManifest, engine: Engine, parts: Mapping[datetime, Any]) -> Dataset:
    """Write ``root/datasets/<dataset_id>`` and point LATEST at it.

    Parameters
    ----------
    root : var/<project>
    manifest : names every cutoff and its count of snapshots; the hashes of the files are put into it
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
        hashed = tuple(replace(c, sha256=sha256_of(new.part(c.cutoff))) for c in manifest.cutoffs)
        manifest = replace(manifest, cutoffs=hashed)
        write_json(folder / MANIFEST, manifest.to_json())
    write_text(root / DATASETS / LATEST, f"{manifest.dataset_id}\n")
    return Dataset(path, manifest)


def datasets(root: Path) -> list[Dataset]:
    """Every dataset that can be read, ordered by id."""
    found: list[Dataset] = []
    for name in dataset_names(root):
        with suppress(StoreError, NotFoundError):  # of another version, or not ours
            found.append(Dataset.open(root / DATASETS / name))
    return found


def dataset_names(root: Path) -> list[str]:
    """The ids of all datasets, readable or not, ascending; what is being written or removed is none."""
    return sorted(f.parent.name for f in (root / DATASETS).glob(f"[!.]*/{MANIFEST}"))


def find_dataset(root: Path, word: str) -> Dataset:
    """The dataset whose id is or begins with ``word``.

    Raises
    ------
    UsageError
        There is none, or more than one.
    StoreError
        Its manifest cannot be read.
    """
    return Dataset.open(root / DATASETS / dataset_name(root, word))


def dataset_name(root: Path, word: str) -> str:
    """The id that is or begins with ``word``; UsageError as `find_dataset`."""
    names = dataset_names(root)
    meant = [n for n in names if n == word] or [n for n in names if word and n.startswith(word)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UsageError(
            f"{len(meant)} datasets begin with {shown(word)}: {', '.join(meant[:MAX_EXAMPLES])}",
            fix="Give more of the id.",
        )
    raise UsageError(f"there is no dataset {shown(word)}", fix=did_you_mean(word, names) if names else BUILD)


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
    name = latest_id(root)
    if name is None:
        raise NotReadyError(f"no dataset in {root / DATASETS}", fix=BUILD)
    return Dataset.open(root / DATASETS / name)


def latest_id(root: Path) -> str | None:
    """The id that LATEST holds; None before the first dataset, StoreError if it cannot be read."""
    file = root / DATASETS / LATEST
    try:
        name = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        raise StoreError(f"cannot read {file}: {e}", fix=BUILD) from e
    if not name or Path(name).name != name:
        raise StoreError(f"{file} holds {name[:80]!r}, not a dataset's id", fix=BUILD)
    return name
