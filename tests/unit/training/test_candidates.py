"""Out-of-fold predictions: what a fold's model may have seen, and how candidates are compared."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from training_world import CUSTOMERS, SCHEMA, rows_at, section, training_rows, walking

from holdfast.config.learning import EstimatorConfig
from holdfast.models.calibrate import choose_calibrator
from holdfast.models.registry import make_estimator
from holdfast.training.candidates import (
    EncodedFolds,
    best,
    class_weights,
    compare,
    cross_calibrated,
    fit,
    out_of_fold,
    with_params,
)
from holdfast.training.rows import FoldPlan, TrainingRows

FEW = EstimatorConfig(params={"rounds": 5})
MADE = make_estimator("xgboost", FEW.params)


def with_late_plan(rows):
    """The same rows, but at the fourth cutoff every plan is one never heard of before."""
    plans = np.array(rows.table.column("plan").to_pylist(), dtype=object)
    plans[rows_at(3)] = "novel"
    at = rows.table.column_names.index("plan")
    return TrainingRows(rows.table.set_column(at, "plan", pa.array(plans.tolist())), rows.schema)


def test_a_fold_is_encoded_without_its_test_rows():
    rows, plan = with_late_plan(training_rows()), walking()
    folds = EncodedFolds(rows, SCHEMA, plan)
    before, after = (fit(rows, rows_at(*months), SCHEMA, MADE, FEW, seed=1) for months in ((0, 1, 2), (0, 1, 2, 3)))
    assert "novel" not in before.encoder.levels["plan"].level
    assert "novel" in after.encoder.levels["plan"].level
    columns = [i for i, name in enumerate(before.encoder.names) if name.startswith("plan")]
    assert np.isnan(folds[1].test[:, columns]).all()  # unknown, not a column of its own
    assert not np.isnan(folds[1].x[:, columns]).any()


def test_folds_are_encoded_once_where_they_fit_into_memory():
    rows, plan = training_rows(), walking()
    kept, anew = EncodedFolds(rows, SCHEMA, plan), EncodedFolds(rows, SCHEMA, plan, most_bytes=0)
    assert kept[0] is kept[0]
    assert anew[0] is not anew[0]
    np.testing.assert_array_equal(kept[0].x, anew[0].x)
    a, b = (out_of_fold(f, "xgboost", FEW, seed=1, threads=2) for f in (kept, anew))
    np.testing.assert_array_equal(a.margin, b.margin)


def test_labels_of_the_test_rows_do_not_reach_their_margins():
    rows, plan = training_rows(), walking()
    flipped = np.array(rows.y, dtype=np.int8)
    flipped[rows_at(3)] ^= 1
    at = rows.table.column_names.index("label")
    other = TrainingRows(rows.table.set_column(at, "label", pa.array(flipped)), SCHEMA)
    a, b = (out_of_fold(EncodedFolds(r, SCHEMA, plan), "xgboost", FEW, seed=1, threads=1) for r in (rows, other))
    np.testing.assert_array_equal(a.margin, b.margin)
    assert a.log_loss != b.log_loss


def test_threads_change_nothing():
    folds = EncodedFolds(training_rows(), SCHEMA, walking())
    one, three = (out_of_fold(folds, "lightgbm", FEW, seed=1, threads=t) for t in (1, 3))
    np.testing.assert_array_equal(one.margin, three.margin)
    assert one.rows.tolist() == rows_at(2, 3).tolist()
    assert one.fold.tolist() == [0] * CUSTOMERS + [1] * CUSTOMERS


def test_balanced_weights_give_both_classes_the_same_total():
    y = np.array([1.0, 0, 0, 0, 0])
    weight = class_weights(y, "balanced")
    assert weight[y == 1].sum() == pytest.approx(weight[y == 0].sum())
    assert weight.mean() == pytest.approx(1)
    assert class_weights(y, "none") is None
    assert class_weights(np.zeros(3), "balanced") is None
    assert class_weights(np.ones(3), "balanced") is None


def test_balanced_margins_are_calibrated_back():
    rows = training_rows()
    config = section().estimators["logistic"]
    candidate = out_of_fold(EncodedFolds(rows, SCHEMA, walking()), "logistic", config, seed=1, threads=1)
    p = candidate.calibration.calibrator.probability(candidate.margin)
    raw = 1 / (1 + np.exp(-candidate.margin))
    rate = rows.y[candidate.rows].mean()
    assert abs(raw.mean() - rate) > 0.05
    assert p.mean() == pytest.approx(rate, abs=0.02)


def test_cross_calibration_uses_no_row_of_its_own_fold():
    rows = training_rows()
    candidate = out_of_fold(
        EncodedFolds(rows, SCHEMA, walking(timed=False)),
        "logistic",
        EstimatorConfig(imbalance="balanced"),
        seed=1,
        threads=1,
    )
    y, customers = rows.y[candidate.rows], rows.customers[candidate.rows]
    p = cross_calibrated(candidate, y, customers)
    for k in (0, 1):
        mine = candidate.fold == k
        others = choose_calibrator(candidate.margin[~mine], y[~mine], clusters=customers[~mine]).calibrator
        np.testing.assert_array_equal(p[mine], others.probability(candidate.margin[mine]))
        turned = np.where(mine, 1 - y, y)
        np.testing.assert_array_equal(cross_calibrated(candidate, turned, customers)[mine], p[mine])


def test_the_least_log_loss_is_best_and_comes_first():
    folds = EncodedFolds(training_rows(), SCHEMA, walking())
    poor = out_of_fold(folds, "xgboost", with_params(FEW, {"rounds": 1}), seed=1, threads=1)
    good = out_of_fold(folds, "lightgbm", with_params(FEW, {"rounds": 30}), seed=1, threads=1)
    assert good.log_loss < poor.log_loss
    assert best([poor, good]) is best([good, poor]) is good
    ordered = compare([poor, good])
    assert [c["estimator"] for c in ordered] == ["lightgbm", "xgboost"]
    assert ordered[0]["params"] == {"rounds": 30}
    assert ordered[0]["out_of_fold_log_loss"] == round(good.log_loss, 6)


def test_other_params_go_over_those_given():
    config = EstimatorConfig(params={"rounds": 5, "depth": 2}, imbalance="balanced")
    changed = with_params(config, {"depth": 3})
    assert (changed.params, changed.imbalance) == ({"rounds": 5, "depth": 3}, "balanced")
    assert config.params["depth"] == 2


def test_a_single_fold_is_calibrated_by_itself():
    rows, plan = training_rows(), walking()
    single = EncodedFolds(rows, SCHEMA, FoldPlan(plan.folds[:1], plan.final, timed=True, everything=plan.everything))
    candidate = out_of_fold(single, "xgboost", FEW, seed=1, threads=1)
    p = cross_calibrated(candidate, rows.y[candidate.rows], rows.customers[candidate.rows])
    np.testing.assert_array_equal(p, candidate.calibration.calibrator.probability(candidate.margin))
