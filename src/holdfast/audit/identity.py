"""(e) Features that say who somebody is, what day it is, or how long a customer still has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.schema import FeatureSpec
from holdfast.audit.ends import Ends
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Outcome
from holdfast.audit.subject import Subject, times
from holdfast.audit.suspicion import judged_features, spearman
from holdfast.evaluation.arrays import FloatArray

CHECK = "suspicion"
COUNTS_DOWN = 0.98
SECONDS = (9.4e8, 2.3e9)
"""1999 to 2042, in seconds since 1970."""
IDENTIFYING = re.compile(r"(^|_)(id|uuid|guid|key|nr|number|no)$", re.IGNORECASE)


def check(subject: Subject, ends: Ends) -> Outcome:
    """Every stored feature against the customers, the cutoffs and the ends."""
    specs = judged_features(subject)
    return Outcome("", [*_calendar(subject, specs), *_who(subject, specs), *_countdown(subject, specs, ends)])


def _calendar(subject: Subject, specs: Sequence[FeatureSpec]) -> list[Finding]:
    """Features that are the same for everybody at a cutoff and move from one cutoff to the next."""
    at = times(subject.stored.column("cutoff"))
    cutoffs, number = np.unique(at, return_inverse=True)
    if len(cutoffs) < 4:
        return []
    found: list[Finding] = []
    for spec in specs:
        if spec.kind != "number":
            continue
        values = np.asarray(subject.stored.column(spec.name).to_numpy(zero_copy_only=False), dtype=float)
        ok = ~np.isnan(values)
        low, high = np.full(len(cutoffs), np.inf), np.full(len(cutoffs), -np.inf)
        np.minimum.at(low, number[ok], values[ok])
        np.maximum.at(high, number[ok], values[ok])
        if not np.isfinite(low).all():
            continue  # a cutoff at which it is unknown of everybody
        steps = np.diff(low)
        if np.array_equal(low, high) and ((steps > 0).all() or (steps < 0).all()):
            what = "it is one number per cutoff that only goes one way: a calendar, not a customer"
            rows = [{"cutoff": c.astype(object), spec.name: v} for c, v in zip(cutoffs[:5], low[:5], strict=True)]
            found.append(_finding("timestamp-as-feature", spec.name, what, len(cutoffs), len(cutoffs), rows))
    return found


def _who(subject: Subject, specs: Sequence[FeatureSpec]) -> list[Finding]:
    """Features that are one per customer and nearly as many as customers; or that are instants."""
    first = _first_of_each(subject)
    customers = first.num_rows
    if customers < 50:
        return []
    found: list[Finding] = []
    for spec in specs:
        column = first.column(spec.name).drop_null()
        distinct = pc.count_distinct(column).as_py() or 0
        rows = [{"customer_id": c, spec.name: v} for c, v in zip(
            first.column("customer_id").slice(0, 5).to_pylist(), first.column(spec.name).slice(0, 5).to_pylist(),
            strict=True)]  # fmt: skip
        if is_time(column) and distinct > 30:
            what = f"its values are points in time (for example {column[0].as_py()!r})"
            found.append(_finding("timestamp-as-feature", spec.name, what, distinct, customers, rows))
        elif spec.kind == "category" and distinct > 0.5 * customers:
            what = f"it has {distinct:,} different values for {customers:,} customers"
            found.append(_finding("id-as-feature", spec.name, what, distinct, customers, rows))
        elif spec.kind == "number" and distinct > 0.9 * customers and IDENTIFYING.search(spec.name):
            what = f"it is called an identifier and has {distinct:,} different values for {customers:,} customers"
            found.append(_finding("id-as-feature", spec.name, what, distinct, customers, rows))
        elif spec.kind == "number" and distinct > 0.5 * customers and _by_start(subject, first, spec):
            what = "it is one number per customer, in the order in which they became customers"
            found.append(_finding("timestamp-as-feature", spec.name, what, distinct, customers, rows))
    return found


def _first_of_each(subject: Subject) -> pa.Table:
    """The first stored snapshot of each customer."""
    coded = subject.stored.column("customer_id").combine_chunks().dictionary_encode().indices
    _, rows = np.unique(np.asarray(coded.to_numpy(zero_copy_only=False)), return_index=True)
    return subject.stored.take(pa.array(np.sort(rows)))


def _by_start(subject: Subject, first: pa.Table, spec: FeatureSpec) -> bool:
    """Whether a number that never changes has the order of the customers' starts."""
    counted = subject.stored.select(["customer_id", spec.name]).group_by("customer_id")
    changing = counted.aggregate([(spec.name, "count_distinct")]).column(f"{spec.name}_count_distinct").to_numpy()
    if (changing > 1).mean() > 0.01 or subject.config.data.stays is None:
        return False
    stays = subject.engine.to_arrow(
        subject.tables[subject.config.data.stays[0]].group_by("customer_id").aggregate(start=lambda t: t.start.min())
    )
    since = times(stays.column("start")).astype(np.int64)
    begun = dict(zip(stays.column("customer_id").to_pylist(), since, strict=True))
    ids, values = first.column("customer_id").to_pylist(), first.column(spec.name).to_pylist()
    pairs = [(v, begun[c]) for c, v in zip(ids, values, strict=True) if v is not None and c in begun]
    a, b = (np.array([p[i] for p in pairs], dtype=float) for i in (0, 1))
    return len(pairs) > 50 and abs(spearman(a, b)) > COUNTS_DOWN


