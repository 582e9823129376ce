"""Where the state store's tests keep theirs: SQLite, and a schema of its own in a real Postgres."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

POSTGRES = os.environ.get("HOLDFAST_TEST_POSTGRES", "postgresql+psycopg://postgres:root@127.0.0.1:5432/test")


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a fresh schema in the test server's database."""
    schema = f"holdfast_{uuid4().hex[:12]}"
    try:
        admin = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
        with admin.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except (ModuleNotFoundError, SQLAlchemyError) as e:
        reason = f"no Postgres at HOLDFAST_TEST_POSTGRES or 127.0.0.1:5432: {str(e).splitlines()[0]}"
        if os.environ.get("HOLDFAST_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield f"{POSTGRES}?options=-csearch_path%3D{schema}"
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres")
        return found
    return f"sqlite:///{tmp_path}/var/shop/state.db"
