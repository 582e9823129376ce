"""Out-of-fold predictions: what a fold's model may have seen, and how candidates are compared."""

from __future__ import annotations

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from scipy.special import expit
from training_world import CUSTOMERS, SCHEMA, rows_at, section, training_rows, walking

from holdfast.config.learning import EstimatorConfig
from holdfast.errors import ConfigError, DataError
from holdfast.evaluation.ranking import roc_auc
from holdfast.models.calibrate import choose_calibrator
from holdfast.models.registry import make_estimator
from holdfast.training.candidates import (
    Candidate,
    EncodedFolds,
    class_weights,
    cross_calibrated,
    fit,
    out_of_fold,
    with_params,
)
from holdfast.training.comparison import compare
from holdfast.training.rows import Fold, FoldPlan, TrainingRows
from holdfast.training.selection import Setting, best, best_line_loss, best_without, chosen_without

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
    known = np.unique(folds[1].x[:, columns], axis=0)
    assert all(row in known.tolist() for row in folds[1].test[:, columns].tolist())  # no column or code of its own
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
    weight = class_weights(y, ("balanced",))
    assert weight[y == 1].sum() == pytest.approx(weight[y == 0].sum())
    assert weight.mean() == pytest.approx(1)
    assert class_weights(y, ("none",)) is None
    assert class_weights(y, ("scale_pos_weight",)).tolist() == [4, 1, 1, 1, 1]
    for way in ("balanced", "scale_pos_weight"):
        assert class_weights(np.zeros(3), (way,)) is None
        assert class_weights(np.ones(3), (way,)) is None


def test_scale_pos_weight_is_the_libraries_own(monkeypatch):
    """XGBoost's on columns with fewer values than bins; LightGBM's without its start from the unweighted base rate."""
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=(1500, 4)), 1).astype(np.float32)
    y = (rng.random(1500) < expit(x[:, 0] - x[:, 1] * x[:, 2] - 2)).astype(float)
    weight, ratio = class_weights(y, ("scale_pos_weight",)), float((1 - y).sum() / y.sum())
    for name, library, own in (
        ("xgboost", xgb, {"scale_pos_weight": ratio}),
        ("lightgbm", lgb, {"scale_pos_weight": ratio, "boost_from_average": False}),
    ):
        made, train = make_estimator(name, {"rounds": 20}), library.train
        weighted = made.fit(x, y, seed=1, weight=weight).margin(x)
        monkeypatch.setattr(library, "train", lambda p, *rest, t=train, own=own, **more: t({**p, **own}, *rest, **more))
        np.testing.assert_allclose(made.fit(x, y, seed=1).margin(x), weighted, atol=1e-6)
        assert np.abs(weighted).max() > 0.5


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
    ordered = compare([poor, good], folds.rows)
    assert ordered[0]["ranking"]["roc_auc"] > 0.6
    assert [c["estimator"] for c in ordered] == ["lightgbm", "xgboost"]
    assert ordered[0]["params"] == {"rounds": 30}
    assert ordered[0]["out_of_fold_log_loss"] == round(good.log_loss, 6)


def test_other_params_go_over_those_given():
    config = EstimatorConfig(params={"rounds": 5, "depth": 2}, imbalance="balanced")
    changed = with_params(config, {"depth": 3})
    assert (changed.params, changed.imbalance) == ({"rounds": 5, "depth": 3}, ("balanced",))
    assert config.params["depth"] == 2


def test_a_single_fold_is_calibrated_by_itself():
    rows, plan = training_rows(), walking()
    single = EncodedFolds(rows, SCHEMA, FoldPlan(plan.folds[:1], plan.final, timed=True, everything=plan.everything))
    candidate = out_of_fold(single, "xgboost", FEW, seed=1, threads=1)
    p = cross_calibrated(candidate, rows.y[candidate.rows], rows.customers[candidate.rows])
    np.testing.assert_array_equal(p, candidate.calibration.calibrator.probability(candidate.margin))


def test_a_list_of_weighings_is_a_candidate_each():
    config = EstimatorConfig(imbalance=["none", "scale_pos_weight", "none"], params={"l2": 3})
    assert [(c.imbalance, c.params) for c in config.spread()] == [
        (("none",), {"l2": 3}),
        (("scale_pos_weight",), {"l2": 3}),
    ]


