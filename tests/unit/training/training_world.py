"""A small synthetic business to train on: 200 customers at six monthly cutoffs, with a signal and an end-state one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.config.learning import TrainingSection
from holdfast.training.rows import Fold, FoldPlan, TrainingRows
from holdfast.training.trainer import Facts

SCHEMA = FeatureSchema(
    (
        FeatureSpec("usage_3m", "number", "usage", "usage, last 3 months"),
        FeatureSpec("tickets_3m", "number", "tickets", "tickets, last 3 months"),
        FeatureSpec("plan", "category", "plan", "plan"),
        FeatureSpec("paperless", "number", "paperless", "paperless", end_state=True),
    )
)
CUTOFFS = [np.datetime64(f"2024-0{month}-01", "us") for month in range(1, 7)]
CUSTOMERS = 200
FACTS = Facts("dataset-1", "config-1", "0.0", {"numpy": "0"}, {"timed": True})


def training_rows(seed: int = 0, schema: FeatureSchema = SCHEMA) -> TrainingRows:
    rng = np.random.default_rng(seed)
    n = CUSTOMERS * len(CUTOFFS)
    usage, tickets = rng.normal(size=n), rng.poisson(1, n)
    plan = rng.choice(["basic", "plus", "pro"], n)
    y = rng.random(n) < expit(-1.5 - 0.8 * usage + 0.5 * tickets + (plan == "basic"))
    columns = {
        "customer_id": [f"C{i:04}" for i in range(CUSTOMERS)] * len(CUTOFFS),
        "cutoff": np.repeat(CUTOFFS, CUSTOMERS),
        "label": pa.array(y.astype(np.int8)),
        "usage_3m": usage.astype(np.float32),
        "tickets_3m": tickets.astype(np.float32),
        "plan": plan,
        "paperless": (y ^ (rng.random(n) < 0.1)).astype(np.float32),
    }
    return TrainingRows(pa.table(columns), schema)


def rows_at(*months: int) -> np.ndarray:
    """Row numbers of some cutoffs, counted from 0."""
    return np.concatenate([np.arange(m * CUSTOMERS, (m + 1) * CUSTOMERS) for m in months]).astype(np.int64)


def walking(*, timed: bool = True) -> FoldPlan:
    """Folds at the third and fourth cutoff, the test at the sixth; the label of one takes until the next."""
    everything = rows_at(*range(6))
    if timed:
        folds = [Fold("3", rows_at(0, 1), rows_at(2)), Fold("4", rows_at(0, 1, 2), rows_at(3))]
        return FoldPlan(folds, Fold("6", rows_at(0, 1, 2, 3, 4), rows_at(5)), timed=True, everything=everything)
    group = everything % CUSTOMERS % 2
    folds = [Fold(f"group {k}", everything[group != k], everything[group == k]) for k in (0, 1)]
    return FoldPlan(folds, Fold("all", everything, np.zeros(0, np.int64)), timed=False, everything=everything)


def section(**changes: Any) -> TrainingSection:
    body: dict[str, Any] = {
        "estimators": {"xgboost": {"params": {"rounds": 10}}, "logistic": {"imbalance": "balanced"}},
        "bootstrap": 50,
        **changes,
    }
    return TrainingSection.model_validate(body)
