"""UTC time, half-open intervals, spans and the cutoff grid.

Python values are timezone-aware UTC datetimes; table columns are ``timestamp[us]`` without a zone and
mean UTC. `naive` and `utc` are the only two doors between them.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

Every = Literal["month", "week", "day"]
"""How often cutoffs come."""

MONTHS_PER_YEAR = 12
DAYS_PER_WEEK = 7

_SPAN = re.compile(r"^\s*(\d+)\s*(d|w|m)\s*$")


def utc(value: datetime | date) -> datetime:
    """The aware UTC datetime of a date (its midnight), a naive datetime (read as UTC) or an aware one.

    >>> utc(date(2024, 3, 1)).isoformat()
    '2024-03-01T00:00:00+00:00'
    """
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def naive(value: datetime) -> datetime:
    """The zoneless UTC datetime that tables hold."""
    return utc(value).replace(tzinfo=None)


def parse_instant(text: str) -> datetime:
    """Read ``2024-03-01`` or an ISO 8601 instant as UTC.

    Raises
    ------
    ValueError
        ``text`` is neither.
    """
    return utc(datetime.fromisoformat(text.strip()))


def iso(value: datetime) -> str:
    """``2024-03-01`` for a midnight, else ``2024-03-01T09:30:00Z``."""
    value = utc(value)
    if value == utc(value.date()):
        return value.date().isoformat()
    return value.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Span:
    """A length of time in whole months or whole days; written ``3m``, ``2w`` or ``30d``."""

    months: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read ``3m``, ``2w`` or ``30d``.

        >>> Span.parse("2w")
        Span(months=0, days=14)

        Raises
        ------
        ValueError
            ``text`` is not a whole number followed by d, w or m.
        """
        match = _SPAN.match(str(text))
        if not match:
            raise ValueError(f"{text!r} is not a span; write days, weeks or months as 30d, 2w or 3m")
        n, unit = int(match[1]), match[2]
        if unit == "m":
            return cls(months=n)
        return cls(days=n * (DAYS_PER_WEEK if unit == "w" else 1))

    @property
    def is_zero(self) -> bool:
        return self.months == 0 and self.days == 0

    def __str__(self) -> str:
        return f"{self.months}m" if self.months else f"{self.days}d"


@dataclass(frozen=True, order=True)
class Interval:
    """A half-open interval ``[start, end)`` of UTC instants."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


@dataclass(frozen=True)
class Grid:
    """The monthly grid of one anchor day; a month without that day uses its last day.

    Stepping counts from the anchor, never from a clipped date, so windows neither overlap nor leave gaps.

    >>> feb = datetime(2024, 2, 29, tzinfo=UTC)
    >>> Grid(31).step(feb, 1).date()
    datetime.date(2024, 3, 31)
    """

    anchor_day: int = 1

    def at(self, index: int) -> datetime:
        """The grid instant of month ``index`` (months since year 0)."""
        year, month = divmod(index, MONTHS_PER_YEAR)
        day = min(self.anchor_day, calendar.monthrange(year, month + 1)[1])
        return datetime(year, month + 1, day, tzinfo=UTC)

    def index(self, instant: datetime) -> int:
        """The month index of a grid instant.

        Raises
        ------
        ValueError
            ``instant`` is not on this grid.
        """
        k = instant.year * MONTHS_PER_YEAR + instant.month - 1
        if self.at(k) != instant:
            raise ValueError(f"{iso(instant)} is not on the monthly grid of day {self.anchor_day}")
        return k

    def step(self, instant: datetime, months: int) -> datetime:
        """``grid(k + months)`` for the grid instant ``grid(k)``."""
        return self.at(self.index(instant) + months)

    def shift(self, instant: datetime, span: Span) -> datetime:
        """A grid instant moved by a span: months step the grid, days add."""
        return self.step(instant, span.months) + timedelta(days=span.days)

    def between(self, first: datetime, last: datetime) -> list[datetime]:
        """All grid instants c with ``first <= c <= last``."""
        k = first.year * MONTHS_PER_YEAR + first.month - 1
        found: list[datetime] = []
        while (instant := self.at(k)) <= last:
            if instant >= first:
                found.append(instant)
            k += 1
        return found


def grid_of(cutoff: datetime, anchor_days: tuple[int, ...]) -> Grid:
    """The grid a cutoff belongs to: that of the first anchor day it lies on, else of its own day.

    Raises
    ------
    ValueError
        The cutoff is not a midnight.
    """
    if cutoff != utc(cutoff.date()):
        raise ValueError(f"the cutoff {iso(cutoff)} is not a midnight UTC")
    for day in anchor_days:
        grid = Grid(day)
        if grid.at(cutoff.year * MONTHS_PER_YEAR + cutoff.month - 1) == cutoff:
            return grid
    return Grid(cutoff.day)