def test_weighing_keeps_ranking_ruins_raw_calibration_and_is_calibrated_back():
    folds = EncodedFolds(training_rows(), SCHEMA, walking(timed=False))
    both = EstimatorConfig(imbalance=["none", "scale_pos_weight"])
    plain, weighted = (out_of_fold(folds, "logistic", c, seed=1, threads=1) for c in both.spread())
    told = {c["imbalance"]: c for c in compare([weighted, plain], folds.rows)}
    a, b = told["none"], told["scale_pos_weight"]
    assert b["ranking"]["roc_auc"] == pytest.approx(a["ranking"]["roc_auc"], abs=0.01)
    assert a["calibration"]["raw"]["observed_expected"] == pytest.approx(1, abs=0.05)
    assert b["calibration"]["raw"]["observed_expected"] < 0.9
    assert b["calibration"]["raw"]["log_loss"] > a["calibration"]["raw"]["log_loss"] + 0.005
    for one in (a, b):
        assert one["calibration"]["calibrated"]["observed_expected"] == pytest.approx(1, abs=0.05)
    assert b["calibration"]["calibrated"]["log_loss"] == pytest.approx(a["calibration"]["raw"]["log_loss"], abs=0.01)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "logistic", "rfm"])
def test_a_candidate_with_features_of_its_own_is_fitted_on_those_alone(name):
    """In the folds, where columns of the whole encoding are taken, and in the final fit, which encodes them alone."""
    rows, plan = training_rows(), walking()
    own = EstimatorConfig(features=["plan", "usage_3m"])
    few = SCHEMA.only(["usage_3m", "plan"])
    a = out_of_fold(EncodedFolds(rows, SCHEMA, plan), name, own, seed=1, threads=1)
    b = out_of_fold(EncodedFolds(rows, few, plan), name, EstimatorConfig(), seed=1, threads=1)
    np.testing.assert_array_equal(a.margin, b.margin)
    fitted = fit(rows, plan.folds[0].train, SCHEMA, make_estimator(name), own, seed=1)
    assert fitted.encoder.schema.names == ["usage_3m", "plan"]
    first = a.margin[a.fold == 0]
    np.testing.assert_array_equal(fitted.model.margin(fitted.encoder.transform(rows.take(plan.folds[0].test))), first)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "logistic", "rfm"])
@pytest.mark.parametrize("direction", [1, -1])
def test_configured_directions_reach_every_fit(name, direction):
    rows, plan = training_rows(), walking()
    config = EstimatorConfig(monotone={"usage_3m": direction}, features=["plan", "usage_3m", "tickets_3m"])
    fitted = fit(rows, plan.final.train, SCHEMA, make_estimator(name), config, seed=1)
    x = np.repeat(fitted.encoder.transform(rows.take(rows_at(5)[:20])), 15, axis=0)
    at = fitted.encoder.names.index("usage_3m")
    x[:, at] = np.tile(np.linspace(-3, 3, 15), 20)
    steps = direction * np.diff(fitted.model.margin(x).reshape(20, 15), axis=1)
    assert steps.min() >= -1e-6
    assert steps.max() > 0 or direction == 1  # the truth falls
    free = EstimatorConfig(features=config.features)
    a, b = (out_of_fold(EncodedFolds(rows, SCHEMA, plan), name, c, seed=1, threads=1) for c in (config, free))
    assert not np.array_equal(a.margin, b.margin) or direction == -1


def test_a_category_has_no_direction():
    folds = EncodedFolds(training_rows(), SCHEMA, walking())
    with pytest.raises(ConfigError, match=r"monotone\.plan: is no number feature"):
        out_of_fold(folds, "logistic", EstimatorConfig(monotone={"plan": 1}), seed=1, threads=1)


@pytest.mark.parametrize("timed", [True, False])
def test_a_fold_with_one_class_is_said_by_name(timed):
    rows, plan = training_rows(), walking(timed=timed)
    y = np.array(rows.y, dtype=np.int8)
    y[plan.folds[0].train] = 0
    at = rows.table.column_names.index("label")
    one_class = TrainingRows(rows.table.set_column(at, "label", pa.array(y)), SCHEMA)
    with pytest.raises(DataError, match="with 0 churners; at least 2 are needed") as caught:
        EncodedFolds(one_class, SCHEMA, plan)
    assert caught.value.problems[0].where == f"fold {plan.folds[0].name}"
    assert ("validation_cutoffs" if timed else "groups") in str(caught.value)
    with pytest.raises(DataError, match="all folds together: predict"):
        EncodedFolds(TrainingRows(rows.table.set_column(at, "label", pa.array(y * 0)), SCHEMA), SCHEMA, plan)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "logistic", "rfm"])
