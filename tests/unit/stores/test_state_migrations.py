"""Migrations make what the declared tables say, and refuse what they do not know."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from holdfast.clock import naive
from holdfast.errors import StoreError
from holdfast.stores.state import NewAlert, StateStore
from holdfast.stores.state_engine import HEAD, MIGRATIONS, open_engine, reading, revision, writing
from holdfast.stores.state_tables import Base


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


def migrations(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(migrations()).get_current_head() == HEAD


def test_migrating_makes_the_declared_tables(address: str) -> None:
    engine = open_engine(address)
    with engine.connect() as connection:
        assert revision(connection) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_sqlite_is_opened_for_concurrency_and_integrity(sqlite: str) -> None:
    with reading(open_engine(sqlite)) as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 30_000


def test_a_newer_schema_is_refused(address: str) -> None:
    engine = open_engine(address)
    with writing(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match=rf"'9999', newer than '{HEAD}'\. Upgrade Holdfast"):
        open_engine(address)


def test_a_migration_that_fails_leaves_nothing(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_index", fail)
        patch.setattr("alembic.op.create_index", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            open_engine(sqlite)
    with reading(open_engine(sqlite)) as session:
        assert session.execute(text("SELECT count(*) FROM runs")).scalar() == 0


RUNS = {
    "r1": {"cutoff": "2025-01-01", "model_version": "1"},  # monitor
    "r2": {"cutoff": "2025-01-01", "model_version": "1"},
    "r3": {"monitoring": "/var/shop/reports/monitoring-2025-01-01.json"},  # run
    "r4": {"cutoff": "2025-01-01", "model_version": "2"},
    "r5": {},  # retrain
    "r6": {},
}
"""Six runs that raised the same alerts, and what their summaries say."""


def at_first_revision(address: str) -> None:
    """A state database as the first revision left it: version 1 served, then 2, and alerts that were repeated."""
    engine = create_engine(address)
    if engine.url.get_backend_name() == "sqlite":
        Path(str(engine.url.database)).parent.mkdir(parents=True)
    with engine.begin() as connection:
        command.upgrade(migrations(connection), "0001")
        run = text(
            "INSERT INTO runs VALUES (:id, 'shop', 'monitor', :at, :at, 'done', 0, 'c', NULL, '{}', :summary, NULL, "
            "'h', 1, '')"
        )
        alert = text(
            "INSERT INTO alerts (project, run_id, at, kind, subject, severity, value, threshold, message, acted) "
            "VALUES ('shop', :run, :at, 'drift', 'price', 'info', :value, 0.2, :message, '{}')"
        )
        for number in (1, 2):
            values = {"v": number, "sha": f"b{number}", "at": naive(datetime(2025, 1, 4 * number - 3, 12, tzinfo=UTC))}
            connection.execute(
                text("INSERT INTO versions VALUES ('shop', :v, :sha, 'd', 'e', NULL, :at, '{}', 's', 'p', NULL, NULL)"),
                values,
            )
            connection.execute(
                text(
                    "INSERT INTO promotions (project, at, actor, action, to_version, why, evidence) "
                    "VALUES ('shop', :at, 'me', 'promote', :v, 'w', '{}')"
                ),
                values,
            )
        for day, (run_id, summary) in enumerate(RUNS.items(), start=2):
            at = naive(datetime(2025, 1, day, tzinfo=UTC))
            connection.execute(run, {"id": run_id, "at": at, "summary": json.dumps(summary)})
            for message in ("values: a", "nulls: b"):
                connection.execute(alert, {"run": run_id, "at": at, "value": 0.3, "message": message})
    engine.dispose()


def test_alerts_that_were_repeated_are_left_once(address: str) -> None:
    at_first_revision(address)
    store = StateStore(address)
    january = datetime(2025, 1, 1, tzinfo=UTC)
    found = [(a.run_id, a.kind, a.cutoff, a.bundle_sha256) for a in store.last_alerts("shop")]
    assert found == [
        ("r6", "drift", None, None),  # which scores they were of is not known: r5 said the same
        ("r6", "null_drift", None, None),
        ("r4", "drift", january, "b1"),  # version 2 served from a day later
        ("r4", "null_drift", january, "b1"),
    ]
    store.record_alerts("shop", [NewAlert("drift", "price", "info", "x")], cutoff=january, bundle_sha256="b1")
    assert len(store.last_alerts("shop")) == 3
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    store.close()


def test_the_database_itself_lets_no_alert_in_twice(address: str) -> None:
    engine = open_engine(address)
    one = text(
        "INSERT INTO alerts (project, at, cutoff, bundle_sha256, kind, subject, severity, message, acted) "
        "VALUES ('shop', '2025-01-02', '2025-01-01', 'b', 'drift', 'price', 'info', 'm', '{}')"
    )
    with writing(engine) as session:
        session.execute(one)
    with pytest.raises(StoreError, match=r"alerts_once|UNIQUE"), writing(engine) as session:
        session.execute(one)
    engine.dispose()


def test_the_migration_can_be_taken_back(address: str) -> None:
    engine = open_engine(address)
    with engine.begin() as connection:
        command.downgrade(migrations(connection), "0001")
    with engine.begin() as connection:
        assert revision(connection) == "0001"
        assert "cutoff" not in {c["name"] for c in inspect(connection).get_columns("alerts")}
        command.upgrade(migrations(connection), "head")
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()
