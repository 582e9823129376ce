"""What a cell means, from CSV text and from every Parquet type alike."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from declared import CUSTOMERS, cells, declared, loaded, write

from holdfast.errors import DataError


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001


def events(path: str, **columns: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "events", "path": path, "key": "id", "id": "n", "time": "t", "columns": columns}


def from_csv(tmp_path: Path, cells_: list[str], **column: Any) -> list[Any]:
    lines = [f'1,{i},2024-01-01,"{cell}"' for i, cell in enumerate(cells_)]
    write(tmp_path, e="\n".join(["id,n,t,x", *lines]))
    return cells(loaded(tmp_path, declared(e=events("e.csv", x=column)))[1]["e"], "c_x")


def from_parquet(tmp_path: Path, column_: pa.Array, **column: Any) -> list[Any]:
    n = len(column_)
    table = pa.table({"id": [1] * n, "n": range(n), "t": [naive(2024, 1, 1)] * n, "x": column_})
    write(tmp_path, e=table)
    return cells(loaded(tmp_path, declared(e=events("e.parquet", x=column)))[1]["e"], "c_x")


NUMBERS = ["0.285", "-0.125", "2.675", "1e3", " 7 ", "", "0.284999", "1000000.005", "0.1", "-3"]
UNITS = [29, -13, 268, 100000, 700, None, 28, 100000001, 10, -300]


def test_numbers_are_fixed_point_rounded_half_away_from_zero(tmp_path: Path) -> None:
    assert from_csv(tmp_path, NUMBERS, type="number", scale=2) == UNITS


@pytest.mark.parametrize("kind", [pa.float64(), pa.decimal128(18, 6), pa.string()])
def test_a_number_means_the_same_in_parquet_as_in_csv(tmp_path: Path, kind: pa.DataType) -> None:
    """0.285 is no binary fraction: a float must not come out a cent lower than its own text."""
    words = [None if not w.strip() else w.strip() for w in NUMBERS]
    if pa.types.is_floating(kind):
        values = pa.array([None if w is None else float(w) for w in words], kind)
    elif pa.types.is_decimal(kind):
        values = pa.array([None if w is None else Decimal(w) for w in words], kind)
    else:
        values = pa.array(words, kind)
    assert from_parquet(tmp_path, values, type="number", scale=2) == UNITS


def test_small_floats_and_integers_are_numbers(tmp_path: Path) -> None:
    assert from_parquet(tmp_path, pa.array([0.285, 12.5], pa.float32()), type="number", scale=2) == [29, 1250]
    assert from_parquet(tmp_path, pa.array([3, None], pa.int16()), type="number", scale=1) == [30, None]
    assert from_parquet(tmp_path, pa.array([1, 2], pa.uint64()), type="number", scale=0) == [1, 2]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_a_float_that_is_no_number_in_range_is_reported(tmp_path: Path, bad: float) -> None:
    with pytest.raises(DataError, match=r"column 'x': cells that are not a number in 1 of 2 rows"):
        from_parquet(tmp_path, pa.array([1.0, bad]), type="number", scale=2)


@pytest.mark.parametrize("bad", ["NaN", "1,5", "$3", "x", "0x1A", "99999999999999999999"])
def test_text_that_is_no_number_is_reported_with_examples(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError, match="cells that are not a number in 1 of 2 rows") as caught:
        from_csv(tmp_path, ["1", bad], type="number", scale=2)
    assert caught.value.problems[0].examples == (bad,)


def test_booleans(tmp_path: Path) -> None:
    words = ["TRUE", "False", " yes", "n", "1", "0", "", "T"]
    truth = [1, 0, 1, 0, 1, 0, None, 1]
    assert from_csv(tmp_path, words, type="boolean") == truth
    assert from_parquet(tmp_path, pa.array([True, None, False]), type="boolean") == [1, None, 0]
    assert from_parquet(tmp_path, pa.array([1.0, None, 0.0]), type="boolean") == [1, None, 0], "pandas with gaps"
    with pytest.raises(DataError, match="not a boolean in 1 of 1 rows"):
        from_csv(tmp_path, ["maybe"], type="boolean")


def test_text_is_stripped_and_blank_is_null(tmp_path: Path) -> None:
    assert from_csv(tmp_path, [" a ", "", "  ", "it's", '""q""', "#1"], type="category") == [
        "a", None, None, "it's", '"q"', "#1",
    ]  # fmt: skip


TIMES = {
    "2024-03-01": naive(2024, 3, 1),
    "2024-3-1": naive(2024, 3, 1),
    "2024/03/1": naive(2024, 3, 1),
    "2024-03-01 10:00": naive(2024, 3, 1, 10),
    "2024-3-1 9:05": naive(2024, 3, 1, 9, 5),
    "2024/3/1T9:05:07": naive(2024, 3, 1, 9, 5, 7),
    "2024-03-01 10:00:00.1234567": naive(2024, 3, 1, 10, 0, 0, 123456),
    "infinity": naive(9999, 12, 31),
    "": None,
}
ZONED = {
    "2024-03-01T10:00:00Z": naive(2024, 3, 1, 10),
    "2024-03-01 10:00:00 UTC": naive(2024, 3, 1, 10),
    "2024-03-01T10:00:00+02:00": naive(2024, 3, 1, 8),
    "2024-03-01 01:00:00.25-0530": naive(2024, 3, 1, 6, 30, 0, 250000),
    "2024-03-01 01:00:00 Europe/Berlin": naive(2024, 3, 1),
    "2024-01-01 00:30:00+01": naive(2023, 12, 31, 23, 30),
    "2024-01-01 0:30 +0100": naive(2023, 12, 31, 23, 30),
    "2024-03-01": naive(2024, 3, 1),
    "": None,
}


@pytest.mark.parametrize("times", [TIMES, ZONED])
def test_times_in_text_are_utc_with_offsets_applied(tmp_path: Path, times: dict[str, datetime | None]) -> None:
    assert from_csv(tmp_path, list(times), type="time") == list(times.values())


@pytest.mark.parametrize(
    "bad",
    [
        "01/03/2024", "2024-02-30", "tomorrow", "20240301", "2024-03-01 10:00:00 Nowhere/X", "2024-03-01 10:00 PM",
        "2024-03-01 24:00", "2024-03-01 10", "2024-03-01 10:00 EST", "2024-03-01+02:00", "2024-03-01 (BC)", "epoch",
        "12024-03-01", "24-03-01",
    ],
)  # fmt: skip
def test_text_that_is_no_time_is_reported(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError, match=r"cells that are not a time.* Write them as 2024-03-01 or") as caught:
        from_csv(tmp_path, [bad], type="time")
    assert caught.value.problems[0].examples == (bad,)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("us", "Europe/Berlin"), naive(2024, 3, 1, 9)),  # Arrow takes a naive value as UTC
        (pa.timestamp("ns"), naive(2024, 3, 1, 9)),
        (pa.timestamp("s"), naive(2024, 3, 1, 9)),
        (pa.date32(), date(2024, 3, 1)),
        (pa.string(), "2024-03-01T10:00:00+01:00"),
    ],
)
def test_times_in_parquet(tmp_path: Path, kind: pa.DataType, value: Any) -> None:
    hour = 0 if kind == pa.date32() else 9
    assert from_parquet(tmp_path, pa.array([value, None], kind), type="time") == [naive(2024, 3, 1, hour), None]


def test_customer_ids_meet_whatever_they_are_stored_as(tmp_path: Path) -> None:
    """Integers here, text there, and floats where pandas met a gap."""
    for kind, value in ((pa.int64(), 1), (pa.string(), " 1 "), (pa.float64(), 1.0), (pa.uint8(), 1)):
        table = pa.table({"id": pa.array([value], kind), "n": ["a"], "t": [naive(2024, 1, 1)]})
        write(tmp_path, e=table, c=CUSTOMERS)
        _, rows = loaded(tmp_path, declared(e=events("e.parquet")))
        assert rows["e"][0]["customer_id"] == rows["customers"][0]["customer_id"] == "1"


def test_a_missing_id_is_reported(tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([1.0, float("nan"), None]), "n": ["a", "b", "c"], "t": [naive(2024, 1, 1)] * 3})
    write(tmp_path, e=table)
    with pytest.raises(DataError, match="column 'id': missing values in 2 of 3 rows"):
        loaded(tmp_path, declared(e=events("e.parquet")))
