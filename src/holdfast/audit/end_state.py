"""(e) Columns that look end-state although they are said to be known from the start.

Two signs are looked for. A column *updated at churn* differs between those who left and those who stay, and so a cohort
of starters has the more of it, the more of the cohort have left by now; had it been fixed at the start, a cohort's mix
would not depend on what became of it. And a *final value copied back* is a number of the start that equals a running
total's value at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.versions import instant
from holdfast.audit.company import MOST_LEVELS, Company, StartColumn, rows_of
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Note, Outcome
from holdfast.audit.subject import Subject
from holdfast.config.data import HistoryTable
from holdfast.evaluation.arrays import FloatArray, IntArray

CHECK = "suspicion"
MIN_CUSTOMERS = 200
COHORT, FEWEST_COHORTS, MOST_COHORTS = 150, 6, 24
MIN_GAP, SURE_GAP, SURE_SLOPE = 0.10, 5.0, 3.0
"""Those who left have the level by .1 more often (5 standard errors), and the cohorts' slope is 3 from zero.

A column written at the end of half of those who leave is seen from about 2,000 customers on; one false alarm in a
thousand columns that are tied to churn as strongly."""
LIKE_OVERWRITING = (0.5, 1.6)
"""The slope over the gap: 1 where the column is written at the end, 0 where it was fixed at the start."""
RARELY, MIN_EXPECTED = 0.05, 20.0
"""A level that so few of those expected by their cohorts have on one side occurs on the other alone."""
CLOSE, ALIKE, SPREAD = 0.05, 0.8, 2.0
"""A total is copied back where four in five customers have it within 5%, and totals and counts differ by a factor 2."""


def check(subject: Subject, company: Company) -> Outcome:
    """Every column that is known at the start."""
    findings: list[Finding] = []
    notes: list[Note] = []
    recorded = subject.dataset.manifest.history == "recorded"
    for column in company.columns:
        total = copied_back(company, column)
        if total is not None:
            findings.append(_copied(company, column, *total))
        elif not column.declared:
            found = overwritten(company, column, slopes=recorded)
            if found is not None:
                findings.append(found)
    findings += _undeclared(subject, company)
    named = {f.where for f in findings}
    findings += [f for f in _only_leavers(subject, company) if f.where not in named]
    if not recorded:
        early = [c.where for c in company.columns if not c.declared]
        if early:
            what = f"said to be known from the start although the history is reconstructed: {', '.join(early)}"
            notes.append(Note(CHECK, "known_at", what))
    return Outcome("", findings, notes)


def overwritten(company: Company, column: StartColumn, *, slopes: bool) -> Finding | None:
    """A finding where a level is written when customers leave.

    Parameters
    ----------
    slopes : compare cohorts, too; only where those who left long ago are in the tables
    """
    mine = column.codes >= 0
    left = company.left[mine].astype(float)
    if mine.sum() < MIN_CUSTOMERS or not 0 < left.mean() < 1:
        return None
    cohort = _cohorts(company.start[mine])
    share = (np.bincount(cohort, weights=left) / np.bincount(cohort))[cohort]
    codes = column.codes[mine]
    for code in np.unique(codes):
        has = (codes == code).astype(float)
        why = _one_sided(has, left, share) or (_slope(has, left, share) if slopes else None)
        if why is not None:
            rows = [
                {"customer_id": company.ids[i], column.where: column.levels[int(column.codes[i])],
                 "start": company.start[i].astype(object), "left": bool(company.left[i])}
                for i in np.flatnonzero(mine)[has == 1][:5]
            ]  # fmt: skip
            what = f"the value {column.levels[int(code)]!r} is written when customers leave: {why}"
            name, n = "updated-at-churn", int((has * left).sum())
            return Finding(name, CHECK, "high", column.where, what, fix(name), n, int(mine.sum()), tuple(rows))
    return None


def _cohorts(start: npt.NDArray[Any]) -> IntArray:
    order = np.argsort(start, kind="stable")
    found = np.empty(len(start), dtype=np.int64)
    cohorts = min(max(len(start) // COHORT, FEWEST_COHORTS), MOST_COHORTS)
    found[order] = np.arange(len(start)) * cohorts // len(start)
    return found


def _one_sided(has: FloatArray, left: FloatArray, share: FloatArray) -> str | None:
    """A level that only those who left have, or that nobody who left has, against what the cohorts let expect."""
    stay_expected, stay = float((has * (1 - share)).sum()), float((has * (1 - left)).sum())
    gone_expected, gone = float((has * share).sum()), float((has * left).sum())
    both = f"{gone:,.0f} of those who left have it and {stay:,.0f} of those who stay"
    if stay_expected >= MIN_EXPECTED and stay <= RARELY * stay_expected:
        return f"{both}, of whom {stay_expected:,.0f} were to be expected by when they started"
    if gone_expected >= MIN_EXPECTED and gone <= RARELY * gone_expected:
        return f"{both}; of those who left {gone_expected:,.0f} were to be expected by when they started"
    return None


def _slope(has: FloatArray, left: FloatArray, share: FloatArray) -> str | None:
    """Whether cohorts have more of a level the more of them left, as much as those who left have more of it."""
    n, p = len(has), float(has.mean())
    gap = float(has[left == 1].mean() - has[left == 0].mean())
    rate = float(left.mean())
    gap_error = np.sqrt(p * (1 - p) / (n * rate * (1 - rate)))
    spread = float(((share - share.mean()) ** 2).sum())
    if gap <= MIN_GAP or gap < SURE_GAP * gap_error or spread == 0:
        return None
    slope = float(((share - share.mean()) * has).sum() / spread)
    error = np.sqrt(p * (1 - p) / spread)
    low, high = LIKE_OVERWRITING
    if slope < SURE_SLOPE * error or not low <= slope / gap <= high:
        return None
    return (
        f"{has[left == 1].mean():.1%} of those who left have it and {has[left == 0].mean():.1%} of those who stay, and "
        f"a cohort has the more of it the more of the cohort have left by now (slope {slope:.2f} ± {error:.2f})"
    )


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
        ratio = value / final
        middle = float(np.median(ratio))
        if float((np.abs(ratio / middle - 1) <= CLOSE).mean()) >= ALIKE:
            return name, middle
    return None


def _factor(values: FloatArray) -> float:
    low, high = np.quantile(values, [0.1, 0.9])
    return float(high / max(low, 1e-9))


def _copied(company: Company, column: StartColumn, total: str, ratio: float) -> Finding:
    assert column.number is not None  # it was compared
    final = company.totals[total][0]
    rows = [
        {"customer_id": company.ids[i], column.where: column.number[i], f"{total} at the end": final[i]}
        for i in np.flatnonzero((final > 0) & (column.number > 0))[:5]
    ]
    times_ = "" if abs(ratio - 1) < CLOSE else f" times {ratio:.3g}"
    what = f"known from the start, it is what '{total}' came to at the end{times_}"
    name = "final-value-copied-back"
    n = int((column.number > 0).sum())
    return Finding(name, CHECK, "high", column.where, what, fix(name), n, len(company.ids), tuple(rows))


def _only_leavers(subject: Subject, company: Company) -> list[Finding]:
    """Values of history columns that, at any time, only those had who left."""
    place = pa.array(company.ids, pa.string())
    share = _shares(company)
    left = company.left.astype(float)
    found: list[Finding] = []
    for name, config in subject.config.data.tables.items():
        if not isinstance(config, HistoryTable) or config.end_state or not 0 < left.mean() < 1:
            continue
        for column in (c for c, d in config.columns.items() if d.type in ("category", "boolean")):
            t = subject.tables[name]
            t = t.filter(t.available_at < instant(subject.known_as_of)).select("customer_id", value=t[f"c_{column}"])
            table = subject.engine.to_arrow(t.distinct())
            at = pc.index_in(table.column("customer_id"), place).fill_null(-1).to_numpy(zero_copy_only=False)
            values = np.array([str(v) for v in table.column("value").to_pylist()])
            levels, counts = np.unique(values, return_counts=True)
            for level in levels[np.argsort(-counts)][:MOST_LEVELS]:
                has = np.zeros(len(left))
                has[at[(values == level) & (at >= 0)].astype(int)] = 1.0
                expected, stay = float((has * (1 - share)).sum()), float((has * (1 - left)).sum())
                if expected < MIN_EXPECTED or stay > RARELY * expected:
                    continue
                where = f"{name}.{column}"
                what = (
                    f"of the {int(has.sum()):,} customers who ever had {level!r}, {stay:,.0f} stay, where "
                    f"{expected:,.0f} were to be expected by when they started: it is written when customers leave"
                )
                rows = [{"customer_id": company.ids[i], where: level} for i in np.flatnonzero(has)[:5]]
                fixed = fix("updated-at-churn")
                n = int(has.sum())
                found.append(Finding("updated-at-churn", CHECK, "high", where, what, fixed, n, len(left), tuple(rows)))
    return found


def _shares(company: Company) -> FloatArray:
    """Of each customer the share of their cohort who left."""
    cohort = _cohorts(company.start)
    return np.asarray((np.bincount(cohort, weights=company.left) / np.bincount(cohort))[cohort], dtype=float)


def _undeclared(subject: Subject, company: Company) -> list[Finding]:
    """The same of number columns that the dataset has and the configuration does not."""
    from holdfast.features.definitions import feature_schema

    declared = set(feature_schema(subject.config.data, subject.config.features).names)
    found: list[Finding] = []
    place = pa.array(company.ids, pa.string())
    for spec in subject.dataset.manifest.schema:
        if spec.name in declared or spec.kind != "number":
            continue
        table = subject.stored.select(["customer_id", spec.name])
        rows = rows_of(place, table.column("customer_id"))
        values = np.asarray(table.column(spec.name).to_numpy(zero_copy_only=False), dtype=float)
        number = np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)
        column = StartColumn(spec.name, spec.name, rows, (), number, False)
        total = copied_back(company, column)
        if total is not None:
            found.append(_copied(company, column, *total))
    return found
