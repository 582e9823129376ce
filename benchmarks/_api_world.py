"""What api.py serves: a trained bundle, a generation of a million customers, and the same model saved for MLflow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.batches import DECISION_SCHEMA, SCORE_SCHEMA
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import naive
from holdfast.config.learning import ScoringSection
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Sigmoid
from holdfast.models.encode import Encoder
from holdfast.models.reference import reference_of
from holdfast.models.registry import make_estimator
from holdfast.scoring.predictor import score_rows
from holdfast.stores.online import OnlineReader, OnlineWriter

HERE = Path(__file__).resolve().parent
FEATURES, GROUPS = 60, 20
FIT_ROWS, PROFILES = 50_000, 50_000
ROUNDS, DEPTH = 200, 5
CUTOFF = datetime(2026, 3, 1, tzinfo=UTC)
VERSION = "1"


def customer_id(number: int) -> str:
    return f"C-{number:07d}"


def made(root: Path, customers: int) -> Bundle:
    """The folders of a project, made where they do not hold this number of customers yet; the bundle in them."""
    folder = root / "models" / VERSION
    bundle = Bundle.load(folder) if folder.exists() else trained()
    bundle.save(folder)
    if not (root / "online" / "CURRENT").exists() or _stored(root) != customers:
        _materialize(root, bundle, customers)
    return bundle


def _stored(root: Path) -> int:
    reader = OnlineReader(root / "online")
    rows = reader.meta.rows
    reader.close()
    return rows


def rows_of(bundle: Bundle, n: int, seed: int) -> list[dict[str, Any]]:
    """Feature rows as a client sends them."""
    rows: list[dict[str, Any]] = features(n, seed).select(bundle.schema.names).to_pylist()
    return rows


def trained() -> Bundle:
    """XGBoost on labels that follow many of the features, so that its trees are full."""
    table = features(FIT_ROWS, seed=0)
    encoder = Encoder.fit(table, schema())
    x = encoder.transform(table)
    z = np.nan_to_num(x)
    rng = np.random.default_rng(2)
    weight = rng.normal(size=FEATURES) * np.exp(-np.arange(FEATURES) / 15) / 2
    margin = z @ weight + np.sin(2 * z[:, 0]) + z[:, 1] * z[:, 2] / 2 - 2
    y = (rng.random(FIT_ROWS) < 1 / (1 + np.exp(-margin))).astype(np.float64)
    model = make_estimator("xgboost", {"rounds": ROUNDS, "depth": DEPTH}).fit(x, y, seed=1, threads=2)
    provenance = Provenance("d", "c", "0", "xgboost", 1)
    return Bundle(encoder, model, Sigmoid(-0.1, 0.95), reference_of(table, schema()), {}, provenance)


def schema() -> FeatureSchema:
    return FeatureSchema(
        tuple(
            FeatureSpec(f"measure_{j % GROUPS}_sum_{(3, 6, 12)[j // GROUPS]}m", "number", f"measure_{j % GROUPS}",
                        f"measure {j % GROUPS}, last {(3, 6, 12)[j // GROUPS]} months")
            for j in range(FEATURES)
        )
    )  # fmt: skip


def features(n: int, seed: int) -> pa.Table:
    """Feature rows: continuous, rounded and counted numbers, 3% of them unknown."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, FEATURES)).astype(np.float32)
    x[:, ::3] = np.round(x[:, ::3] * 4) / 4
    x[:, 1::6] = np.floor(np.abs(x[:, 1::6]) * 3)
    unknown = rng.random(x.shape) < 0.03
    return pa.table({name: pa.array(x[:, j], mask=unknown[:, j]) for j, name in enumerate(schema().names)})


def tables_of(bundle: Bundle, customers: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Features, scores and decisions of every customer, in order.

    Each has one of `PROFILES` rows of features with its score and reasons; its decision is its own.
    """
    profiles = features(min(PROFILES, customers), seed=1)
    dated = profiles.append_column("customer_id", pa.array([""] * len(profiles))).append_column(
        "cutoff", pa.repeat(pa.scalar(naive(CUTOFF), pa.timestamp("us")), len(profiles))
    )
    scored = score_rows(bundle, dated, ScoringSection(), model_version=VERSION)
    which = pa.array(np.arange(customers) % len(profiles))
    ids = pa.array([customer_id(i) for i in range(customers)])
    scores = scored.take(which).set_column(0, "customer_id", ids)
    p = scores.column("probability").to_numpy()
    clv = np.round(np.random.default_rng(3).gamma(2, 300, customers), 2)
    value = p * clv * 0.2 - 4
    worth = value > 0
    scores = scores.append_column("decile", pa.array(np.full(customers, 1, dtype=np.int8)))
    decisions = {
        "customer_id": ids,
        "cutoff": scores.column("cutoff"),
        "probability": p,
        "tier": scores.column("tier"),
        "clv": clv,
        "expected_loss": p * clv,
        "segment": np.where(clv > 600, "valued", "standard"),
        "action": np.where(worth, "call", "none"),
        "retention": np.full(customers, 0.2),
        "cost": np.full(customers, 4.0),
        "expected_value": value,
        "status": np.where(worth, "contact", "no_action"),
        "why": np.where(worth, "calling is worth more than it costs", "no action is worth its cost"),
    }
    return (
        dated.take(which).set_column(dated.column_names.index("customer_id"), "customer_id", ids),
        scores.select(SCORE_SCHEMA.names),
        pa.table(decisions, schema=DECISION_SCHEMA),
    )


def _materialize(root: Path, bundle: Bundle, customers: int) -> None:
    found, scores, decisions = tables_of(bundle, customers)
    writer = OnlineWriter(root / "online")
    name = writer.write(
        found, bundle.schema, scores, decisions, bundle_sha256=bundle.sha256, model_version=VERSION, cutoff=CUTOFF,
        bundle_dir=f"models/{VERSION}",
    )  # fmt: skip
    writer.switch(name)


def save_for_mlflow(bundle: Bundle, folder: Path, python: Path) -> None:
    """The same trees, as ``mlflow models serve`` takes them; saved anew by the Python that will serve them."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        model, names = Path(scratch) / bundle.model.filename, Path(scratch) / "features.json"
        model.write_bytes(bundle.model.dump())
        names.write_text(json.dumps(bundle.schema.names))
        program = [str(python), "-P", str(HERE / "_mlflow_peer.py"), str(model), str(names), str(folder)]
        subprocess.run(program, check=True, stdout=sys.stderr)
