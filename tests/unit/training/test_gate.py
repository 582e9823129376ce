"""The gate: every refusal has its reason and its figures."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.config.learning import Promotion
from holdfast.evaluation.intervals import Evaluation, Metric
from holdfast.training.gate import compare_with_champion, decide

CONFIG = Promotion(min_lift=1.2, max_calibration_error=0.02)
GOOD = Evaluation({"lift_at_10": Metric(2.5, 2.0, 3.0)}, 1000, 30)


def lift(value, low):
    return Evaluation({"lift_at_10": Metric(value, low, value + 1)}, 1000, 30)


def test_a_first_champion_that_ranks_and_is_calibrated_passes():
    verdict = decide(GOOD, 0.01, CONFIG)
    assert (verdict.passed, verdict.reasons) == (True, ())
    assert verdict.evidence == {
        "lift_at_10": {"value": 2.5, "low": 2.0, "high": 3.0},
        "calibration_error": 0.01,
    }


@pytest.mark.parametrize("low", [1.2, 1.0, float("nan")])
def test_a_lift_that_may_be_chance_is_refused(low):
    verdict = decide(lift(1.5, low), 0.01, CONFIG)
    assert not verdict.passed
    assert verdict.reasons == (f"lift at 10% is 1.50, 95% interval from {low:.2f}: not above 1.2",)


def test_without_churners_nothing_can_be_ranked():
    verdict = decide(lift(float("nan"), float("nan")), 0.01, CONFIG)
    assert not verdict.passed
    assert verdict.reasons[0].startswith("nobody, or everybody, left")


@pytest.mark.parametrize("error", [0.0201, float("nan")])
def test_poor_calibration_is_refused(error):
    verdict = decide(GOOD, error, CONFIG)
    assert verdict.reasons == (f"expected calibration error is {error:.4f}, above 0.02",)
    assert decide(GOOD, 0.02, CONFIG).passed


def test_one_that_is_not_better_is_refused_and_all_reasons_are_given():
    comparison = {"better": False, "why": "log loss is not lower"}
    verdict = decide(lift(1.1, 0.9), 0.5, CONFIG, comparison=comparison)
    assert len(verdict.reasons) == 3
    assert verdict.reasons[2] == "log loss is not lower"
    assert verdict.evidence["against_champion"] == comparison
    assert decide(GOOD, 0.01, CONFIG, comparison={"better": True, "why": ""}).passed


@pytest.fixture
def forecasts():
    rng = np.random.default_rng(0)
    customers = np.repeat(np.arange(500), 3)
    truth = np.repeat(rng.uniform(0.02, 0.6, 500), 3)
    y = (rng.random(1500) < truth).astype(float)
    return y, truth, np.full(1500, y.mean()), customers


def test_better_means_that_the_bound_of_the_difference_lies_below_zero(forecasts):
    y, good, poor, customers = forecasts
    found = compare_with_champion(y, good, poor, customers, Promotion(), replicates=200, seed=1)
    assert found["better"] is True
    assert found["why"] == ""
    assert found["difference"]["metric"] == "log_loss"
    assert found["difference"]["value"] < found["difference"]["upper"] < 0


@pytest.mark.parametrize("worse", [True, False])
def test_worse_or_the_same_is_not_better(forecasts, worse):
    y, good, poor, customers = forecasts
    champion = good if worse else poor
    found = compare_with_champion(y, poor, champion, customers, Promotion(), replicates=200, seed=1)
    assert found["better"] is False
    assert f"{found['difference']['value']:+.5f}" in found["why"]
    assert f"{found['difference']['upper']:+.5f} at 97.5% confidence is not below zero" in found["why"]


def test_less_confidence_is_easier_to_pass(forecasts):
    y, good, _, customers = forecasts
    slightly = np.clip(good * 1.15, 0.001, 0.999)
    uppers = [
        compare_with_champion(y, good, slightly, customers, Promotion(confidence=confidence), replicates=200, seed=1)[
            "difference"
        ]["upper"]
        for confidence in (0.6, 0.9, 0.99)
    ]
    assert uppers == sorted(uppers)
    assert uppers[0] < uppers[2]
