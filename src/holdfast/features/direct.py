"""The direct path: every pair reads its own rows, by bucket.

Exact for whatever was known late or corrected, the only path for windows in days, and the quicker one for few cutoffs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.clock import Span
from holdfast.features.plan import SLOPE, Plan, State
from holdfast.features.states import WIDE, both, chosen, combine, of_rows, settled_type

Reduce = Callable[[State, Any], Any]
"""The aggregate of a state over the rows for which a condition holds."""


def of_one_cutoff(engine: Engine, pairs: Any, rows: Any, plan: Plan, k: int, name: str) -> Any:
    """Window states in months of pairs that all have grid index ``k``, every row read once.

    Rows are aggregated to the rings between one window's start and the next longer one's, and rings to windows. A state
    that does not add up, distinct values, has to see the rows of each window.

    Parameters
    ----------
    pairs : customer_id, k, first_full
    rows : of the longest window: customer_id, b and the plan's columns
    name : of the table of rings
    """
    same = pairs.customer_id == rows.customer_id
    if any(state.kind == "u" for state in plan.needed):
        seen = pairs.left_join(rows, same)
        return states(seen, plan, over_rows(seen), months=True)
    lengths = sorted({w.months for state in plan.needed for w in plan.months(state)})
    found = rows.join(pairs.select("customer_id", "first_full"), same)
    found = found.mutate(ring=ibis.cases(*[(found.b > k - months, i) for i, months in enumerate(lengths)]))
    reduce, full = over_rows(found), found.b >= found.first_full
    columns = {plan.name(s): reduce(s, full if s.kind in SLOPE else None) for s in plan.needed if plan.months(s)}
    # kept, since aggregating twice in one go takes twice the memory
    rings = engine.materialize(found.group_by("customer_id", "ring").aggregate(**columns), name)
    seen = pairs.left_join(rings, pairs.customer_id == rings.customer_id)
    windowed = {
        plan.name(s, w): settled_type(combine(seen[plan.name(s)], s.kind, seen.ring <= lengths.index(w.months)), s.kind)
        for s in plan.needed for w in plan.months(s)
    }  # fmt: skip
    return seen.group_by("customer_id", "k").aggregate(**windowed)


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
