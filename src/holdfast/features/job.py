"""What to compute of one events table, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast.clock import Grid
from holdfast.config.data import EventsTable
from holdfast.features.plan import Plan


@dataclass(frozen=True)
class EventsJob:
    """What to compute of one events table, for which pairs.

    Attributes
    ----------
    prefix : of the names of tables made here
    table : canonical rows
    pairs : customer_id, cutoff, k, start and ``start_<w>m`` of every window in months, one row per pair
    months, offsets : b of every month that a window may reach, and o from 0 on
    ks : first and last grid index of the pairs
    longest : months that the exposure counts
    """

    prefix: str
    name: str
    config: EventsTable
    table: Any
    plan: Plan
    pairs: Any
    months: Any
    offsets: Any
    ks: tuple[int, int]
    grid: Grid
    known_as_of: datetime
    longest: int
