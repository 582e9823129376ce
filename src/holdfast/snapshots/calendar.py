"""The cutoffs of a build and the label window of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from holdfast.clock import Grid, Interval, grid_of, iso, naive
from holdfast.config.data import Cutoffs, Label
from holdfast.errors import ConfigError, Problem


@dataclass(frozen=True)
class Cutoff:
    """One cutoff: its instant, its grid, its label window and when that window's labels are known."""

    at: datetime
    grid: Grid
    label_window: Interval
    label_available_at: datetime

    @classmethod
    def of(cls, at: datetime, label: Label, anchor_days: tuple[int, ...]) -> Cutoff:
        """The cutoff at an instant, by the label's lead, horizon, grace and delay (DESIGN section 1)."""
        grid = grid_of(at, anchor_days)
        lead = timedelta(days=label.lead.days)
        window = Interval(at + lead, grid.shift(at, label.horizon) + lead)
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
    grids = [Grid(day) for day in cutoffs.anchor_days]
    if cutoffs.first is not None and cutoffs.first <= begins:
        raise _config(
            "data.cutoffs.first", f"{iso(cutoffs.first)} is not after the data begins ({iso(begins)})",
            f"Choose a later date; by default it is {iso(_default_first(grids, begins, longest_months))}.",
        )  # fmt: skip
    first = cutoffs.first or _default_first(grids, begins, longest_months)
    last = min(cutoffs.last or known_as_of, known_as_of)
    instants = sorted({c for grid in grids for c in grid.between(first, last)})
    if not instants:
        raise _config(
            "data.cutoffs", f"no cutoff lies between {iso(first)} and {iso(last)} (known_as_of)",
            "Choose an earlier first cutoff, or bring more history.",
        )  # fmt: skip
    return [Cutoff.of(c, label, cutoffs.anchor_days) for c in instants]


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
            f"{label.horizon} is longer than the history: the label of the first cutoff {iso(first.at)} is known only "
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


def _default_first(grids: Sequence[Grid], begins: datetime, months: int) -> datetime:
    return min(_after(grid, begins, months) for grid in grids)


def _after(grid: Grid, begins: datetime, months: int) -> datetime:
    index = begins.year * 12 + begins.month - 1
    while grid.at(index) < begins:
        index += 1
    return grid.at(index + months)


def _config(where: str, what: str, fix: str) -> ConfigError:
    return ConfigError("the configuration does not fit the data", [Problem(where, what, fix)])
