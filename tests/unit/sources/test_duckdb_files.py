"""Tables of a DuckDB file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from declared import declared, loaded, write

from holdfast.config.data import DataSection
from holdfast.errors import DataError, StoreError
from holdfast.sources.databases import Databases

LATE = datetime(2100, 1, 1, tzinfo=UTC)


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001


@pytest.fixture
def company(tmp_path: Path) -> Path:
    write(tmp_path)
    with duckdb.connect(tmp_path / "shop.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute('''
            CREATE TABLE visits AS SELECT * FROM (VALUES
                (1, 'a', TIMESTAMP '2024-01-03 10:00', 1.255::DECIMAL(9, 3), TIMESTAMPTZ 'infinity', 9::HUGEINT, 'no'),
                (2, 'b', TIMESTAMP '2024-01-09', NULL, TIMESTAMPTZ '2024-01-01 00:00+02', NULL, 'no'),
                (2, 'c', TIMESTAMP '2024-02-09', 7, TIMESTAMPTZ '-infinity', 1, 'no')
            ) t("Id", n, "at", "a ""b""", z, huge, unused)''')
        connection.execute('CREATE SCHEMA "Big Co"')
        connection.execute('CREATE VIEW "Big Co"."v.1" AS SELECT * FROM visits')
    return tmp_path


def events(table: str, **more: Any) -> dict[str, Any]:
    columns = {'a "b"': {"type": "number"}, "z": {"type": "time"}, "huge": {"type": "number", "scale": 0}}
    place = {"url": "duckdb:///shop.duckdb", "table": table}
    return {"kind": "events", "database": place, "key": "Id", "id": "n", "time": "at", "columns": columns, **more}


@pytest.mark.parametrize("table", ["visits", "main.visits", '"Big Co"."v.1"'])
def test_it_is_read_as_any_other_source(company: Path, table: str) -> None:
    _, rows = loaded(company, declared(e=events(table)))
    assert [(r["event_id"], r["event_time"], r['c_a "b"'], r["c_z"], r["c_huge"]) for r in rows["e"]] == [
        ("a", naive(2024, 1, 3, 10), 126, naive(9999, 12, 31), 9),
        ("b", naive(2024, 1, 9), None, naive(2023, 12, 31, 22), None),
        ("c", naive(2024, 2, 9), 700, naive(1, 1, 2), 1),
    ]


def test_only_what_is_declared_and_known_is_copied(company: Path) -> None:
    config = declared(e=events("visits", delay="7d")).tables["e"]
    with Databases(company, company / "tmp", {}) as databases:
        files, place = databases.files("e", config, datetime(2024, 1, 12, tzinfo=UTC))
        copy = pq.read_table(files)
        assert set(copy.schema.names) == {"Id", "n", "at", 'a "b"', "z", "huge"}
        assert copy.column("n").to_pylist() == ["a"], "available 2024-01-10; b and c later than a day after that"
        assert place == "duckdb:///shop.duckdb, visits"
    assert list((company / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"table": "visit"}, r"database\.table: there is no table 'visit' in duckdb.*did you mean 'visits'"),
        ({"table": "Visits"}, "did you mean 'visits'"),
        ({"url": "duckdb:///shp.duckdb"}, r"no DuckDB file at .*did you mean 'shop\.duckdb'"),
        ({"url": "duckdb:///nowhere/x.duckdb"}, "the folder .*nowhere does not exist"),
    ],
)
def test_what_is_not_there(company: Path, place: dict[str, str], message: str) -> None:
    table = events("visits")
    with pytest.raises(DataError, match=message):
        loaded(company, declared(e={**table, "database": {**table["database"], **place}}))


def test_a_missing_column(company: Path) -> None:
    with pytest.raises(DataError, match=r"table 'e' \(duckdb:///shop\.duckdb, visits\): column 'tim' is missing"):
        loaded(company, declared(e=events("visits", time="tim")))


def test_a_file_that_is_no_database(company: Path) -> None:
    (company / "shop.duckdb").write_text("a,b\n" * 5000)
    with pytest.raises(StoreError, match=r"table 'e' \(visits\): .*shop\.duckdb is not a DuckDB file\. Check url"):
        loaded(company, declared(e=events("visits")))


def test_a_database_that_is_damaged(company: Path) -> None:
    content = (company / "shop.duckdb").read_bytes()
    (company / "shop.duckdb").write_bytes(content[:2000])
    with pytest.raises(StoreError, match=r"table 'e' \(visits\): .*shop\.duckdb cannot be opened: .*"):
        loaded(company, declared(e=events("visits")))


def test_a_table_without_rows_is_refused_and_one_without_known_rows_is_not(company: Path) -> None:
    with duckdb.connect(str(company / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE none AS SELECT * FROM visits LIMIT 0")
    with pytest.raises(DataError, match=r"table 'e' \(duckdb:///shop\.duckdb, none\): has no rows\. Check the export"):
        loaded(company, declared(e=events("none")))
    early = datetime(2023, 6, 1, tzinfo=UTC)
    sources, _ = loaded(company, _without_customers(declared(e=events("visits"))), known_as_of=early)
    assert sources.tables["e"].rows == 0


def test_a_file_that_is_absolute_and_named_by_the_environment(company: Path) -> None:
    place = {"url_from": "SHOP", "table": "visits"}
    data = declared(e={**events("visits"), "database": place})
    environ = {"SHOP": f"duckdb:///{company / 'shop.duckdb'}"}
    sources, _ = loaded(Path("/nowhere"), _without_customers(data), environ=environ)
    assert sources.tables["e"].rows == 3
    assert sources.watermark.date() == date(2024, 2, 10)


def _without_customers(data: DataSection) -> DataSection:
    tables = {n: t for n, t in data.model_dump(exclude_unset=True)["tables"].items() if n != "customers"}
    label = {"churn": "inactivity", "events": "e", "days": 90, "active_within": 180}
    return DataSection.model_validate({"tables": tables, "label": label})
