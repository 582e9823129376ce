"""Guessing what undeclared tables are, from the names and types of their columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from holdfast.errors import UsageError
from holdfast.sources.inspection import SeenColumn, SeenTable

KEYS = (
    "customer_id", "customerid", "customer", "client_id", "account_id", "subscriber_id", "member_id", "user_id",
    "userid", "cust_id", "id",
)  # fmt: skip
STARTS = (
    "started_at", "start", "start_date", "signed_up_at", "signup_date", "signup_at", "joined_at", "join_date",
    "registered_at", "activated_at", "created_at", "opened_at", "since",
)  # fmt: skip
ENDS = (
    "ended_at", "end", "end_date", "churned_at", "churn_date", "cancelled_at", "canceled_at", "cancellation_date",
    "left_at", "closed_at", "terminated_at", "deactivated_at",
)  # fmt: skip
VALID_FROM = ("valid_from", "effective_from", "from_date", "effective_date")
VALID_TO = ("valid_to", "effective_to", "to_date", "expiry_date")
TIMES = (
    "occurred_at", "event_time", "timestamp", "time", "issued_at", "at", "date", "day", "created_at", "opened_at",
    "purchased_at", "ordered_at", "assigned_at", "started_at",
)  # fmt: skip
AVAILABLE = ("available_at", "loaded_at", "ingested_at", "recorded_at", "inserted_at", "known_at", "arrived_at")
DELETED = ("deleted", "is_deleted", "tombstone")
MONEY = ("price", "fee", "mrr", "revenue", "charge", "amount", "spend", "payment", "paid", "value", "total")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ID = re.compile(r"(^|.*_)(id|uuid|key)$", re.IGNORECASE)

_LEAK = re.compile(r"churn|cancel|reason|status|active|^left|^end|terminat", re.IGNORECASE)
"""Columns of a customers table that are written when a customer leaves: they are the label by another name."""


@dataclass(frozen=True)
class Guess:
    """A table and what its columns seem to be: ``roles`` maps a key of its declaration to a column.

    Attributes
    ----------
    table, kind, roles : what it is, and which column plays which part
    columns : to declare
    left_out : ids, and columns of types that cannot be used
    leaks : columns that seem to tell who left
    """

    table: SeenTable
    kind: Literal["customers", "history", "events"]
    roles: dict[str, str]
    columns: tuple[SeenColumn, ...]
    left_out: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()

    @property
    def treatments(self) -> dict[str, str] | None:
        """The offer, arm and propensity columns, if this is a table of randomised treatments."""
        found = {word: self.table.named((word,)) for word in ("offer", "arm", "propensity")}
        names = {word: column.name for word, column in found.items() if column is not None}
        return names if self.kind == "events" and len(names) == len(found) else None


def guess_all(tables: Sequence[SeenTable]) -> list[Guess]:
    """What each table is; exactly one of them the customers.

    Raises
    ------
    UsageError
        A name is not usable, no table looks like customers, or a table has no customer's id or no time.
    """
    for table in tables:
        if not _NAME.fullmatch(table.name):
            raise UsageError(
                f"{table.name!r} cannot name a table", fix="Use small letters, digits and _: it becomes part of names."
            )
    found = [guess for table in tables if (guess := _as_customers(table)) is not None]
    if not found:
        raise UsageError("no table looks like customers: " + "; ".join(map(_not_customers, tables)), fix=_LOOKED_FOR)
    # Tables are asked in the order given; one that is called customers goes before any other.
    customers = next((g for g in found if g.table.name == "customers"), found[0])
    key = customers.roles["key"]
    return [customers, *(_as_other(table, key) for table in tables if table is not customers.table)]


_LOOKED_FOR = (
    "A customers table has one row per customer: an id column ("
    f"{', '.join(KEYS[:4])}, …), a time called {', '.join(STARTS[:3])}, … and a time called {', '.join(ENDS[:3])}, … "
    "(null while still a customer). Rename the columns, or write data.yaml by hand"
)


def _not_customers(table: SeenTable) -> str:
    key = table.named(KEYS)
    if key is None:
        return f"{table.name} has no id column"
    if key.distinct != table.rows:
        return f"{table.name} has more rows than different values of {key.name}"
    missing = [word for word, names in (("start", STARTS), ("end", ENDS)) if table.named(names, "time") is None]
    return f"{table.name} has no time column for the {' or the '.join(missing)}"


def _as_customers(table: SeenTable) -> Guess | None:
    key, start, end = table.named(KEYS), table.named(STARTS, "time"), table.named(ENDS, "time")
    if key is None or start is None or end is None or key.distinct != table.rows:
        return None
    roles = {"key": key.name, "start": start.name, "end": end.name}
    for role, prefix in (("start_available_at", start.name), ("end_available_at", end.name)):
        column = table.named((f"{prefix.lower()}_available_at", role), "time")
        if column is not None:
            roles[role] = column.name
    return _guess(table, "customers", roles)


def _as_other(table: SeenTable, key: str) -> Guess:
    column = table.named((key.lower(), *KEYS))
    if column is None:
        raise UsageError(
            f"the table {table.name} has no column with the customer's id; looked for {key}, {', '.join(KEYS[:4])}, …",
            fix=f"Rename its column to {key}.",
        )
    available = table.named(AVAILABLE, "time")
    valid_from = table.named(VALID_FROM, "time")
    roles = {"key": column.name}
    if valid_from is not None:
        roles["valid_from"] = valid_from.name
        valid_to = table.named(VALID_TO, "time")
        if valid_to is not None:
            roles["valid_to"] = valid_to.name
    else:
        times = [c for c in table.columns if c.type == "time" and c is not available]
        time = table.named(TIMES, "time") or (times[0] if times else None)
        if time is None:
            raise UsageError(
                f"the table {table.name} has no time column; looked for {', '.join(TIMES[:4])}, …",
                fix="A table of events needs the time of each: store it as a date or timestamp.",
            )
        roles |= {"time": time.name} | _event_id(table, column, available)
    if available is not None:
        roles["available_at"] = available.name
    return _guess(table, "history" if valid_from is not None else "events", roles)


def _event_id(table: SeenTable, key: SeenColumn, available: SeenColumn | None) -> dict[str, str]:
    singular = table.name.removesuffix("s")
    found = table.named((f"{singular}_id", f"{table.name}_id", "event_id", "id"))
    # Rows that share an id are versions, told apart by when they became available: without that it is no id.
    if found is None or found is key or (found.distinct != table.rows and available is None):
        return {}
    deleted = table.named(DELETED, "boolean")
    return {"id": found.name} | ({"deleted": deleted.name} if deleted else {})


def _guess(table: SeenTable, kind: Literal["customers", "history", "events"], roles: dict[str, str]) -> Guess:
    rest = [c for c in table.columns if c.name not in roles.values()]
    leaks = [c for c in rest if kind == "customers" and _LEAK.search(c.name)]
    declared = [c for c in rest if c.type is not None and not _ID.fullmatch(c.name) and c not in leaks]
    left_out = [c.name for c in rest if c not in declared and c not in leaks]
    return Guess(table, kind, roles, tuple(declared), tuple(left_out), tuple(c.name for c in leaks))
