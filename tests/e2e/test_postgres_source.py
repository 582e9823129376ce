"""The same business from a real PostgreSQL server: the same snapshots, and nothing half-written when it goes away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from company import Call, tree

from holdfast.artifacts.dataset import Dataset

psycopg = pytest.importorskip("psycopg")
SERVER = os.environ.get("HOLDFAST_TEST_POSTGRES", "postgresql+psycopg://postgres:root@127.0.0.1:5432/test")
COLUMNS = {
    "customers": "customer_id text, started_at date, ended_at date, region text",
    "plans": "customer_id text, valid_from date, price numeric(8, 2)",
    "visits": "visit_id text, customer_id text, visited_at timestamp, minutes int",
}


@pytest.fixture
def server() -> Iterator[Any]:
    """A connection to the server."""
    try:
        connection = psycopg.connect(SERVER.replace("+psycopg", "", 1), autocommit=True, connect_timeout=3)
    except psycopg.Error as e:
        reason = f"no Postgres at HOLDFAST_TEST_POSTGRES or 127.0.0.1:5432: {str(e).splitlines()[0]}"
        if os.environ.get("HOLDFAST_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with connection:
        yield connection


@pytest.fixture
def schema(server: Any, shop: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The tables of ``shop`` in a schema of the server, and a project ``pg`` that reads them there."""
    name = f"shop_{uuid4().hex[:8]}"
    server.execute(f"CREATE SCHEMA {name}")
    for table, columns in COLUMNS.items():
        server.execute(f"CREATE TABLE {name}.{table} ({columns})")
        with server.cursor().copy(f"COPY {name}.{table} FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write((shop / f"{table}.csv").read_bytes())
    conf = home / "conf" / "pg"
    conf.mkdir()
    for file in (home / "conf" / "shop").iterdir():
        text = file.read_text(encoding="utf-8")
        for table in COLUMNS:
            text = text.replace(f"path: {table}.csv", f"database: {{url_from: SHOP_DATABASE, table: {name}.{table}}}")
        (conf / file.name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("SHOP_DATABASE", SERVER)
    yield name
    server.execute(f"DROP SCHEMA {name} CASCADE")


def dataset(home: Path, project: str) -> Dataset:
    folder = home / "var" / project / "datasets"
    return Dataset.open(folder / (folder / "LATEST").read_text().strip())


def test_it_gives_the_same_snapshots_as_files(schema: str, home: Path, call: Call) -> None:
    for project in ("shop", "pg"):
        got = call("build", "--project", project)
        assert got.code == 0, got.err
    files, rows = dataset(home, "shop"), dataset(home, "pg")
    assert (
        rows.read()
        .sort_by([("customer_id", "ascending"), ("cutoff", "ascending")])
        .equals(files.read().sort_by([("customer_id", "ascending"), ("cutoff", "ascending")]))
    )
    assert {n: f["hash"] for n, f in rows.manifest.sources.items()} == {
        n: f["hash"] for n, f in files.manifest.sources.items()
    }
    shown = call("check", "--project", "pg")
    assert shown.code == 0
    assert "root@" not in shown.out


def test_a_server_that_dies_mid_read_leaves_nothing_behind(schema: str, server: Any, home: Path, call: Call) -> None:
    server.execute(f"ALTER TABLE {schema}.visits RENAME TO visits_at_rest")
    server.execute(f"""CREATE VIEW {schema}.visits AS SELECT v.* FROM {schema}.visits_at_rest v,
                    LATERAL pg_sleep(CASE WHEN minutes > 0 THEN 0.02 ELSE 0 END)""")

    def terminate() -> None:
        sql = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
                 AND query LIKE %s AND clock_timestamp() - query_start > interval '1 second'"""
        for _ in range(600):
            if server.execute(sql, [f"%{schema}%visits%"]).fetchone()[0]:
                return
            time.sleep(0.1)

    before = tree(home)
    killer = threading.Thread(target=terminate, daemon=True)
    killer.start()
    got = call("build", "--project", "pg")
    killer.join()
    assert (got.code, got.out) == (1, "")
    assert f"table 'visits' ({schema}.visits): postgresql://postgres@" in got.err
    assert "root@" not in got.err
    assert "Traceback" not in got.err
    left = {p: s for p, s in tree(home).items() if not p.startswith(("var/pg/state.db", "var/pg/.lock"))}
    assert left == before


def test_a_server_that_is_not_there(schema: str, home: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "postgresql://me:s3cret@127.0.0.1:1/shop")
    got = call("build", "--project", "pg")
    assert (got.code, got.out) == (1, "")
    assert "postgresql://me@127.0.0.1:1/shop cannot be reached" in got.err
    assert "s3cret" not in got.err
    monkeypatch.delenv("SHOP_DATABASE")
    got = call("build", "--project", "pg")
    assert (got.code, got.out) == (2, "")
    assert "data.tables.customers.database.url_from: the environment variable SHOP_DATABASE is not set" in got.err
