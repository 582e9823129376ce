"""The part of a month in which each customer is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.simulate.arrays import Bools, Floats, Ints, whole
from holdfast.simulate.customers import Customers
from holdfast.simulate.timeline import Timeline


@dataclass(frozen=True)
class Stay:
    """One month of one chunk.

    ``present`` are there for some of the month, from ``first`` to ``last``; ``at_risk`` were customers strictly
    before it began, and may leave in it.
    """

    month: int
    start: int
    end: int
    present: Bools
    at_risk: Bools
    first: Ints
    last: Ints

    def covers(self, instants: Ints, rows: Ints) -> Bools:
        """Whether the customers at ``rows`` are there at the instants: after they came, up to their end.

        Half-open like every month: an event at the next month's start belongs to that month.
        """
        inside: Bools = (
            self.present[rows] & (instants > self.first[rows]) & (instants <= self.last[rows]) & (instants < self.end)
        )
        return inside

    def instants(self, draws: Floats) -> Ints:
        """Uniform draws as instants of the month."""
        return self.start + whole(draws * (self.end - self.start))


def stay_of(month: int, timeline: Timeline, people: Customers, left_at: Ints) -> Stay:
    """The stay of each customer, given when they leave (``NEVER`` if they do not)."""
    start, end = int(timeline.edges[month]), int(timeline.edges[month + 1])
    there = left_at >= start
    return Stay(
        month=month,
        start=start,
        end=end,
        present=there & (people.signup_at < end),
        at_risk=there & (people.signup_at < start),
        first=np.maximum(people.signup_at, start),
        last=np.minimum(left_at, end),
    )
