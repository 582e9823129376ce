"""The DuckDB engine: reading, keeping, hashing, and errors a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.errors import DataError, StoreError
from holdfast.stores.duckdb_files import read_error
from holdfast.stores.engine import DuckDBEngine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    with DuckDBEngine(tmp_path / "spill", threads=1) as engine:
        yield engine


def test_the_spill_folder_is_made_and_removed(tmp_path: Path) -> None:
    spill = tmp_path / "var" / "tmp"
    with DuckDBEngine(spill):
        assert [p.name.startswith("duckdb-") for p in spill.iterdir()] == [True]
    assert list(spill.iterdir()) == []


def test_a_spill_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write to"):
        DuckDBEngine(tmp_path / "file" / "tmp")


def test_memory_and_threads_are_settings() -> None:
    with DuckDBEngine(threads=2, memory="1GB") as engine:
        found = engine._sql("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
    assert found == (2, "953.6 MiB")


def test_reads_csv_as_text_and_parquet_as_typed(engine: DuckDBEngine, tmp_path: Path) -> None:
    csv, parquet = tmp_path / "it's.csv", tmp_path / "p.parquet"
    csv.write_text("id,n\n007,1.50\n")
    pq.write_table(pa.table({"id": [7], "n": [1.5]}), parquet)
    assert engine.columns([csv]) == {"id": "VARCHAR", "n": "VARCHAR"}
    assert engine.columns([parquet]) == {"id": "BIGINT", "n": "DOUBLE"}
    assert engine.to_arrow(engine.read([csv], "raw", text=True)).to_pylist() == [{"id": "007", "n": "1.50"}]
    assert engine.to_arrow(engine.read([parquet], "raw", text=False)).to_pylist() == [{"id": 7, "n": 1.5}]


def test_no_row_is_lost_to_a_guessed_dialect(engine: DuckDBEngine, tmp_path: Path) -> None:
    """DuckDB alone takes # for a comment and an apostrophe for a quote where that seems to fit better."""
    csv = tmp_path / "a.csv"
    csv.write_text("id,x\n1,'a'\n#2,'b'\n\"3\"\"\",'c,\n".replace("'c,", '"c,"'))
    assert engine.to_arrow(engine.read([csv], "raw", text=True).order_by("id")).to_pylist() == [
        {"id": "#2", "x": "'b'"}, {"id": "1", "x": "'a'"}, {"id": '3"', "x": "c,"},
    ]  # fmt: skip


def test_materialized_tables_stay_until_dropped(engine: DuckDBEngine) -> None:
    numbers = engine.from_arrow(pa.table({"n": [1, 2, 3]}), "numbers")
    kept = engine.materialize(numbers.filter(numbers.n > 1), "kept")
    engine.drop("numbers", "never_there")
    assert sorted(engine.to_arrow(kept)["n"].to_pylist()) == [2, 3]
    again = engine.materialize(kept.mutate(n=kept.n * 10), "again")
    assert sorted(engine.to_arrow(again)["n"].to_pylist()) == [20, 30]


@pytest.mark.parametrize("name", ["", "a b", "Upper", 'a"; DROP TABLE x; --', "1a", "ä"])
def test_names_are_plain(engine: DuckDBEngine, name: str) -> None:
    table = pa.table({"n": [1]})
    known = engine.from_arrow(table, "known")
    for use in (
        lambda: engine.from_arrow(table, name),
        lambda: engine.materialize(known, name),
        lambda: engine.drop(name),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="not a table name"):
            use()


def test_row_hashes_tell_rows_nulls_and_columns_apart(engine: DuckDBEngine) -> None:
    stamp = datetime(2024, 1, 1)  # noqa: DTZ001
    rows = [
        ("a", "b", 1, stamp), ("ab", "", 1, stamp), ("a", None, 1, stamp), ("a", "", 1, stamp), (None, "a", 1, stamp),
        ("a", "b", 2, stamp), ("a", "b", 1, None), ("b", "a", 1, stamp), ("a", "b", None, stamp),
    ]  # fmt: skip
    names = ["x", "y", "n", "t"]
    types = [pa.string(), pa.string(), pa.int64(), pa.timestamp("us")]
    columns = [pa.array(c, t) for c, t in zip(zip(*rows, strict=True), types, strict=True)]
    table = engine.from_arrow(pa.table(columns, names=names), "rows_")
    hashes = engine.to_arrow(table.select(h=engine.row_hash(table, names)))["h"].to_pylist()
    assert len(set(hashes)) == len(rows)
    assert all(0 <= h < 1 << 60 for h in hashes)
    one = table.filter((table.x == "a") & (table.y == "b") & (table.n == 1) & table.t.notnull())
    # pinned: dataset ids rest on it
    assert engine.to_arrow(one.select(h=engine.row_hash(one, names)))["h"].to_pylist() == [hashes[0]]
    assert hashes[0] == 0x0 + int(_md5("a\x1eb\x1e1\x1e2024-01-01 00:00:00")[:15], 16)


def _md5(text: str) -> str:
    import hashlib

    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_times_with_a_zone_come_as_utc(engine: DuckDBEngine, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    zoned = pa.array([datetime(2024, 3, 1)], pa.timestamp("us", "Asia/Tokyo"))  # noqa: DTZ001
    pq.write_table(pa.table({"t": zoned}), file)
    table = engine.read([file], "raw", text=False)
    assert engine.to_arrow(table.select(t=table.t.cast("timestamp(6)")))["t"].to_pylist() == [datetime(2024, 3, 1)]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("CSV Error on Line: 3\nOriginal Line: secret\nInvalid unicode (byte", "f: is not UTF-8 text at line 3. Save"),
        ("CSV Error on Line: 9\nOriginal Line: secret\nExpected Number of Columns: 2 Found: 3", "a row at line 9 has"),
        ("Error when sniffing file\nCheck the encoding", "f: a row has more or fewer cells than the header"),
        ("Invalid Input Error: No magic bytes", "f: Invalid Input Error: No magic bytes. Check that the file"),
        ("CSV Error on Line: 3\n  file = /x/y.csv\n", "/x/y.csv: CSV Error"),
        ("", "f: cannot be read"),
    ],
)
def test_what_duckdb_says_of_a_file_in_plain_words_without_its_rows(message: str, said: str) -> None:
    text = str(read_error(message, where="f"))
    assert said in text
    assert "secret" not in text


def test_sums_too_large_to_be_exact_are_a_data_error(engine: DuckDBEngine) -> None:
    table = engine.from_arrow(pa.table({"n": pa.array([10**18], pa.int64())}), "big")
    wide = table.n.cast("decimal(38, 0)")
    with pytest.raises(DataError, match="more than 38 digits"):
        engine.to_arrow(table.select(n=wide * wide * wide))


def test_a_missing_file_is_a_data_error(engine: DuckDBEngine, tmp_path: Path) -> None:
    for name in ("no.csv", "no.parquet"):
        with pytest.raises(DataError, match=name):
            engine.columns([tmp_path / name])
