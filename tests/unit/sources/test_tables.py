"""Declared tables become canonical ones; the watermark says what an extract could know."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from declared import declared, loaded, write

from holdfast.errors import DataError


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001


EVENTS: dict[str, Any] = {"kind": "events", "path": "e.csv", "key": "id", "time": "t"}
HISTORY: dict[str, Any] = {"kind": "history", "path": "h.csv", "key": "id", "valid_from": "a", "valid_to": "b",
                           "columns": {"p": {"type": "number"}}}  # fmt: skip


def test_availability_defaults_to_when_it_happened(tmp_path: Path) -> None:
    write(tmp_path, e="id,t\n1,2024-01-03 10:00\n", h="id,a,b,p\n1,2024-01-01,2024-01-20,1.5\n")
    _, rows = loaded(tmp_path, declared(e=EVENTS, h=HISTORY))
    assert rows["customers"][0] == {
        "customer_id": "1", "subscription_id": None, "start": naive(2024, 1, 1),
        "start_available_at": naive(2024, 1, 1), "end": naive(2024, 2, 1), "end_available_at": naive(2024, 2, 1),
        "end_reason": None, "notice": None,
    }  # fmt: skip
    assert rows["e"] == [
        {
            "customer_id": "1", "event_id": None, "event_time": naive(2024, 1, 3, 10),
            "available_at": naive(2024, 1, 3, 10), "deleted": 0, "repeats": False,
        }
    ]  # fmt: skip
    assert rows["h"] == [
        {
            "customer_id": "1", "valid_from": naive(2024, 1, 1), "valid_to": naive(2024, 1, 20),
            "available_at": naive(2024, 1, 1), "closed_available_at": naive(2024, 1, 20), "c_p": 150,
        }
    ]  # fmt: skip


def test_a_delay_is_added_and_a_blank_tombstone_deletes_nothing(tmp_path: Path) -> None:
    write(tmp_path, e="id,n,t,gone\n1,a,2024-01-03,\n1,b,2024-01-03,true\n1,c,2024-01-03,no\n")
    _, rows = loaded(tmp_path, declared(e={**EVENTS, "id": "n", "delay": "3d", "deleted": "gone"}))
    assert [(r["event_id"], r["deleted"]) for r in rows["e"]] == [("a", 0), ("b", 1), ("c", 0)]
    assert {r["available_at"] for r in rows["e"]} == {naive(2024, 1, 6)}
    write(tmp_path, e="id,n,t,gone\n1,a,2024-01-03,perhaps\n")
    with pytest.raises(DataError, match="column 'gone': cells that are not a boolean"):
        loaded(tmp_path, declared(e={**EVENTS, "id": "n", "deleted": "gone"}))


@pytest.mark.parametrize(
    ("customers", "events", "history", "watermark"),
    [
        ("1,2024-01-01,2024-02-01", "1,2024-01-03", "1,2024-01-01,,1", (2024, 1, 4)),
        # an instant inside a day, and a midnight itself: the first midnight after
        ("1,2024-01-01,2024-01-01", "1,2024-01-03 23:59:59.999999", "1,2024-01-01,,1", (2024, 1, 4)),
        ("1,2024-01-01,2024-01-01", "1,2024-01-03 00:00:00.000001", "1,2024-01-04,,1", (2024, 1, 5)),
        # what lies ahead is a plan: it must not make the extract look newer than it is
        ("1,2024-01-01,2031-01-01", "1,2024-01-03", "1,2024-01-01,2031-01-01,1", (2024, 1, 4)),
        ("1,2024-01-01,9999-12-31", "1,2024-01-03", "1,2024-01-01,9999-12-31,1", (2024, 1, 4)),
        ("1,2024-01-01,infinity", "1,2024-01-03", "1,2024-01-01,infinity,1", (2024, 1, 4)),
    ],
)
def test_watermark(tmp_path: Path, customers: str, events: str, history: str, watermark: tuple[int, int, int]) -> None:
    write(tmp_path, c=f"id,start,end\n{customers}\n", e=f"id,t\n{events}\n", h=f"id,a,b,p\n{history}\n")
    from holdfast.sources.tables import load_sources
    from holdfast.stores.engine import DuckDBEngine

    with DuckDBEngine(threads=1) as engine:
        sources = load_sources(engine, declared(e=EVENTS, h=HISTORY), tmp_path)
    assert sources.watermark == datetime(*watermark, tzinfo=UTC)


def test_declared_availabilities_move_the_watermark(tmp_path: Path) -> None:
    data = declared(h={**HISTORY, "available_at": "k", "closed_available_at": "ck"})
    write(tmp_path, h="id,a,b,k,ck,p\n1,2024-01-01,2024-01-10,2024-01-02,2024-01-20 12:00,1\n")
    assert loaded(tmp_path, data)[0].watermark == datetime(2024, 1, 21, tzinfo=UTC)
    write(tmp_path, h="id,a,b,k,ck,p\n1,2024-01-01,2024-01-10,2024-01-02,9999-12-31,1\n")
    assert loaded(tmp_path, data)[0].watermark == datetime(2024, 1, 6, tzinfo=UTC), "9999 says never"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,t\n1,2024-01-03\n2,J\xf6rg\n".encode("latin-1"), r"e\.csv: is not UTF-8 text"),
        ("id,t\n1,2024-01-03,too many\n", r"e\.csv: the row at line 2 has 3 cells, the header 2"),
        ("id,t\n" + "1,2024-01-03\n" * 30_000 + "1\n", "the row at line 30,002 has 1 cells, the header 2"),
        ("", r"e\.csv: is empty: it has not even a header"),
    ],
)
def test_a_csv_that_cannot_be_read(tmp_path: Path, content: str | bytes, message: str) -> None:
    write(tmp_path, e=content)
    with pytest.raises(DataError, match=message):
        loaded(tmp_path, declared(e=EVENTS))


def test_a_torn_parquet_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, e=pa.table({"id": ["1"], "t": ["2024-01-01"]}))
    file = tmp_path / "e.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"e\.parquet.*Check that the file is complete"):
        loaded(tmp_path, declared(e={**EVENTS, "path": "e.parquet"}))


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_csv_dialects(tmp_path: Path, mark: str) -> None:
    """Any delimiter, quotes, a byte order mark, Windows line ends; no row is lost for how it begins."""
    lines = [
        ["id", "t", "a,b;c"],
        ["#1", "2024-01-03", '"x\ny;,|"'],
        ["'2'", "2024-01-03", "'"],
        ["3", "2024-01-03", ""],
    ]
    lines[0][2] = '"a,b;c"'
    write(tmp_path, e=("\ufeff" + "\r\n".join(mark.join(line) for line in lines)).encode())
    _, rows = loaded(tmp_path, declared(e={**EVENTS, "columns": {"a,b;c": {"type": "category"}}}))
    assert sorted((r["customer_id"], r["c_a,b;c"]) for r in rows["e"]) == [
        ("#1", "x\ny;,|"), ("'2'", "'"), ("3", None),
    ]  # fmt: skip


def test_files_of_a_folder_may_order_their_columns_differently(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "1.csv").write_text("id,t,extra\n1,2024-01-03,x\n")
    (tmp_path / "e" / "2.csv").write_text("t,id\n2024-01-04,2\n")
    _, rows = loaded(tmp_path, declared(e={**EVENTS, "path": "e"}))
    assert [(r["customer_id"], r["event_time"]) for r in rows["e"]] == [
        ("1", naive(2024, 1, 3)), ("2", naive(2024, 1, 4)),
    ]  # fmt: skip
