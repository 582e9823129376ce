"""``holdfast fetch`` and ``holdfast import``: public data sets into a project's sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import NotReadyError, UsageError, did_you_mean
from holdfast.pipelines.bootstrap import Workspace
from holdfast.sources.fetch import DATASETS, FetchSpec, fetch
from holdfast.sources.importers.cdnow import CdnowSummary, import_cdnow
from holdfast.sources.importers.telco import TelcoSummary, import_telco

DOWNLOADS = "downloads"
ImportSummary = TelcoSummary | CdnowSummary
IMPORTERS: dict[str, Callable[[Path, Path], ImportSummary]] = {"telco": import_telco, "cdnow": import_cdnow}


@dataclass(frozen=True)
class FetchReport:
    """A downloaded and verified file."""

    dataset: str
    file: Path
    sha256: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "file": str(self.file), "sha256": self.sha256, "bytes": self.bytes}


@dataclass(frozen=True)
class ImportReport:
    """The tables that an import wrote."""

    dataset: str
    file: Path
    summary: ImportSummary

    def to_json(self) -> dict[str, Any]:
        said = {"sources": str(self.summary.out), "rows": self.summary.rows, **self.summary.facts()}
        return {"dataset": self.dataset, "file": str(self.file), **said}


def fetch_dataset(
    workspace: Workspace, dataset: str, *, progress: Callable[[int, int | None], None] | None = None
) -> FetchReport:
    """Download a public data set to ``var/<project>/downloads``; kept if it is there already.

    Raises
    ------
    UsageError
        No such data set is known.
    HoldfastError, StoreError
        It cannot be downloaded, has another hash, or cannot be written; no half file is left.
    """
    spec = _known(dataset, DATASETS)
    file = fetch(spec.url, spec.sha256, downloaded(workspace, spec), progress=progress)
    return FetchReport(dataset, file, spec.sha256, file.stat().st_size)


def import_dataset(workspace: Workspace, dataset: str, file: Path | None = None) -> ImportReport:
    """Turn a public data set's file into the project's source tables, all or nothing.

    Parameters
    ----------
    file : by default what `fetch_dataset` downloaded

    Raises
    ------
    NotReadyError
        No file is given and none was fetched, or can be.
    DataError, StoreError
        The file is not as published, or the tables cannot be written.
    """
    importer = _known(dataset, IMPORTERS)
    if file is None and dataset not in DATASETS:
        fix = f"Give your copy: holdfast import {dataset} FILE"
        raise NotReadyError(f"{dataset} cannot be downloaded by holdfast", fix=fix)
    found = downloaded(workspace, DATASETS[dataset]) if file is None else file
    if file is None and not found.exists():
        raise NotReadyError(
            f"there is no downloaded file at {found}",
            fix=f"Run: holdfast fetch {dataset} (or give your own copy: holdfast import {dataset} FILE)",
        )
    return ImportReport(dataset, found, importer(found, workspace.sources))


def downloaded(workspace: Workspace, spec: FetchSpec) -> Path:
    """Where a fetched file lies."""
    return workspace.var / DOWNLOADS / spec.file


def _known(dataset: str, known: dict[str, Any]) -> Any:
    if dataset not in known:
        raise UsageError(f"there is no public data set {dataset!r}", fix=did_you_mean(dataset, known))
    return known[dataset]
