"""Which snapshots the slow oracle looks at: those where a wrong rule would show, and some at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.audit.recompute import Differences
from holdfast.audit.rows import Times
from holdfast.audit.subject import Subject, moment, times
from holdfast.evaluation.arrays import IntArray

DAY = np.timedelta64(1, "D")
DIFFERING_OF_EACH = 25
"""Snapshots that already differ, of each feature."""


@dataclass(frozen=True)
class Hard:
    """Why a snapshot is a hard one, and how many such there are in the whole dataset."""

    counts: Mapping[str, int]
    rows: IntArray


def hard_rows(subject: Subject, of: Mapping[str, Times], most: int) -> Hard:
    """Row numbers of ``stored`` where a wrong rule would change something, evenly over rules and tables.

    late         an event of before the cutoff that was known only after it
    correction   a correction that was known only after the cutoff
    instant      a row at the very instant of the cutoff, or up to a day after it
    after        a row of after the cutoff
    """
    cutoffs = np.array([moment(c.at) for c in subject.cutoffs], dtype="datetime64[us]")
    index = _Index(subject, cutoffs)
    rng = subject.rng("hard")
    found: dict[str, IntArray] = {}
    for name, t in of.items():
        for kind, (customers, at) in _kinds(t, cutoffs).items():
            rows = index.rows(t.ids, customers, at)
            if len(rows):
                found[f"{name} {kind}"] = np.unique(rows)
    each = max(1, most // max(len(found), 1))
    picked = [rng.choice(rows, min(each, len(rows)), replace=False) for rows in found.values()]
    chosen = np.unique(np.concatenate(picked)) if picked else np.zeros(0, np.int64)
    return Hard({k: len(v) for k, v in found.items()}, chosen.astype(np.int64))


def pick(subject: Subject, hard: Hard, different: Differences) -> list[int]:
    """Row numbers of ``stored`` for the oracle: differing ones first, then hard ones, then random ones."""
    rng = subject.rng("pairs")
    chosen: dict[int, None] = {}
    for cells in different.cells.values():
        some = rng.choice(len(cells), min(len(cells), DIFFERING_OF_EACH), replace=False)
        chosen.update(dict.fromkeys(cells[i][0] for i in sorted(some)))
    for row in rng.permutation(hard.rows):
        if len(chosen) >= max(subject.effort.pairs * 4 // 5, 1):
            break
        chosen[int(row)] = None
    total = subject.stored.num_rows
    spare = max(0, min(subject.effort.pairs, total) - len(chosen))
    for row in rng.choice(total, min(total, spare), replace=False):
        chosen[int(row)] = None
    return sorted(chosen)


class _Index:
    """Row number of (customer, cutoff) in the stored snapshots."""

    def __init__(self, subject: Subject, cutoffs: npt.NDArray[np.datetime64]) -> None:
        self.coded = subject.stored.column("customer_id").combine_chunks().dictionary_encode()
        codes = np.asarray(self.coded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
        at = np.searchsorted(cutoffs, times(subject.stored.column("cutoff")))
        self.width = len(cutoffs) + 1
        keys = codes * self.width + at
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def rows(self, ids: pa.Array, customers: IntArray, at: IntArray) -> IntArray:
        """Row numbers of those pairs that are stored; ``customers`` are codes of ``ids``."""
        code = pc.index_in(ids, self.coded.dictionary).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        mine = np.where(customers >= 0, code[customers], -1) if len(code) else np.full(len(customers), -1)
        keys = mine[mine >= 0] * self.width + at[mine >= 0]
        place = np.searchsorted(self.keys, keys)
        inside = place < len(self.keys)
        place, keys = place[inside], keys[inside]
        return np.asarray(self.order[place[self.keys[place] == keys]], dtype=np.int64)


def _kinds(t: Times, cutoffs: npt.NDArray[np.datetime64]) -> dict[str, tuple[IntArray, IntArray]]:
    """Kind -> (customer codes, cutoff numbers)."""
    after_time = np.searchsorted(cutoffs, t.time, side="right")
    after_known = np.searchsorted(cutoffs, t.available, side="right")
    held = after_known > after_time  # some cutoff lies after the event and not after its availability
    first = np.isnat(t.earlier)
    after_first = np.searchsorted(cutoffs, np.where(first, t.available, t.earlier), side="right")
    corrected = ~first & (after_known > np.maximum(after_time, after_first))
    at_instant = np.searchsorted(cutoffs, t.time, side="right") - 1
    instant = (at_instant >= 0) & (t.time - cutoffs[np.maximum(at_instant, 0)] < DAY)
    exact = (at_instant >= 0) & (t.time == cutoffs[np.maximum(at_instant, 0)])
    known_at = np.searchsorted(cutoffs, t.available, side="right") - 1
    known_exact = (known_at >= 0) & (t.available == cutoffs[np.maximum(known_at, 0)])
    found = {
        "late": (t.customer[held & first], after_time[held & first]),
        "correction": (t.customer[corrected], np.maximum(after_time, after_first)[corrected]),
        "instant": (t.customer[exact], at_instant[exact]),
        "known at the instant": (t.customer[known_exact], known_at[known_exact]),
        "same day": (t.customer[instant & ~exact], at_instant[instant & ~exact]),
    }
    soon = (at_instant >= 0) & ~instant & (at_instant < len(cutoffs))
    found["after"] = (t.customer[soon], at_instant[soon])
    return {k: (c, a) for k, (c, a) in found.items() if len(c)}
