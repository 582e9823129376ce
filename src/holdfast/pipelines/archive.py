"""``holdfast models archive``: old bundles go; what the ledger, MLflow and the reports say of them stays."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import StoreError, UsageError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.contest import evaluated_folder, unseen_file
from holdfast.stores.state_tables import VersionRow

ROLLBACKS = 3
"""So many champions before the present one can always be gone back to."""
REMOVED = ".removed"


@dataclass(frozen=True)
class ArchiveReport:
    """Whose bundles were removed (or would be), and which old ones stay, with the reason.

    Attributes
    ----------
    removed : versions, oldest first
    kept : versions older than the newest that keep their bundles anyway, and why
    bytes : what it freed
    dry_run : whether nothing was done
    """

    removed: list[int]
    kept: dict[int, str]
    bytes: int
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        kept = [{"version": version, "why": why} for version, why in sorted(self.kept.items())]
        return {**vars(self), "kept": kept}


def archive(
    workspace: Workspace, version: int | None = None, *, keep: int | None = None, dry_run: bool = False
) -> ArchiveReport:
    """Remove the bundle of one version, or of all but the newest and those that are needed.

    A folder is renamed before it is deleted, so there is never half a bundle; killed at any moment, the next call
    finishes it.

    Parameters
    ----------
    version : this one; by default all that are too old
    keep : how many of the newest stay; by default ``training.retention.versions``
    dry_run : only say what would be removed

    Raises
    ------
    UsageError
        ``version`` is needed.
    NotFoundError
        There is no such version.
    StoreError
        A folder cannot be removed, or it cannot be told what the API reads.
    """
    needed = needed_versions(workspace)
    if version is None:
        newest = workspace.config.training.retention.versions if keep is None else keep
        old = workspace.state.versions(workspace.name)[newest:][::-1]
    else:
        old = [workspace.state.version(workspace.name, version)]
        if version in needed:
            raise UsageError(f"version {version} keeps its bundle: it {needed[version]}", fix=_OTHER)
    present = [row for row in old if (workspace.var / row.path).exists()]
    going = [row for row in present if row.version not in needed]
    size = sum(_size(path) for row in going for path in _of(workspace, row))
    if not dry_run:
        try:
            _sweep(workspace)  # what a killed call left would be in the way of a name
            for row in going:
                workspace.state.archive(workspace.name, row.version)
                for path in _of(workspace, row):
                    path.rename(path.with_name(f".{path.name}{REMOVED}"))
            _sweep(workspace)
        except OSError as e:
            raise StoreError(f"an old bundle cannot be removed: {e}", fix=f"Check {workspace.models}.") from e
    kept = {row.version: needed[row.version] for row in present if row.version in needed}
    return ArchiveReport([row.version for row in going], kept, size, dry_run)


_OTHER = "Promote another first, or see: holdfast models archive --dry-run"


def needed_versions(workspace: Workspace) -> dict[int, str]:
    """Versions that must keep their bundles, each with the reason."""
    state, name = workspace.state, workspace.name
    rows = state.versions(name)
    *before, champion = state.champions(name) or [0]
    found = dict.fromkeys(before[-ROLLBACKS:], "was champion, and may be gone back to")
    found |= {row.version: "is challenger" for row in rows if row.status == "challenger"}
    served = workspace.online.bundle_dirs()
    found |= {row.version: "serves, or did until just now" for row in rows if row.path in served}
    if champion:
        found[champion] = "is champion"
    return found


def _sweep(workspace: Workspace) -> None:
    for left in workspace.models.glob(f".*{REMOVED}"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _of(workspace: Workspace, row: VersionRow) -> list[Path]:
    """What is kept of a version, its bundle last: while that is there, a removal that was cut off is taken up again."""
    bundle = workspace.var / row.path
    return [path for path in (evaluated_folder(bundle), unseen_file(bundle), bundle) if path.exists()]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
