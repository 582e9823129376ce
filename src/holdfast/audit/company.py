"""The customers as the suspicions see them: when they came and left, what was first known of them, and their totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.versions import instant, known_rows, with_superseded
from holdfast.audit.ends import Ends
from holdfast.audit.subject import Subject, moment, times
from holdfast.config.data import Column, CustomersTable, EventsTable, HistoryTable
from holdfast.evaluation.arrays import BoolArray, FloatArray, IntArray

DAY = np.timedelta64(1, "D")
NEAR_START = 31 * DAY
"""A history version that begins so soon after the start stands for what was known at the start."""
MOST_LEVELS = 12

Totals = dict[str, tuple[FloatArray, FloatArray]]
"""Totals with the number of rows behind each."""


@dataclass(frozen=True)
class StartColumn:
    """A column's value as it is known at the customer's start, (n,) by customer of the `Company`.

    Attributes
    ----------
    where : ``table.column``
    codes : levels (-1: no row of it), for numbers of many values their quarter
    number : the cell, NaN for null; None where it is no number
    declared : said to be end-state
    """

    name: str
    where: str
    codes: IntArray
    levels: Sequence[Any]
    number: FloatArray | None
    declared: bool


@dataclass(frozen=True)
class Company:
    """The customers, (n,) each: when they started, whether and when they have left by known_as_of, first columns."""

    ids: Sequence[str]
    start: npt.NDArray[Any]
    left: BoolArray
    until: npt.NDArray[Any]
    columns: Sequence[StartColumn]
    totals: Totals
    first_events: Sequence[StartColumn] = ()
    """Columns of events, each customer's cell of the first row."""


def company_of(subject: Subject, ends: Ends) -> Company:
    """Read the customers, what was known of them first, and their totals (with counts) by known_as_of."""
    ids, start, left, until = _customers(subject, ends)
    place = pa.array(ids, pa.string())
    columns: list[StartColumn] = []
    events: list[StartColumn] = []
    totals: Totals = {}
    months = np.maximum((until - start) / DAY / 30.4375, 0.0)
    totals["tenure"] = (months, months)
    for name, config in subject.config.data.tables.items():
        if isinstance(config, CustomersTable):
            columns += _attributes(subject, name, config, place)
        elif isinstance(config, HistoryTable):
            columns += _first_versions(subject, name, config, place, start)
        else:
            totals |= _totals(subject, name, config, place)
            events += _first_rows(subject, name, config, place)
    return Company(ids, start, left, until, columns, totals, events)


def _customers(subject: Subject, ends: Ends) -> tuple[list[str], npt.NDArray[Any], BoolArray, npt.NDArray[Any]]:
    data = subject.config.data
    now = moment(subject.known_as_of)
    if ends.churned:
        assert data.stays is not None  # contractual churn has one
        stays = subject.tables[data.stays[0]]
        known = stays.filter(stays.start_available_at < instant(subject.known_as_of))
        ended = known.end.notnull() & (known.end_available_at < instant(subject.known_as_of))
        table = subject.engine.to_arrow(
            known.group_by("customer_id").aggregate(
                start=known.start.min(), last=known.end.max(where=ended), open=(~ended).fill_null(True).sum()
            )
        )
        left = np.array([n == 0 for n in table.column("open").to_pylist()], dtype=bool)
        until = np.where(left, times(table.column("last")), now)
        return table.column("customer_id").to_pylist(), times(table.column("start")), left, until
    codes, names = _codes(ends.customer)
    first = np.full(len(names), np.datetime64("2262-01-01"), "datetime64[us]")
    last = np.zeros(len(names), "datetime64[us]")
    np.minimum.at(first, codes, ends.all)
    np.maximum.at(last, codes, ends.all)
    left = now - last > np.timedelta64(data.label.window.days, "D")
    return names, first, left, np.where(left, last, now)


def _codes(ids: pa.Array) -> tuple[IntArray, list[str]]:
    coded = ids.dictionary_encode()
    return np.asarray(coded.indices.to_numpy(zero_copy_only=False), dtype=np.int64), coded.dictionary.to_pylist()


def _attributes(subject: Subject, name: str, config: CustomersTable, place: pa.Array) -> list[StartColumn]:
    wanted = [c for c, declared in config.columns.items() if declared.type != "time"]
    if not wanted:
        return []
    table = subject.engine.to_arrow(subject.tables[name].select("customer_id", *(f"c_{c}" for c in wanted)))
    rows = rows_of(place, table.column("customer_id"))
    found: list[StartColumn] = []
    for c in wanted:
        declared = config.columns[c]
        cells = table.column(f"c_{c}")
        found.append(_column(c, f"{name}.{c}", cells, rows, declared, declared.known_at == "extract"))
    return found


