"""Which version of a row was known when (DESIGN 3.1), and how instants fall into grid buckets.

Bucket ``b`` of a grid is ``[grid(b - 1), grid(b))``: an event in it is first usable at the cutoff ``grid(b)``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import ibis

from holdfast.artifacts.versions import instant, known_rows, with_superseded
from holdfast.clock import Grid

__all__ = [
    "bucket", "days_between", "first_full_bucket", "instant", "known_rows", "midnight", "with_superseded",
]  # fmt: skip

SECONDS_PER_DAY = 86_400
LONGEST_SURE_DAY = 28  # every month has it


def bucket(time: Any, grid: Grid) -> Any:
    """The smallest b with ``time < grid(b)``, as int64."""
    day = ibis.literal(grid.anchor_day, "int64")
    if grid.anchor_day > LONGEST_SURE_DAY:
        last = (time.truncate("M") + ibis.interval(months=1) - ibis.interval(days=1)).day().cast("int64")
        day = ibis.least(day, last)
    month = time.year().cast("int64") * 12 + time.month().cast("int64") - 1
    return month + (time.day().cast("int64") >= day).cast("int64")


def days_between(start: Any, end: Any) -> Any:
    """``end - start`` in days, float64; both are cut to whole seconds, since engines round fractions differently."""
    first, last = start.truncate("s"), end.truncate("s")
    seconds = last.epoch_seconds().cast("int64") - first.epoch_seconds().cast("int64")
    return seconds.cast("float64") / float(SECONDS_PER_DAY)


def first_full_bucket(start: Any, grid: Grid) -> Any:
    """The first bucket that begins at or after ``start``."""
    return bucket(start - ibis.interval(microseconds=1), grid) + 1


def midnight(value: datetime) -> datetime:
    """The midnight at or before an instant."""
    return value - timedelta(
        hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
    )
