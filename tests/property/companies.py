"""Little companies made to hurt: ties at the cutoff, late and corrected rows, month ends, gaps and nulls."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from holdfast.artifacts.engine import Engine
from holdfast.audit import oracle_snapshots as oracle
from holdfast.config.data import DataSection
from holdfast.config.features import FeaturesSection

US, SECOND, DAY = timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1)
FIRST_MONTH, LAST_MONTH = 2023 * 12 + 5, 2024 * 12 + 4
"""Cutoffs: over two year ends, a leap day and a clipped February."""
DELAY_DAYS = 3
LONG_DELAY = 40
GRACE_DAYS = 10
CUSTOMERS = 70
EXAMPLES = int(os.environ.get("HOLDFAST_PROPERTY_EXAMPLES", "6"))
"""Companies of `CUSTOMERS` a test generates: 420 customers' histories; 286 companies are 20,000 (`make prove`)."""
KINDS = ("call", "chat", "it's", "")

DATA: dict[str, Any] = {
    "label": {"horizon": "1m"},
    "tables": {
        "customers": {
            "kind": "customers", "path": "customers.parquet", "key": "customer", "start": "start", "end": "end",
            "start_available_at": "start_known", "end_available_at": "end_known", "end_reason": "reason",
            "notice": "notice",
            "columns": {
                "region": {"type": "category", "known_at": "start"},
                "limit": {"type": "number", "scale": 3, "known_at": "start"},
                "vip": {"type": "boolean", "known_at": "start"},
            },
        },
        "plans": {
            "kind": "history", "path": "plans.parquet", "key": "customer", "valid_from": "valid_from",
            "valid_to": "valid_to", "available_at": "known", "closed_available_at": "closed_known",
            "columns": {
                "price": {"type": "number", "scale": 2},
                "contract": {"type": "category"},
                "until": {"type": "time"},
            },
        },
        "Usage-2": {
            "kind": "events", "path": "usage.parquet", "key": "customer", "id": "id", "time": "time",
            "available_at": "known", "deleted": "gone",
            "columns": {
                "minutes": {"type": "number", "scale": 1},
                "kind": {"type": "category"},
                "paid": {"type": "boolean"},
            },
        },
        "usage_2": {
            "kind": "events", "path": "visits.parquet", "key": "customer", "time": "time", "delay": f"{DELAY_DAYS}d",
            "columns": {"spent": {"type": "number", "scale": 2}},
        },
        "parcels": {
            "kind": "events", "path": "parcels.parquet", "key": "customer", "time": "time", "delay": f"{LONG_DELAY}d",
            "columns": {"grams": {"type": "number", "scale": 0}},
        },
        "extras": {
            "kind": "customers", "path": "extras.parquet", "key": "customer",
            "columns": {"town": {"type": "category", "known_at": "start"}},
        },
        "tickets": {
            "kind": "events", "path": "tickets.parquet", "key": "customer", "time": "time",
            "columns": {"severity": {"type": "number", "scale": 0}},
        },
    },
}  # fmt: skip
ALL = [
    "count", "sum", "mean", "std", "min", "max", "first", "last", "n_unique", "trend", "ratio", "recency", "mean_gap",
]  # fmt: skip
WANTED: dict[str, Any] = {
    "windows": ["1m", "3m"],
    "attributes": {"region": "region", "limit": "limit", "customers.vip": "vip", "extras.town": "town"},
    "values": {
        "price": {
            "table": "plans", "column": "price", "label": "price",
            "aggregations": ["value", "changes", "days_since_change"],
        },
        "contract": {
            "table": "plans", "column": "contract", "label": "contract",
            "aggregations": ["value", "changes", "days_since_change"], "windows": ["2m", "40d"],
        },
        "until": {"table": "plans", "column": "until", "label": "until", "aggregations": ["months_until"]},
    },
    "measures": {
        "minutes": {
            "table": "Usage-2", "column": "minutes", "label": "minutes", "windows": ["3m", "12m"], "aggregations": ALL,
        },
        "calls": {
            "table": "Usage-2", "label": "calls", "where": {"kind": ["call", "it's"]}, "windows": ["2m", "6m", "2w"],
            "aggregations": ["count", "share", "trend", "ratio", "recency", "mean_gap"],
        },
        "paid_minutes": {
            "table": "Usage-2", "column": "minutes", "label": "paid", "where": {"paid": ["true"], "kind": ["chat"]},
            "windows": ["4m"], "aggregations": [*ALL, "share"],
        },
        "tenths": {
            "table": "Usage-2", "label": "one and a half", "where": {"minutes": ["1.5", "0"]}, "windows": ["6m"],
            "aggregations": ["count"],
        },
        "paid": {
            "table": "Usage-2", "column": "paid", "label": "paid", "windows": ["3m"],
            "aggregations": ["sum", "mean", "min", "trend"],
        },
        "kinds": {
            "table": "Usage-2", "column": "minutes", "label": "minutes", "by": {"kind": ["call", "chat", " it's"]},
            "windows": ["2m", "45d"], "aggregations": ["share", "mean", "last"],
        },
        "free": {
            "table": "Usage-2", "label": "free", "where": {"paid": ["false"]}, "by": {"kind": ["chat"]},
            "windows": ["3m", "29d"], "aggregations": ["count", "share", "trend", "mean_gap"],
        },
        "variety": {
            "table": "Usage-2", "column": "kind", "label": "kinds", "windows": ["1m", "4m", "10d"],
            "aggregations": ["n_unique"],
        },
        "net": {
            "table": "Usage-2", "expression": "-(minutes - 1.25) * 2 + paid * minutes", "label": "net",
            "windows": ["3m", "30d"], "aggregations": ["sum", "std", "min", "first", "last", "trend", "n_unique"],
        },
        "spent": {
            "table": "usage_2", "column": "spent", "label": "spent", "windows": ["1m", "3m", "20d"],
            "aggregations": ALL,
        },
        "parcels": {
            "table": "parcels", "column": "grams", "label": "grams", "windows": ["1m", "2m", "5m", "45d"],
            "aggregations": ["count", "sum", "min", "first", "last", "n_unique", "trend", "ratio", "recency"],
        },
        "visits": {
            "table": "usage_2", "label": "visits", "windows": ["3m"],
            "aggregations": ["count", "trend", "ratio", "recency"],
        },
        "tickets": {"table": "tickets", "label": "tickets", "aggregations": ["count", "trend", "ratio", "recency"]},
        "severity": {
            "table": "tickets", "column": "severity", "label": "severity", "windows": ["5m"],
            "aggregations": ["mean", "max", "std", "ratio"],
        },
    },
}  # fmt: skip
FEW_WANTED: dict[str, Any] = {
    **WANTED,
    "windows": ["3m"],
    "measures": {
        **{name: WANTED["measures"][name] for name in ("calls", "paid", "visits", "tickets")},
        "parcels": {**WANTED["measures"]["parcels"], "aggregations": ["sum", "min", "last", "trend", "ratio"]},
    },
}
"""Enough of every path for what compares fast with fast."""
TIME, INT, TEXT = pa.timestamp("us"), pa.int64(), pa.string()
STAYS: dict[str, pa.DataType] = {
    "customer_id": TEXT, "subscription_id": TEXT, "start": TIME, "start_available_at": TIME, "end": TIME,
    "end_available_at": TIME, "end_reason": TEXT, "notice": TIME,
}  # fmt: skip
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "customers": {
        **STAYS, "c_region": TEXT, "c_limit": INT, "c_vip": INT,
    },
    "plans": {
        "customer_id": TEXT, "valid_from": TIME, "valid_to": TIME, "available_at": TIME, "closed_available_at": TIME,
        "c_price": INT, "c_contract": TEXT, "c_until": TIME,
    },
    "Usage-2": {
        "customer_id": TEXT, "event_id": TEXT, "event_time": TIME, "available_at": TIME, "deleted": INT,
        "c_minutes": INT, "c_kind": TEXT, "c_paid": INT,
    },
    "usage_2": {
        "customer_id": TEXT, "event_id": TEXT, "event_time": TIME, "available_at": TIME, "deleted": INT,
        "c_spent": INT,
    },
    "parcels": {
        "customer_id": TEXT, "event_id": TEXT, "event_time": TIME, "available_at": TIME, "deleted": INT,
        "c_grams": INT,
    },
    "extras": {"customer_id": TEXT, "c_town": TEXT},
    "tickets": {
        "customer_id": TEXT, "event_id": TEXT, "event_time": TIME, "available_at": TIME, "deleted": INT,
        "c_severity": INT,
    },
}  # fmt: skip
EVENT_TABLES = ("Usage-2", "usage_2", "parcels", "tickets")


