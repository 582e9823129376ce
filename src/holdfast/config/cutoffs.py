"""When predictions are made."""

from __future__ import annotations

from pydantic import model_validator

from holdfast.clock import Every, iso
from holdfast.config.base import InstantField, Section


class Cutoffs(Section):
    """The instants that training snapshots are taken at."""

    every: Every = "month"
    anchor_days: tuple[int, ...] = (1,)
    """Days of the month, 1 to 31 (31 is the month's end); with ``every: week`` ISO weekdays, 1 is Monday."""
    first: InstantField | None = None
    """The first cutoff; by default the first on the grid after the sources begin plus the longest window."""
    last: InstantField | None = None
    """The last cutoff; by default the last on the grid at or before known_as_of."""

    @model_validator(mode="after")
    def _ascending(self) -> Cutoffs:
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"first {iso(self.first)} is after last {iso(self.last)}")
        if not self.anchor_days or len(set(self.anchor_days)) != len(self.anchor_days):
            raise ValueError("anchor_days must differ, and there must be one")
        limit = {"month": 31, "week": 7, "day": 1}[self.every]
        if not all(1 <= day <= limit for day in self.anchor_days):
            raise ValueError(
                "every: day has no anchor_days" if self.every == "day" else f"anchor_days are from 1 to {limit}"
            )
        return self
