"""The months and weeks of a simulation, as seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property

import numpy as np

from holdfast.errors import UsageError
from holdfast.simulate.arrays import DAY, Ints

WEEK = 7 * DAY
MOST_MONTHS = 600  # ids have four digits for a week and for a month with its tickets


@dataclass(frozen=True)
class Timeline:
    """``months`` calendar months from ``start``, and the weeks counted from it."""

    start: date
    months: int

    def __post_init__(self) -> None:
        if not 1 <= self.months <= MOST_MONTHS:
            raise UsageError(f"months is {self.months}", fix=f"Give between 1 and {MOST_MONTHS} months")
        if self.start.day != 1:
            raise UsageError(f"start is {self.start}", fix="Give the first day of a month")

    @cached_property
    def edges(self) -> Ints:
        """Month starts, shape (months + 1,); the last is the end of history."""
        first = self.start.year * 12 + self.start.month - 1
        starts = [datetime((first + k) // 12, (first + k) % 12 + 1, 1, tzinfo=UTC) for k in range(self.months + 1)]
        return np.array([int(s.timestamp()) for s in starts], dtype=np.int64)

    @property
    def begin(self) -> int:
        return int(self.edges[0])

    @property
    def end(self) -> int:
        return int(self.edges[-1])

    def month_of_year(self, month: int) -> int:
        """0 for January."""
        return (self.start.month - 1 + month) % 12

    def week_ends(self, month: int) -> tuple[Ints, Ints]:
        """The weeks that end in ``[start of month, start of next)``: their ends and their numbers from 1."""
        low, high = int(self.edges[month]) - self.begin, int(self.edges[month + 1]) - self.begin
        numbers = np.arange(max(1, -(-low // WEEK)), -(-high // WEEK), dtype=np.int64)
        return self.begin + numbers * WEEK, numbers
