"""Distinct values in windows that slide over buckets, counted by when each value comes into a window and leaves it."""

from __future__ import annotations

from typing import Any

import ibis

from holdfast.features.plan import Plan, State
from holdfast.features.states import both, chosen

NEVER = -(10**9)


def changes(plan: Plan, states: list[State], rows: Any, lags: int, ks: tuple[int, int]) -> Any:
    """(customer_id, b, <state>_<w>m): by how much the count of distinct values changes at a bucket.

    A value seen in bucket b, and known at s >= b, is in the window of w months at the cutoffs of s to b + w - 1. Where
    an older sight of it still counts at s, it only stays longer.
    """
    names = [f"{plan.name(state)}_{w}" for state in states for w in plan.months(state)]
    found: Any = None
    for state in states:
        within = both(chosen(rows, state.where), rows.b.between(ks[0] - plan.reach + 1, ks[1]))
        seen = rows.filter(both(within, rows[state.column].notnull()))
        known = seen.b + seen.lag if lags else seen.b
        seen = seen.select("customer_id", "b", s=known, v=seen[state.column])
        seen = seen.group_by("customer_id", "v", "s").aggregate(b=seen.b.max())
        before = ibis.window(group_by=["customer_id", "v"], order_by="s", preceding=(None, 1))
        seen = seen.mutate(older=seen.b.max().over(before).fill_null(NEVER))
        for w in plan.months(state):
            comes, goes = ibis.greatest(seen.s, seen.older + w.months), seen.b + w.months
            moves = seen.select("customer_id", comes=comes, goes=goes)
            moves = moves.filter(moves.comes < moves.goes)
            for column, step in (("comes", 1), ("goes", -1)):
                mine = f"{plan.name(state)}_{w}"
                steps = {n: ibis.literal(step if n == mine else 0, "int64") for n in names}
                part = moves.select("customer_id", b=moves[column], **steps)
                found = part if found is None else found.union(part, distinct=False)
    return found.group_by("customer_id", "b").aggregate(**{n: found[n].sum() for n in names})