def test_a_feature_that_is_all_null_says_nothing(name):
    rows, plan = training_rows(), walking()
    at = rows.table.column_names.index("tickets_3m")
    empty = TrainingRows(rows.table.set_column(at, "tickets_3m", pa.nulls(len(rows), pa.float32())), SCHEMA)
    found = out_of_fold(EncodedFolds(empty, SCHEMA, plan), name, EstimatorConfig(), seed=1, threads=1)
    assert np.isfinite(found.margin).all()
    fitted = fit(empty, plan.final.train, SCHEMA, make_estimator(name), EstimatorConfig(), seed=1)
    x = fitted.encoder.transform(empty.take(rows_at(5)))
    assert np.abs(fitted.encoder.collapse(fitted.model.contributions(x)[:, :-1])[:, 1]).max() < 1e-6


# -- choosing without a fold


def settings_with(losses):
    return [Setting("lightgbm", EstimatorConfig(params={"rounds": k + 1}), tuple(row)) for k, row in enumerate(losses)]


def test_a_fold_has_no_say_in_its_own_setting():
    rng = np.random.default_rng(0)
    losses, sizes = rng.normal(size=(30, 5)), [10, 200, 30, 7, 100]
    picked = best_without(settings_with(losses), sizes)
    for k in range(5):
        others = [j for j in range(5) if j != k]
        assert picked[k].config.params["rounds"] == 1 + np.argmin(losses[:, others] @ np.array(sizes)[others])
        for own in (rng.normal(size=30), 1e300 * rng.normal(size=30), np.full(30, np.inf)):
            changed = losses.copy()
            changed[:, k] = own
            assert best_without(settings_with(changed), sizes)[k].config == picked[k].config
    assert len({s.config.params["rounds"] for s in picked}) > 1
    assert best_without(settings_with(np.ones((3, 2))), [1, 1])[0].config.params["rounds"] == 1


def test_each_fold_is_predicted_and_calibrated_by_its_own_setting():
    """Weighing takes margins far off: a calibrator of another setting's would be badly wrong."""
    folds = EncodedFolds(training_rows(), SCHEMA, walking(timed=False))
    plain, weighed = (EstimatorConfig(params={"rounds": 5}, imbalance=(way,)) for way in ("none", "balanced"))
    settings = [Setting("xgboost", plain, (0.1, 0.2)), Setting("xgboost", weighed, (0.2, 0.1))]
    a, b = (out_of_fold(folds, "xgboost", config, seed=1, threads=1) for config in (plain, weighed))
    y, customers = folds.rows.y[a.rows], folds.rows.customers[a.rows]
    wanted = np.where(a.fold == 0, cross_calibrated(b, y, customers), cross_calibrated(a, y, customers))
    for known in ([], [a], [a, b]):
        np.testing.assert_array_equal(chosen_without(folds, settings, known, seed=1, threads=1), wanted)
    one = chosen_without(folds, settings[:1], [a], seed=1, threads=1)
    np.testing.assert_array_equal(one, cross_calibrated(a, y, customers))


def test_the_luckiest_of_many_that_know_nothing_looks_good_only_where_it_was_chosen():
    rows, plan = training_rows(), walking(timed=False)
    group = np.arange(len(rows)) % CUSTOMERS % 5
    parts = [Fold(f"{k}", np.flatnonzero(group != k), np.flatnonzero(group == k)) for k in range(5)]
    folds = EncodedFolds(rows, SCHEMA, replace(plan, folds=parts))
    numbers, sizes = np.concatenate([f.test for f in parts]), [len(f.test) for f in parts]
    fold, y, customers = group[numbers], rows.y[numbers], rows.customers[numbers]

    def auc(p):
        return np.mean([roc_auc(y[fold == k], p[fold == k]) for k in range(5)])

    naive, honest = [], []
    for draw in range(20):
        margins = np.random.default_rng(draw).normal(size=(40, len(y)))
        losses = [[best_line_loss(m[fold == k], y[fold == k]) for k in range(5)] for m in margins]
        settings = settings_with(losses)
        needed = (*best_without(settings, sizes), min(settings, key=lambda s: sum(s.losses)))
        candidates = []
        for s, m in zip(settings, margins, strict=True):
            if s in needed:
                choice = choose_calibrator(m, y, clusters=customers)
                candidates.append(Candidate(s.name, s.config, MADE, numbers, m, fold, choice, sum(s.losses)))
        naive.append(auc(best(candidates).margin))
        honest.append(auc(chosen_without(folds, settings, candidates, seed=1, threads=1)))
    error = np.std(honest, ddof=1) / np.sqrt(len(honest))
    assert np.mean(naive) > 0.515
    assert np.mean(honest) < 0.5 + 3 * error < 0.515
