"""A project's ``online`` and ``models`` folders, small and real: a trained bundle and what it scored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from holdfast.artifacts.batches import DECISION_SCHEMA, SCORE_SCHEMA
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import naive
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Shifted, Sigmoid
from holdfast.models.encode import Encoder
from holdfast.models.reference import reference_of
from holdfast.models.registry import make_estimator
from holdfast.stores.online import OnlineStore, SqliteStore

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
NOW = datetime(2024, 3, 4, 12, tzinfo=UTC)
HERE = "http://localhost"
"""Without a key only this machine's own names are answered."""
IDS = sorted([*(f"C-{i:04d}" for i in range(118)), "a/b c", "Ærø-客"])
SCHEMA = FeatureSchema(
    (
        FeatureSpec("usage_minutes_sum_3m", "number", "usage", "minutes used, last 3 months", "minutes", "usage", "3m"),
        FeatureSpec("usage_minutes_sum_12m", "number", "usage", "minutes used, last 12 months", "minutes", "usage"),
        FeatureSpec("tickets_count_3m", "number", "tickets", "tickets opened, last 3 months", "tickets", "tickets"),
        FeatureSpec("contract", "category", "contract", "contract", null_means="no contract is known of"),
    )
)
ROW: dict[str, Any] = {
    "usage_minutes_sum_3m": 12.5,
    "usage_minutes_sum_12m": 60,
    "tickets_count_3m": 4,
    "contract": "monthly",
}


def feature_table(ids: list[str] = IDS, seed: int = 0) -> pa.Table:
    """Features with nulls, in the schema's types."""
    rng = np.random.default_rng(seed)
    n = len(ids)
    usage = np.round(rng.gamma(2, 10, n), 1).astype("float32")
    return pa.table(
        {
            "customer_id": ids,
            "usage_minutes_sum_3m": pa.array(usage, mask=rng.random(n) < 0.1),
            "usage_minutes_sum_12m": pa.array((usage * 4).astype("float32")),
            "tickets_count_3m": pa.array(rng.poisson(1, n).astype("float32")),
            "contract": pa.array(rng.choice(["monthly", "yearly"], n), mask=rng.random(n) < 0.1),
        }
    )


def train(seed: int = 3, *, estimator: str = "xgboost") -> Bundle:
    """A bundle; another seed gives another."""
    table = feature_table([f"t{i}" for i in range(600)], seed)
    usage = np.nan_to_num(table.column("usage_minutes_sum_3m").to_numpy(), nan=20)
    margin = 0.5 * table.column("tickets_count_3m").to_numpy() - 0.06 * (usage - 20) - 1
    y = (np.random.default_rng(seed).random(600) < expit(margin)).astype(float)
    encoder = Encoder.fit(table, SCHEMA)
    params = {} if estimator == "logistic" else {"rounds": 20}
    x = encoder.transform(table)
    model = make_estimator(estimator, params).fit(x, y, seed=seed, categorical=encoder.categorical)
    provenance = Provenance(f"dataset{seed}", "c0ffee", "0.1.0", estimator, seed, params, {"numpy": np.__version__})
    calibrator = Shifted(Sigmoid(-0.1, 0.9), (0.1, 0.0, 0.2, *[-0.1] * 9))  # another in each of the first months
    return Bundle(encoder, model, calibrator, reference_of(table, SCHEMA), {"roc_auc": 0.7}, provenance)


@dataclass
class World:
    """The folders of one project, and what was written last."""

    root: Path
    bundle: Bundle | None = None
    features: pa.Table | None = None
    elsewhere: OnlineStore | None = None
    """The online store, if it is not in ``online``."""

    @property
    def store(self) -> OnlineStore:
        return self.elsewhere or SqliteStore(self.online)

    @property
    def online(self) -> Path:
        return self.root / "online"

    @property
    def models(self) -> Path:
        return self.root / "models"

    def write(self, bundle: Bundle, version: str, *, ids: list[str] = IDS, features_seed: int = 0) -> str:
        """Write the bundle and a generation of its scores, without switching to it."""
        bundle.save(self.models / version)
        features = feature_table(ids, features_seed)
        p = bundle.predict(features.append_column("cutoff", [[naive(CUTOFF)] * len(ids)]))
        tier = np.where(p > np.quantile(p, 0.7), "high", "low")
        n = len(ids)
        common = {"customer_id": ids, "cutoff": [naive(CUTOFF)] * n, "probability": p, "tier": tier}
        # typical and value are text in a batch
        found = [
            [{**asdict(r), "value": _text(r.value), "typical": _text(r.typical)} for r in row]
            for row in bundle.explain(features)
        ]
        scores = {
            "decile": [1] * n,
            "reasons": found,
            "model_version": [version] * n,
            "bundle_sha256": [bundle.sha256] * n,
        }
        decisions = {
            "clv": [400.0] * n,
            "expected_loss": p * 400,
            "segment": [("standard", "valued")[i % 2] for i in range(n)],
            "action": ["call"] * n,
            "retention": [0.2] * n,
            "cost": [4.0] * n,
            "expected_value": p * 80 - 4,
            "status": ["contact"] * n,
            "why": ["worth it"] * n,
        }
        self.bundle, self.features = bundle, features
        return self.store.writer().write(
            features,
            bundle.schema,
            pa.table({**common, **scores}, schema=SCORE_SCHEMA),
            pa.table({**common, **decisions}, schema=DECISION_SCHEMA),
            bundle_sha256=bundle.sha256,
            model_version=version,
            cutoff=CUTOFF,
            bundle_dir=f"models/{version}",
        )

    def promote(self, bundle: Bundle, version: str, **other: Any) -> str:
        """Write, and switch: what the API then serves."""
        generation = self.write(bundle, version, **other)
        self.store.writer().switch(generation)
        return generation


def _text(value: object) -> str | None:
    return None if value is None else str(value)
