"""The state store: runs, versions, the promotion ledger, alerts and API keys.

The ledger is the truth about which version serves. A champion is whoever the last promote, force or rollback
names; ``versions.status`` mirrors that for listings and is set in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from holdfast.errors import NotFoundError, StoreError
from holdfast.stores.keyring import Keyring
from holdfast.stores.ledger import Ledger
from holdfast.stores.process import here, is_dead
from holdfast.stores.state_engine import open_engine, reading, writing
from holdfast.stores.state_tables import AlertRow, Outcome, RunRow, VersionRow
from holdfast.types import RunId

MAX_ERROR_CHARS = 4000


@dataclass(frozen=True)
class NewAlert:
    """An alert to record; see `state_tables.AlertRow`."""

    kind: str
    subject: str
    severity: str
    message: str
    value: float | None = None
    threshold: float | None = None
    acted: dict[str, Any] = field(default_factory=dict)


class StateStore(Ledger, Keyring):
    """The state database of all projects at one address.

    Parameters
    ----------
    url : ``sqlite:///var/<project>/state.db`` or ``postgresql+psycopg://…``; created and migrated on opening
    now : the clock, for tests

    Raises
    ------
    UsageError, StoreError
        The address is not one, or the database cannot be opened.
    """

    def __init__(self, url: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(open_engine(url), now)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # Runs

    def start_run(self, verb: str, project: str, *, config_hash: str = "", dataset_id: str | None = None) -> RunId:
        """Record that a verb began; runs of processes that are gone become ``killed``."""
        now = self.now()
        host, pid, started = here()
        run_id = RunId(f"{now:%Y%m%dT%H%M%S}-{verb}-{uuid4().hex[:8]}")
        with writing(self.engine) as session:
            _mark_killed(session, now)
            session.add(
                RunRow(
                    run_id=run_id,
                    project=project,
                    verb=verb,
                    started_at=now,
                    outcome="running",
                    config_hash=config_hash,
                    dataset_id=dataset_id,
                    timings={},
                    summary={},
                    host=host,
                    pid=pid,
                    process_started=started,
                )
            )
        return run_id

    def finish_run(
        self,
        run_id: str,
        outcome: Outcome,
        *,
        exit_code: int,
        dataset_id: str | None = None,
        timings: Mapping[str, float] | None = None,
        summary: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Record how a run ended.

        Raises
        ------
        NotFoundError
            There is no such run.
        """
        with writing(self.engine) as session:
            run = session.get(RunRow, run_id)
            if run is None:
                raise NotFoundError(f"no run {run_id!r}", fix="See: holdfast runs")
            run.outcome, run.exit_code, run.ended_at = outcome, exit_code, self.now()
            run.dataset_id = dataset_id or run.dataset_id
            run.timings, run.summary = dict(timings or {}), dict(summary or {})
            run.error = None if error is None else error[:MAX_ERROR_CHARS]

    def last_runs(self, project: str | None = None, *, verb: str | None = None, limit: int = 20) -> list[RunRow]:
        """Runs, newest first; dead ones are shown as ``killed``."""
        with writing(self.engine) as session:
            _mark_killed(session, self.now())
        query = select(RunRow).order_by(RunRow.started_at.desc(), RunRow.run_id.desc()).limit(limit)
        if project is not None:
            query = query.where(RunRow.project == project)
        if verb is not None:
            query = query.where(RunRow.verb == verb)
        with reading(self.engine) as session:
            return list(session.scalars(query))

    # Versions

    def next_version(self, project: str, bundle_sha256: str, dataset_id: str) -> int:
        """The number for a bundle: the one it already has, else one more than the highest."""
        with reading(self.engine) as session:
            same = _same_content(session, project, bundle_sha256, dataset_id)
            if same is not None:
                return same.version
            highest = session.scalar(select(func.max(VersionRow.version)).where(VersionRow.project == project))
            return (highest or 0) + 1

    def record_version(
        self,
        project: str,
        version: int,
        *,
        bundle_sha256: str,
        dataset_id: str,
        estimator: str,
        path: str,
        metrics: Mapping[str, Any],
        run_id: str | None = None,
        mlflow_version: str | None = None,
        mlflow_run_id: str | None = None,
    ) -> VersionRow:
        """Record a version as ``candidate``. Recording the same bundle again updates its MLflow ids and path only.

        Raises
        ------
        StoreError
            The number belongs to another bundle, or the bundle to another number.
        """
        with writing(self.engine) as session:
            row = session.get(VersionRow, (project, version))
            same = _same_content(session, project, bundle_sha256, dataset_id)
            if row is not same:
                holder = "another bundle" if row is not None else "free"
                other = "" if same is None else f"; this bundle is version {same.version}"
                raise StoreError(
                    f"version {version} of {project} is {holder}{other}", fix="Ask next_version and record that."
                )
            if row is None:
                row = VersionRow(
                    project=project,
                    version=version,
                    bundle_sha256=bundle_sha256,
                    dataset_id=dataset_id,
                    estimator=estimator,
                    created_run_id=run_id,
                    created_at=self.now(),
                    metrics=dict(metrics),
                    status="candidate",
                )
                session.add(row)
            row.path = path
            row.mlflow_version = mlflow_version or row.mlflow_version
            row.mlflow_run_id = mlflow_run_id or row.mlflow_run_id
        return row

    # Alerts

    def record_alerts(
        self,
        project: str,
        alerts: Sequence[NewAlert],
        *,
        cutoff: datetime,
        bundle_sha256: str,
        run_id: str | None = None,
    ) -> None:
        """Make these the alerts of a cutoff and a bundle, in place of any before.

        Monitoring the same scores again changes nothing: an alert that says the same keeps its time and its run, one
        with other figures is updated, and one that no longer holds is removed. Of several alerts of one kind and
        subject the last counts.
        """
        now = self.now()
        wanted = {(alert.kind, alert.subject): alert for alert in alerts}
        with writing(self.engine) as session:
            for row in session.scalars(
                select(AlertRow).where(
                    AlertRow.project == project, AlertRow.cutoff == cutoff, AlertRow.bundle_sha256 == bundle_sha256
                )
            ):
                alert = wanted.pop((row.kind, row.subject), None)
                if alert is None:
                    session.delete(row)
                elif (found := asdict(alert)) != {name: getattr(row, name) for name in found}:
                    for name, value in found.items():
                        setattr(row, name, value)
                    row.at, row.run_id = now, run_id
            session.add_all(
                AlertRow(
                    project=project, run_id=run_id, at=now, cutoff=cutoff, bundle_sha256=bundle_sha256, **asdict(alert)
                )
                for alert in wanted.values()
            )

    def last_alerts(self, project: str, *, limit: int = 50) -> list[AlertRow]:
        """Alerts, newest first; of one instant in the order they were given."""
        query = (
            select(AlertRow).where(AlertRow.project == project).order_by(AlertRow.at.desc(), AlertRow.id).limit(limit)
        )
        with reading(self.engine) as session:
            return list(session.scalars(query))


def _same_content(session: Session, project: str, bundle_sha256: str, dataset_id: str) -> VersionRow | None:
    return session.scalar(
        select(VersionRow).where(
            VersionRow.project == project,
            VersionRow.bundle_sha256 == bundle_sha256,
            VersionRow.dataset_id == dataset_id,
        )
    )


def _mark_killed(session: Session, now: datetime) -> None:
    for run in session.scalars(select(RunRow).where(RunRow.outcome == "running")):
        if is_dead(run.host, run.pid, run.process_started):
            run.outcome, run.ended_at = "killed", now
            run.error = "the process ended without saying how"
