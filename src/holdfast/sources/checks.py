"""What may be wrong with single rows, as expressions over a parsed table (`holdfast.sources.canonical.parsed`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from holdfast.artifacts.versions import instant
from holdfast.clock import utc
from holdfast.config.base import FIRST_YEAR
from holdfast.config.data import CheckName, Column, CustomersTable, EventsTable, HistoryTable, OnViolation, Table
from holdfast.sources.canonical import Canonical, present

TOMORROW = timedelta(days=1)
"""Days begin up to half a day before they do in UTC, and clocks differ."""


@dataclass(frozen=True)
class RowCheck:
    """One thing that may be wrong with a row.

    Attributes
    ----------
    check, action : its name, and what to do about it
    source : the source's column that it is about; None: about the row
    what, fix : in words
    bad : true where it is violated; null is fine
    example : the column of the parsed table to show
    leaves_out : whether violating rows are left out (unless the table is refused)
    """

    check: CheckName
    action: OnViolation
    source: str | None
    what: str
    fix: str
    bad: Any
    example: str
    leaves_out: bool


def row_checks(table: Any, config: Table, columns: Mapping[str, Canonical], *, now: datetime) -> list[RowCheck]:
    """All checks of the rows by themselves; ``table`` is parsed, ``now`` the wall clock."""
    checks: list[RowCheck] = []
    for name, column in columns.items():
        if column.source is not None:
            checks += _type_checks(table, config, name, column)
            checks += _missing_checks(table, config, name, column)
    for name, declared in config.columns.items():
        checks += _value_checks(table, config, name, declared)
    return [*checks, *_order_checks(table, config), *_past_checks(table, config), *_future_checks(table, config, now)]


def _check(config: Table, check: CheckName, source: str | None, what: str, fix: str, bad: Any, example: str,
           *, keepable: bool = True, row_stays: bool = False) -> RowCheck:  # fmt: skip
    action = config.on_violation(check, source)
    leaves_out = not row_stays and (action == "drop" or not keepable)
    return RowCheck(check, action, source, what, fix, bad, example, leaves_out)


def _type_checks(table: Any, config: Table, name: str, column: Canonical) -> list[RowCheck]:
    raw = table[f"r_{name}"]
    is_time = raw.type().is_timestamp() or raw.type().is_date()
    if column.type in ("text", "category") or (column.type == "time" and is_time):
        return []
    fix = f"Correct them, or declare the column's real type in data.yaml (now: {column.type})."
    if column.type == "time":
        fix = "Write them as 2024-03-01 or 2024-03-01 09:30:00+01:00: year, month, day, and a clock of 24 hours."
    assert column.source is not None
    nullable = column.declared and config.columns[column.source].nullable
    bad = present(raw) & table[name].isnull()
    return [_check(config, "type", column.source, f"cells that are not a {column.type}", fix, bad, f"r_{name}",
                   keepable=column.declared, row_stays=nullable)]  # fmt: skip


def _missing_checks(table: Any, config: Table, name: str, column: Canonical) -> list[RowCheck]:
    assert column.source is not None
    blank = table[name].isnull()
    if column.type not in ("text", "category"):
        blank = blank & ~present(table[f"r_{name}"])
    if column.needed:
        return [_check(config, "missing", column.source, "missing values", "Every row needs one.", blank, name,
                       keepable=False)]  # fmt: skip
    if column.instead is not None:
        role = "end" if column.instead == "end" else "valid_to"
        fix = "Say when the business knew, or write checks: {missing: warn}: known when it happened."
        return [_check(config, "missing", column.source, f"missing values beside a known '{getattr(config, role)}'",
                       fix, blank & table[column.instead].notnull(), "customer_id")]  # fmt: skip
    if column.declared and not config.columns[column.source].nullable:
        fix = "It is declared nullable: false."
        return [_check(config, "missing", column.source, "missing values", fix, blank, name)]
    return []


def _value_checks(table: Any, config: Table, name: str, column: Column) -> list[RowCheck]:
    checks, value, cell = [], table[f"c_{name}"], f"r_c_{name}"
    if column.allowed is not None:
        allowed = [column.stored(word) for word in column.allowed]
        checks.append(_check(config, "allowed", name, "values not in allowed",
                             f"Allowed: {', '.join(column.allowed)}.", ~value.isin(allowed), cell))  # fmt: skip
    for bound, low in ((column.min, True), (column.max, False)):
        if bound is not None:
            units = Decimal(repr(bound)).scaleb(column.scale)
            limit = int(units.to_integral_value(ROUND_CEILING if low else ROUND_FLOOR))
            bad = value < limit if low else value > limit
            what = f"values {'below min' if low else 'above max'} {bound:g}"
            checks.append(_check(config, "range", name, what, "", bad, cell))
    return checks


def _order_checks(table: Any, config: Table) -> list[RowCheck]:
    if isinstance(config, CustomersTable) and config.start is not None:
        fix = "An end is at or after the start; the examples are customer ids."
        return [_check(config, "order", None, f"'{config.end}' before '{config.start}'", fix, table.end < table.start,
                       "customer_id")]  # fmt: skip
    if isinstance(config, HistoryTable) and config.valid_to is not None:
        return [_check(config, "order", None, f"'{config.valid_to}' before '{config.valid_from}'",
                       "The examples are customer ids.", table.valid_to < table.valid_from, "customer_id")]  # fmt: skip
    return []


def _past_checks(table: Any, config: Table) -> list[RowCheck]:
    """Where data begin is told by the events. A start or a version may be as old as it likes."""
    if not isinstance(config, EventsTable):
        return []
    bad = table.event_time < instant(utc(date(FIRST_YEAR, 1, 1)))
    return [_check(config, "range", config.time, f"times before the year {FIRST_YEAR}", "Correct the export.", bad,
                   "event_time", keepable=False)]  # fmt: skip


def _future_checks(table: Any, config: Table, now: datetime) -> list[RowCheck]:
    found = happens(config)
    if found is None:
        return []
    name, source = found
    fix = "Correct the clock or the export; if they are plans, write checks: {future: warn} and set known_as_of."
    bad = table[name] > instant(now + TOMORROW)
    return [_check(config, "future", source, "times later than tomorrow", fix, bad, name)]


def happens(config: Table) -> tuple[str, str] | None:
    """The canonical and the source's column of when a row happens; None of a table without times."""
    if isinstance(config, EventsTable):
        return "event_time", config.time
    if isinstance(config, HistoryTable):
        return "valid_from", config.valid_from
    return None if config.start is None else ("start", config.start)


def customer_checks(table: Any, config: Table, stays: str) -> list[RowCheck]:
    """Checks against the customers; ``table`` is from `holdfast.sources.customers.beside`."""
    stranger = table.customer_id.notnull() & table.s_customer.isnull()
    checks = [_check(config, "foreign_key", config.key, f"customers that table '{stays}' does not have",
                     "Export the tables together; no snapshot is made of such customers.", stranger,
                     "customer_id")]  # fmt: skip
    if isinstance(config, EventsTable):
        outside = (table.event_time < table.s_first) | (table.event_time > table.s_last)
        checks.append(_check(config, "outside", config.time, "events before their customer's start or after their end",
                             "The examples are customer ids.", outside, "customer_id"))  # fmt: skip
    return checks
