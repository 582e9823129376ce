"""Alerts know their cutoff and bundle, and are there once.

Until now every run of monitor added its alerts again. Of those rows the newest is kept. Their cutoff is read from the
summary of their run, where it has one (that of ``monitor`` and ``run`` has), and their bundle is the champion's of
then, as the ledger says. Where either is not known, rows that say the same are taken for the same alert.

Revision ID: 0002
"""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ALERTS = sa.table(
    "alerts",
    sa.column("project", sa.Text()),
    sa.column("run_id", sa.Text()),
    sa.column("at", sa.DateTime()),
    sa.column("cutoff", sa.DateTime()),
    sa.column("bundle_sha256", sa.Text()),
)
_RUNS = sa.table("runs", sa.column("run_id", sa.Text()), sa.column("summary", sa.JSON()))
_PROMOTIONS = sa.table(
    "promotions",
    sa.column("id", sa.Integer()),
    sa.column("project", sa.Text()),
    sa.column("at", sa.DateTime()),
    sa.column("action", sa.Text()),
    sa.column("to_version", sa.Integer()),
)
_VERSIONS = sa.table(
    "versions",
    sa.column("project", sa.Text()),
    sa.column("version", sa.Integer()),
    sa.column("bundle_sha256", sa.Text()),
)

OF_DRIFT = {"nulls: ": "null_drift", "score: ": "score_drift"}
"""One feature could raise two alerts of the kind drift: its values and its nulls. They become two kinds."""


def upgrade() -> None:
    """Add the columns, fill them, leave one row of each alert, and let no second one in."""
    op.add_column("alerts", sa.Column("cutoff", sa.DateTime()))
    op.add_column("alerts", sa.Column("bundle_sha256", sa.Text()))
    connection = op.get_bind()
    _name_drift(connection)
    _fill(connection)
    _keep_newest(connection)
    op.create_index("alerts_once", "alerts", ["project", "cutoff", "bundle_sha256", "kind", "subject"], unique=True)


def downgrade() -> None:
    """Forget what was added; rows that were left out do not come back."""
    op.drop_index("alerts_once", "alerts")
    op.drop_column("alerts", "bundle_sha256")
    op.drop_column("alerts", "cutoff")


def _name_drift(connection: sa.Connection) -> None:
    for begins, kind in OF_DRIFT.items():
        connection.execute(
            sa.text("UPDATE alerts SET kind = :kind WHERE kind = 'drift' AND message LIKE :begins"),
            {"kind": kind, "begins": f"{begins}%"},
        )


def _fill(connection: sa.Connection) -> None:
    at = sa.func.max(_ALERTS.c.at)
    alerts = connection.execute(
        sa.select(_ALERTS.c.project, _ALERTS.c.run_id, at)
        .where(_ALERTS.c.run_id.is_not(None))
        .group_by(_ALERTS.c.project, _ALERTS.c.run_id)
    ).all()
    for project, run_id, when in alerts:
        summary = connection.execute(sa.select(_RUNS.c.summary).where(_RUNS.c.run_id == run_id)).scalar()
        cutoff, bundle = _cutoff(summary), _champion(connection, project, when)
        if cutoff is not None and bundle is not None:
            connection.execute(
                sa.update(_ALERTS).where(_ALERTS.c.run_id == run_id).values(cutoff=cutoff, bundle_sha256=bundle)
            )


def _champion(connection: sa.Connection, project: str, when: datetime) -> str | None:
    """The bundle that served then."""
    line = sa.select(_PROMOTIONS.c.to_version).where(
        _PROMOTIONS.c.project == project,
        _PROMOTIONS.c.at <= when,
        _PROMOTIONS.c.action.in_(("promote", "force", "rollback")),
    )
    version = connection.execute(line.order_by(_PROMOTIONS.c.id.desc()).limit(1)).scalar()
    found: str | None = connection.execute(
        sa.select(_VERSIONS.c.bundle_sha256).where(_VERSIONS.c.project == project, _VERSIONS.c.version == version)
    ).scalar()
    return found


def _cutoff(summary: Any) -> datetime | None:
    """Of monitor's summary, or of the report that run's names: ``…/monitoring-2025-01-01.json``; without its zone."""
    found = summary if isinstance(summary, dict) else {}
    text = found.get("cutoff") or PurePath(str(found.get("monitoring"))).stem.removeprefix("monitoring-")
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=None)
    except ValueError:
        return None


def _keep_newest(connection: sa.Connection) -> None:
    known = "project, cutoff, bundle_sha256, kind, subject"
    unknown = "project, kind, subject, message, value, threshold"
    for where, same in (("cutoff IS NOT NULL", known), ("cutoff IS NULL", unknown)):
        connection.execute(
            sa.text(
                f"DELETE FROM alerts WHERE {where} AND id NOT IN "  # noqa: S608 - constants, from above
                f"(SELECT max(id) FROM alerts WHERE {where} GROUP BY {same})"
            )
        )
