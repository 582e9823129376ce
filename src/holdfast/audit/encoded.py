"""(e) Numbers that are the label's own mean: a category encoded by its target over all rows.

Of such a feature, the share of churners among the rows with a value *is* that value. A score that is merely well
calibrated is off by the noise of a sample; one fitted on these very rows is not. The alarm is the lower tail of
chi-squared: agreement better than chance allows, at one false alarm in ten thousand features that are calibrated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import gammainc

from holdfast.audit.company import Company
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Outcome
from holdfast.audit.subject import Subject
from holdfast.evaluation.arrays import FloatArray, IntArray

CHECK = "suspicion"
FALSE_ALARM = 1e-4
MIN_ROWS = 20
COVERED = 0.9
MOST_VALUES = 2000


def check(subject: Subject, company: Company) -> Outcome:
    """Every number feature against the labels, and every number column that never changes against who left."""
    stored = subject.stored
    label = stored.column("label").to_numpy(zero_copy_only=False).astype(float)
    matured = ~np.isnan(label)
    filled = np.nan_to_num(label)
    findings: list[Finding] = []
    for spec in subject.dataset.manifest.schema:
        if spec.kind != "number":
            continue
        values = np.asarray(stored.column(spec.name).to_numpy(zero_copy_only=False), dtype=float)
        for words, y, rows in (("labelled", label, matured), ("all", filled, np.ones(len(label), bool))):
            group = judged(values[rows], y[rows])
            if group is not None:
                findings.append(_finding(subject, spec.name, words, group, int(rows.sum())))
                break
    named = {f.where for f in findings}
    for column in company.columns:
        if column.number is None or any(column.name in where for where in named):
            continue
        rows = ~np.isnan(column.number)
        group = judged(column.number[rows], company.left[rows].astype(float))
        if group is not None:
            findings.append(_finding(subject, column.where, "customers", group, int(rows.sum())))
    return Outcome("", findings)


def judged(values: FloatArray, y: FloatArray) -> list[dict[str, Any]] | None:
    """The values with their rows and share of churners, where the value is that share; None where it is not."""
    ok = ~np.isnan(values)
    values, y = values[ok], y[ok]
    base = float(y.mean()) if len(y) else 0.0
    if not 0 < base < 1:
        return None
    found, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if not 2 <= len(found) <= MOST_VALUES:
        return None
    mean = np.bincount(inverse, weights=y) / counts
    big = counts >= MIN_ROWS
    if big.sum() < 2 or counts[big].sum() < COVERED * len(values):
        return None
    good = _too_good(found[big], mean[big], counts[big], base) or _left_out(found, mean, counts)
    if np.ptp(mean[big]) == 0 or not good:
        return None
    order = np.argsort(-counts)[:5]
    return [{"value": found[i], "rows": int(counts[i]), "share_of_churners": mean[i]} for i in order]


def _too_good(v: FloatArray, mean: FloatArray, n: IntArray, base: float) -> bool:
    """The means themselves, or weights of evidence (their log-odds less those of all rows), of either sign."""
    logit = np.log(base / (1 - base))
    with np.errstate(over="ignore"):
        claims = (v, 1 / (1 + np.exp(-(logit + v))), 1 / (1 + np.exp(-(logit - v))))
    for claim in claims:
        chi2 = float((n * (claim - mean) ** 2).sum() / (base * (1 - base)))
        if float(gammainc(len(v) / 2, chi2 / 2)) < FALSE_ALARM:
            return True
    return False


def _left_out(v: FloatArray, mean: FloatArray, n: IntArray) -> bool:
    """Leave-one-out encoding: within a category the value tells the row's own label exactly."""
    pure = (mean == 0) | (mean == 1)
    positive = (mean == 1) & (n >= 5)
    inside = bool((v >= 0).all() and (v <= 1).all())
    average = float((v * n).sum() / n.sum()), float((mean * n).sum() / n.sum())
    return inside and bool(pure.all()) and positive.sum() >= 2 and abs(average[0] - average[1]) < 0.1 * average[1]


def _finding(subject: Subject, where: str, words: str, group: list[dict[str, Any]], n: int) -> Finding:
    category = _category(subject, where)
    what = f"each of its values is the share of churners among the {n:,} rows ({words}) that have it"
    what += f": {category} encoded by the label over all rows" if category else ""
    return Finding("target-encoded", CHECK, "high", where, what, fix("target-encoded"), n, n, tuple(group))


def _category(subject: Subject, feature: str) -> str | None:
    """The category that the feature is a function of, where there is one among the features."""
    if feature not in subject.stored.column_names:
        return None
    for spec in subject.dataset.manifest.schema:
        if spec.kind == "category":
            pairs = subject.stored.select([spec.name, feature]).group_by([spec.name, feature]).aggregate([])
            if pa.compute.count_distinct(pairs.column(spec.name), mode="all").as_py() == pairs.num_rows:
                return spec.name
    return None
