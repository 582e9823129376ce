"""The tables of the state database: runs, versions, the promotion ledger, alerts, API keys and the admin log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast.clock import naive, utc

Outcome = Literal["running", "done", "failed", "refused", "killed"]
PromotionAction = Literal["promote", "rollback", "refuse", "force"]
AdminOutcome = Literal["done", "failed", "refused"]
VersionStatus = Literal["candidate", "champion", "challenger", "archived"]

CHANGES_CHAMPION: tuple[PromotionAction, ...] = ("promote", "force", "rollback")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored without a zone: SQLite has none, and one door serves both databases."""

    impl = DateTime(timezone=False)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else naive(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else utc(value)


class Base(DeclarativeBase):
    """Text and JSON columns for everything without a narrower type."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain dict
        str: Text(),
        float: Double(),
        datetime: UtcTime(),
        dict[str, Any]: JSON(),
    }


class RunRow(Base):
    """One run of a verb."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_by_project", "project", "started_at"),)

    run_id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    verb: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str]
    exit_code: Mapped[int | None]
    config_hash: Mapped[str]
    dataset_id: Mapped[str | None]
    timings: Mapped[dict[str, Any]]
    summary: Mapped[dict[str, Any]]
    error: Mapped[str | None]
    host: Mapped[str]
    pid: Mapped[int]
    process_started: Mapped[str]
    """Tells a process from a later one with the same pid; empty where the system does not say."""


class VersionRow(Base):
    """One trained bundle. ``status`` mirrors the ledger for listing; `promotions` is the truth."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("project", "bundle_sha256", "dataset_id", name="versions_by_content"),)

    project: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bundle_sha256: Mapped[str]
    dataset_id: Mapped[str]
    estimator: Mapped[str]
    created_run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    created_at: Mapped[datetime]
    metrics: Mapped[dict[str, Any]]
    status: Mapped[str]
    path: Mapped[str]
    mlflow_version: Mapped[str | None]
    mlflow_run_id: Mapped[str | None]


class PromotionRow(Base):
    """One line of the promotion ledger. Only ever added to."""

    __tablename__ = "promotions"
    __table_args__ = (
        ForeignKeyConstraint(["project", "to_version"], ["versions.project", "versions.version"]),
        Index("promotions_by_project", "project", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str]
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    from_version: Mapped[int | None]
    to_version: Mapped[int]
    why: Mapped[str]
    evidence: Mapped[dict[str, Any]]


class AlertRow(Base):
    """One alert of monitoring: of a cutoff and a bundle, each kind and subject once."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("alerts_by_project", "project", "at"),
        Index("alerts_once", "project", "cutoff", "bundle_sha256", "kind", "subject", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    at: Mapped[datetime]
    cutoff: Mapped[datetime | None]
    """Of the scores that were monitored; null, as the bundle, where it was recorded before 0002 and is not known."""
    bundle_sha256: Mapped[str | None]
    kind: Mapped[str]
    subject: Mapped[str]
    severity: Mapped[str]
    value: Mapped[float | None]
    threshold: Mapped[float | None]
    message: Mapped[str]
    acted: Mapped[dict[str, Any]]


class KeyRow(Base):
    """One API key, without its secret."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_by_project", "project", "created_at"),)

    key_id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    digest: Mapped[str]
    """SHA-256 of the secret, in hex."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    """To within a minute or so: see `api.keys`."""
    revoked_at: Mapped[datetime | None]


class AdminRow(Base):
    """One admin call. Only ever added to."""

    __tablename__ = "admin_log"
    __table_args__ = (Index("admin_log_by_project", "project", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str]
    at: Mapped[datetime]
    actor: Mapped[str]
    """``key <id>`` over the API, ``user <name>`` at a keyboard."""
    action: Mapped[str]
    subject: Mapped[str]
    outcome: Mapped[str]
