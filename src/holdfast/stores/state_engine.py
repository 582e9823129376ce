"""The state database's engine: SQLite or Postgres, at the newest schema.

Writing transactions are serialised: SQLite begins them IMMEDIATE, so one that reads and then writes cannot
lose its turn in between; Postgres takes one advisory lock for the transaction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from holdfast.errors import StoreError, UsageError

HEAD = "0003"
"""The newest revision under migrations/versions: opening a database at it does not load Alembic."""

BUSY_SECONDS = 30
"""For another writer to end."""
CONNECT_SECONDS = 10
ADVISORY_LOCK = 0x686F6C64  # "hold"
MIGRATIONS = Path(__file__).parent / "migrations"
BACKENDS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")

_WRITING = "holdfast_writing"


def open_engine(address: str) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql+psycopg://…``, its schema brought up to date.

    Raises
    ------
    UsageError
        The address is neither.
    StoreError
        The database cannot be reached or is of a newer Holdfast.
    """
    url = _url(address)
    try:
        engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgres(url)
    except ModuleNotFoundError as e:
        raise StoreError(f"the driver for {_shown(url)} is missing: {e}", fix="pip install 'holdfast[postgres]'") from e
    try:
        with store_errors(engine):
            migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, NoSuchModuleError) as e:
        raise UsageError(
            "the state database's address is not one (it may hold a password, so it is not shown)", fix=_FIX
        ) from e
    if url.drivername not in BACKENDS:
        raise UsageError(f"the state database is '{url.drivername}'", fix=_FIX)
    return url


_FIX = "Set HOLDFAST_DATABASE_URL to sqlite:///path or postgresql+psycopg://user:password@host/database."


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _postgres(url: URL) -> Engine:
    # a server that is gone without a word is given up, however it went
    waits = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": BUSY_SECONDS * 1000}
    return create_engine(url, connect_args=waits, pool_pre_ping=True, json_serializer=_json)


def _json(value: Any) -> str:
    # Postgres refuses NaN in JSON; refuse it in SQLite too, so that both databases take the same values.
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as e:
        raise InvalidRequestError(f"a value to store is not JSON: {e}") from e  # psycopg passes others on as they are


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StoreError(f"cannot create the folder of {url.database}: {e.strerror}") from e
    # No pool: an open is 50 us, and no connection outlives its block or crosses a fork.
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, poolclass=NullPool, json_serializer=_json)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions; _begin does
        _use_wal(connection)
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get(_WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _use_wal(connection: Any) -> None:
    """Set the journal mode once. Changing it does not wait for a lock as other statements do, so wait here."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
                return  # in memory, or a file system without shared memory
        except Exception as e:
            if "locked" not in str(e) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session in one serialised writing transaction, committed at the end of the block."""
    with (
        store_errors(engine),
        engine.connect().execution_options(**{_WRITING: True}) as connection,
        connection.begin(),
        Session(connection, expire_on_commit=False, join_transaction_mode="control_fully") as session,
    ):
        if engine.dialect.name == "postgresql":
            session.execute(text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"))
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        yield session
        session.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session in a reading transaction."""
    with store_errors(engine), Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def store_errors(engine: Engine) -> Iterator[None]:
    """Let the database's errors leave as StoreError, with the address but without its password."""
    try:
        yield
    except SQLAlchemyError as e:
        why = e.orig if isinstance(e, DBAPIError) else e
        raise StoreError(
            f"the state database {_shown(engine.url)} failed: {why}",
            fix="Check that it is reachable and writable (serving.database_url, HOLDFAST_DATABASE_URL).",
        ) from e


def revision(connection: Connection) -> str | None:
    """The schema revision of a database; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def migrate(engine: Engine) -> None:
    """Bring the schema up to date, in one transaction; processes that open the same database take turns.

    Raises
    ------
    StoreError
        The database is of a newer Holdfast.
    """
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with engine.connect().execution_options(**{_WRITING: True}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        found = revision(connection)
        if found != HEAD:
            _upgrade(connection, found)


def _upgrade(connection: Connection, found: str | None) -> None:
    from alembic import command  # 0.3 s to load; needed once per schema change
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"the state database {_shown(connection.engine.url)} has the schema {found!r}, newer than {HEAD!r}",
            fix="Upgrade Holdfast.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
