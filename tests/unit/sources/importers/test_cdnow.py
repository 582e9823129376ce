"""CDNOW's file to orders: customer-days, free ones too, and files that are not CDNOW's."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from holdfast.errors import DataError, UsageError
from holdfast.sources.importers.cdnow import ORDERS, import_cdnow

HEADER = " customer_id  date number_of_cds  dollar_value"
LINES = (
    HEADER,
    " 00002 19970112  1   12.00",
    " 00001 19970101  1   11.77",
    " 00002 19970112  5   77.00",
    " 00002 19970113  0    0.00",
)


def written(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "CDNOW_master.txt"
    file.write_text("\r\n".join(lines) + "\r\n")
    return file


def test_a_customers_day_is_one_order_and_a_free_one_counts(tmp_path: Path) -> None:
    out = tmp_path / "sources"
    summary = import_cdnow(written(tmp_path, *LINES), out)
    table = pq.read_table(out / "orders")
    assert table.schema == ORDERS
    assert table.to_pylist() == [
        {"order_id": "00001-19970101", "customer_id": "00001", "ordered_at": datetime(1997, 1, 1), "cds": 1,  # noqa: DTZ001
         "dollars": Decimal("11.77")},
        {"order_id": "00002-19970112", "customer_id": "00002", "ordered_at": datetime(1997, 1, 12), "cds": 6,  # noqa: DTZ001
         "dollars": Decimal("89.00")},
        {"order_id": "00002-19970113", "customer_id": "00002", "ordered_at": datetime(1997, 1, 13), "cds": 0,  # noqa: DTZ001
         "dollars": Decimal("0.00")},
    ]  # fmt: skip
    assert summary.rows == {"orders": 3}
    assert summary.facts() == {
        "lines": 4, "customers": 2, "free_orders": 1, "first": "1997-01-01", "last": "1997-01-13",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (" 00001 19970101  1", r"\(line\).*not 4 cells"),
        (" 0000x 19970101  1 1.00", "customer_id.*not an id of digits.*0000x"),
        (" 00001 19970230  1 1.00", "date.*not a day as 19970131.*19970230"),
        (" 00001 19970101 -1 1.00", "number_of_cds.*not a whole number"),
        (" 00001 19970101  1 1.005", "dollar_value.*not an amount.*1.005"),
        (" 00001 19970101  1 NaN", "dollar_value.*not an amount.*NaN"),
    ],
)
def test_a_line_that_is_not_a_purchase_is_refused_with_its_number(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as refused:
        import_cdnow(written(tmp_path, *LINES, line), tmp_path / "sources")
    assert f"line {len(LINES) + 1}" in str(refused.value)
    assert not (tmp_path / "sources").exists()


def test_files_that_are_not_there_or_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        import_cdnow(tmp_path / "nowhere.txt", tmp_path / "sources")
    with pytest.raises(DataError, match="has no purchases"):
        import_cdnow(written(tmp_path, HEADER), tmp_path / "sources")


def test_an_import_replaces_only_an_import(tmp_path: Path) -> None:
    out = tmp_path / "sources"
    file = written(tmp_path, *LINES)
    first = import_cdnow(file, out)
    before = (out / "orders" / "part-0.parquet").read_bytes()
    assert import_cdnow(file, out) == first
    assert (out / "orders" / "part-0.parquet").read_bytes() == before
    (out / "mine.csv").write_text("1")
    with pytest.raises(UsageError, match=r"holds other things.*mine\.csv"):
        import_cdnow(file, out)
