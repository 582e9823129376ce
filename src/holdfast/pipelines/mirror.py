"""MLflow after the ledger: versions that it lacks are logged, and its aliases set.

The ledger is the truth about who serves. What MLflow does not take is a warning, and is made up for the next time.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import HoldfastError, NotFoundError, StoreError
from holdfast.models.bundle import Bundle
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.version_facts import facts_of
from holdfast.stores.state_tables import VersionRow


@dataclass(frozen=True)
class Mirrored:
    """What was changed in MLflow, in words, and why it is not yet what the ledger says, if it is not."""

    changed: list[str]
    warnings: tuple[str, ...] = ()


def mirror(workspace: Workspace) -> Mirrored:
    """Make MLflow what the ledger says: versions that it lacks, and the aliases. Never an error: see `Mirrored`."""
    try:
        return Mirrored(make_up(workspace))
    except (StoreError, NotFoundError) as e:
        return Mirrored([], (_warning(workspace, e),))


def make_up(workspace: Workspace) -> list[str]:
    """The same for someone who asked for it: what was changed, in words.

    Raises
    ------
    StoreError, NotFoundError
        MLflow cannot be written, or the bundle of the champion or the challenger is lost; all else was made up for.
    """
    versions = workspace.state.versions(workspace.name)[::-1]  # in the order in which MLflow counts them too
    held = workspace.registry.held()
    changed: list[str] = []
    lost: HoldfastError | None = None
    for row in versions:
        if (row.bundle_sha256, row.dataset_id) in held:
            continue
        try:
            bundle = Bundle.load(workspace.var / row.path)
        except (NotFoundError, StoreError) as e:  # one that is no longer in use is passed over
            if row.status in ("champion", "challenger"):
                lost = lost or e
            continue
        _log(workspace, row, bundle)
        changed.append(f"version {row.version} logged")
    try:
        return changed + workspace.registry.repair(workspace.state)
    except NotFoundError as e:
        raise lost or e from None


def _log(workspace: Workspace, row: VersionRow, bundle: Bundle) -> None:
    logged = workspace.registry.log_version(facts_of(workspace, row, bundle))
    workspace.state.record_version(
        workspace.name, row.version, bundle_sha256=row.bundle_sha256, dataset_id=row.dataset_id,
        estimator=row.estimator, path=row.path, metrics=row.metrics, mlflow_version=logged.version,
        mlflow_run_id=logged.run_id,
    )  # fmt: skip


def _warning(workspace: Workspace, error: HoldfastError) -> str:
    file = workspace.registry.file
    anew = f" If {file} is damaged, move it away: it is written anew from the ledger." if file else ""
    return (
        f"MLflow does not show what the ledger says: {error}{anew} "
        f"To make up for it later, run: holdfast models mirror --project {workspace.name} (the next train, "
        f"models promote or models rollback does so too)."
    )
