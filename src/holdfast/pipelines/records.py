"""``holdfast runs`` and ``holdfast alerts``: what state.db has on record."""

from __future__ import annotations

from typing import Any

from holdfast.clock import iso
from holdfast.monitoring.alerts import what_to_do
from holdfast.pipelines.bootstrap import Workspace
from holdfast.stores.state_tables import AlertRow, RunRow


def list_runs(workspace: Workspace, *, verb: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
    """The project's runs, newest first: when, how they ended, how long (seconds) and on what.

    Parameters
    ----------
    verb : only of this verb, as it is recorded, for example ``models-promote``
    """
    return [_run(row) for row in workspace.state.last_runs(workspace.name, verb=verb, limit=limit)]


def list_alerts(workspace: Workspace, *, limit: int = 20) -> list[dict[str, Any]]:
    """The project's alerts, newest first, each with what to do about it."""
    return [_alert(row) for row in workspace.state.last_alerts(workspace.name, limit=limit)]


def _run(row: RunRow) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "verb": row.verb,
        "started_at": iso(row.started_at),
        "ended_at": None if row.ended_at is None else iso(row.ended_at),
        "outcome": row.outcome,
        "exit_code": row.exit_code,
        "seconds": None if row.ended_at is None else round((row.ended_at - row.started_at).total_seconds(), 3),
        "timings": row.timings,
        "config_hash": row.config_hash,
        "dataset_id": row.dataset_id,
        "error": row.error,
    }


def _alert(row: AlertRow) -> dict[str, Any]:
    return {
        "at": iso(row.at),
        "cutoff": None if row.cutoff is None else iso(row.cutoff),
        "bundle_sha256": row.bundle_sha256,
        "kind": row.kind,
        "subject": row.subject,
        "severity": row.severity,
        "message": row.message,
        "value": row.value,
        "threshold": row.threshold,
        "what_to_do": what_to_do(row.kind, row.project),
        "run_id": row.run_id,
    }
