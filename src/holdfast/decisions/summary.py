"""The totals of a decision run."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from holdfast.config.business import DecisionsSection
from holdfast.decisions.allocate import Allocation
from holdfast.decisions.effects import Effects
from holdfast.decisions.policy import STATUSES
from holdfast.decisions.value import Lifetime


def summarise(
    table: pa.Table, allocation: Allocation, lifetime: Lifetime, effects: Effects, config: DecisionsSection
) -> dict[str, Any]:
    """Totals of a decision table, as JSON. Cost and expected value are of the contacted only."""
    status = table.column("status")
    contact, held = (table.filter(pc.equal(status, s)) for s in ("contact", "holdout"))
    counts = {s: int(pc.sum(pc.equal(status, s)).as_py() or 0) for s in STATUSES}
    chosen = counts["contact"] + counts["holdout"]
    low, high = _interval(contact, effects)
    clv = table.column("clv")
    return {
        "customers": len(table),
        "contacted": counts["contact"],
        "over_budget": counts["over_budget"],
        "no_action": counts["no_action"],
        "unknown_value": clv.null_count,
        "value_not_positive": int(pc.sum(pc.less_equal(clv, 0.0)).as_py() or 0),
        "expected_loss": _total(table, "expected_loss"),
        "cost": allocation.cost,
        "expected_value": _total(contact, "expected_value"),
        "expected_value_interval": None if low is None else [low, high],
        "budget": {
            "limit": config.budget,
            "used": allocation.cost,
            "value_bound": allocation.bound,
            "gap": allocation.gap,
            "price": allocation.price,
        },
        "holdout": {
            "customers": counts["holdout"],
            "share": config.holdout,
            "observed_share": counts["holdout"] / chosen if chosen else None,
            "seed": config.holdout_seed,
            "contact_propensity": 1.0 - config.holdout,
            "expected_value_forgone": _total(held, "expected_value"),
        },
        "lifetime": lifetime.to_json(),
        "table": _by_segment_and_action(table),
        "effects": {name: effects[name].to_json() for name in config.actions},
    }


def _total(table: pa.Table, column: str) -> float:
    return math.fsum(table.column(column).drop_null().to_pylist())


def _interval(contact: pa.Table, effects: Effects) -> tuple[float | None, float | None]:
    """The total's interval from the measured effects' intervals alone; assumed effects are taken as given.

    The effects of different actions are independent, so squared distances to the limits add (MOVER: Zou & Donner
    2008, "Construction of confidence limits about effect measures"). None where nothing measured is used.
    """
    total = _total(contact, "expected_value")
    below = above = 0.0
    measured = False
    for name, effect in effects.items():
        if effect.low is None or effect.high is None:
            continue
        rows = contact.filter(pc.equal(contact.column("action"), name))
        if not len(rows):
            continue
        measured = True
        at_stake = _total(rows, "expected_loss")
        below += (at_stake * (effect.retention - effect.low)) ** 2
        above += (at_stake * (effect.high - effect.retention)) ** 2
    return (total - math.sqrt(below), total + math.sqrt(above)) if measured else (None, None)


def _by_segment_and_action(table: pa.Table) -> list[dict[str, Any]]:
    """One row per (segment, action, status), ordered: customers, and what the action costs and brings."""
    grouped = table.group_by(["segment", "action", "status"]).aggregate(
        [("customer_id", "count"), ("cost", "sum"), ("expected_value", "sum"), ("expected_loss", "sum")]
    )
    ordered = grouped.sort_by([("segment", "ascending"), ("action", "ascending"), ("status", "ascending")])
    return [
        {
            "segment": row["segment"],
            "action": row["action"],
            "status": row["status"],
            "customers": row["customer_id_count"],
            "cost": row["cost_sum"],
            "expected_value": row["expected_value_sum"],
            "expected_loss": row["expected_loss_sum"],
        }
        for row in ordered.to_pylist()
    ]
