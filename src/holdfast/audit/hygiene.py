"""(f) Source hygiene: no row says what came after it, and what was known stays as it was."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.versions import instant
from holdfast.audit.company import Company
from holdfast.audit.end_state import MIN_CUSTOMERS
from holdfast.audit.ends import Ends
from holdfast.audit.identity import COUNTS_DOWN
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Note, Outcome
from holdfast.audit.subject import Subject, moment, times
from holdfast.audit.suspicion import spearman
from holdfast.clock import iso
from holdfast.config.data import CustomersTable, EventsTable, HistoryTable

CHECK = "sources"
DAY = np.timedelta64(1, "D")
ONE_INSTANT, LONG_HISTORY, MANY_ROWS = 0.95, 60.0, 100
"""availability is the extract's time where 95% of 100 rows or more share it and they happened over 60 days."""
SILENT = 60
FALSE_ALARM = 1e-6
MOST_ROWS = 500_000


def check(subject: Subject, company: Company, ends: Ends) -> Outcome:
    """Every declared table."""
    findings: list[Finding] = []
    notes: list[Note] = []
    for name, config in subject.config.data.tables.items():
        where = f"data.tables.{name}"
        if name in subject.changed:
            what = f"of its rows, those known by {iso(subject.known_as_of)} are not those the dataset was built of"
            findings.append(_finding("source-backfilled", name, what, 1, None, ()))
        if isinstance(config, CustomersTable):
            findings += _ends_known_at_once(subject, name, config)
            extract = [c for c, a in config.columns.items() if a.known_at == "extract"]
            if extract:
                notes.append(Note(CHECK, where, f"declared as known only as of the extract: {', '.join(extract)}"))
            continue
        findings += _availability(subject, name, config)
        findings += _cells(subject, name, config, company)
        if config.end_state:
            notes.append(Note(CHECK, where, "declared end-state: rebuilt from values known only as of the extract"))
        elif config.available_at is None and (isinstance(config, HistoryTable) or config.delay.is_zero):
            notes.append(Note(CHECK, where, "has no available_at: its rows count as known when they happened"))
    findings += _orphans(subject, company, ends)
    rows = ", ".join(f"{n}" for n in subject.config.data.tables)
    return Outcome(f"tables {rows}, as known by {iso(subject.known_as_of)}", findings, notes)


def _availability(subject: Subject, name: str, config: EventsTable | HistoryTable) -> list[Finding]:
    """Rows known before they happened, and availability that only says when the table was exported."""
    if config.available_at is None:
        return []
    t = subject.tables[name]
    happened = "event_time" if isinstance(config, EventsTable) else "valid_from"
    row = subject.engine.to_arrow(
        t.aggregate(
            rows=t.count(),
            early=(t.available_at < t[happened]).sum().fill_null(0),
            first=t[happened].min(),
            last=t[happened].max(),
        )
    ).to_pylist()[0]
    found: list[Finding] = []
    n = int(row["rows"])
    if isinstance(config, EventsTable) and int(row["early"]):
        early = t.filter(t.available_at < t.event_time)
        some = subject.engine.to_arrow(early.select("customer_id", "event_id", "event_time", "available_at").limit(5))
        what = f"{int(row['early']):,} events were available before they happened"
        found.append(
            _finding("available-before-event", name, what, int(row["early"]), n, some.to_pylist(), severity="medium")
        )
    if n >= MANY_ROWS and (row["last"] - row["first"]).days > LONG_HISTORY:
        often = t.group_by("available_at").aggregate(rows=t.count()).order_by(ibis.desc("rows")).limit(1)
        top = subject.engine.to_arrow(often).to_pylist()[0]
        if int(top["rows"]) >= ONE_INSTANT * n:
            what = f"{int(top['rows']):,} of {n:,} rows were available at one instant, when they were exported"
            found.append(_finding("availability-is-extract-time", name, what, int(top["rows"]), n, [top]))
    return found


def _ends_known_at_once(subject: Subject, name: str, config: CustomersTable) -> list[Finding]:
    """Ends known from the start take everybody who left out of the population."""
    if config.start is None or config.end_available_at is None:
        return []
    t = subject.tables[name]
    ended = t.filter(t.end.notnull())
    early = ended.filter(ended.end_available_at <= ended.start, ended.end > ended.start)
    n = int(subject.engine.to_arrow(ended.aggregate(n=ended.count())).column("n")[0].as_py())
    k = int(subject.engine.to_arrow(early.aggregate(n=early.count())).column("n")[0].as_py())
    if k < 20 or k < 0.1 * n:
        return []
    rows = subject.engine.to_arrow(early.select("customer_id", "start", "end", "end_available_at").limit(5)).to_pylist()
    what = f"{k:,} of {n:,} ends were known when the customer started"
    return [_finding("end-known-from-start", name, what, k, n, rows)]


