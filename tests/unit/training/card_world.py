"""Cards of the small synthetic business, trained once per kind."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from training_world import FACTS, SCHEMA, section, training_rows, walking

from holdfast.models.importance import importance_of
from holdfast.training.card.data import CardData
from holdfast.training.trainer import train

DATASET = {
    "label": {"churn": "contractual", "horizon": "1m", "lead": "0d", "grace": "0d", "delay": "7d"},
    "known_as_of": "2024-07-08",
    "complete_through": "2024-07-07",
    "matured": 1200,
    "positives": 345,
    "cutoffs": [{"states": {"matured": 200}}] * 6,
    "features": [{"name": name} for name in SCHEMA.names],
    "history": "recorded",
    "reconstructed_why": "",
    "notes": {},
}
LOW = {"name": "ranks", "passed": False, "said": "lift is low", "evidence": {}}
OFF = {"name": "calibrated", "passed": True, "said": "calibration error is 0.0625", "evidence": {"ece": 0.0625}}
SAID = {"passed": True, "reasons": [], "checks": [OFF]}
REFUSED = {"passed": False, "reasons": ["ranks: lift is low"], "checks": [LOW, OFF]}
WORSE = {
    "level": 0.05, "calibration_margin": 0.25, "recall_margin": 0.1,
    "found": [{"column": "plan", "value": "pro", "n": 1234, "positives": 56, "metric": "observed_expected",
               "found": 1.75, "against": 1.0, "p_value": 0.001}],
}  # fmt: skip
HOSTILE = "<script>alert('1')</script>|`*&lt;\"\x00\n# $x$ 顧客"


@cache
def _trained(timed: bool) -> CardData:
    rows = training_rows()
    trained = train(
        rows, walking(timed=timed), section(slices=["plan"]), FACTS, threads=1,
        reference=lambda *_: {"histograms": {}},
    )  # fmt: skip
    bundle, measured = trained.bundle, trained.measured
    table = rows.take(np.arange(len(rows), dtype=np.int64))
    importance = importance_of(
        bundle.contributions(table)[0], bundle.schema, table, rows.customers, replicates=20, seed=0
    ).to_json()
    return CardData(
        project="shop", manifest=bundle.manifest, metrics=trained.metrics, dataset=DATASET,
        features=bundle.schema.names, importance=importance["measures"], effects=importance["effects"],
        y=rows.y[measured.rows], p=measured.p, profit=np.array([[0.0, 0.0], [0.25, 3.75], [1.0, -2.5]]),
        currency="EUR", version=3, verdict=SAID,
    )  # fmt: skip


def card_data(
    *, timed: bool = True, dataset: Any = None, test: Any = None, metrics: Any = None, **changes: Any
) -> CardData:
    """The card's data with some of it changed; ``dataset``, ``test`` and ``metrics`` are merged into theirs."""
    found = _trained(timed)
    merged = {**found.metrics, **(metrics or {})}
    merged["test"] = {**merged["test"], **(test or {})}
    whole = {**vars(found), "metrics": merged, "dataset": {**found.dataset, **(dataset or {})}}
    return CardData(**{**whole, **changes})


def hostile() -> CardData:
    """Every name that comes from a user's configuration or data, as an attacker would write it."""
    found = _trained(True)
    slices = {HOSTILE: {"slices": [{**s, "value": HOSTILE} for s in found.metrics["test"]["slices"]["plan"]["slices"]]}}
    worse = {**WORSE, "found": [{**WORSE["found"][0], "column": HOSTILE, "value": HOSTILE, "metric": HOSTILE}]}
    level = {"value": HOSTILE, "n": 10, "low": 0.1, "median": 0.2, "high": 0.3}
    swarm = [{"contribution": 0.2, "n": 10, "value_rank": None}]
    category = {"feature": HOSTILE, "label": HOSTILE, "kind": "category", "dependence": [level], "swarm": swarm}
    return card_data(
        project=HOSTILE, currency=HOSTILE, features=[HOSTILE], importance=[{"label": HOSTILE, "share": 0.5}],
        effects=[*({**e, "feature": HOSTILE, "label": HOSTILE} for e in found.effects), category],
        verdict={"passed": False, "reasons": [HOSTILE], "checks": [{**LOW, "name": HOSTILE, "said": HOSTILE}]},
        test={"slices": slices, "worse_slices": worse},
        metrics={"end_state": {"columns": [HOSTILE]}},
        dataset={
            "history": "reconstructed", "reconstructed_why": HOSTILE, "features": [{"name": HOSTILE + "2"}],
            "label": {"churn": "inactivity", "horizon": "90d", "events": HOSTILE, "where": HOSTILE,
                      "active_within": "180"},
        },
    )  # fmt: skip
