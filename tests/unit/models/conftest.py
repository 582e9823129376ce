"""A small table of features with gaps, rare levels and a signal, and a bundle trained on it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import choose_calibrator
from holdfast.models.encode import Encoder
from holdfast.models.reference import reference_of
from holdfast.models.registry import make_estimator

SCHEMA = FeatureSchema(
    (
        FeatureSpec("usage_3m", "number", "usage", "usage, last 3 months", "minutes"),
        FeatureSpec("usage_12m", "number", "usage", "usage, last 12 months", "minutes"),
        FeatureSpec("plan", "category", "plan", "plan"),
        FeatureSpec("tickets_3m", "number", "tickets", "tickets, last 3 months"),
        FeatureSpec("region", "category", "region", "region"),
    )
)


def feature_table(n=800, seed=0):
    rng = np.random.default_rng(seed)
    usage = np.round(rng.gamma(2, 10, n), 1).astype(np.float32)
    return pa.table(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "usage_3m": pa.array(usage, mask=rng.random(n) < 0.1),
            "usage_12m": pa.array((usage * 4 + rng.normal(0, 2, n)).astype(np.float32)),
            "plan": pa.array(rng.choice(["basic", "plus", "pro"], n), mask=rng.random(n) < 0.1),
            "tickets_3m": pa.array(rng.poisson(1, n).astype(np.float32)),
            "region": pa.array(rng.choice(["n", "s", "e", "w", "x1", "x2"], n, p=[0.3, 0.3, 0.2, 0.18, 0.01, 0.01])),
        }
    )


def labels(table, seed=1):
    usage = np.nan_to_num(table.column("usage_3m").to_numpy(), nan=20)
    plan = np.array([p == "basic" for p in table.column("plan").to_pylist()])
    margin = -1.5 - 0.06 * (usage - 20) + plan + 0.5 * table.column("tickets_3m").to_numpy()
    return (np.random.default_rng(seed).random(len(usage)) < expit(margin)).astype(float)


def make_bundle(name="xgboost", **encoding):
    table = feature_table()
    y = labels(table)
    encoder = Encoder.fit(table, SCHEMA, **encoding)
    params = {"rounds": 20} if name in ("xgboost", "lightgbm") else {}
    x = encoder.transform(table)
    model = make_estimator(name, params).fit(x, y, seed=3, categorical=encoder.categorical)
    held = feature_table(seed=5)
    calibrator = choose_calibrator(model.margin(encoder.transform(held)), labels(held)).calibrator
    provenance = Provenance("d" * 8, "c" * 8, "0.1.0", name, 3, params, {"numpy": np.__version__})
    return Bundle(encoder, model, calibrator, reference_of(table, SCHEMA), {"roc_auc": 0.7}, provenance)


@pytest.fixture(scope="session")
def tools():
    """What the tests of this folder share, without an import across test files."""
    return SimpleNamespace(schema=SCHEMA, table=feature_table, labels=labels, bundle=make_bundle)


@pytest.fixture(scope="session")
def bundle(tools):
    return tools.bundle()
