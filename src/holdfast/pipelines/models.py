"""``holdfast models``: the versions, the promotion ledger, and changing who serves."""

from __future__ import annotations

import getpass
from typing import Any

from holdfast.clock import iso
from holdfast.errors import GateRefused, NotFoundError, NotReadyError, UsageError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.version_facts import gate_line
from holdfast.stores.state_tables import PromotionRow, VersionRow

NOBODY = "unknown"
BY_HAND = "by hand"
MANY = 1_000_000
ROLLBACK = "models-rollback"
"""What the runs of `rollback` are recorded as."""
RUN_ID = "run_id"
"""In a rollback's line: which run wrote it, so that a killed one is known when it is run again."""


def list_versions(workspace: Workspace) -> list[dict[str, Any]]:
    """Every version, newest first."""
    return [version_json(workspace, row) for row in workspace.state.versions(workspace.name)]


def show_version(workspace: Workspace, version: int | None = None) -> dict[str, Any]:
    """One version (the champion by default), with its bundle's metrics and provenance, unless that was archived.

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
        fix = f"Run: holdfast train --project {workspace.name}"
        raise NotReadyError(f"{workspace.name} has no champion yet", fix=fix)
    card, card_html = (workspace.reports / f"model-{row.version}.{kind}" for kind in ("md", "html"))
    said = gate_line(workspace, row.version)
    found = {
        **version_json(workspace, row),
        "gate": {} if said is None else dict(said.evidence),
        "path": str(workspace.var / row.path),
        "card": str(card) if card.exists() else None,
        "card_html": str(card_html) if card_html.exists() else None,
        "mlflow_version": row.mlflow_version,
    }
    if not found["bundle"]:
        return {**found, "like": _like(workspace, row)}
    from holdfast.models.bundle import Bundle  # two seconds, which a list need not wait for

    bundle = Bundle.load(workspace.var / row.path)
    return {
        **found,
        "evaluated_sha256": bundle.provenance.extra.get("evaluated"),
        "features": bundle.schema.names,
        "manifest": bundle.manifest,
        "all_metrics": bundle.metrics,
    }


def promote(workspace: Workspace, version: int, *, why: str | None = None, force: bool = False) -> dict[str, Any]:
    """Make a version the champion, recorded as done by hand.

    Raises
    ------
    UsageError
        ``force`` without ``why``: what overrides the gate needs a reason.
    NotFoundError
        There is no such version, or its bundle was archived.
    GateRefused
        The gate or the leakage audit said no to it, and ``force`` is not given.
    """
    if force and not (why or "").strip():
        raise UsageError("--force needs a reason: it is kept in the ledger", fix="Add: --why REASON")
    state = workspace.state
    _require_bundle(workspace, version)
    last = next(iter(state.lines_about(workspace.name, version)), None)
    if last is not None and last.action == "refuse" and not force:
        raise GateRefused(f"the gate refused version {version}; --force promotes it all the same", [last.why])
    from holdfast.pipelines.audit import refusals_of  # a list need not wait for the engine

    if not force and (leaks := refusals_of(workspace, version)):
        raise GateRefused(f"the audit refused version {version}; --force promotes it all the same", leaks)
    line = state.promote(
        workspace.name, version, actor=actor(), why=why or f"promoted {BY_HAND}", action="force" if force else "promote"
    )
    return _changed(workspace, line)


def rollback(
    workspace: Workspace, version: int | None = None, *, why: str | None = None, run_id: str | None = None
) -> dict[str, Any]:
    """Go back to ``version``, by default to the champion before this one.

    A rollback that was killed before its end is finished, not repeated: going back twice is not what was asked.

    Parameters
    ----------
    run_id : of the recorded run that this is
    """
    last = next(iter(workspace.state.history(workspace.name, limit=1)), None)
    if version is None and last is not None and last.action == "rollback" and _unfinished(workspace, last, run_id):
        return _changed(workspace, last)
    stack = workspace.state.champions(workspace.name)
    if version is not None or len(stack) > 1:
        _require_bundle(workspace, stack[-2] if version is None else version)
    evidence = {} if run_id is None else {RUN_ID: run_id}
    line = workspace.state.rollback(
        workspace.name, version, actor=actor(), why=why or f"rolled back {BY_HAND}", evidence=evidence
    )
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


def _unfinished(workspace: Workspace, line: PromotionRow, run_id: str | None) -> bool:
    """Whether the rollback of ``line`` is still to be finished: not served yet, or no rollback ended well since."""
    from holdfast.pipelines.serve_champion import unserved

    if unserved(workspace) is not None:
        return True
    runs = [r for r in workspace.state.last_runs(workspace.name, verb=ROLLBACK, limit=MANY) if r.run_id != run_id]
    wrote = next((i for i, r in enumerate(runs) if r.run_id == line.evidence.get(RUN_ID)), None)
    return wrote is not None and all(r.outcome != "done" for r in runs[: wrote + 1])


def _changed(workspace: Workspace, line: PromotionRow) -> dict[str, Any]:
    """Serve first: MLflow only mirrors the ledger, and must not keep the API on the old model."""
    from holdfast.pipelines.mirror import mirror
    from holdfast.pipelines.serve_champion import serve

    served = serve(workspace, line.to_version)
    mirrored = mirror(workspace)
    return {
        **_line(line),
        "champion": line.to_version,
        "mlflow": mirrored.changed,
        "serving": None if served.now is None else served.now.to_json(),
        "warnings": [*served.warnings, *mirrored.warnings],
    }


def _require_bundle(workspace: Workspace, version: int) -> None:
    row = workspace.state.version(workspace.name, version)
    if not (workspace.var / row.path).exists():
        raise NotFoundError(f"the bundle of version {version} is gone", fix=_like(workspace, row))


def _like(workspace: Workspace, row: VersionRow) -> str:
    """How to have an archived version again, or another like it where configuration or code have changed since."""
    return f"To train its like: holdfast train --dataset {row.dataset_id} --project {workspace.name}"


def version_json(workspace: Workspace, row: VersionRow) -> dict[str, Any]:
    """A version as the ledger has it, and whether its bundle is there."""
    return {
        "version": row.version,
        "status": row.status,
        "bundle": (workspace.var / row.path).exists(),
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
