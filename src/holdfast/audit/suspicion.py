"""(e) Single features that know too much of the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.schema import FeatureSpec
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Note, Outcome, plain
from holdfast.audit.subject import Subject
from holdfast.evaluation.arrays import FloatArray, IntArray
from holdfast.features.definitions import EXPOSURE

CHECK = "suspicion"
MIN_POSITIVES = 20
IMPLAUSIBLE_AUC, SURELY = 0.95, 0.90
"""A single feature whose AUC is above .95, and above .90 even three standard errors lower, knows the outcome."""
FAR_ABOVE, FAR_FROM = 0.85, 0.15
"""So does one above .85 that is .15 (and three standard errors) above that of every other measure."""
PURE, MANY_TIMES = 0.9, 30.0
"""A value of which nine in ten churn, at thirty times the odds of all (by the interval's lower end), tells of it."""
MOST_VALUES = 2000


@dataclass(frozen=True)
class Coded:
    """A feature as numbers: the cell itself, or a category's code; ``null`` marks cells without one."""

    spec: FeatureSpec
    values: FloatArray
    null: npt.NDArray[np.bool_]
    levels: Sequence[Any]


def judged_features(subject: Subject) -> list[FeatureSpec]:
    """All stored features but those that only say how much of a window is covered."""
    return [f for f in subject.dataset.manifest.schema if f.group != EXPOSURE]


def check(subject: Subject) -> Outcome:
    """Every stored feature against the labels."""
    table = subject.matured()
    y = np.asarray(table.column("label").to_numpy(), dtype=float)
    findings: list[Finding] = []
    aucs: list[tuple[FeatureSpec, float, float]] = []
    who = codes_of(table.column("customer_id"))
    churners = len(np.unique(who[y == 1]))
    rounds = judged_features(subject)
    for spec in rounds:
        coded = code(spec, table.column(spec.name))
        found = _level(coded, y, who, table)
        if found is not None:
            findings.append(found)
        elif churners >= MIN_POSITIVES and y.sum() <= len(y) - MIN_POSITIVES:
            aucs.append((spec, *_auc(coded, y, who)))
    findings += _implausible(aucs)
    end_state = subject.dataset.manifest.schema.end_state
    notes = []
    if end_state:
        what = f"{len(end_state)} features are declared end-state, known only as of the extract: {', '.join(end_state)}"
        notes.append(Note(CHECK, "end-state", what))
    looked = f"{len(rounds)} features on {len(y):,} labelled snapshots with {int(y.sum()):,} churners"
    return Outcome(looked, findings, notes)


def code(spec: FeatureSpec, column: pa.ChunkedArray) -> Coded:
    """A column as numbers."""
    null = np.asarray(pc.is_null(column).to_numpy(), dtype=bool)
    if spec.kind == "number":
        values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=float)
        return Coded(spec, values, null | np.isnan(values), ())
    coded = column.combine_chunks().dictionary_encode()
    codes = np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=float)
    return Coded(spec, codes, null, coded.dictionary.to_pylist())


def codes_of(ids: pa.ChunkedArray) -> IntArray:
    """(n,) a number per customer."""
    coded = ids.combine_chunks().dictionary_encode().indices
    return np.asarray(coded.to_numpy(zero_copy_only=False), dtype=np.int64)


