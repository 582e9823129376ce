"""Tiers, deciles, shown values, and one batch of scores."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from holdfast.artifacts.batches import SCORE_SCHEMA, ScoreBatch
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.config.learning import ScoringSection, Tier
from holdfast.errors import DataError, HoldfastError
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Identity
from holdfast.models.encode import Encoder
from holdfast.models.explain import rank_reasons, reasons
from holdfast.models.reference import reference_of
from holdfast.models.registry import make_estimator
from holdfast.scoring.batch import score_batch, with_deciles
from holdfast.scoring.predictor import reasons_column, shown_value, tiers_of
from holdfast.stores.engine import DuckDBEngine

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


@pytest.fixture(scope="module")
def engine():
    with DuckDBEngine(threads=2) as engine:
        yield engine


def scored(engine, bundle, table, config):
    rows, manifest = score_batch(
        engine, engine.from_arrow(table, "features"), bundle, CUTOFF, config, model_version="4"
    )
    return ScoreBatch(CUTOFF, engine.to_arrow(rows.order_by("customer_id")), manifest)


def deciles_of(engine, p):
    ids = [f"C{i:04}" for i in range(len(p))]
    table = engine.from_arrow(pa.table({"customer_id": pa.array(ids, pa.string()), "probability": p}), "scored")
    return engine.to_arrow(with_deciles(table).order_by("customer_id"))["decile"].to_numpy()


def test_deciles_are_of_one_size_and_the_first_is_the_riskiest(engine):
    p = np.linspace(0.9, 0.1, 25)
    found = deciles_of(engine, p)
    assert found.tolist() == sorted(found.tolist())
    counts = np.bincount(found, minlength=11)[1:]
    assert counts.sum() == 25
    assert set(counts) == {2, 3}
    assert deciles_of(engine, p[::-1]).tolist() == found.tolist()[::-1]


def test_deciles_follow_the_rank_of_every_customer(engine):
    p = np.random.default_rng(5).beta(1, 9, 997).round(3)
    order = np.argsort(-p, kind="stable")
    rank = np.empty(997, int)
    rank[order] = np.arange(997)
    assert deciles_of(engine, p).tolist() == (rank * 10 // 997 + 1).tolist()


def test_equal_probabilities_go_by_customer(engine):
    assert deciles_of(engine, np.full(10, 0.5)).tolist() == list(range(1, 11))
    assert deciles_of(engine, np.array([0.5])).tolist() == [1]
    assert deciles_of(engine, np.empty(0)).tolist() == []


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
        (9999.5, "10000"),
        (-9999.9, "-10000"),
        (12345.678, "12346"),
        (-1234567.0, "-1234567"),
    ],
)
def test_values_are_shown_with_four_digits(value, shown):
    assert shown_value(value) == shown


def test_a_batch_has_one_row_per_customer_in_their_order(engine, bundle):
    table = features(60, seed=3)
    batch = scored(engine, bundle, table, ScoringSection(tiers=TIERS, reasons=2))
    assert batch.table.schema == SCORE_SCHEMA
    assert batch.table["customer_id"].to_pylist() == table["customer_id"].to_pylist()
    np.testing.assert_array_equal(batch.table["probability"].to_numpy(), bundle.predict(table))
    assert set(batch.table["model_version"].to_pylist()) == {"4"}
    assert set(batch.table["bundle_sha256"].to_pylist()) == {bundle.sha256}
    found = batch.table["reasons"].to_pylist()
    assert all(len(row) <= 2 for row in found)
    assert any(found)
    manifest = batch.manifest
    assert manifest["customers"] == 60
    assert sum(manifest["tiers"].values()) == 60
    assert manifest["expected_churners"] == pytest.approx(bundle.predict(table).sum(), abs=1e-6)


@pytest.mark.parametrize("seed", [3, 4])
def test_reasons_in_columns_are_those_one_by_one(bundle, seed):
    table = features(80, seed=seed)
    _, parts = bundle.scored(table)
    parts[:5] = 0  # nobody's reason
    parts[table["usage_3m"].is_null().to_numpy(), 0] = 1.0
    ranked = rank_reasons(parts, SCHEMA, top=2)
    column = reasons_column(ranked, SCHEMA, table, bundle.typicals)
    assert column.type == SCORE_SCHEMA.field("reasons").type
    expected = [
        [{**asdict(r), "value": shown_value(r.value), "typical": shown_value(r.typical)} for r in row]
        for row in reasons(parts, SCHEMA, table, bundle.typicals, top=2)
    ]
    assert column.to_pylist() == expected
    assert {r["value"] is None for row in expected for r in row} == {True, False}


def test_contributions_that_do_not_add_up_stop_a_batch(engine, bundle, monkeypatch):
    wrong = bundle.model.native_contributions
    monkeypatch.setattr(type(bundle.model), "contributions", lambda self, x: wrong(x) + 1e-4)
    with pytest.raises(HoldfastError, match="contributions of xgboost do not add up: 30 of 30 rows"):
        scored(engine, bundle, features(30), ScoringSection())


def test_the_same_rows_give_the_same_batch(engine, bundle):
    one, other = (scored(engine, bundle, features(60, seed=3), ScoringSection()) for _ in range(2))
    assert one.table.equals(other.table)
    assert one.manifest == other.manifest


def test_a_customer_scores_the_same_alone_and_among_others(engine, bundle):
    table = features(60, seed=3)
    among = scored(engine, bundle, table, ScoringSection()).table
    alone = scored(engine, bundle, table.slice(7, 1), ScoringSection()).table
    for column in ("probability", "tier"):
        assert alone[column][0] == among[column][7]
    one, many = alone["reasons"][0].as_py(), among["reasons"][7].as_py()
    assert [r["feature"] for r in one] == [r["feature"] for r in many]
    assert [r["contribution"] for r in one] == pytest.approx([r["contribution"] for r in many])


def test_nobody_to_score_is_an_empty_batch(engine, bundle):
    batch = scored(engine, bundle, features(5).slice(0, 0), ScoringSection())
    assert batch.table.schema == SCORE_SCHEMA
    assert batch.table.num_rows == 0
    assert batch.manifest["mean_probability"] is None
    assert batch.manifest["top_reasons"] == []


def test_a_missing_feature_is_an_error(engine, bundle):
    with pytest.raises(DataError, match="usage_3m"):
        scored(engine, bundle, features(5).drop_columns(["usage_3m"]), ScoringSection())


def test_top_reasons_count_the_first_of_each_customer(engine, bundle):
    batch = scored(engine, bundle, features(60, seed=3), ScoringSection())
    first = [row[0] for row in batch.table["reasons"].to_pylist() if row]
    groups = {r["group"] for r in first}
    expected = {g: round(sum(r["group"] == g for r in first) / len(first), 4) for g in groups}
    assert {r["measure"]: r["share"] for r in batch.manifest["top_reasons"]} == expected
    assert [r["share"] for r in batch.manifest["top_reasons"]] == sorted(expected.values(), reverse=True)
    assert {r["label"] for r in batch.manifest["top_reasons"]} == {r["label"] for r in first}


def test_a_bundle_comes_out_of_a_pickle_as_it_was(bundle):
    again = pickle.loads(pickle.dumps(bundle))
    assert again.sha256 == bundle.sha256
    np.testing.assert_array_equal(again.predict(features(60)), bundle.predict(features(60)))
