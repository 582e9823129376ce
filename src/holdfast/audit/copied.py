"""(e) Numbers that are a running total's value at the end, copied back to where it was not known yet.

A number of the start (or of an early row) that equals the final total, times a constant, is one; so is a number that
grows with the time customers had and, of those who left, with the time they were to have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from holdfast.audit.company import DAY, MOST_LEVELS, Company, StartColumn, rows_of
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Outcome
from holdfast.audit.subject import Subject
from holdfast.audit.suspicion import rank, spearman
from holdfast.evaluation.arrays import FloatArray, IntArray
from holdfast.features.definitions import feature_schema

CHECK, NAME = "suspicion", "final-value-copied-back"
MIN_CUSTOMERS = 200
CLOSE, ALIKE, SPREAD = 0.1, 0.8, 2.0
"""A total is copied back where four in five customers have it within 10%, and totals and counts differ by a factor 2.

The margin is for totals that the tables only nearly give: IBM's TotalCharges is within 5% of its months times price for
80% of the customers, within 10% for 95%."""
FEW_CELLS = 10
"""So many customers at least are behind stored cells that are called a final total."""
GROWS, MIN_EACH = 0.7, 100
"""Rank correlation with the time of those who stay and, whenever they began, of those who left."""


def check(subject: Subject, company: Company) -> Outcome:
    """Every number known at the start, at a first row, or stored without a declaration."""
    found: list[Finding] = []
    for column in (*company.columns, *company.first_events, *_undeclared(subject, company)):
        total = copied_back(company, column)
        if total is not None:
            found.append(_copied(company, column, *total))
        elif not column.declared and (why := grows(company, column)) is not None:
            found.append(_grown(company, column, why))
    return Outcome("", found)


def copied_back(company: Company, column: StartColumn) -> tuple[str, float] | None:
    """The running total whose final value the column is (times a constant), or None."""
    if column.number is None:
        return None
    for name, (total, counts) in company.totals.items():
        ok = (total > 0) & (counts >= 3) & (column.number > 0)
        if ok.sum() < MIN_CUSTOMERS / 2 or ok.sum() < 0.3 * (column.number > 0).sum():
            continue
        value, final, n = column.number[ok], total[ok], counts[ok]
        if min(_factor(final), _factor(n)) < SPREAD or len(np.unique(value)) <= MOST_LEVELS:
            continue
        ratio, alike = _alike(value, final)
        if alike >= ALIKE:
            return name, ratio
    return None


def total_of_cells(
    company: Company, customers: Sequence[str], stored: FloatArray, expected: FloatArray
) -> tuple[str, float] | None:
    """The running total whose final value differing cells hold, better than they hold what they must in another unit.

    Parameters
    ----------
    customers : (n,) whose cells they are
    stored, expected : (n,) NaN for null
    """
    place = pa.array(company.ids, pa.string())
    at = np.asarray(pa.compute.index_in(pa.array(customers, pa.string()), place).fill_null(-1), dtype=int)
    best: tuple[float, str, float] | None = None
    for name, (total, counts) in company.totals.items():
        ok = (at >= 0) & (stored > 0) & (total[at] > 0) & (counts[at] >= 3)
        if ok.sum() < 0.5 * len(at) or len(np.unique(at[ok])) < FEW_CELLS or _factor(total[at[ok]]) < SPREAD:
            continue
        ratio, alike = _alike(stored[ok], total[at[ok]])
        honest = ok & (expected > 0)
        other = _alike(stored[honest], expected[honest])[1] if honest.sum() >= FEW_CELLS else 0.0
        if alike >= ALIKE and alike > other and (best is None or alike > best[0]):
            best = alike, name, ratio
    return best[1:] if best else None


def grows(company: Company, column: StartColumn) -> str | None:
    """Whether a number grows with the time that customers had by the end, of those who left as of those who stay.

    What is fixed at the start may follow the date of the start, and may predict how long somebody stays; that it does
    both by rank correlations of .7, the second among those who began alike, is no prediction.
    """
    if column.number is None:
        return None
    months = (company.until - company.start) / DAY
    some = ~np.isnan(column.number)
    gone, stay = some & company.left, some & ~company.left
    if min(gone.sum(), stay.sum()) < MIN_EACH or len(np.unique(column.number[some])) <= MOST_LEVELS:
        return None
    of_stay = spearman(column.number[stay], months[stay])
    of_gone = _partial(column.number[gone], months[gone], company.start[gone].astype("int64").astype(float))
    if min(of_stay, of_gone) < GROWS:
        return None
    return f"rank correlation {of_stay:.2f} among those who stay, {of_gone:.2f} among those who left and began alike"


def _partial(a: FloatArray, b: FloatArray, given: FloatArray) -> float:
    """Rank correlation less what both owe to a third."""
    ab, ac, bc = (
        float(np.corrcoef(rank(x), rank(y))[0, 1]) if np.ptp(x) and np.ptp(y) else 0.0
        for x, y in ((a, b), (a, given), (b, given))
    )
    left = (1 - ac**2) * (1 - bc**2)
    return (ab - ac * bc) / float(np.sqrt(left)) if left > 0.01 else 0.0


def _alike(value: FloatArray, final: FloatArray) -> tuple[float, float]:
    """The usual ratio, and the share of values that have it within `CLOSE`."""
    ratio = value / final
    middle = float(np.median(ratio))
    return middle, float((np.abs(ratio / middle - 1) <= CLOSE).mean())


def _factor(values: FloatArray) -> float:
    low, high = np.quantile(values, [0.1, 0.9])
    return float(high / max(low, 1e-9))


def times_(ratio: float) -> str:
    """A constant in words; nothing for one."""
    return "" if abs(ratio - 1) < CLOSE else f" times {ratio:.3g}"


def _copied(company: Company, column: StartColumn, total: str, ratio: float) -> Finding:
    assert column.number is not None  # it was compared
    final = company.totals[total][0]
    rows = [
        {"customer_id": company.ids[i], column.where: column.number[i], f"{total} at the end": final[i]}
        for i in np.flatnonzero((final > 0) & (column.number > 0))[:5]
    ]
    what = f"{_since(company, column)}, it is what '{total}' came to at the end{times_(ratio)}"
    n = int((column.number > 0).sum())
    return Finding(NAME, CHECK, "high", column.where, what, fix(NAME), n, len(company.ids), tuple(rows))


def _since(company: Company, column: StartColumn) -> str:
    return "in a customer's first row" if any(column is c for c in company.first_events) else "known from the start"


def _grown(company: Company, column: StartColumn, why: str) -> Finding:
    assert column.number is not None  # it was compared
    some = np.flatnonzero(~np.isnan(column.number))
    rows = [
        {"customer_id": company.ids[i], column.where: column.number[i], "start": company.start[i].astype(object),
         "until": company.until[i].astype(object)}
        for i in some[:5]
    ]  # fmt: skip
    what = f"{_since(company, column)}, it grows with how long customers stayed in the end: {why}"
    return Finding(NAME, CHECK, "high", column.where, what, fix(NAME), len(some), len(company.ids), tuple(rows))


def _undeclared(subject: Subject, company: Company) -> list[StartColumn]:
    """Number columns that the dataset has and the configuration does not, as they are in each customer's first row."""
    declared = set(feature_schema(subject.config.data, subject.config.features).names)
    found: list[StartColumn] = []
    place = pa.array(company.ids, pa.string())
    for spec in subject.dataset.manifest.schema:
        if spec.name in declared or spec.kind != "number":
            continue
        rows: IntArray = rows_of(place, subject.stored.column("customer_id"))
        values = np.asarray(subject.stored.column(spec.name).to_numpy(zero_copy_only=False), dtype=float)
        number = np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)
        found.append(StartColumn(spec.name, spec.name, rows, (), number, declared=True))
    return found