def _cells(subject: Subject, name: str, config: EventsTable | HistoryTable, company: Company) -> list[Finding]:
    """Cells that say when the customer will leave."""
    numbers = [c for c, d in config.columns.items() if d.type == "number"]
    instants = [c for c, d in config.columns.items() if d.type == "time"]
    if not (numbers or instants) or config.end_state or not company.left.any():
        return []
    t = subject.tables[name]
    happened = "event_time" if isinstance(config, EventsTable) else "valid_from"
    known = t.filter(t.available_at < instant(subject.known_as_of))
    columns = [f"c_{c}" for c in (*numbers, *instants)]
    table = subject.engine.to_arrow(known.select("customer_id", happened, *columns).limit(MOST_ROWS))
    place = pc.index_in(table.column("customer_id"), pa.array(company.ids, pa.string())).fill_null(-1)
    at = np.asarray(place.to_numpy(zero_copy_only=False), dtype=int)
    gone = (at >= 0) & company.left[np.maximum(at, 0)]
    until = company.until[np.maximum(at, 0)]
    days = (until - times(table.column(happened))) / DAY
    found: list[Finding] = []
    for column in numbers:
        values = np.asarray(table.column(f"c_{column}").to_numpy(zero_copy_only=False), dtype=float)
        ok = gone & ~np.isnan(values) & (days > 0)
        if ok.sum() < MIN_CUSTOMERS or np.ptp(days[ok]) < LONG_HISTORY or len(np.unique(at[ok])) < 50:
            continue
        rho = spearman(values[ok], days[ok])
        if abs(rho) > COUNTS_DOWN:
            what = f"of those who left, it says how long they still had: rank correlation {rho:.3f} with the days left"
            rows = _rows(table, np.flatnonzero(ok), happened, column, until)
            found.append(_finding("knows-the-end", f"{name}.{column}", what, int(ok.sum()), len(at), rows))
    for column in instants:
        cells = times(table.column(f"c_{column}"))
        ok, stay = gone & (days > 31), (at >= 0) & ~company.left[np.maximum(at, 0)]
        if ok.sum() < 30 or stay.sum() < 30:
            continue
        equal = np.abs((cells[ok] - until[ok]) / DAY) <= 1.0
        if equal.mean() >= 0.9 and np.isnat(cells[stay]).mean() >= 0.9:
            what = "a month and more before, it is the customer's end for those who left and empty for the others"
            rows = _rows(table, np.flatnonzero(ok), happened, column, until)
            found.append(_finding("knows-the-end", f"{name}.{column}", what, int(ok.sum()), len(at), rows))
    return found


def _rows(table: pa.Table, numbers: Any, happened: str, column: str, until: Any) -> list[dict[str, Any]]:
    some = table.select(["customer_id", happened, f"c_{column}"]).take(pa.array(numbers[:5])).to_pylist()
    return [{**row, "left": until[i].astype(object)} for row, i in zip(some, numbers[:5], strict=True)]


def _orphans(subject: Subject, company: Company, ends: Ends) -> list[Finding]:
    """Customers with events and without a row of their own: have those who left been taken out?"""
    if not ends.churned:
        return []
    found: list[Finding] = []
    now = moment(subject.known_as_of)
    place = pa.array(company.ids, pa.string())
    for name, config in subject.config.data.tables.items():
        if not isinstance(config, EventsTable):
            continue
        t = subject.tables[name]
        t = t.filter(t.available_at < instant(subject.known_as_of))
        last = subject.engine.to_arrow(t.group_by("customer_id").aggregate(last=t.event_time.max()))
        known = np.asarray(pc.is_in(last.column("customer_id"), place).to_numpy(zero_copy_only=False), dtype=bool)
        silent = (now - times(last.column("last"))) / DAY > SILENT
        n, m = int((~known).sum()), int(known.sum())
        if n < 20 or n < 0.01 * m or not m:
            continue
        from scipy.stats import fisher_exact  # a second to import, needed only where somebody is missing

        k, other = int(silent[~known].sum()), int(silent[known].sum())
        p = float(fisher_exact([[k, n - k], [other, m - other]], alternative="greater").pvalue)
        if p < FALSE_ALARM:
            what = (
                f"{n:,} customers of '{name}' are not in the customers table, and {k / n:.0%} of them have long been "
                f"silent (of the others {other / m:.0%}): those who left seem to have been taken out"
            )
            rows = last.filter(pa.array(~known)).slice(0, 5).to_pylist()
            where = subject.config.data.stays[0] if subject.config.data.stays else name
            found.append(_finding("population-by-outcome", where, what, n, n + m, rows))
            break
    return found


def _finding(
    name: str, where: str, what: str, count: int, of: int | None, rows: Any, *, severity: Any = "high"
) -> Finding:
    return Finding(name, CHECK, severity, where, what, fix(name), count, of, tuple(rows))