def sections() -> tuple[DataSection, FeaturesSection, FeaturesSection]:
    """The tables, all features and a few of them."""
    wanted = (FeaturesSection.model_validate(w) for w in (WANTED, FEW_WANTED))
    return DataSection.model_validate(DATA), *wanted


class Chance(random.Random):
    """Draws that come back to the instants where something turns."""

    anchor = 1

    def maybe(self, p: float) -> bool:
        return self.random() < p

    def instant(self, first: int = FIRST_MONTH - 8, last: int = LAST_MONTH + 2) -> datetime:
        """Often a cutoff, or a hair beside one; sometimes a month end or a leap day; sometimes any microsecond."""
        month = self.randint(first, last)
        roll = self.random()
        if roll < 0.45:
            return oracle.grid(self.anchor, month) + self.choice(
                [0 * US, 0 * US, US, -US, SECOND, -SECOND, DAY, -DAY, -DELAY_DAYS * DAY, -DELAY_DAYS * DAY - US]
            )
        if roll < 0.6:
            return oracle.grid(self.choice([1, 28, 29, 30, 31]), month) + self.choice([0 * US, DAY - US])
        return oracle.grid(1, month) + timedelta(seconds=self.randint(0, 27 * 86400), microseconds=self.choice([0, 7]))

    def later(self, instant: datetime) -> datetime:
        """When something became known: at once, a little later, much later, or before it happened."""
        return instant + self.choice(
            [0 * US, 0 * US, 0 * US, US, DAY, 5 * DAY, 33 * DAY, 100 * DAY, -DAY, -40 * DAY]
        )  # fmt: skip

    def number(self, largest: int) -> int | None:
        return self.choice([None, 0, 15, -7, self.randint(-largest, largest), self.randint(0, largest)])