def _first_versions(
    subject: Subject, name: str, config: HistoryTable, place: pa.Array, start: npt.NDArray[Any]
) -> list[StartColumn]:
    """The first version of each customer, where it began with the customer."""
    wanted = [c for c, declared in config.columns.items() if declared.type != "time"]
    t = subject.tables[name]
    cells = [f"c_{c}" for c in wanted]
    table = subject.engine.to_arrow(t.select("customer_id", "valid_from", "available_at", *cells))
    at = pc.index_in(table.column("customer_id"), place).fill_null(-1).to_numpy(zero_copy_only=False).astype(int)
    begun = times(table.column("valid_from"))
    order = np.lexsort((times(table.column("available_at")), begun, at))
    order = order[at[order] >= 0]
    first = np.append(True, np.diff(at[order]) != 0) if len(order) else np.zeros(0, bool)
    chosen = order[first]
    chosen = chosen[begun[chosen] <= start[at[chosen]] + NEAR_START]
    rows = np.full(len(place), -1)
    rows[at[chosen]] = chosen
    return [
        _column(c, f"{name}.{c}", table.column(f"c_{c}"), rows, config.columns[c], config.end_state) for c in wanted
    ]


def _first_rows(subject: Subject, name: str, config: EventsTable, place: pa.Array) -> list[StartColumn]:
    """The first row of each customer, as it was known in the end."""
    wanted = [c for c, declared in config.columns.items() if declared.type != "time"]
    if not wanted:
        return []
    t = _final(subject, name, config)
    begun = t.group_by("customer_id").aggregate(event_time=t.event_time.min())
    t = t.semi_join(begun, ["customer_id", "event_time"])
    cells = [f"c_{c}" for c in wanted]
    order = [t.available_at, t.event_id, *(t[c] for c in cells)]  # any order that does not depend on the engine's
    first = t.mutate(first=ibis.row_number().over(ibis.window(group_by="customer_id", order_by=order)) == 0)
    table = subject.engine.to_arrow(first.filter(first["first"]).select("customer_id", *cells))
    rows = rows_of(place, table.column("customer_id"))
    return [
        _column(c, f"{name}.{c}", table.column(f"c_{c}"), rows, config.columns[c], config.end_state) for c in wanted
    ]


def _final(subject: Subject, name: str, config: EventsTable) -> Any:
    """The rows of events known by known_as_of, of each its last version."""
    t = known_rows(subject.tables[name], subject.known_as_of)
    if config.id is None:
        return t
    t = with_superseded(t, ["event_id"])
    return t.filter(t.superseded_at.isnull() & (t.deleted == 0))


def rows_of(place: pa.Array, ids: pa.ChunkedArray) -> IntArray:
    """Of each customer the row number in ``ids``, or -1."""
    found = pc.index_in(place, ids.combine_chunks()).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)


def _column(
    name: str, where: str, cells: pa.ChunkedArray, rows: IntArray, config: Column, declared: bool
) -> StartColumn:
    taken = cells.take(pa.array(np.maximum(rows, 0))) if len(cells) else pa.nulls(len(rows))
    number: FloatArray | None = None
    if config.type in ("number", "boolean"):
        number = np.asarray(taken.to_numpy(zero_copy_only=False), dtype=float)
        number = np.where(rows >= 0, number, np.nan) / (10**config.scale if config.type == "number" else 1)
        values = np.unique(number[~np.isnan(number)])
        if len(values) <= MOST_LEVELS:
            codes, levels = np.searchsorted(values, number), values.tolist()
        else:
            edges = np.unique(np.quantile(number[~np.isnan(number)], [0.25, 0.5, 0.75]))
            codes = np.searchsorted(edges, number, side="right")
            levels = [f"quarter {i + 1}" for i in range(len(edges) + 1)]
        codes = np.where(np.isnan(number), len(levels), codes)
    else:
        words = np.array([str(v) if v is not None else "" for v in taken.to_pylist()], dtype=object)
        null = np.array([v is None for v in taken.to_pylist()])
        common, counts = np.unique(words[~null].astype(str), return_counts=True)
        levels = common[np.argsort(-counts)][:MOST_LEVELS].tolist()
        index = {level: i for i, level in enumerate(levels)}
        codes = np.array([index.get(w, len(levels) + 1) for w in words])
        codes[null] = len(levels)
    codes = np.where(rows >= 0, codes, -1).astype(np.int64)
    return StartColumn(name, where, codes, [*levels, None, "(others)"], number, declared)


def _totals(subject: Subject, name: str, config: EventsTable, place: pa.Array) -> Totals:
    """Rows and sums of number columns of each customer, by known_as_of."""
    t = _final(subject, name, config)
    sums = {c: t[f"c_{c}"].sum() for c, declared in config.columns.items() if declared.type == "number"}
    table = subject.engine.to_arrow(
        t.group_by("customer_id").aggregate(n=t.count(), **{f"s_{c}": s.cast("float64") for c, s in sums.items()})
    )
    rows = rows_of(place, table.column("customer_id"))

    def taken(column: str) -> FloatArray:
        cells = np.asarray(table.column(column).to_numpy(zero_copy_only=False), dtype=float)
        return np.where(rows >= 0, cells[np.maximum(rows, 0)] if len(cells) else 0.0, 0.0)

    n = taken("n")
    found = {f"rows of {name}": (n, n)}
    for c in sums:
        found[f"{name}.{c} in all"] = (taken(f"s_{c}") / 10 ** config.columns[c].scale, n)
    return found
