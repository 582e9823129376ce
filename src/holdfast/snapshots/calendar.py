"""The cutoffs of a build and the label window of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from holdfast.clock import DAYS_PER_WEEK, Grid, Interval, Span, grid_of, iso, naive, utc
from holdfast.config.base import FIRST_YEAR, LAST_YEAR
from holdfast.config.data import Cutoffs, Label
from holdfast.errors import ConfigError, Problem

LONGEST_STEP = timedelta(days=32)
"""No calendar has two instants further apart."""


@dataclass(frozen=True)
class Cutoff:
    """One cutoff: its instant, its grid, its label window and when that window's labels are known."""

    at: datetime
    grid: Grid
    label_window: Interval
    label_available_at: datetime

    @classmethod
    def of(cls, at: datetime, label: Label, cutoffs: Cutoffs) -> Cutoff:
        """The cutoff at an instant, by the label's lead, horizon, grace and delay (DESIGN section 1).

        Months of lead and horizon step the cutoff's own grid: that of its anchor day or, with weekly and daily
        cutoffs and on any other day, of its own day of the month.
        """
        grid = grid_of(at, cutoffs.anchor_days if cutoffs.every == "month" else ())
        lead, length = label.lead, label.window
        until = Span(lead.months + length.months, lead.days + length.days)
        window = Interval(grid.shift(at, lead), grid.shift(at, until))
        known = window.end + timedelta(days=label.grace.days + label.delay.days)
        return cls(at, grid, window, known)

    def matured(self, known_as_of: datetime, complete_through: datetime) -> bool:
        """Whether labels of this cutoff may train or be measured."""
        return self.label_available_at <= min(known_as_of, complete_through)


def training_cutoffs(
    cutoffs: Cutoffs, label: Label, *, begins: datetime, longest_months: int, known_as_of: datetime
) -> list[Cutoff]:
    """The cutoffs of a dataset, ascending.

    Parameters
    ----------
    begins : when the sources begin
    longest_months : the longest feature window

    Raises
    ------
    ConfigError
        The first cutoff lies before the data begins, or no cutoff remains, or no label could ever mature.
    """
    if cutoffs.first is not None and cutoffs.first <= begins and begins.year <= LAST_YEAR:
        raise _config(
            "data.cutoffs.first", f"{iso(cutoffs.first)} is not after the data begins ({iso(begins)})",
            f"Choose a later date; by default it is {iso(_default_first(cutoffs, begins, longest_months))}.",
        )  # fmt: skip
    if cutoffs.first is None and not FIRST_YEAR <= begins.year <= LAST_YEAR:
        raise _config(
            "data.cutoffs.first", f"is needed: the data begin in the year {begins.year}",
            "Give the first cutoff, or correct the times.",
        )  # fmt: skip
    first = cutoffs.first or _default_first(cutoffs, begins, longest_months)
    last = min(cutoffs.last or known_as_of, known_as_of)
    found = instants(cutoffs, first, last)
    if not found:
        raise _config(
            "data.cutoffs", f"no cutoff lies between {iso(first)} and {iso(last)} (known_as_of)",
            "Choose an earlier first cutoff, or bring more history.",
        )  # fmt: skip
    return [Cutoff.of(c, label, cutoffs) for c in found]


def instants(cutoffs: Cutoffs, first: datetime, last: datetime) -> list[datetime]:
    """Every instant of the calendar with ``first <= instant <= last``, ascending."""
    if cutoffs.every == "month":
        return sorted({c for day in cutoffs.anchor_days for c in Grid(day).between(first, last)})
    midnight = utc(first.date())
    days = (midnight + timedelta(days=n) for n in range((last - midnight).days + 1))
    weekdays = cutoffs.anchor_days if cutoffs.every == "week" else range(1, DAYS_PER_WEEK + 1)
    return [day for day in days if first <= day <= last and day.isoweekday() in weekdays]


def latest_instant(cutoffs: Cutoffs, until: datetime) -> datetime:
    """The latest instant of the calendar at or before ``until``."""
    return instants(cutoffs, until - LONGEST_STEP, until)[-1]


def require_matured(cutoffs: Sequence[Cutoff], label: Label, known_as_of: datetime, complete_through: datetime) -> None:
    """Refuse a build none of whose labels has matured.

    Raises
    ------
    ConfigError
        The horizon (with lead, grace and delay) is longer than the history after the first cutoff.
    """
    first = cutoffs[0]
    if not first.matured(known_as_of, complete_through):
        raise _config(
            "data.label.horizon",
            f"{label.window} is longer than the history: the label of the first cutoff {iso(first.at)} is known only "
            f"at {iso(first.label_available_at)}, the data end at {iso(min(known_as_of, complete_through))}",
            "Shorten the horizon, lead, grace or delay, or set data.cutoffs.first earlier.",
        )


def cutoff_table(cutoffs: Sequence[Cutoff], windows: Sequence[int] = ()) -> pa.Table:
    """Cutoffs as a table for the engine: instant, grid index, label window and feature window starts."""
    rows: dict[str, list[object]] = {
        "cutoff": [naive(c.at) for c in cutoffs],
        "k": [c.grid.index(c.at) for c in cutoffs],
        "label_start": [naive(c.label_window.start) for c in cutoffs],
        "label_end": [naive(c.label_window.end) for c in cutoffs],
        "label_available_at": [naive(c.label_available_at) for c in cutoffs],
    }
    stamp = pa.timestamp("us")
    types = [stamp, pa.int64(), stamp, stamp, stamp]
    for months in windows:
        rows[f"start_{months}m"] = [naive(c.grid.step(c.at, -months)) for c in cutoffs]
        types.append(stamp)
    return pa.table(list(rows.values()), schema=pa.schema(list(zip(rows, types, strict=True))))


def _default_first(cutoffs: Cutoffs, begins: datetime, months: int) -> datetime:
    """The first instant whose longest window lies after the data's begin."""
    since = begins
    while True:
        for c in instants(cutoffs, since, since + LONGEST_STEP):
            if grid_of(c, cutoffs.anchor_days if cutoffs.every == "month" else ()).step(c, -months) >= begins:
                return c
        since += LONGEST_STEP


def _config(where: str, what: str, fix: str) -> ConfigError:
    return ConfigError("the configuration does not fit the data", [Problem(where, what, fix)])
