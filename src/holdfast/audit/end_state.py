"""(e) Columns that were written when customers left, although they are said to be known from the start.

A column *updated at churn* differs between those who left and those who stay, and so a cohort of starters has the more
of it, the more of the cohort have left by now; had it been fixed at the start, a cohort's mix would not depend on what
became of it. In a history rebuilt from one extract no cohort shows that: there, what is not declared as the extract's
and is tied to who left is said to be so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.versions import instant
from holdfast.audit.company import MOST_LEVELS, Company, StartColumn
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
AT_ALL, LASTED = np.timedelta64(0, "D"), np.timedelta64(180, "D")
"""A first payment that failed may be of nobody but those who left soon: of a first row, only longer stays count."""
RARELY, MIN_EXPECTED = 0.05, 20.0
"""A level that so few of those expected by their cohorts have on one side occurs on the other alone."""
TIED = 1e-4
"""A column counts as tied to who left, or to when they began, up to this probability of chance."""


def check(subject: Subject, company: Company) -> Outcome:
    """Every column that is known at the start."""
    recorded = subject.dataset.manifest.history == "recorded"
    findings = [
        found
        for column in company.columns
        if not column.declared and (found := overwritten(company, column, slopes=recorded)) is not None
    ]
    findings += [
        found
        for column in company.first_events
        if not column.declared and (found := overwritten(company, column, slopes=False, lasted=LASTED)) is not None
    ]
    named = {f.where for f in findings}
    findings += [f for f in _only_leavers(subject, company) if f.where not in named]
    notes: list[Note] = []
    if not recorded:
        undeclared, notes = _of_the_extract(company)
        findings += undeclared
    return Outcome("", findings, notes)


def _of_the_extract(company: Company) -> tuple[list[Finding], list[Note]]:
    """Columns of a reconstructed history that are not declared end-state: a finding where they tell who left."""
    findings: list[Finding] = []
    harmless: list[str] = []
    for column in (*company.columns, *company.first_events):
        if column.declared:
            continue
        p = _tied(company, column)
        if p >= TIED:
            harmless.append(column.where)
            continue
        name = "end-state-undeclared"
        what = (
            "said to be known from the start, but the history is rebuilt from one extract, and the value goes with who "
            f"left or when they began (chance of that: {max(p, 1e-99):.0e})"
        )
        mine = np.flatnonzero(column.codes >= 0)
        rows = [
            {"customer_id": company.ids[i], column.where: column.levels[int(column.codes[i])],
             "left": bool(company.left[i])}
            for i in mine[:5]
        ]  # fmt: skip
        findings.append(
            Finding(name, CHECK, "medium", column.where, what, fix(name), len(mine), len(company.ids), tuple(rows))
        )
    what = f"said to be known from the start although the history is reconstructed: {', '.join(harmless)}"
    return findings, [Note(CHECK, "known_at", what)] if harmless else []


def _tied(company: Company, column: StartColumn) -> float:
    """The probability by chance of how unlike its levels are in who left, or in when they began."""
    from scipy.stats import chi2_contingency  # a second to import, needed only for reconstructed histories

    mine = column.codes >= 0
    _, codes = np.unique(column.codes[mine], return_inverse=True)
    found = 1.0
    for other in (company.left[mine].astype(np.int64), _cohorts(company.start[mine])):
        table = np.zeros((codes.max(initial=0) + 1, other.max(initial=0) + 1))
        np.add.at(table, (codes, other), 1)
        table = table[table.sum(axis=1) >= MIN_EXPECTED]
        table = table[:, table.sum(axis=0) > 0]
        if min(table.shape) > 1:
            found = min(found, 2 * float(chi2_contingency(table).pvalue))
    return found


def overwritten(company: Company, column: StartColumn, *, slopes: bool, lasted: Any = AT_ALL) -> Finding | None:
    """A finding where a level is written when customers leave.

    Parameters
    ----------
    slopes : compare cohorts, too; only where those who left long ago are in the tables
    lasted : only of customers who stayed at least so long
    """
    mine = (column.codes >= 0) & (company.until - company.start >= lasted)
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
