"""Small tables for the online store's tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.batches import DECISION_SCHEMA, SCORE_SCHEMA
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import naive
from holdfast.stores.online import OnlineStore, Reader, SqliteStore
from holdfast.stores.online_redis import RedisStore

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
REASON = {
    "group": "usage",
    "feature": "usage_sum_3m",
    "label": "usage",
    "value": "3",
    "typical": "9",
    "direction": "raises",
    "contribution": 0.25,
}


@dataclass(frozen=True)
class Tables:
    features: pa.Table
    schema: FeatureSchema
    scores: pa.Table
    decisions: pa.Table


def tables(ids: list[str], *, numbers: int = 3, seed: int = 1, bundle: str = "b1") -> Tables:
    """Customers with seeded features, scores and decisions; one category feature, "plan"."""
    rng = np.random.default_rng(seed)
    n = len(ids)
    names = [f"f{i}" for i in range(numbers)]
    schema = FeatureSchema(
        (
            *(FeatureSpec(name, "number", "usage", name) for name in names),
            FeatureSpec("plan", "category", "plan", "plan"),
        )
    )
    features = pa.table(
        {
            "customer_id": ids,
            **{name: rng.normal(size=n).astype("float32") for name in names},
            "plan": rng.choice(["basic", "plus", "pro"], n).tolist(),
        }
    )
    p = rng.random(n)
    value = np.where(rng.random(n) < 0.3, 0.0, rng.normal(size=n) * 50).round(2)
    tier = np.where(p > 0.7, "high", "low")
    common: dict[str, Any] = {"customer_id": ids, "cutoff": [naive(CUTOFF)] * n, "probability": p, "tier": tier}
    scores = pa.table(
        {
            **common,
            "decile": [1] * n,
            "reasons": [[REASON] * 3] * n,
            "model_version": ["1"] * n,
            "bundle_sha256": [bundle] * n,
        },
        schema=SCORE_SCHEMA,
    )
    decisions = pa.table(
        {
            **common,
            "clv": rng.random(n) * 900,
            "expected_loss": rng.random(n) * 90,
            "segment": rng.choice(["standard", "valued", "top"], n),
            "action": ["call"] * n,
            "retention": [0.2] * n,
            "cost": [4.0] * n,
            "expected_value": value,
            "status": ["contact"] * n,
            "why": ["worth it"] * n,
        },
        schema=DECISION_SCHEMA,
    )
    return Tables(features, schema, scores, decisions)


def write(store: OnlineStore, t: Tables, *, bundle: str = "b1", version: str = "1") -> str:
    """Write a generation and return its name."""
    return store.writer().write(
        t.features,
        t.schema,
        t.scores,
        t.decisions,
        bundle_sha256=bundle,
        model_version=version,
        cutoff=CUTOFF,
        bundle_dir="models/1",
    )


def serve(store: OnlineStore, t: Tables, **other: str) -> Reader:
    """Write a generation, switch to it, and read."""
    store.writer().switch(write(store, t, **other))
    return store.reader()


def replace(t: Tables, name: str, column: Any) -> Tables:
    """With other features, or another column of decisions."""
    if name in t.features.column_names:
        at = t.features.column_names.index(name)
        return Tables(t.features.set_column(at, name, column), t.schema, t.scores, t.decisions)
    at = t.decisions.column_names.index(name)
    return Tables(t.features, t.schema, t.scores, t.decisions.set_column(at, name, column))


def store_at(address: str, project: str) -> OnlineStore:
    """A Redis store, or one of a folder."""
    return RedisStore(address, project) if address.startswith("redis:") else SqliteStore(Path(address))
