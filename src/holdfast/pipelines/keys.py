"""``holdfast keys``: who may ask the API, and who changed that."""

from __future__ import annotations

from typing import Any

from holdfast.clock import iso
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.models import actor
from holdfast.stores.state_tables import AdminRow, KeyRow


def create_key(workspace: Workspace, name: str, role: str) -> dict[str, Any]:
    """A new key; ``key`` is in this answer and nowhere else.

    Raises
    ------
    UsageError
        The name or the role cannot be.
    """
    row, key = workspace.state.create_key(workspace.name, name, role, actor=_actor())
    return {**key_json(row), "key": key}


def revoke_key(workspace: Workspace, key_id: str) -> dict[str, Any]:
    """Make a key useless; running servers notice within seconds.

    Raises
    ------
    NotFoundError
        There is no such key.
    """
    return key_json(workspace.state.revoke_key(workspace.name, key_id, actor=_actor()))


def list_keys(workspace: Workspace) -> list[dict[str, Any]]:
    """All keys of the project, newest first."""
    return [key_json(row) for row in workspace.state.keys(workspace.name)]


def admin_log(workspace: Workspace, *, limit: int = 20) -> list[dict[str, Any]]:
    """What was done with keys, here and over the API, newest first."""
    return [_line(row) for row in workspace.state.admin_log(workspace.name, limit=limit)]


def key_json(row: KeyRow) -> dict[str, Any]:
    """A key as people see it."""
    return {
        "id": row.key_id,
        "name": row.name,
        "role": row.role,
        "created_at": iso(row.created_at),
        "last_used_at": None if row.last_used_at is None else iso(row.last_used_at),
        "revoked_at": None if row.revoked_at is None else iso(row.revoked_at),
    }


def _line(row: AdminRow) -> dict[str, Any]:
    return {
        "at": iso(row.at),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "outcome": row.outcome,
    }


def _actor() -> str:
    return f"user {actor()}"
