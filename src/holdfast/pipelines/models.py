"""``holdfast models``: the versions, the promotion ledger, and changing who serves."""

from __future__ import annotations

import getpass
from typing import Any

from holdfast.clock import iso
from holdfast.errors import GateRefused, NotReadyError
from holdfast.models.bundle import Bundle
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.decide import decide
from holdfast.pipelines.materialize import materialize
from holdfast.pipelines.score import score
from holdfast.stores.scores import score_cutoffs
from holdfast.stores.state_tables import PromotionRow, VersionRow

NOBODY = "unknown"
MANY = 1_000_000


def list_versions(workspace: Workspace) -> list[dict[str, Any]]:
    """Every version, newest first."""
    return [_version(row) for row in workspace.state.versions(workspace.name)]


def show_version(workspace: Workspace, version: int | None = None) -> dict[str, Any]:
    """One version (the champion by default), with its bundle's metrics and provenance.

    Raises
    ------
    NotReadyError
        There is no champion yet.
    NotFoundError, StoreError
        There is no such version, or its bundle cannot be read.
    """
    state = workspace.state
    row = state.champion(workspace.name) if version is None else state.version(workspace.name, version)
    if row is None:
        raise NotReadyError(f"{workspace.name} has no champion yet", fix="Run: holdfast train")
    bundle = Bundle.load(workspace.var / row.path)
    card = workspace.reports / f"model-{row.version}.md"
    return {
        **_version(row),
        "path": str(workspace.var / row.path),
        "card": str(card) if card.exists() else None,
        "mlflow_version": row.mlflow_version,
        "features": bundle.schema.names,
        "manifest": bundle.manifest,
        "all_metrics": bundle.metrics,
    }


def promote(workspace: Workspace, version: int, *, why: str, force: bool = False) -> dict[str, Any]:
    """Make a version the champion, recorded as done by hand.

    Raises
    ------
    NotFoundError
        There is no such version.
    GateRefused
        The gate said no to it, and ``force`` is not given.
    """
    state = workspace.state
    lines = state.history(workspace.name, limit=MANY)
    last = next((line for line in lines if line.to_version == version), None)
    if last is not None and last.action == "refuse" and not force:
        raise GateRefused(f"the gate refused version {version}; --force promotes it all the same", [last.why])
    line = state.promote(workspace.name, version, actor=actor(), why=why, action="force" if force else "promote")
    return _changed(workspace, line)


def rollback(workspace: Workspace, version: int | None = None, *, why: str) -> dict[str, Any]:
    """Go back to ``version``, by default to the champion before this one."""
    line = workspace.state.rollback(workspace.name, version, actor=actor(), why=why)
    return _changed(workspace, line)


def history(workspace: Workspace, *, limit: int = 20) -> list[dict[str, Any]]:
    """Lines of the promotion ledger, newest first."""
    return [_line(row) for row in workspace.state.history(workspace.name, limit=limit)]


def actor() -> str:
    """Who is at the keyboard; containers may run under an id without a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return NOBODY


def _changed(workspace: Workspace, line: PromotionRow) -> dict[str, Any]:
    repaired = workspace.registry.repair(workspace.state)
    return {**_line(line), "champion": line.to_version, "mlflow": repaired, "serving": _serve(workspace)}


def _serve(workspace: Workspace) -> dict[str, Any] | None:
    """A generation by the new champion; None where there are no tables to score, or nothing was served before.

    The pointer is flipped last, so the API goes on with the old champion until all of it is there.
    """
    if not score_cutoffs(workspace.var):
        return None
    try:
        score(workspace)
    except NotReadyError:
        return None
    decide(workspace)
    return materialize(workspace).to_json()


def _version(row: VersionRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "status": row.status,
        "estimator": row.estimator,
        "created_at": iso(row.created_at),
        "dataset_id": row.dataset_id,
        "bundle_sha256": row.bundle_sha256,
        "metrics": row.metrics,
    }


def _line(row: PromotionRow) -> dict[str, Any]:
    return {
        "at": iso(row.at),
        "actor": row.actor,
        "action": row.action,
        "from_version": row.from_version,
        "to_version": row.to_version,
        "why": row.why,
    }
