"""The direct path: every pair reads its own rows, by bucket.

Exact for whatever was known late or corrected, the only path for windows in days, and the quicker one for few cutoffs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ibis

from holdfast.clock import Span
from holdfast.features.plan import SLOPE, Plan, State
from holdfast.features.states import WIDE, both, chosen, combine, of_rows, settled_type

Reduce = Callable[[State, Any], Any]
"""The aggregate of a state over the rows for which a condition holds."""


def of_one_cutoff(pairs: Any, rows: Any) -> Any:
    """Pairs of one cutoff, each with its rows; pairs without any once. ``rows`` are of the longest window already."""
    return pairs.left_join(rows, pairs.customer_id == rows.customer_id)


def windows(pairs: Any, offsets: Any, pieces: Any, conditions: Callable[[Any, Any], Sequence[Any]], reach: int) -> Any:
    """Every pair with each of its pieces (rows or buckets) of the last ``reach`` buckets; pairs without any once.

    Parameters
    ----------
    pairs : customer_id, k, cutoff, first_full
    offsets : o from 0 on
    pieces : customer_id, b and whatever is to be aggregated
    conditions : of (pairs, pieces), beyond the same customer and bucket
    """
    near = offsets.filter(offsets.o < reach)
    here = [pairs.customer_id == pieces.customer_id, pairs.k - near.o == pieces.b, *conditions(pairs, pieces)]
    return pairs.cross_join(near).left_join(pieces, here)


def states(seen: Any, plan: Plan, reduce: Reduce, *, months: bool) -> Any:
    """Window states of every pair, aggregated from what `windows` gives."""
    columns: dict[str, Any] = {}
    spans = {w for ws in plan.needed.values() for w in ws if bool(w.months) == months}
    inside = {w: _inside(seen, w) for w in spans}
    full = seen.b >= seen.first_full
    for state in plan.needed:
        for w in plan.months(state) if months else plan.days(state):
            where = inside[w] & full if state.kind in SLOPE else inside[w]
            columns[plan.name(state, w)] = settled_type(reduce(state, where), state.kind)
    return seen.group_by("customer_id", "k").aggregate(**columns)


def _inside(seen: Any, w: Span) -> Any:
    if w.months:
        return seen.b > seen.k - w.months
    return seen.event_time >= seen.cutoff - ibis.interval(days=w.days)


def over_rows(seen: Any) -> Reduce:
    """Aggregates of event rows."""

    def reduce(state: State, inside: Any) -> Any:
        if state.kind != "by":
            return of_rows(seen, state.base if state.kind == "y" else state, inside)
        value = ibis.literal(1, WIDE) if state.column is None else seen[state.column].cast(WIDE)
        return (value * seen.b.cast(WIDE)).sum(where=both(inside, chosen(seen, state.where)))

    return reduce


def over_buckets(seen: Any, plan: Plan) -> Reduce:
    """Aggregates of bucket states."""

    def reduce(state: State, inside: Any) -> Any:
        value = seen[plan.name(state.base if state.kind in SLOPE else state)]
        if state.kind == "by":
            value = value.cast(WIDE) * seen.b.cast(WIDE)
        return combine(value, state.kind, inside)

    return reduce
