"""The correction for the months: from training months alone, tried on the past first, and left out where it fails."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit
from training_world import SCHEMA, section, training_rows, walking

from holdfast.models.calibrate import Identity, Shifted
from holdfast.training.candidates import EncodedFolds, out_of_fold
from holdfast.training.prior_shift import MIN_MONTHS, PriorShift, prior_shift, shift_again
from holdfast.training.rows import Fold, FoldPlan, TrainingRows

PEOPLE, MONTHS = 300, 28
SEASON = np.array([0.8, 0.4, 0.0, -0.4, -0.8, -0.4, 0.0, 0.4, 0.8, 0.0, -0.8, 0.0])
FIRST = np.datetime64("2022-01", "M")


def company(effect, seed=0):
    """Customers at monthly cutoffs; ``effect`` (MONTHS,) is added to everybody's log-odds."""
    rng = np.random.default_rng(seed)
    month = np.repeat(np.arange(MONTHS), PEOPLE)
    usage = rng.normal(size=len(month))
    y = rng.random(len(month)) < expit(-1.5 - 0.8 * usage + np.asarray(effect)[month])
    columns = {
        "customer_id": [f"C{i:04}" for i in range(PEOPLE)] * MONTHS,
        "cutoff": (FIRST + month).astype("datetime64[us]"),
        "label": pa.array(y.astype(np.int8)),
        "usage_3m": usage.astype(np.float32),
    }
    return TrainingRows(pa.table(columns), SCHEMA.without(["tickets_3m", "plan", "paperless"]))


def at(*months):
    return np.concatenate([np.arange(m * PEOPLE, (m + 1) * PEOPLE) for m in months]).astype(np.int64)


def plan_of(last_training=24):
    folds = [Fold(str(m), at(*range(m - 1)), at(m)) for m in (last_training - 1, last_training)]
    return FoldPlan(
        folds, Fold("test", at(*range(last_training + 1)), at(26, 27)), timed=True, everything=at(*range(MONTHS))
    )


def shift_of(rows, plan):
    config = section().estimators["logistic"].model_copy(update={"imbalance": ("none",)})
    chosen = out_of_fold(EncodedFolds(rows, rows.schema, plan), "logistic", config, seed=1, threads=1)
    chosen = dataclasses.replace(chosen, calibration=dataclasses.replace(chosen.calibration, calibrator=Identity()))
    return prior_shift(rows, plan, rows.schema, chosen, seed=1)


def test_a_season_is_found_in_its_months():
    found = shift_of(company(SEASON[np.arange(MONTHS) % 12]), plan_of())
    assert found.applied
    assert found.gain > 3 * found.gain_se
    level = found.expected.offset.mean()
    np.testing.assert_allclose(found.expected.offset - level, SEASON, atol=0.3)
    calibrator = found.applied_to(Identity())
    assert isinstance(calibrator, Shifted)
    assert calibrator.offsets == tuple(found.expected.offset)


def test_a_persistent_shift_is_found_in_every_month():
    found = shift_of(company(np.where(np.arange(MONTHS) < 12, 0.0, 1.2)), plan_of())
    assert found.applied
    # the training months before it pull the model's own level down
    last = found.known.offset[-6:].mean()
    assert last > 0.3
    assert found.expected.offset.mean() == pytest.approx(last, abs=0.12)


def test_where_nothing_moves_next_to_nothing_is_added():
    sizes = [np.abs(shift_of(company(np.zeros(MONTHS), seed), plan_of()).expected.offset).mean() for seed in range(3)]
    assert np.mean(sizes) < 0.06


def test_a_correction_that_would_have_failed_before_is_not_made():
    """A season that turned round after the first year: last year's is worse than none."""
    turned = SEASON[np.arange(MONTHS) % 12] * np.where(np.arange(MONTHS) < 12, 1, -1)
    found = shift_of(company(turned), plan_of())
    assert not found.applied
    assert found.gain < -found.gain_se
    assert found.applied_to(Identity()) == Identity()
    assert json.loads(json.dumps(found.to_json()))["applied"] is False


def test_the_model_that_is_fitted_again_knows_the_months_of_the_test_too():
    rows, plan = company(SEASON[np.arange(MONTHS) % 12]), plan_of()
    before = shift_of(rows, plan)
    margin = np.full(len(plan.final.test), -1.5)
    again = shift_again(before, rows, plan, Identity(), margin)
    assert [str(np.datetime64(int(m), "M")) for m in again.known.months[-3:]] == ["2024-01", "2024-03", "2024-04"]
    np.testing.assert_array_equal(again.known.offset[:25], before.known.offset)
    assert again.applied
    assert shift_again(PriorShift(False, "too few"), rows, plan, Identity(), margin) == PriorShift(False, "too few")


def test_labels_of_the_test_play_no_part():
    rows = company(np.zeros(MONTHS))
    labels = np.array(rows.y, dtype=np.int8)
    labels[at(25, 26, 27)] = 1
    turned = TrainingRows(rows.table.set_column(2, "label", pa.array(labels)), rows.schema)
    assert shift_of(rows, plan_of()).to_json() == shift_of(turned, plan_of()).to_json()


def test_what_is_recorded_can_be_plotted():
    body = shift_of(company(np.zeros(MONTHS)), plan_of()).to_json()
    assert json.loads(json.dumps(body)) == body
    assert [m["month"] for m in body["months"]][:2] == ["2022-01", "2022-02"]
    assert len(body["months"]) == 25
    assert len(body["expected"]) == 12
    assert all(m["se"] > 0 for m in (*body["months"], *body["expected"]))
    assert body["forecasts"] == PEOPLE * (25 - MIN_MONTHS - 1)


def test_too_few_months_or_no_time_leave_the_calibrator_alone():
    rows = training_rows()
    for timed, why in ((True, "too few"), (False, "reconstructed")):
        chosen = out_of_fold(
            EncodedFolds(rows, SCHEMA, walking(timed=timed)), "logistic", section().estimators["logistic"], seed=1,
            threads=1,
        )  # fmt: skip
        found = prior_shift(rows, walking(timed=timed), SCHEMA, chosen, seed=1)
        assert not found.applied
        assert why in found.why
        assert found.applied_to(chosen.calibration.calibrator) is chosen.calibration.calibrator
        assert set(found.to_json()) == {"applied", "why"}


@pytest.mark.parametrize(("label", "who"), [(1, "churners"), (0, "customers who stayed")])
def test_too_few_of_a_class_to_leave_customers_out_leave_the_calibrator_alone(label, who):
    """Two churners: whoever leaves one out cannot fit a model on the others."""
    rows, plan = company(np.zeros(MONTHS)), plan_of()
    chosen = out_of_fold(
        EncodedFolds(rows, rows.schema, plan), "logistic", section().estimators["logistic"], seed=1, threads=1
    )
    labels = np.full(len(rows.y), 1 - label, dtype=np.int8)
    labels[:2] = label
    rare = TrainingRows(rows.table.set_column(2, "label", pa.array(labels)), rows.schema)
    found = prior_shift(rare, plan, rare.schema, chosen, seed=1)
    assert found == PriorShift(False, f"too few {who} (2) to predict each customer by a model of the others")
    assert shift_again(found, rare, plan, Identity(), np.zeros(len(plan.final.test))) is found
