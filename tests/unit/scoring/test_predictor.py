"""Tiers, deciles, shown values, and one batch of scores."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from holdfast.artifacts.batches import SCORE_SCHEMA
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.config.learning import ScoringSection, Tier
from holdfast.errors import DataError
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Identity
from holdfast.models.encode import Encoder
from holdfast.models.explain import Reason
from holdfast.models.reference import reference_of
from holdfast.models.registry import make_estimator
from holdfast.scoring.predictor import deciles_of, score_batch, shown_value, tiers_of, top_reasons

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
TIERS = [Tier(name="high", at_least=0.10), Tier(name="medium", at_least=0.04), Tier(name="low", at_least=0.0)]
SCHEMA = FeatureSchema(
    (
        FeatureSpec("usage_3m", "number", "usage", "usage, last 3 months"),
        FeatureSpec("plan", "category", "plan", "plan"),
    )
)


def features(n, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "customer_id": [f"C{i:04}" for i in range(n)],
            "cutoff": pa.array([CUTOFF.replace(tzinfo=None)] * n, pa.timestamp("us")),
            "usage_3m": pa.array(rng.normal(size=n).astype(np.float32), mask=rng.random(n) < 0.1),
            "plan": pa.array(rng.choice(["basic", "pro"], n)),
        }
    )


@pytest.fixture(scope="module")
def bundle():
    table = features(400)
    encoder = Encoder.fit(table, SCHEMA, one_hot_max=6)
    x = encoder.transform(table)
    y = (np.nan_to_num(x[:, 0]) + np.random.default_rng(1).normal(size=400) > 0.8).astype(float)
    model = make_estimator("xgboost", {"rounds": 10}).fit(x, y, seed=1, categorical=encoder.categorical)
    return Bundle(encoder, model, Identity(), reference_of(table, SCHEMA), {}, Provenance("d", "c", "0", "xgboost", 1))


def test_a_tier_begins_at_its_bound():
    p = np.array([0.0, np.nextafter(0.04, 0), 0.04, np.nextafter(0.1, 0), 0.1, 1.0])
    assert tiers_of(p, TIERS) == ["low", "low", "medium", "medium", "high", "high"]
    assert tiers_of(np.array([0.7]), [Tier(name="all", at_least=0)]) == ["all"]
    assert tiers_of(np.empty(0), TIERS) == []


def test_deciles_are_of_one_size_and_the_first_is_the_riskiest():
    p = np.linspace(0.9, 0.1, 25)
    assert deciles_of(p).tolist() == sorted(deciles_of(p).tolist())
    counts = np.bincount(deciles_of(p), minlength=11)[1:]
    assert counts.sum() == 25
    assert set(counts) == {2, 3}
    assert deciles_of(p[::-1]).tolist() == deciles_of(p).tolist()[::-1]


def test_equal_probabilities_go_by_row_order():
    assert deciles_of(np.full(10, 0.5)).tolist() == list(range(1, 11))
    assert deciles_of(np.array([0.5])).tolist() == [1]
    assert deciles_of(np.empty(0)).tolist() == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        ("basic", "basic"),
        (0.0, "0"),
        (3.0, "3"),
        (0.123456, "0.1235"),
        (1234.56, "1235"),
        (-9999.4, "-9999"),
        (12345.678, "12346"),
        (-1234567.0, "-1234567"),
    ],
)
def test_values_are_shown_with_four_digits(value, shown):
    assert shown_value(value) == shown


def test_a_batch_has_one_row_per_customer_in_their_order(bundle):
    table = features(60, seed=3)
    batch = score_batch(bundle, table, CUTOFF, ScoringSection(tiers=TIERS, reasons=2), model_version="4")
    assert batch.table.schema == SCORE_SCHEMA
    assert batch.table["customer_id"].to_pylist() == table["customer_id"].to_pylist()
    np.testing.assert_array_equal(batch.table["probability"].to_numpy(), bundle.predict(table))
    assert set(batch.table["model_version"].to_pylist()) == {"4"}
    assert set(batch.table["bundle_sha256"].to_pylist()) == {bundle.sha256}
    reasons = batch.table["reasons"].to_pylist()
    assert all(len(row) <= 2 for row in reasons)
    assert any(reasons)
    manifest = batch.manifest
    assert manifest["customers"] == 60
    assert sum(manifest["tiers"].values()) == 60
    assert manifest["expected_churners"] == pytest.approx(bundle.predict(table).sum(), abs=1e-6)


def test_the_same_rows_give_the_same_batch(bundle):
    one, other = (
        score_batch(bundle, features(60, seed=3), CUTOFF, ScoringSection(), model_version="4") for _ in range(2)
    )
    assert one.table.equals(other.table)
    assert one.manifest == other.manifest


def test_a_customer_scores_the_same_alone_and_among_others(bundle):
    table = features(60, seed=3)
    among = score_batch(bundle, table, CUTOFF, ScoringSection(), model_version="4").table
    alone = score_batch(bundle, table.slice(7, 1), CUTOFF, ScoringSection(), model_version="4").table
    for column in ("probability", "tier"):
        assert alone[column][0] == among[column][7]
    one, many = alone["reasons"][0].as_py(), among["reasons"][7].as_py()
    assert [r["feature"] for r in one] == [r["feature"] for r in many]
    assert [r["contribution"] for r in one] == pytest.approx([r["contribution"] for r in many])


def test_nobody_to_score_is_an_empty_batch(bundle):
    batch = score_batch(bundle, features(5).slice(0, 0), CUTOFF, ScoringSection(), model_version="4")
    assert batch.table.schema == SCORE_SCHEMA
    assert batch.table.num_rows == 0
    assert batch.manifest["mean_probability"] is None
    assert batch.manifest["top_reasons"] == []


def test_a_missing_feature_is_an_error(bundle):
    with pytest.raises(DataError, match="usage_3m"):
        score_batch(bundle, features(5).drop_columns(["usage_3m"]), CUTOFF, ScoringSection(), model_version="4")


def test_top_reasons_count_the_first_of_each_customer():
    def reason(group):
        return Reason(group, f"{group}_3m", group.title(), 1.0, 0.0, "raises", 0.5)

    rows = [[reason("usage"), reason("plan")], [reason("usage")], [reason("plan")], []]
    assert top_reasons(rows) == [
        {"measure": "usage", "label": "Usage", "share": round(2 / 3, 4)},
        {"measure": "plan", "label": "Plan", "share": round(1 / 3, 4)},
    ]
    assert len(top_reasons(rows, limit=1)) == 1
    assert top_reasons([[], []]) == []
