"""CDNOW's purchases (CDNOW_master.txt) into orders.

The file has a line per purchase: customer, day, number of CDs and dollars, in columns of blanks. Everybody in it
bought first in the first quarter of 1997, and the file ends on 1998-06-30. An order is a customer's day with a line:
lines of one day are added up, and one of zero dollars is an order like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa

from holdfast.clock import iso, utc
from holdfast.errors import DataError, Problem
from holdfast.sources.importers.strict_csv import Findings, Row, file_text
from holdfast.sources.importers.writing import write_tables

COLUMNS = ("customer_id", "date", "number_of_cds", "dollar_value")
DAY_FORMAT = "%Y%m%d"
MAX_CDS = 100_000
MAX_DOLLARS = Decimal(10_000_000)
ORDERS = pa.schema([
    ("order_id", pa.string()), ("customer_id", pa.string()), ("ordered_at", pa.timestamp("us")), ("cds", pa.int64()),
    ("dollars", pa.decimal128(12, 2)),
])  # fmt: skip


@dataclass(frozen=True)
class CdnowSummary:
    """What an import of CDNOW wrote.

    Attributes
    ----------
    out : the folder that holds a folder of Parquet per table
    rows : rows of each table
    lines : purchases in the file; those of one customer and day are one order
    customers : how many there are
    free_orders : orders of zero dollars
    first, last : the first and last day with an order
    """

    out: Path
    rows: dict[str, int]
    lines: int
    customers: int
    free_orders: int
    first: datetime
    last: datetime

    def facts(self) -> dict[str, Any]:
        """What is worth saying of it."""
        return {
            "lines": self.lines, "customers": self.customers, "free_orders": self.free_orders,
            "first": iso(utc(self.first)), "last": iso(utc(self.last)),
        }  # fmt: skip


def import_cdnow(file: Path, out: Path) -> CdnowSummary:
    """Write ``out/orders`` from CDNOW_master.txt, all or nothing.

    Raises
    ------
    DataError
        The file is not CDNOW's: a line without four cells, or a cell that is no id, day, count or amount.
    UsageError
        ``out`` holds something that is not an import, and would be lost.
    StoreError
        ``out`` cannot be written.
    """
    lines = 0
    orders: dict[tuple[str, datetime], tuple[int, Decimal]] = {}
    findings = Findings(file)
    for row in _rows(file, findings):
        lines += 1
        who = row.read("customer_id", _id, "not an id of digits")
        day = row.read("date", _day, "not a day as 19970131")
        cds = row.read("number_of_cds", _cds, f"not a whole number from 0 to {MAX_CDS}")
        dollars = row.read("dollar_value", _dollars, "not an amount as 11.77")
        if who is not None and day is not None and cds is not None and dollars is not None:
            before = orders.get((who, day), (0, Decimal(0)))
            orders[who, day] = (before[0] + cds, before[1] + dollars)
    findings.check()
    if not orders:
        raise DataError(f"{file} cannot be imported", [Problem(str(file), "has no purchases", "Give the whole file.")])
    days = [day for _, day in orders]
    return CdnowSummary(
        out=out,
        rows=write_tables(out, {"orders": _table(orders)}),
        lines=lines,
        customers=len({who for who, _ in orders}),
        free_orders=sum(dollars == 0 for _, dollars in orders.values()),
        first=min(days),
        last=max(days),
    )


def _rows(file: Path, findings: Findings) -> list[Row]:
    found: list[Row] = []
    for number, line in enumerate(file_text(file).splitlines(), start=1):
        cells = line.split()
        if not cells or (number == 1 and cells == list(COLUMNS)):
            continue
        if len(cells) != len(COLUMNS):
            findings.add("(line)", f"not {len(COLUMNS)} cells", number, line, "A line is: id, day, CDs, dollars.")
            continue
        found.append(Row(number, dict(zip(COLUMNS, cells, strict=True)), findings))
    return found


def _id(text: str) -> str:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return text


def _day(text: str) -> datetime:
    return datetime.strptime(_id(text), DAY_FORMAT)  # noqa: DTZ007


def _cds(text: str) -> int:
    if int(_id(text)) > MAX_CDS:
        raise ValueError(text)
    return int(text)


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
        if 0 <= amount < MAX_DOLLARS and amount == amount.quantize(Decimal("0.01")):
            return amount
    except InvalidOperation:
        pass
    raise ValueError(text)


def _table(orders: dict[tuple[str, datetime], tuple[int, Decimal]]) -> pa.Table:
    keys = sorted(orders)
    columns = [
        [f"{who}-{day.strftime(DAY_FORMAT)}" for who, day in keys],
        [who for who, _ in keys],
        [day for _, day in keys],
        [orders[key][0] for key in keys],
        [orders[key][1].quantize(Decimal("0.01")) for key in keys],
    ]
    return pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, ORDERS, strict=True)], schema=ORDERS)