def is_time(column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether nearly all values read as points in time: ISO dates, seconds or milliseconds since 1970, or yyyymmdd."""
    values = column.to_pylist()[:500]
    if not values:
        return False
    if isinstance(values[0], str):
        return sum(map(_is_date, values)) >= 0.95 * len(values)
    numbers = np.array(values, dtype=float)
    low, high = SECONDS
    seconds = [(numbers >= low * unit) & (numbers <= high * unit) for unit in (1.0, 1e3, 1e6)]
    return any(bool(i.mean() >= 0.95) for i in (*seconds, _yyyymmdd(numbers)))


def _is_date(text: str) -> bool:
    if len(text) < 8:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _yyyymmdd(numbers: FloatArray) -> npt.NDArray[np.bool_]:
    month, day = numbers // 100 % 100, numbers % 100
    whole = numbers == np.floor(numbers)
    year = (numbers >= 19000101) & (numbers <= 21001231)
    return np.asarray(whole & year & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 32))


def _countdown(subject: Subject, specs: Sequence[FeatureSpec], ends: Ends) -> list[Finding]:
    """Features that, of those who left, say how long they still had."""
    if not ends.churned or not len(ends.all):
        return []
    last: dict[str, Any] = {}
    for customer, at in zip(ends.customer.to_pylist(), ends.all, strict=True):
        last[customer] = max(last.get(customer, at), at)
    ids = subject.stored.column("customer_id").to_pylist()
    at = times(subject.stored.column("cutoff"))
    until = np.array([last.get(c, np.datetime64("NaT")) for c in ids], dtype="datetime64[us]")
    rows = np.flatnonzero(~np.isnat(until) & (until >= at))
    days = (until[rows] - at[rows]) / np.timedelta64(1, "D")
    if len(rows) < 200 or len({ids[i] for i in rows}) < 50 or np.ptp(days) < 60:
        return []
    found: list[Finding] = []
    for spec in specs:
        if spec.kind != "number":
            continue
        values = np.asarray(subject.stored.column(spec.name).take(pa.array(rows)).to_numpy(zero_copy_only=False), float)
        ok = ~np.isnan(values)
        if ok.sum() < 200 or ok.mean() < 0.3 or abs(rho := spearman(values[ok], days[ok])) < COUNTS_DOWN:
            continue
        what = f"it says how long those who left still had: rank correlation {rho:.3f} with the days left"
        shown = np.flatnonzero(ok)[:5]
        evidence = [
            {"customer_id": ids[rows[i]], "cutoff": at[rows[i]].astype(object), spec.name: values[i], "days": days[i]}
            for i in shown
        ]
        found.append(_finding("knows-the-end", spec.name, what, int(ok.sum()), len(rows), evidence))
    return found


def _finding(name: str, where: str, what: str, count: int, of: int, rows: Sequence[Mapping[str, Any]]) -> Finding:
    return Finding(name, CHECK, "high", where, what, fix(name), count, of, tuple(rows))
