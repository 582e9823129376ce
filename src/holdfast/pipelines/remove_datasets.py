"""``holdfast datasets remove``: old datasets go; those that versions were trained on stay."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from holdfast.errors import StoreError, UsageError
from holdfast.pipelines.archive import needed_versions
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.datasets import size_of, written_at
from holdfast.stores.offline import DATASETS, dataset_name, dataset_names, latest_id

KEPT = 3
"""So many of the newest stay."""
REMOVED = ".removed"


@dataclass(frozen=True)
class RemoveReport:
    """Which datasets were removed (or would be), and which others stay, with the reason.

    Attributes
    ----------
    removed : ids, the oldest first
    bytes : what it freed; files that other datasets share stay
    dry_run : whether nothing was done
    """

    removed: list[str]
    kept: dict[str, str]
    bytes: int
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "kept": [{"dataset_id": name, "why": why} for name, why in sorted(self.kept.items())]}


def remove_datasets(
    workspace: Workspace, word: str | None = None, *, keep: int = KEPT, dry_run: bool = False
) -> RemoveReport:
    """Remove one dataset, or all but the newest and those that are needed.

    A folder is renamed before it is deleted, so there is never half a dataset; killed at any moment, the next call
    finishes it.

    Parameters
    ----------
    word : this one, by its id or how it begins; by default all that are too old
    keep : how many of the newest stay
    dry_run : only say what would be removed

    Raises
    ------
    UsageError
        ``word`` is no dataset, or one that is needed.
    StoreError
        A folder cannot be removed.
    """
    folder = workspace.var / DATASETS
    needed = needed_datasets(workspace)
    if word is None:
        names = sorted(dataset_names(workspace.var), key=lambda name: (written_at(folder / name), name))
        going, newest = [n for n in names[: max(0, len(names) - keep)] if n not in needed], names[-keep:]
    else:
        name = dataset_name(workspace.var, word)
        if name in needed:
            fix = "See what could go: holdfast datasets remove --dry-run"
            raise UsageError(f"dataset {name} stays: {needed[name]}", fix=fix)
        going, newest = [name], []
    report = RemoveReport(
        going, {**dict.fromkeys(newest, f"is one of the {keep} newest"), **needed} if word is None else {},
        size_of([folder / name for name in going], alone=True), dry_run,
    )  # fmt: skip
    if not dry_run:
        try:
            _sweep(workspace)  # what a killed call left would be in the way of a name
            for name in going:
                (folder / name).rename(folder / f".{name}{REMOVED}")
                (workspace.audits / f"{name}.json").unlink(missing_ok=True)
            _sweep(workspace)
        except OSError as e:
            raise StoreError(f"an old dataset cannot be removed: {e}", fix=f"Check {folder}.") from e
    return report


def needed_datasets(workspace: Workspace) -> dict[str, str]:
    """Datasets that must stay, each with the reason: the latest, and those of versions that serve or may yet."""
    needed = needed_versions(workspace)
    why = {
        row.version: needed.get(row.version, "is not archived")
        for row in workspace.state.versions(workspace.name)
        if row.version in needed or row.status != "archived"
    }
    latest = latest_id(workspace.var)
    found = {} if latest is None else {latest: "is the latest"}
    for row in workspace.state.versions(workspace.name)[::-1]:  # the newest version has the last word
        if row.version in why:
            found[row.dataset_id] = f"version {row.version}, trained on it, {why[row.version]}"
    return {name: reason for name, reason in found.items() if name in dataset_names(workspace.var)}


def _sweep(workspace: Workspace) -> None:
    for left in (workspace.var / DATASETS).glob(f".*{REMOVED}"):
        shutil.rmtree(left)
