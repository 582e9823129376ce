"""What labels are made of: ends of customers, or the events that show they are active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from holdfast.artifacts.versions import instant
from holdfast.audit.subject import Subject, times
from holdfast.snapshots.activity import qualifying


@dataclass(frozen=True)
class Ends:
    """The facts behind the labels.

    Attributes
    ----------
    churned : True where a fact in the window means label 1 (an end), False where it means 0 (an event)
    customer, all : (n,) customer and time of every fact known by known_as_of
    what : the fact in a word
    """

    churned: bool
    customer: pa.Array
    all: npt.NDArray[Any]
    what: str

    def of(self, customers: Sequence[str]) -> dict[str, list[datetime]]:
        """The times of some customers' facts, ascending."""
        wanted = np.isin(self.customer.to_numpy(zero_copy_only=False), list(set(customers)))
        found: dict[str, list[datetime]] = {}
        rows = np.flatnonzero(wanted)
        ids = self.customer.take(pa.array(rows)).to_pylist()
        for customer, at in sorted(zip(ids, self.all[rows].astype(object), strict=True)):
            found.setdefault(customer, []).append(at)
        return found


def ends_of(subject: Subject) -> Ends:
    """Ends (contractual churn) or qualifying events (inactivity), as known by known_as_of."""
    data = subject.config.data
    if data.label.churn == "inactivity":
        events = qualifying(subject.tables, data, subject.known_as_of).select("customer_id", at="event_time")
        return _fetched(subject, events, churned=False, what="event")
    assert data.stays is not None  # checked on load
    stays = subject.tables[data.stays[0]]
    known = stays.filter(stays.end.notnull() & (stays.end_available_at < instant(subject.known_as_of)))
    return _fetched(subject, known.select("customer_id", at="end"), churned=True, what="end")


def _fetched(subject: Subject, table: Any, *, churned: bool, what: str) -> Ends:
    found = subject.engine.to_arrow(table)
    return Ends(churned, found.column("customer_id").combine_chunks(), times(found.column("at")), what)
