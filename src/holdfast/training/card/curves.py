"""The curves of a card, as few points as a person can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.evaluation.arrays import FloatArray

MOST_POINTS = 240


@dataclass(frozen=True)
class Curves:
    """A ranking by falling probability, at the ends of groups of equal ones.

    Attributes
    ----------
    contacted : (k,) share of all snapshots above each threshold, rising from 0 to 1
    recall, fallout : (k,) share of the churners and of the stayers there
    precision, lift : (k,) churn rate there, and over the base rate; the first, of nobody, are NaN
    """

    contacted: FloatArray
    recall: FloatArray
    fallout: FloatArray
    precision: FloatArray
    lift: FloatArray

    @classmethod
    def of(cls, y: FloatArray, p: FloatArray) -> Curves | None:
        """The curves of (n,) labels and probabilities; None where one class is absent."""
        n, churners = len(y), float(y.sum())
        if churners in (0.0, float(n)):
            return None
        order = np.argsort(-p, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(p[order]) != 0), n - 1)
        rows = np.append(0.0, ends + 1.0)
        true = np.append(0.0, np.cumsum(y[order])[ends])
        kept = thinned(len(rows))
        rows, true = rows[kept], true[kept]
        precision = np.divide(true, rows, out=np.full_like(rows, np.nan), where=rows > 0)
        return cls(rows / n, true / churners, (rows - true) / (n - churners), precision, precision / (churners / n))


def thinned(n: int, most: int = MOST_POINTS) -> Sequence[int]:
    """Indices of at most ``most`` of n points, both ends among them, denser at the start, where a ranking is used."""
    if n <= most:
        return range(n)
    even = np.linspace(0, n - 1, most * 2 // 3)
    early = np.geomspace(1, n - 1, most - len(even))
    found: list[int] = np.unique(np.rint(np.concatenate([even, early])).astype(int)).tolist()
    return found