def company(chance: Chance, size: int, prefix: str = "c") -> dict[str, list[oracle.Row]]:
    """Canonical rows of ``size`` customers; some rows lie after every cutoff, and some belong to nobody."""
    ids = [f"{prefix}{i}" for i in range(size)]
    rows: dict[str, list[oracle.Row]] = {name: [] for name in COLUMNS}
    for customer in ids:
        rows["customers"].append(_customer(chance, customer))
        _versions(chance, customer, rows["plans"])
        for n in range(chance.choice([0, 1, 3, 8, 14])):
            _usage(chance, customer, f"{customer}/{n}", ids, rows["Usage-2"])
        for _ in range(chance.choice([0, 1, 6])):
            time = chance.instant()
            row = _event(customer, time, time + DELAY_DAYS * DAY)
            rows["usage_2"].append({**row, "c_spent": chance.number(10**7)})
        for _ in range(chance.choice([0, 1, 4])):
            time = chance.instant()
            parcel = _event(customer, time, time + LONG_DELAY * DAY)
            rows["parcels"].append({**parcel, "c_grams": chance.choice([None, 1, 1, 250, chance.number(10**4)])})
        if chance.maybe(0.7):
            rows["extras"].append({"customer_id": customer, "c_town": chance.choice(["Ulm", None])})
        for _ in range(chance.choice([0, 2, 6])):
            time = chance.instant()
            ticket = {**_event(customer, time, time), "c_severity": chance.number(4)}
            rows["tickets"] += [ticket] * chance.choice([1, 1, 1, 2])  # without an id, equal rows are two events
    for name in EVENT_TABLES:
        rows[name] = _begun(chance, rows[name])
    return rows


def _begun(chance: Chance, rows: list[oracle.Row]) -> list[oracle.Row]:
    """The rows of a source that begins amid the cutoffs; of what is older some comes long after, as a backlog."""
    since = chance.instant(FIRST_MONTH - 8, FIRST_MONTH + 6)
    late: dict[str, timedelta] = {}
    for row in rows:
        if row["event_time"] < since and row["event_id"] and chance.maybe(0.2):
            late[row["event_id"]] = chance.choice([100, 200, 300]) * DAY
    return [
        {**row, "available_at": row["available_at"] + late.get(row["event_id"], 0 * DAY)}
        for row in rows
        if row["event_time"] >= since or row["event_id"] in late
    ]


def _customer(chance: Chance, customer: str) -> oracle.Row:
    start = chance.instant(FIRST_MONTH - 14, LAST_MONTH - 1)
    end = max(start, chance.instant(FIRST_MONTH - 2)) if chance.maybe(0.6) else None
    return {
        **_stay(chance, customer, None, start, end),
        "c_region": chance.choice(["north", "süd", None]),
        "c_limit": chance.number(10**9),
        "c_vip": chance.choice([0, 1, None]),
    }


def _stay(chance: Chance, customer: str, number: str | None, start: datetime, end: datetime | None) -> oracle.Row:
    news = None if end is None else chance.later(end)
    if end is None and chance.maybe(0.2):
        news = chance.instant()  # the time of some other news: without an end it says nothing
    notice = chance.instant() if chance.maybe(0.15) else None
    if notice is not None and end is not None:
        notice = min(notice, end)
    return {
        "customer_id": customer,
        "subscription_id": number,
        "start": start,
        "start_available_at": max(start, chance.later(start)) if number is None else chance.later(start),
        "end": end,
        "end_available_at": news,
        "end_reason": None if end is None else chance.choice(["moved", "price", None]),
        "notice": notice,
    }


