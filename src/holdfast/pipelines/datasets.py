"""``holdfast datasets``: what the offline store holds, and whether it is still what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.artifacts.dataset import MANIFEST, CutoffCount, Dataset
from holdfast.clock import iso
from holdfast.errors import DataError, HoldfastError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.stores.offline import DATASETS, dataset_names, find_dataset, latest_dataset, latest_id
from holdfast.stores.state_tables import VersionRow
from holdfast.stores.verify import dataset_problems


def list_datasets(workspace: Workspace) -> dict[str, Any]:
    """Every dataset, the one written last first, and those that cannot be read; ``bytes`` counts shared files once."""
    latest, versions = latest_id(workspace.var), workspace.state.versions(workspace.name)
    readable: list[tuple[int, dict[str, Any]]] = []
    unreadable: list[dict[str, str]] = []
    for name in dataset_names(workspace.var):
        folder = workspace.var / DATASETS / name
        try:
            dataset = Dataset.open(folder)
        except HoldfastError as e:
            unreadable.append({"dataset_id": name, "why": str(e)})
            continue
        readable.append((written_at(folder), _brief(dataset, latest, versions)))
    folders = [workspace.var / DATASETS / name for name in dataset_names(workspace.var)]
    found = [brief for _, brief in sorted(readable, key=lambda r: (-r[0], r[1]["dataset_id"]))]
    return {"datasets": found, "unreadable": unreadable, "bytes": size_of(folders)}


def show_dataset(workspace: Workspace, word: str | None = None) -> dict[str, Any]:
    """All that a dataset's manifest says, and what `list_datasets` does.

    Parameters
    ----------
    word : an id, or how it begins; by default the latest

    Raises
    ------
    UsageError, NotReadyError, StoreError
        There is no such dataset, none at all, or it cannot be read.
    """
    dataset = _found(workspace, word)
    brief = _brief(dataset, latest_id(workspace.var), workspace.state.versions(workspace.name))
    manifest = dataset.manifest.to_json()
    rates = [{**c.to_json(), "base_rate": base_rate(c)} for c in dataset.manifest.cutoffs]
    beside = {key: brief[key] for key in ("latest", "built_at", "bytes", "own_bytes", "versions")}
    return {**manifest, **beside, "cutoffs": rates, "config_hash": config_hash(dataset), "path": str(dataset.path)}


def verify_dataset(workspace: Workspace, word: str | None = None) -> dict[str, Any]:
    """Hold every file of a dataset (the latest by default) to its manifest.

    Raises
    ------
    DataError
        A file is missing, was changed or is not what was counted; each is named.
    UsageError, NotReadyError, StoreError
        There is no such dataset, none at all, or it cannot be read.
    """
    dataset = _found(workspace, word)
    manifest = dataset.manifest
    if problems := dataset_problems(dataset):
        raise DataError(f"dataset {manifest.dataset_id} is not what its manifest says", problems)
    return {
        "dataset_id": manifest.dataset_id,
        "files": len(manifest.cutoffs),
        "snapshots": manifest.snapshots,
        "unhashed": sum(not c.sha256 for c in manifest.cutoffs),
        "path": str(dataset.path),
    }


def base_rate(count: CutoffCount) -> float | None:
    """Positives among the matured snapshots of a cutoff; None without any."""
    matured = count.states.get("matured", 0)
    return count.positives / matured if matured else None


def config_hash(dataset: Dataset) -> str | None:
    """What `Config.hash` of the sections that the dataset is of was; None where they are not recorded."""
    config = dataset.manifest.config
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest() if config else None


def size_of(folders: Iterable[Path], *, alone: bool = False) -> int:
    """Bytes of all files below folders, each once however many names it has.

    Parameters
    ----------
    alone : only files that have no name elsewhere: what removing the folders would free
    """
    names: dict[tuple[int, int], int] = {}
    facts: dict[tuple[int, int], tuple[int, int]] = {}
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file():
                stat = file.stat()
                key = stat.st_dev, stat.st_ino
                names[key] = names.get(key, 0) + 1
                facts[key] = stat.st_size, stat.st_nlink
    return sum(size for key, (size, links) in facts.items() if not alone or links == names[key])


def written_at(folder: Path) -> int:
    """When a dataset's folder was completed, in nanoseconds: manifests hold no wall clock."""
    return (folder / MANIFEST).stat().st_mtime_ns


def _found(workspace: Workspace, word: str | None) -> Dataset:
    return latest_dataset(workspace.var) if word is None else find_dataset(workspace.var, word)


def _brief(dataset: Dataset, latest: str | None, versions: list[VersionRow]) -> dict[str, Any]:
    manifest, name = dataset.manifest, dataset.path.name
    built = datetime.fromtimestamp(written_at(dataset.path) // 10**9, UTC)
    return {
        "dataset_id": name,
        "latest": name == latest,
        "known_as_of": iso(manifest.known_as_of),
        "first_cutoff": iso(manifest.cutoffs[0].cutoff),
        "last_cutoff": iso(manifest.cutoffs[-1].cutoff),
        "cutoffs": len(manifest.cutoffs),
        "snapshots": manifest.snapshots,
        "matured": manifest.matured,
        "positives": manifest.positives,
        "features": len(manifest.schema),
        "built_at": iso(built),
        "bytes": size_of([dataset.path]),
        "own_bytes": size_of([dataset.path], alone=True),
        "versions": [{"version": v.version, "status": v.status} for v in versions[::-1] if v.dataset_id == name],
    }
