"""Is a table as declared? Checked in the engine; reported bounded, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.config.data import Column, CustomersTable, EventsTable, HistoryTable, Table
from holdfast.errors import MAX_EXAMPLES, DataError, Problem

REQUIRED = {
    "customers": ("customer_id", "start", "start_available_at"),
    "history": ("customer_id", "valid_from", "available_at"),
    "events": ("customer_id", "event_time", "available_at"),
}


@dataclass(frozen=True)
class Raw:
    """A canonical column: its source column (None where derived), what it should be, and its expression."""

    raw: str | None
    type: str
    expression: Any


@dataclass(frozen=True)
class _Check:
    where: str
    what: str
    fix: str
    bad: Any
    example: str


def check_table(
    engine: Engine, typed: Any, name: str, config: Table, columns: Mapping[str, Raw], path: str
) -> dict[str, Any]:
    """Check one table in one pass; ``typed`` holds raw cells as ``r_<column>`` beside the canonical ones.

    Returns
    -------
    dict
        ``rows`` and counts worth noting (events known late, several versions).

    Raises
    ------
    DataError
        Rows are not as declared.
    """
    where = f"table '{name}' ({path})"
    checks = [*_type_checks(typed, columns, where), *_rule_checks(typed, config, columns, where)]
    counts = {f"k{i}": check.bad.fill_null(False).sum() for i, check in enumerate(checks)}
    row = engine.to_arrow(typed.aggregate(rows=typed.count(), **counts)).to_pylist()[0]
    if not row["rows"]:
        raise DataError("a source is empty", [Problem(where, "has no rows", "Check the export.")])
    problems = [
        Problem(
            check.where,
            f"{check.what} in {row[f'k{i}']:,} of {row['rows']:,} rows",
            check.fix,
            row[f"k{i}"],
            _examples(engine, typed, check),
        )
        for i, check in enumerate(checks)
        if row[f"k{i}"]
    ]
    if not problems:
        canonical = typed.select(*columns).distinct()  # exact copies say nothing new
        problems = _key_problems(engine, canonical, config, where)
    if problems:
        raise DataError(f"{where} is not as declared", problems)
    return {"rows": row["rows"]}


def _examples(engine: Engine, typed: Any, check: _Check) -> tuple[object, ...]:
    found = typed.filter(check.bad).select(example=typed[check.example].cast("string")).distinct()
    rows = engine.to_arrow(found.order_by("example").limit(MAX_EXAMPLES)).column("example").to_pylist()
    return tuple(r for r in rows if r is not None)


def _type_checks(typed: Any, columns: Mapping[str, Raw], where: str) -> list[_Check]:
    checks: list[_Check] = []
    for name, column in columns.items():
        if column.raw is None or column.type in ("text", "category"):
            continue
        raw = typed[f"r_{name}"]
        present = raw.cast("string").strip().nullif("").notnull()
        checks.append(
            _Check(
                f"{where} column '{column.raw}'",
                f"cells that are not a {column.type}",
                f"Correct them, or declare the column's real type in data.yaml (now: {column.type}).",
                present & typed[name].isnull(),
                f"r_{name}",
            )
        )
    return checks


def _rule_checks(typed: Any, config: Table, columns: Mapping[str, Raw], where: str) -> list[_Check]:
    checks = [
        _Check(f"{where} column '{columns[c].raw}'", "missing values", "Every row needs one.", typed[c].isnull(), c)
        for c in REQUIRED[config.kind]
        if columns[c].raw  # a derived time is missing where its own is
    ]
    if isinstance(config, CustomersTable):
        checks.append(
            _Check(where, f"'{config.end}' before '{config.start}'", "An end is at or after the start; the examples "
                   "are customer ids.", typed["end"] < typed["start"], "customer_id")
        )  # fmt: skip
    if isinstance(config, HistoryTable) and config.valid_to:
        checks.append(
            _Check(where, f"'{config.valid_to}' before '{config.valid_from}'", "The examples are customer ids.",
                   typed["valid_to"] < typed["valid_from"], "customer_id")
        )  # fmt: skip
    for name, column in config.columns.items():
        checks += _column_checks(typed, f"c_{name}", name, column, where)
    return checks


def _column_checks(typed: Any, canonical: str, name: str, column: Column, where: str) -> list[_Check]:
    at, value, checks = f"{where} column '{name}'", typed[canonical], []
    if not column.nullable:
        checks.append(_Check(at, "missing values", "It is declared nullable: false.", value.isnull(), canonical))
    if column.allowed is not None:
        allowed = [column.stored(word) for word in column.allowed]
        checks.append(
            _Check(at, "values not in allowed", f"Allowed: {', '.join(column.allowed)}.", ~value.isin(allowed),
                   f"r_{canonical}")
        )  # fmt: skip
    for bound, low in ((column.min, True), (column.max, False)):
        if bound is not None and column.type == "number":
            units = Decimal(repr(bound)).scaleb(column.scale)
            limit = int(units.to_integral_value(ROUND_CEILING if low else ROUND_FLOOR))
            bad = value < limit if low else value > limit
            checks.append(
                _Check(at, f"values {'below min' if low else 'above max'} {bound:g}", "", bad, f"r_{canonical}")
            )
    return checks


def _key_problems(engine: Engine, canonical: Any, config: Table, where: str) -> list[Problem]:
    """Duplicate customers, versions of one event available at the same instant, overlapping history."""
    if isinstance(config, CustomersTable):
        return [
            *_repeated(engine, canonical, ["customer_id"], "customer_id", where,
                       f"several rows for one '{config.key}'", "A customers table has one row per customer."),
            *_no_churner(engine, canonical, config, where),
        ]  # fmt: skip
    if isinstance(config, EventsTable):
        if config.id is None:
            return []
        identified = canonical.filter(canonical.event_id.notnull())
        return _repeated(
            engine, identified, ["event_id", "available_at"], "event_id", where,
            f"one '{config.id}' with different content available at the same instant",
            "Which is right? A correction must become available later than what it corrects.",
        )  # fmt: skip
    return [
        *_repeated(engine, canonical, ["customer_id", "valid_from", "available_at"], "customer_id", where,
                   "one version with different content available at the same instant",
                   "A correction must become available later than what it corrects."),
        *_overlapping(engine, canonical, where),
    ]  # fmt: skip


def _repeated(
    engine: Engine, table: Any, keys: list[str], example: str, where: str, what: str, fix: str
) -> list[Problem]:
    repeated = table.group_by(keys).having(table.count() > 1).aggregate(n=table.count())
    row = engine.to_arrow(repeated.aggregate(n=repeated.count())).to_pylist()[0]
    if not row["n"]:
        return []
    examples = engine.to_arrow(
        repeated.select(example=repeated[example]).distinct().order_by("example").limit(MAX_EXAMPLES)
    )
    return [Problem(where, f"{what}: {row['n']:,} times", fix, row["n"], tuple(examples.column("example").to_pylist()))]


def _no_churner(engine: Engine, typed: Any, config: CustomersTable, where: str) -> list[Problem]:
    row = engine.to_arrow(typed.aggregate(ends=typed["end"].count())).to_pylist()[0]
    if row["ends"]:
        return []
    return [
        Problem(
            where, f"no customer ever ends: column '{config.end}' is empty", "Without churners nothing can be learned."
        )
    ]


def _overlapping(engine: Engine, table: Any, where: str) -> list[Problem]:
    """Latest-known versions of a customer that are valid at the same time."""
    latest = table.mutate(
        rank=ibis.row_number().over(
            ibis.window(group_by=["customer_id", "valid_from"], order_by=table["available_at"].desc())
        )
    )
    latest = latest.filter(latest["rank"] == 0)
    following = latest.mutate(
        next_from=latest["valid_from"].lead().over(ibis.window(group_by="customer_id", order_by=latest["valid_from"]))
    )
    bad = following.filter(following["next_from"] < following["valid_to"])
    row = engine.to_arrow(bad.aggregate(n=bad.count())).to_pylist()[0]
    if not row["n"]:
        return []
    examples = engine.to_arrow(bad.select("customer_id").distinct().order_by("customer_id").limit(MAX_EXAMPLES))
    return [
        Problem(where, f"versions of one customer overlap: {row['n']:,} times", "End a version where the next begins.",
                row["n"], tuple(examples.column("customer_id").to_pylist()))
    ]  # fmt: skip