GAPS = (-40 * DAY, -DAY, 0 * US, 0 * US, US, GRACE_DAYS * DAY - US, GRACE_DAYS * DAY, GRACE_DAYS * DAY + US, 70 * DAY)
"""From the end of a stay to the start of the next: overlaps, none, and a hair around the grace."""


def stays(chance: Chance, customer: str) -> list[oracle.Row]:
    """Stays of one customer: overlapping, consecutive, with gaps about as long as the grace, empty, open."""
    found: list[oracle.Row] = []
    start = chance.instant(FIRST_MONTH - 6, LAST_MONTH - 4)
    for n in range(chance.choice([1, 1, 2, 3, 5])):
        length = chance.choice([0 * US, US, 20 * DAY, 31 * DAY, 90 * DAY])
        end: datetime | None = start + length if chance.maybe(0.4) else max(start, chance.instant(FIRST_MONTH - 2))
        if chance.maybe(0.2):
            end = None
        found.append(_stay(chance, customer, f"{customer}/{n}", start, end))
        start = (end or chance.instant(FIRST_MONTH - 2)) + chance.choice(GAPS)
    return chance.sample(found, len(found))


def _event(customer: str, time: datetime, known: datetime) -> oracle.Row:
    return {"customer_id": customer, "event_id": None, "event_time": time, "available_at": known, "deleted": 0}


def _usage(chance: Chance, customer: str, event: str, ids: Sequence[str], rows: list[oracle.Row]) -> None:
    """One event: its versions, each known at its own instant."""
    time = chance.instant()
    known = chance.later(time)
    for version in range(chance.choice([1, 1, 1, 1, 2, 3])):
        rows.append(
            {
                **_event(customer, time, known),
                "event_id": None if version == 0 and chance.maybe(0.05) else event,
                "deleted": int(chance.maybe(0.1 if version == 0 else 0.3)),
                "c_minutes": chance.number(10**6),
                "c_kind": chance.choice([*KINDS[:3], None]),
                "c_paid": chance.choice([0, 1, None]),
            }
        )
        known += abs(chance.later(time) - time) + chance.choice([US, DAY, 30 * DAY])
        if chance.maybe(0.3):
            customer = chance.choice([*ids, "nobody"])
        if chance.maybe(0.3):
            time = chance.instant()


def _versions(chance: Chance, customer: str, rows: list[oracle.Row]) -> None:
    """History versions one after another, with gaps; some late, some corrected, some whose end is known late."""
    starts = sorted({chance.instant(FIRST_MONTH - 12) for _ in range(chance.choice([0, 1, 2, 4]))})
    for i, start in enumerate(starts):
        last = i + 1 == len(starts)
        end: datetime | None = chance.instant() if last else starts[i + 1]
        if end is not None and (end <= start or (last and chance.maybe(0.5))):
            end = None
        elif end is not None and chance.maybe(0.2):
            end = start + (end - start) / 2
        known = chance.later(start)
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            rows.append(
                {
                    "customer_id": customer,
                    "valid_from": start,
                    "valid_to": end,
                    "available_at": known,
                    "closed_available_at": None if end is None or chance.maybe(0.1) else chance.later(end),
                    "c_price": chance.choice([None, 0, 999, 1999, 1999]),
                    "c_contract": chance.choice(["month", "year", None]),
                    "c_until": chance.choice([None, chance.instant(last=LAST_MONTH + 24)]),
                }
            )
            known += chance.choice([US, DAY, 20 * DAY, 60 * DAY])


def arrow(rows: Mapping[str, Sequence[oracle.Row]]) -> dict[str, pa.Table]:
    """The rows as canonical tables."""
    return {
        name: pa.table({c: pa.array([r[c] for r in rows[name]], kind) for c, kind in columns.items()})
        for name, columns in COLUMNS.items()
    }


def load(engine: Engine, rows: Mapping[str, Sequence[oracle.Row]], suffix: str = "") -> dict[str, Any]:
    """The rows as tables of an engine."""
    return {name: engine.from_arrow(t, f"t{i}{suffix}") for i, (name, t) in enumerate(arrow(rows).items())}


def story(rows: Mapping[str, Sequence[oracle.Row]], customer: str) -> str:
    """Everything that was ever said of a customer, for a failure's message."""
    lines: list[str] = []
    events = {r["event_id"] for r in rows["Usage-2"] if r["customer_id"] == customer} - {None}
    for name in COLUMNS:
        for row in rows[name]:
            if row["customer_id"] == customer or row.get("event_id") in events:
                cells = ", ".join(f"{k}={v}" for k, v in row.items() if v is not None)
                lines.append(f"  {name}: {cells}")
    return "\n".join(lines)