def _auc(coded: Coded, y: FloatArray, who: IntArray) -> tuple[float, float]:
    """AUC of a feature in its better direction (null is a value of its own, lowest) and its standard error.

    A customer's snapshots are much alike, so the error counts customers.
    """
    values = coded.values.copy()
    if coded.levels:
        rates = np.array([y[coded.values == i].mean() for i in range(len(coded.levels))] or [0.0])
        values = rates[coded.values.astype(int)]
        values[coded.null] = y[coded.null].mean() if coded.null.any() else 0.0
    else:
        lowest = values[~coded.null].min(initial=0.0)
        values[coded.null] = lowest - 1.0
    n1, n0 = float(y.sum()), float(len(y) - y.sum())
    ranks = rank(values)
    auc = float((ranks[y == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
    auc = max(auc, 1 - auc)
    n1, n0 = (float(len(np.unique(who[y == label]))) for label in (1, 0))
    # Hanley and McNeil, Radiology 143 (1982)
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = (auc * (1 - auc) + (n1 - 1) * (q1 - auc**2) + (n0 - 1) * (q2 - auc**2)) / (n1 * n0)
    return auc, float(np.sqrt(max(variance, 0.0)))


def rank(values: FloatArray) -> FloatArray:
    """Ranks from 1; ties share their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=float)


def spearman(a: FloatArray, b: FloatArray) -> float:
    """Rank correlation; 0 where one of them is constant."""
    x, z = rank(a), rank(b)
    if np.ptp(x) == 0 or np.ptp(z) == 0:
        return 0.0
    return float(np.corrcoef(x, z)[0, 1])


def _implausible(aucs: Sequence[tuple[FeatureSpec, float, float]]) -> list[Finding]:
    best: dict[str, float] = {}
    for spec, auc, _ in aucs:
        best[spec.group] = max(best.get(spec.group, 0.0), auc)
    found: list[Finding] = []
    for spec, auc, error in aucs:
        rest = max((a for g, a in best.items() if g != spec.group), default=0.5)
        sure = auc > IMPLAUSIBLE_AUC and auc - 3 * error > SURELY
        far = auc > FAR_ABOVE and auc - 3 * error > rest + FAR_FROM and len(best) > 3
        if sure or far:
            what = f"alone it ranks churners with an AUC of {auc:.3f}; the best of the other measures has {rest:.3f}"
            rows = ({"feature": spec.name, "auc": auc, "standard_error": error, "next_measure": rest},)
            found.append(_finding("implausible-auc", spec.name, what, 1, len(aucs), rows))
    return found


def _level(coded: Coded, y: FloatArray, who: IntArray, table: pa.Table) -> Finding | None:
    """A value (or null) of which nearly all churn, counted by customers."""
    base = y.mean() if len(y) else 0.0
    if not 0 < base < 1:
        return None
    keys = np.where(coded.null, np.nan, coded.values)
    values, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    if len(values) > MOST_VALUES:
        return None
    churned = np.bincount(inverse, weights=y, minlength=len(values))
    if not ((churned >= MIN_POSITIVES / 2) & (churned / counts >= PURE)).any():
        return None
    customers = _distinct(inverse, who, len(values))
    leaving = _distinct(inverse[y == 1], who[y == 1], len(values))
    low = _wilson(churned / counts, customers)
    odds = low / np.maximum(1 - low, 1e-9)
    bad = (leaving >= MIN_POSITIVES / 2) & (churned / counts >= PURE) & (odds >= MANY_TIMES * base / (1 - base))
    if not bad.any():
        return None
    i = int(np.argmax(np.where(bad, churned, -1)))
    value = "null" if np.isnan(values[i]) else coded.levels[int(values[i])] if coded.levels else plain(values[i])
    rows = table.select(["customer_id", "cutoff", coded.spec.name, "label"]).take(
        pa.array(np.flatnonzero(inverse == i)[:5])
    )
    what = (
        f"of {int(counts[i]):,} snapshots with the value {value!r}, {churned[i] / counts[i]:.1%} churned; of all, "
        f"{base:.1%}"
    )
    name = "level-gives-label-away"
    return _finding(name, coded.spec.name, what, int(counts[bad].sum()), len(y), rows.to_pylist())


def _distinct(group: IntArray, who: IntArray, groups: int) -> FloatArray:
    """How many customers each group has."""
    width = int(who.max(initial=0)) + 1
    pairs = np.unique(group * width + who)
    return np.bincount(pairs // width, minlength=groups).astype(float)


def _wilson(p: FloatArray, n: FloatArray, z: float = 3.0) -> FloatArray:
    """The lower end of Wilson's interval of a share."""
    n = np.maximum(n, 1.0)
    middle = p + z * z / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.asarray((middle - half) / (1 + z * z / n))


def _finding(name: str, where: str, what: str, count: int, of: int, rows: Sequence[Mapping[str, Any]]) -> Finding:
    return Finding(name, CHECK, "high", where, what, fix(name), count, of, tuple(rows))
