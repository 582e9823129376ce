"""The project's own campaign on matured snapshots: what models are worth in money at its budget."""

from __future__ import annotations

import numpy as np

from holdfast.config.schema import Config
from holdfast.decisions.effects import compute_effects
from holdfast.decisions.policy import open_by_features
from holdfast.decisions.value import compute_clv, compute_lifetime
from holdfast.evaluation.campaign import Campaign, TierRule
from holdfast.pipelines.decide import months_of
from holdfast.training.rows import IntArray, TrainingRows


def campaign_of(config: Config, rows: TrainingRows, some: IntArray) -> Campaign:
    """Values, actions and budget of decisions.yaml for some matured snapshots.

    Lifetime values follow from the churn that happened, so they are the same for every model. The retention of an
    action is the assumed one: what its treatments measure changes from day to day, and models are to be compared by one
    rule. The budget of a decision run is spread over the snapshots of a cutoff.
    """
    decisions = config.decisions
    asked = sorted({feature for action in decisions.actions.values() for feature in action.when})
    eligible = np.ones((len(some), len(decisions.actions)), dtype=np.bool_)
    if asked:
        eligible = open_by_features(rows.take(some, asked), decisions)
    lifetime = compute_lifetime(rows.y[some], months_of(config.data.label.window), decisions.value)
    effects = compute_effects(None, decisions)
    tiers = config.scoring.tiers[::-1]
    at = np.unique(rows.cutoffs[some])
    per_cutoff = float(np.isin(rows.cutoffs, at).sum()) / len(at)  # of all, where only a part is compared
    return Campaign(
        value=compute_clv(rows.values(decisions.value.revenue, some), lifetime, decisions.value),
        cost=np.array([action.cost for action in decisions.actions.values()]),
        retention=np.array([effects[name].retention for name in decisions.actions]),
        eligible=eligible,
        tiers=TierRule(
            np.array([tier.at_least for tier in tiers]),
            np.array([[not a.tiers or tier.name in a.tiers for a in decisions.actions.values()] for tier in tiers]),
        ),
        budget=None if decisions.budget is None else decisions.budget / per_cutoff,
    )
