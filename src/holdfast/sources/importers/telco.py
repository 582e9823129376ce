"""IBM's Telco Customer Churn file into customers, plans and invoices.

The file is one extract: one row per customer with the months of tenure, and whether she left *in the last
month*. The past is rebuilt from it and nothing else (DESIGN section 6):

* the extract is dated `EXTRACT`; a start lies ``tenure`` months and one day before it, so that a customer of
  ``tenure`` months has completed exactly that many;
* churners end the day before the extract, so their end lies in the label window of the last cutoff;
* one invoice of one month's price per completed month. The file's TotalCharges holds the final answer (and
  leaks it, DESIGN section 6), so it is checked and never copied;
* everything but the dates is known only as of the extract: end-state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa

from holdfast.clock import Grid, iso, naive
from holdfast.errors import DataError, Problem
from holdfast.sources.importers.strict_csv import Findings, Row, read_rows
from holdfast.sources.importers.writing import write_tables

EXTRACT = datetime(2020, 1, 1, tzinfo=UTC)
"""IBM gives no date. Any first of a month serves; only distances to it matter."""

MAX_TENURE = 1200
MAX_PRICE = Decimal(1_000_000)
_DAY = timedelta(days=1)
_GRID = Grid(EXTRACT.day)

_ATTRIBUTES = {
    "gender": "gender",
    "SeniorCitizen": "senior_citizen",
    "Partner": "partner",
    "Dependents": "dependents",
    "PaperlessBilling": "paperless_billing",
    "PaymentMethod": "payment_method",
}
_PLAN = {
    "Contract": "contract",
    "PhoneService": "phone_service",
    "MultipleLines": "multiple_lines",
    "InternetService": "internet_service",
    "OnlineSecurity": "online_security",
    "OnlineBackup": "online_backup",
    "DeviceProtection": "device_protection",
    "TechSupport": "tech_support",
    "StreamingTV": "streaming_tv",
    "StreamingMovies": "streaming_movies",
}
_TRUTHS = {"SeniorCitizen", "Partner", "Dependents", "PaperlessBilling", "PhoneService"}
COLUMNS = ("customerID", "tenure", *_ATTRIBUTES, *_PLAN, "MonthlyCharges", "TotalCharges", "Churn")

_TIME = pa.timestamp("us")
_MONEY = pa.decimal128(10, 2)


def _schema(names: dict[str, str], *more: tuple[str, pa.DataType]) -> pa.Schema:
    fields = [(name, pa.bool_() if column in _TRUTHS else pa.string()) for column, name in names.items()]
    return pa.schema([("customer_id", pa.string()), *more, *fields])


CUSTOMERS = _schema(_ATTRIBUTES, ("started_at", _TIME), ("ended_at", _TIME))
PLANS = _schema(_PLAN, ("valid_from", _TIME), ("valid_to", _TIME), ("monthly_price", _MONEY))
INVOICES = pa.schema(
    [("invoice_id", pa.string()), ("customer_id", pa.string()), ("issued_at", _TIME), ("amount", _MONEY)]
)


@dataclass(frozen=True)
class TelcoSummary:
    """What an import wrote.

    Attributes
    ----------
    out : the folder that holds a folder of Parquet per table
    extract : the date given to the extract
    rows : rows of each table
    churners : customers who left
    blank_total_charges : rows without TotalCharges (customers of no completed month), which are accepted
    """

    out: Path
    extract: datetime
    rows: dict[str, int]
    churners: int
    blank_total_charges: int

    def facts(self) -> dict[str, Any]:
        """What is worth saying of it."""
        return {
            "extract": iso(self.extract), "churners": self.churners, "blank_total_charges": self.blank_total_charges,
        }  # fmt: skip


@dataclass(frozen=True)
class _Customer:
    id: str
    tenure: int
    price: Decimal
    churned: bool
    blank_total: bool
    values: dict[str, str | bool]

    def after(self, months: int) -> datetime:
        """The day on which so many months since the start are completed."""
        return naive(_GRID.step(EXTRACT, months - self.tenure) - _DAY)


def import_telco(file: Path, out: Path) -> TelcoSummary:
    """Write ``out/customers``, ``out/plans`` and ``out/invoices`` from IBM's Telco CSV, all or nothing.

    Parameters
    ----------
    file : ``Telco-Customer-Churn.csv``, UTF-8
    out : replaced if it holds an earlier import

    Raises
    ------
    DataError
        The file is not as IBM publishes it: columns, types, duplicate customers, or nobody who left.
    UsageError
        ``out`` holds something that is not an import, and would be lost.
    StoreError
        ``out`` cannot be written.
    """
    customers = _read(file)
    tables = {"customers": _customers(customers), "plans": _plans(customers), "invoices": _invoices(customers)}
    rows = write_tables(out, tables)
    return TelcoSummary(
        out=out,
        extract=EXTRACT,
        rows=rows,
        churners=sum(c.churned for c in customers),
        blank_total_charges=sum(c.blank_total for c in customers),
    )


def _read(file: Path) -> list[_Customer]:
    findings = Findings(file)
    seen: dict[str, int] = {}
    customers: list[_Customer] = []
    for row in read_rows(file, COLUMNS, findings):
        customer = _customer(row)
        first = seen.setdefault(row.cells["customerID"].strip(), row.line)
        if first != row.line:
            findings.add("customerID", "ids given twice", row.line, row.cells["customerID"], "Keep one row of each.")
        if customer is not None:
            customers.append(customer)
    findings.check()
    if not customers:
        raise DataError(
            f"{file} cannot be imported", [Problem(str(file), "has a header and no rows", "Give the rows.")]
        )
    if not any(c.churned for c in customers):
        fix = "A model needs some who left: give the whole file."
        raise DataError(f"{file} cannot be imported", [Problem("column 'Churn'", "nobody left: no row is 'Yes'", fix)])
    return sorted(customers, key=lambda c: c.id)


def _customer(row: Row) -> _Customer | None:
    id_ = row.read("customerID", _text, "blank ids")
    tenure = row.read("tenure", _months, f"not whole months from 0 to {MAX_TENURE}")
    price = row.read("MonthlyCharges", _money, "not an amount of money", "Write it as 29.85.")
    churned = row.read("Churn", _truth, "neither Yes nor No")
    values = {
        name: row.read(column, _truth, "neither Yes nor No")
        if column in _TRUTHS
        else row.read(column, _text, "blank values")
        for column, name in (_ATTRIBUTES | _PLAN).items()
    }
    blank = not row.cells["TotalCharges"].strip()
    if not blank:
        row.read("TotalCharges", _money, "not an amount of money")
    elif tenure:
        row.findings.add("TotalCharges", "blank after a completed month", row.line, tenure, "The number is the tenure.")
    known = {name: value for name, value in values.items() if value is not None}
    if id_ is None or tenure is None or price is None or churned is None or len(known) < len(values):
        return None
    return _Customer(id_, tenure, price, churned, blank, known)


def _text(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _months(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_TENURE)) and int(text) <= MAX_TENURE):
        raise ValueError(text)
    return int(text)


def _money(text: str) -> Decimal:
    try:
        amount = Decimal(text)
        if 0 <= amount < MAX_PRICE and amount == amount.quantize(Decimal("0.01")):
            return amount.quantize(Decimal("0.01"))
    except InvalidOperation:
        pass
    raise ValueError(text)


def _truth(text: str) -> bool:
    try:
        return {"Yes": True, "No": False, "1": True, "0": False}[text]
    except KeyError:
        raise ValueError(text) from None


def _customers(customers: list[_Customer]) -> pa.Table:
    left = naive(EXTRACT - _DAY)
    rows = [
        {"customer_id": c.id, "started_at": c.after(0), "ended_at": left if c.churned else None, **c.values}
        for c in customers
    ]
    return pa.Table.from_pylist(rows, schema=CUSTOMERS)


def _plans(customers: list[_Customer]) -> pa.Table:
    rows = [
        {"customer_id": c.id, "valid_from": c.after(0), "valid_to": None, "monthly_price": c.price, **c.values}
        for c in customers
    ]
    return pa.Table.from_pylist(rows, schema=PLANS)


def _invoices(customers: list[_Customer]) -> pa.Table:
    # Columns, not rows: there are 32 invoices to a customer.
    billed = [(c, k) for c in customers for k in range(1, c.tenure + 1)]
    columns = [
        [f"{c.id}-{k:04d}" for c, k in billed],
        [c.id for c, _ in billed],
        [c.after(k) for c, k in billed],
        [c.price for c, _ in billed],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, INVOICES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=INVOICES)
