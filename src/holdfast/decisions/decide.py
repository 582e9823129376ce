"""One decision for every scored customer."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.artifacts.batches import DECISION_SCHEMA, DecisionBatch
from holdfast.artifacts.dataset import cutoff_scalar
from holdfast.clock import iso
from holdfast.config.business import DecisionsSection
from holdfast.decisions.allocate import NO_ACTION, allocate
from holdfast.decisions.effects import Effects
from holdfast.decisions.holdout import compute_holdout
from holdfast.decisions.inputs import read_inputs
from holdfast.decisions.policy import CONTACT, HOLDOUT, NOTHING, OVER_BUDGET, STATUSES, Options, compute_options
from holdfast.decisions.reasons import compute_why
from holdfast.decisions.summary import summarise
from holdfast.decisions.value import compute_clv, compute_lifetime, compute_segments
from holdfast.errors import DataError, Problem

UNKNOWN_SEGMENT = "unknown"
NONE = "none"


def decide(
    scores: pa.Table,
    features: pa.Table,
    effects: Effects,
    config: DecisionsSection,
    *,
    horizon_months: float,
    cutoff: datetime,
) -> DecisionBatch:
    """Choose whom to contact with what, within the budget, and whom to leave alone.

    Every customer gets the action of greatest expected value, ``p(churn) x CLV x retention - cost``, that the
    budget's price allows. The holdout is drawn before: its customers are chosen by the same rule and price, but
    not contacted and cost nothing, so both groups were picked alike and the whole budget is spent. A contacted
    customer's propensity is ``1 - holdout``, ready for `holdfast.decisions.effects.compute_effects`.

    Parameters
    ----------
    scores : n rows with `SCORE_SCHEMA`'s customer_id, probability (calibrated) and tier
    features : rows with customer_id and the feature columns, in any order
    effects : from `compute_effects`
    horizon_months : the label horizon in months: what ``probability`` is about
    cutoff : the scores' cutoff

    Returns
    -------
    DecisionBatch : n rows in the scores' order. ``action``, ``retention``, ``cost`` and ``expected_value`` are of the
        action given (contact), withheld (holdout) or best without a budget (over_budget); only contacts are
        counted in the manifest's cost and expected value.

    Raises
    ------
    ConfigError
        The revenue feature or a feature of ``when`` is not there.
    DataError
        Scores and features do not fit together, or the horizon is not positive.
    """
    if not horizon_months > 0:
        raise DataError("decisions cannot be made", [Problem("horizon_months", f"{horizon_months} is not positive")])
    rows = read_inputs(scores, features, config)
    lifetime = compute_lifetime(rows.probability, horizon_months, config.value)
    clv = compute_clv(rows.revenue, lifetime, config.value)
    segment = compute_segments(clv, config.segments.value_quantiles)
    options = compute_options(rows.probability, clv, rows.tier, rows.features, effects, config)

    held = _draw_holdout(rows.customer_id, options, config)
    allocation = allocate(
        options.value, options.cost, config.budget, allowed=options.worth, order=rows.order, spends=~held
    )
    chosen = allocation.choice != NO_ACTION
    status = np.select(
        [chosen & ~held, chosen & held, options.worth.any(axis=1)], [CONTACT, HOLDOUT, OVER_BUDGET], NOTHING
    )
    action = np.where(chosen, allocation.choice, options.best(options.worth))

    why = compute_why(rows.probability, clv, status, action, options, effects, config, allocation.price)
    names = np.array([*config.segments.names, UNKNOWN_SEGMENT])
    at, acts = np.arange(len(clv)), action != NO_ACTION
    columns = {
        "customer_id": rows.customer_id,
        "cutoff": pa.repeat(cutoff_scalar(cutoff), len(clv)),
        "probability": rows.probability,
        "tier": rows.tier,
        "clv": pa.array(clv, from_pandas=True),  # NaN, unknown, becomes null
        "expected_loss": pa.array(rows.probability * clv, from_pandas=True),
        "segment": pa.array(names[segment]),  # -1 is the last name
        "action": pa.array(np.array([*options.names, NONE])[action]),
        "retention": np.where(acts, options.retention[action], 0.0),
        "cost": np.where(acts, options.cost[action], 0.0),
        "expected_value": np.where(acts, options.value[at, action], 0.0),
        "status": pa.array(np.array(STATUSES)[status]),
        "why": why,
    }
    table = pa.table(
        [pa.chunked_array([c]) if isinstance(c, pa.Array) else c for c in columns.values()], schema=DECISION_SCHEMA
    )
    manifest = {
        "cutoff": iso(cutoff),
        "currency": config.currency,
        **summarise(table, allocation, lifetime, effects, config),
        "notes": list(options.notes),
    }
    return DecisionBatch(cutoff, table, manifest)


def _draw_holdout(ids: pa.Array, options: Options, config: DecisionsSection) -> NDArray[np.bool_]:
    """Only customers for whom some action pays can be chosen, so only they are drawn."""
    held = np.zeros(len(ids), dtype=np.bool_)
    candidates = np.flatnonzero(options.worth.any(axis=1))
    held[candidates] = compute_holdout(ids.take(pa.array(candidates)).to_pylist(), config.holdout, config.holdout_seed)
    return held
