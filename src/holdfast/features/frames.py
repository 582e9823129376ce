"""The fast path: ROWS frames over a dense (customer, bucket) spine.

With a constant delay the rows of the last buckets before a cutoff are not all known: buckets then also carry what is
known of them at their own end, one bucket later and so on (``_d0``, ``_d1``, …), up to the delay's length.
"""

from __future__ import annotations

from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.features.plan import SLOPE, Plan, State
from holdfast.features.states import SUMS, WIDE, combine, join, settled_type
from holdfast.features.unique import changes


def frames(
    engine: Engine, plan: Plan, rows: Any, buckets: Any, pairs: Any, months: Any, ks: tuple[int, int], lags: int,
    prefix: str,
) -> Any:  # fmt: skip
    """Window states of every pair, of the windows in months.

    Parameters
    ----------
    rows : settled event rows: customer_id, b, lag and columns
    buckets : customer_id, b and the states of `Plan.carried`, with ``_d<j>`` for every j below ``lags``
    pairs : customer_id, k, cutoff, first_full, …
    months : b, every bucket from the first that a window reaches to the last
    lags : how many buckets after its own the last row of a bucket is known
    """
    unique = [state for state in plan.needed if state.kind == "u"]
    customers = pairs.group_by("customer_id").aggregate(
        since=pairs.first_full.min(), low=pairs.k.min(), high=pairs.k.max()
    )
    spine = customers.cross_join(months)
    reaches = spine.b > spine.low - plan.reach
    spine = spine.filter(spine.b <= spine.high, *([] if unique else [reaches]))
    joined = spine.left_join(buckets, [spine.customer_id == buckets.customer_id, spine.b == buckets.b])
    joined = joined.left_join(pairs, [spine.customer_id == pairs.customer_id, spine.b == pairs.k])
    columns: dict[str, Any] = {n: buckets[n] for n in buckets.columns if n not in ("customer_id", "b")}
    of_pairs = {n: pairs[n] for n in pairs.columns if n != "customer_id"}
    if unique:
        deltas = changes(plan, unique, rows, lags, ks)
        joined = joined.left_join(deltas, [spine.customer_id == deltas.customer_id, spine.b == deltas.b])
        columns |= {n: deltas[n] for n in deltas.columns if n not in ("customer_id", "b")}
    spine = joined.select(spine.customer_id, spine.b, spine.since, **of_pairs, **columns)
    spine = engine.materialize(spine, f"{prefix}_spine")

    found = {plan.name(s, w): _framed(spine, plan, s, w.months, lags) for s in plan.needed for w in plan.months(s)}
    framed = spine.select("customer_id", *of_pairs, **found)
    return framed.filter(framed.cutoff.notnull())


def _framed(spine: Any, plan: Plan, state: State, w: int, lags: int) -> Any:
    keys = {"group_by": spine.customer_id, "order_by": spine.b}
    if state.kind == "u":
        total = spine[f"{plan.name(state)}_{w}m"].sum().over(ibis.cumulative_window(**keys))
        return total.fill_null(0)

    def carried(suffix: str = "") -> Any:
        if state.kind not in SLOPE:
            return spine[plan.name(state) + suffix]
        y = ibis.ifelse(spine.b >= spine.since, spine[plan.name(state.base) + suffix], 0).cast(WIDE)
        return y if state.kind == "y" else y * spine.b.cast(WIDE)

    near = [carried(f"_d{j}") for j in range(min(lags, w))]
    parts = [c if j == 0 else c.lag(j).over(ibis.window(**keys)) for j, c in enumerate(near)]
    if w == 1 and not lags:
        parts.append(carried())
    elif w > lags:
        whole = {"preceding": (w - 1, lags)} if lags else {"preceding": w - 1, "following": 0}
        parts.append(combine(carried(), state.kind).over(ibis.window(**keys, **whole)))
    if state.kind in SUMS and len(parts) > 1:
        parts = [settled_type(p, state.kind) for p in parts]
    return settled_type(join(parts, state.kind), state.kind)
