"""The tables' Arrow schemas, and the arrays of the simulator as Arrow tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.simulate.arrays import NO_CODE, NULL, Columns, Ints
from holdfast.simulate.billing import STATUSES
from holdfast.simulate.sections import EVENT_TABLES, Params
from holdfast.simulate.treatments import ARMS

_TIME, _TEXT, _MEASURE, _COUNT, _FLAG = pa.timestamp("us"), pa.string(), pa.float64(), pa.int32(), pa.bool_()
REASONS = ("voluntary", "involuntary")


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


SCHEMAS: dict[str, pa.Schema] = {
    "customers": _schema(
        customer_id=_TEXT, signup_at=_TIME, signup_known_at=_TIME, ended_at=_TIME, end_known_at=_TIME,
        end_reason=_TEXT, region=_TEXT, age_band=_TEXT, signup_channel=_TEXT, autopay=_FLAG, paperless=_FLAG,
    ),
    "plans": _schema(
        plan_row_id=_TEXT, customer_id=_TEXT, valid_from=_TIME, valid_to=_TIME, available_at=_TIME,
        closed_known_at=_TIME, contract=_TEXT, contract_end=_TIME, monthly_price=_MEASURE, internet=_TEXT,
        addons=_COUNT, streaming=_FLAG,
    ),
    "usage": _schema(
        usage_id=_TEXT, customer_id=_TEXT, used_at=_TIME, available_at=_TIME, minutes=_MEASURE,
        data_gb=_MEASURE, calls=_COUNT,
    ),
    "invoices": _schema(
        invoice_id=_TEXT, customer_id=_TEXT, issued_at=_TIME, available_at=_TIME, amount=_MEASURE,
        late_fee=_MEASURE,
    ),
    "payments": _schema(
        payment_id=_TEXT, invoice_id=_TEXT, customer_id=_TEXT, paid_at=_TIME, available_at=_TIME,
        amount=_MEASURE, status=_TEXT, days_late=_COUNT,
    ),
    "tickets": _schema(
        ticket_id=_TEXT, customer_id=_TEXT, opened_at=_TIME, available_at=_TIME, category=_TEXT,
        severity=_COUNT,
    ),
    "nps": _schema(
        response_id=_TEXT, customer_id=_TEXT, answered_at=_TIME, available_at=_TIME, score=_COUNT
    ),
    "treatments": _schema(
        treatment_id=_TEXT, customer_id=_TEXT, assigned_at=_TIME, available_at=_TIME, offer=_TEXT, arm=_TEXT,
        propensity=_MEASURE, cost=_MEASURE,
    ),
}  # fmt: skip

TRUTH_SCHEMAS: dict[str, pa.Schema] = {
    "hazard": _schema(customer_id=_TEXT, month_start=_TIME, hazard=_MEASURE),
    "effects": _schema(customer_id=_TEXT, offer=_TEXT, effect=_MEASURE, frailty=_MEASURE),
}

EVENT_TIMES = dict(
    zip(
        EVENT_TABLES,
        ("used_at", "issued_at", "paid_at", "opened_at", "answered_at", "assigned_at"),
        strict=True,
    )
)
"""When the event of a row of each event table happened."""

_ID_LETTERS = {
    "plan_row_id": "P",
    "usage_id": "U",
    "invoice_id": "I",
    "payment_id": "Y",
    "ticket_id": "T",
    "response_id": "N",
    "treatment_id": "R",
}
CUSTOMER_DIGITS, SERIAL_DIGITS = 7, 4


def vocabularies(params: Params) -> dict[str, tuple[str, ...]]:
    """The words behind the codes of each categorical column."""
    return {
        "end_reason": REASONS,
        "region": params.customers.regions.names,
        "age_band": params.customers.age_bands.names,
        "signup_channel": params.customers.channels.names,
        "contract": params.plans.contracts_new.names,
        "internet": params.plans.internet.names,
        "status": STATUSES,
        "category": params.categories,
        "offer": tuple(params.treatments.offers),
        "arm": ARMS,
    }


def ids(letter: str, *parts: tuple[Ints, int]) -> pa.Array:
    """Ids as strings: a letter, then numbers of fixed width joined by dashes.

    Built as one block of bytes: a million Python strings would cost more than all their rows.

    >>> ids("U", (np.array([7, 8]), 3), (np.array([1, 12]), 2)).to_pylist()
    ['U007-01', 'U008-12']
    """
    n = len(parts[0][0])
    width = 1 + sum(digits for _, digits in parts) + len(parts) - 1
    text = np.full((n, width), ord("-"), dtype=np.uint8)
    text[:, 0] = ord(letter)
    place = 1
    for numbers, digits in parts:
        rest = numbers.astype(np.uint32)
        for offset in range(digits - 1, -1, -1):
            rest, digit = np.divmod(rest, np.uint32(10))
            text[:, place + offset] = digit + ord("0")
        place += digits + 1
    offsets = np.arange(n + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(text))


def encode(schema: pa.Schema, columns: Columns, words: dict[str, tuple[str, ...]]) -> pa.Table:
    """The arrays of one table as Arrow, in the schema's order and types."""
    arrays = [_encode(field, columns, words) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _encode(field: pa.Field, columns: Columns, words: dict[str, tuple[str, ...]]) -> pa.Array:
    if field.name == "customer_id":
        return ids("C", (columns["customer"], CUSTOMER_DIGITS))
    if field.name in _ID_LETTERS:
        parts = (columns["customer"], CUSTOMER_DIGITS), (columns["serial"], SERIAL_DIGITS)
        return ids(_ID_LETTERS[field.name], *parts)
    values: NDArray[Any] = columns[field.name]
    if field.name in words:
        codes = pa.array(values, mask=values == NO_CODE)
        return pa.array(words[field.name], pa.string()).take(codes)
    if field.type == _TIME:
        return pa.array(values, mask=values == NULL).cast(pa.timestamp("s")).cast(_TIME)
    if field.type == _MEASURE:
        return pa.array(values, mask=np.isnan(values))
    if field.type == _COUNT:
        missing = values == NULL
        return pa.array(np.where(missing, 0, values).astype(np.int32), mask=missing)
    return pa.array(values)
