"""(b) Stored cells that are not what they must be, and what they are where no wrong rule gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.audit.company import Company
from holdfast.audit.copied import times_, total_of_cells
from holdfast.audit.names import fix
from holdfast.audit.recompute import Differences
from holdfast.audit.report import Finding
from holdfast.audit.subject import Subject
from holdfast.evaluation.arrays import FloatArray

CHECK = "values"
ENOUGH = 0.5
"""A mistake names a leak in a feature if it explains this share of the differing cells that were tried."""


@dataclass(frozen=True)
class Cell:
    """A stored value that is not what it must be, with the names of the wrong rules that give it."""

    feature: str
    customer: str
    cutoff: datetime
    stored: Any
    expected: Any
    explained: frozenset[str]

    def evidence(self) -> dict[str, Any]:
        return {
            "customer_id": self.customer, "cutoff": self.cutoff, "feature": self.feature, "stored": self.stored,
            "recomputed": self.expected,
        }  # fmt: skip


Moves = Callable[[Cell], bool]


def unexplained(
    subject: Subject, feature: str, cells: Sequence[Cell], different: Differences, moves: Moves, company: Company
) -> Finding:
    """A column that no wrong rule gives: a final total, constant where it must move, or wrong for those who left?"""
    name, why = "value-differs", "and no known mistake gives them"
    total = total_of_cells(company, *_numbers(subject, feature, cells, different))
    if total is not None:
        name = "final-value-copied-back"
        why = f"they are what '{total[0]}' came to at the end{times_(total[1])}"
    elif _constant(subject, feature) and np.mean([moves(c) for c in cells[:12]]) >= ENOUGH:
        name = "final-value-copied-back"
        why = "every customer has one value at all cutoffs, although it must change between them"
    elif (shares := _leavers(subject, _customers(subject, feature, cells, different))) is not None:
        name = "updated-at-churn"
        why = f"{shares[0]:.0%} of the customers they are of left later, of all customers {shares[1]:.0%}"
    n = different.counts.get(feature, len(cells))
    what = f"{n:,} stored values differ from the recomputation: {why}"
    of = different.looked_at or None
    return Finding(name, CHECK, "high", feature, what, fix(name), n, of, tuple(c.evidence() for c in cells))


def _customers(subject: Subject, feature: str, cells: Sequence[Cell], different: Differences) -> list[str]:
    """The customers of the differing cells that are remembered."""
    known = different.cells.get(feature)
    if known is None:
        return [c.customer for c in cells]
    return list(subject.stored.column("customer_id").take(pa.array([row for row, _ in known], pa.int64())).to_pylist())


def _numbers(
    subject: Subject, feature: str, cells: Sequence[Cell], different: Differences
) -> tuple[list[str], FloatArray, FloatArray]:
    """Customers, stored and due values of the same cells; none of a category."""
    known = different.cells.get(feature)
    if known is not None:
        stored = subject.stored.column(feature).take(pa.array([row for row, _ in known], pa.int64())).to_pylist()
        due = [value for _, value in known]
    else:
        stored, due = [c.stored for c in cells], [c.expected for c in cells]
    if any(isinstance(v, str) for v in (*stored, *due)):
        return [], np.zeros(0), np.zeros(0)
    ids = _customers(subject, feature, cells, different)
    return ids, np.array(stored, dtype=float), np.array(due, dtype=float)


CONSTANT = 0.95


def _constant(subject: Subject, feature: str) -> bool:
    """Whether every customer with several snapshots has one stored value."""
    table = subject.stored.select(["customer_id", feature]).group_by("customer_id")
    counted = table.aggregate([(feature, "count_distinct"), (feature, "count")])
    distinct, n = (np.asarray(counted.column(f"{feature}_{k}").to_numpy()) for k in ("count_distinct", "count"))
    several = n >= 3
    return bool(several.sum() >= 10 and (distinct[several] <= 1).mean() > CONSTANT)


def _leavers(subject: Subject, customers: Sequence[str]) -> tuple[float, float] | None:
    """(share of those concerned who left, share of all), where the two are far apart."""
    from scipy.stats import binomtest  # a second to import, needed only here

    left = leavers(subject)
    if not left:
        return None
    everyone = set(subject.stored.column("customer_id").unique().to_pylist())
    mine = set(customers)
    base = len(left & everyone) / max(len(everyone), 1)
    k = len(left & mine)
    if 0 < base < 1 and k / len(mine) > base and binomtest(k, len(mine), base, alternative="greater").pvalue < 1e-4:
        return k / len(mine), base
    return None


def leavers(subject: Subject) -> set[str]:
    """Customers with a label 1 in any snapshot."""
    table = subject.matured()
    positive = table.filter(np.asarray(table.column("label").to_numpy() == 1))
    return set(positive.column("customer_id").unique().to_pylist())
