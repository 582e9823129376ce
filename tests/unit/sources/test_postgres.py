"""Tables of a real PostgreSQL server, which may go away while it is read."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from declared import declared, loaded, write

from holdfast.errors import ConfigError, DataError, StoreError
from holdfast.sources.databases import Databases, shown

psycopg = pytest.importorskip("psycopg")
pytest.importorskip("adbc_driver_postgresql")

SERVER = os.environ.get("HOLDFAST_TEST_POSTGRES", "postgresql+psycopg://postgres:root@127.0.0.1:5432/test")
PLAIN = SERVER.replace("+psycopg", "", 1)
LATE = datetime(2100, 1, 1, tzinfo=UTC)
MANY = 200_000


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001


@pytest.fixture
def run() -> Iterator[Any]:
    """Runs a statement."""
    try:
        connection = psycopg.connect(PLAIN, autocommit=True, connect_timeout=3)
    except psycopg.Error as e:
        reason = f"no Postgres at HOLDFAST_TEST_POSTGRES or 127.0.0.1:5432: {str(e).splitlines()[0]}"
        if os.environ.get("HOLDFAST_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with connection:
        yield connection.execute


@pytest.fixture
def schema(run: Any) -> Iterator[str]:
    """A fresh schema with an awkward name, quoted."""
    name = f'"Big ""Co"" {uuid4().hex[:8]}"'
    run(f"CREATE SCHEMA {name}")
    yield name
    run(f"DROP SCHEMA {name} CASCADE")


def events(table: str, **more: Any) -> dict[str, Any]:
    place = {"url_from": "SHOP", "table": table}
    return {"kind": "events", "database": place, "key": "Id", "id": "n", "time": "at", **more}


def of_shop(root: Path, table: dict[str, Any], url: str = SERVER) -> Any:
    return loaded(root, declared(e=table), environ={"SHOP": url}, scratch=root / "tmp")


@pytest.fixture
def visits(run: Any, schema: str) -> str:
    run(f'''CREATE TABLE {schema}."Visits.1" (
        "Id" char(4), n uuid, "at" timestamp, "seen At" timestamptz, day date, "a ""b""" numeric(12, 3), f float8,
        small real, b boolean, kind text, tags text[], unused bytea)''')
    run(f"""INSERT INTO {schema}."Visits.1" VALUES
        ('1', '00000000-0000-0000-0000-000000000001', '2024-07-03 10:00', '2024-01-03 10:00+02', '2024-01-03', 1.255,
         0.285, 0.285, true, ' a ', '{{x}}', 'x'),
        ('2', '00000000-0000-0000-0000-000000000002', '2024-01-05', 'infinity', 'infinity', NULL, NULL, NULL, NULL, '',
         NULL, NULL),
        ('2', '00000000-0000-0000-0000-000000000003', '2024-01-06', '-infinity', NULL, -7, -1e3, 2, false, NULL, '{{}}',
         NULL)""")
    return f'{schema}."Visits.1"'


COLUMNS: dict[str, Any] = {
    "seen At": {"type": "time"}, "day": {"type": "time"}, 'a "b"': {"type": "number"}, "f": {"type": "number"},
    "small": {"type": "number"}, "b": {"type": "boolean"}, "kind": {"type": "category"}, "tags": {"type": "text"},
}  # fmt: skip


def test_every_type_is_read(tmp_path: Path, visits: str) -> None:
    write(tmp_path)
    _, rows = of_shop(tmp_path, events(visits, columns=COLUMNS, timezone="Europe/Berlin"))
    never, ever = naive(9999, 12, 31), naive(1, 1, 2)
    found = [[r["customer_id"], r["event_id"][-1], r["event_time"], *[r[f"c_{c}"] for c in COLUMNS]] for r in rows["e"]]
    assert found == [
        ["1", "1", naive(2024, 7, 3, 8), naive(2024, 1, 3, 8), naive(2024, 1, 3), 126, 29, 29, 1, "a", "{x}"],
        ["2", "2", naive(2024, 1, 4, 23), never, never, None, None, None, None, None, None],
        ["2", "3", naive(2024, 1, 5, 23), ever, None, -700, -100000, 200, 0, None, "{}"],
    ]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_only_what_is_declared_and_known_is_copied(tmp_path: Path, visits: str) -> None:
    config = declared(e=events(visits, available_at="seen At", columns={"day": {"type": "time"}})).tables["e"]
    with Databases(tmp_path, tmp_path, {"SHOP": SERVER}) as databases:
        files, place = databases.files("e", config, datetime(2024, 1, 4, tzinfo=UTC))
        copy = pq.read_table(files)
    assert copy.schema.names == ["Id", "n", "at", "seen At", "day"]
    assert copy.column("day").to_pylist() == [date(2024, 1, 3), None]
    assert "root" not in place


def test_all_tables_are_as_of_one_instant(tmp_path: Path, run: Any, visits: str) -> None:
    config = declared(e=events(visits)).tables["e"]
    with Databases(tmp_path, tmp_path, {"SHOP": SERVER}) as databases:
        first = databases.files("e", config, LATE)[0]
        run(f"DELETE FROM {visits}")
        second = databases.files("e", config, LATE)[0]
        assert [pq.read_table(f).num_rows for f in (first, second)] == [3, 3]


def slow(run: Any, schema: str) -> str:
    """A view that takes longer to read than anyone waits."""
    run(f"""CREATE VIEW {schema}.slow AS
            SELECT '1' AS "Id", g AS n, timestamp '2024-01-05' AS "at", repeat('x', 500) AS c
            FROM generate_series(1, {MANY}) g, LATERAL pg_sleep(CASE WHEN g % 1000 = 0 THEN 0.1 ELSE 0 END)""")
    return f"{schema}.slow"


def test_a_backend_that_is_terminated_in_the_middle(tmp_path: Path, run: Any, schema: str) -> None:
    table = slow(run, schema)
    write(tmp_path)

    def terminate() -> None:
        sql = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE %s
                 AND clock_timestamp() - query_start > interval '1 second'"""
        for _ in range(600):
            if run(sql, [f"%{schema}%slow%"]).fetchone()[0]:
                return
            time.sleep(0.1)

    with ThreadStarted(terminate), pytest.raises(StoreError, match=r"table 'e' .*slow.* broke off|cannot be read") as e:
        of_shop(tmp_path, events(table, columns={"c": {"type": "text"}}))
    assert "terminat" in str(e.value) or "closed" in str(e.value)
    _is_clean(tmp_path, str(e.value))


def test_a_connection_that_breaks_in_the_middle(tmp_path: Path, run: Any, schema: str) -> None:
    run(f"""CREATE TABLE {schema}.big AS SELECT '1' AS "Id", g AS n, timestamp '2024-01-05' AS "at",
                   repeat('x', 500) AS c FROM generate_series(1, {MANY}) g""")
    write(tmp_path)
    with cutting_proxy(after=30_000_000) as url, pytest.raises(StoreError, match=r"table 'e' .*big.*broke off") as e:
        of_shop(tmp_path, events(f"{schema}.big", columns={"c": {"type": "text"}}), url)
    _is_clean(tmp_path, str(e.value))


def _is_clean(root: Path, said: str) -> None:
    assert "root" not in said.replace("pytest-of-root", "")
    assert list((root / "tmp").iterdir()) == []
    assert {p.name for p in root.iterdir()} == {"c.csv", "tmp"}


class ThreadStarted(threading.Thread):
    """Runs a function beside a block, and waits for it."""

    def __init__(self, target: Any) -> None:
        super().__init__(target=target, daemon=True)

    def __enter__(self) -> ThreadStarted:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()


@contextmanager
def cutting_proxy(*, after: int) -> Iterator[str]:
    """The server's address through a proxy that hangs up after some bytes."""
    parts = urlsplit(PLAIN)
    there = (parts.hostname or "127.0.0.1", parts.port or 5432)

    def forward(source: socket.socket, target: socket.socket, limit: int | None) -> None:
        done = 0
        try:
            while chunk := source.recv(1 << 16):
                done += len(chunk)
                if limit is not None and done > limit:
                    break
                target.sendall(chunk)
        except OSError:
            pass
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def serve() -> None:
        while True:  # the driver asks for the server's types first, on a connection of its own
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(there)
            for ends in ((client, server, None), (server, client, after)):
                threading.Thread(target=forward, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadStarted(serve):
        port = listener.getsockname()[1]
        try:
            yield f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}{parts.path}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://postgres:s3cret@127.0.0.1:1/test", r"postgres@127\.0\.0\.1:1/test cannot be reached: .*refused"),
        ("postgresql://no_such_role:s3cret@127.0.0.1:5432/test", 'role "no_such_role" does not exist'),
        ("postgresql://postgres:s3cret@127.0.0.1:5432/no_such_database", "does not exist"),
        ("postgresql://postgres:s3cret%zz@127.0.0.1:5432/test", r"cannot be reached: .*\*\*\*"),
        ("postgresql://postgres@127.0.0.1:5432/test?password=s3cret&nonsense=1", "cannot be reached"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_without_its_password(
    tmp_path: Path, run: Any, url: str, message: str
) -> None:
    write(tmp_path)
    with pytest.raises(StoreError, match=message) as caught:
        of_shop(tmp_path, events("visits"), url)
    assert "table 'e' (visits)" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "tmp").exists()


@pytest.mark.parametrize("url", ["", "mysql://u:s3cret@host/db", "s3cret"])
def test_a_variable_without_an_address(tmp_path: Path, url: str) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.tables\.e\.database\.url_from: the environment variable SHOP") as e:
        of_shop(tmp_path, events("visits"), url)
    assert "s3cret" not in str(e.value)


def test_tables_and_columns_that_are_not_there(tmp_path: Path, visits: str) -> None:
    write(tmp_path)
    with pytest.raises(
        DataError, match=r"there is no table '.*visits\.1.' in postgresql://.*case: did you mean '.*Visits\.1'"
    ):
        of_shop(tmp_path, events(visits.replace("Visits", "visits")))
    with pytest.raises(DataError, match=r"table 'e' .*Visits\.1.*column 'At' is missing"):
        of_shop(tmp_path, events(visits, time="At"))


def test_a_table_without_rows(tmp_path: Path, run: Any, visits: str) -> None:
    write(tmp_path)
    run(f"DELETE FROM {visits}")
    with pytest.raises(DataError, match=r"Visits\.1.*: has no rows\. Check the export"):
        of_shop(tmp_path, events(visits))


def test_a_table_that_may_not_be_read(tmp_path: Path, run: Any, visits: str) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    run(f"CREATE ROLE {role} LOGIN")
    try:
        run(f"GRANT USAGE ON SCHEMA {visits.rpartition('.')[0].rpartition('.')[0]} TO {role}")
        write(tmp_path)
        parts = urlsplit(PLAIN)
        url = f"postgresql://{role}@{parts.hostname}:{parts.port}{parts.path}"
        with pytest.raises(StoreError, match=r"table 'e'.*permission denied for table Visits\.1"):
            of_shop(tmp_path, events(visits), url)
    finally:
        run(f"DROP OWNED BY {role}")
        run(f"DROP ROLE {role}")


def test_a_url_is_shown_without_password_and_options() -> None:
    assert shown("postgresql://u:p@w@h:1/d?password=x") == "postgresql://u@h:1/d"
    assert shown("postgresql://h/d") == "postgresql://h/d"
    assert shown("duckdb:///a/b.duckdb") == "duckdb:///a/b.duckdb"
