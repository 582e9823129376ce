"""The gate: every check says what it saw, whichever way it went, and a refusal says by how much."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from holdfast.config.learning import Promotion
from holdfast.evaluation.campaign import Campaign
from holdfast.evaluation.intervals import Evaluation, Metric
from holdfast.training.gate import Check, Contest, Verdict, against_champion, incomparable, worth_having

CONFIG = Promotion(min_lift=1.2, max_calibration_error=0.02)
GOOD = Evaluation({"lift_at_10": Metric(2.5, 2.0, 3.0)}, 1000, 30)
N = 3000


def lift(value, low):
    return Evaluation({"lift_at_10": Metric(value, low, value + 1)}, 1000, 30)


def said(checks):
    return {check.name: (check.passed, check.said) for check in checks}


def test_one_that_ranks_and_is_calibrated_is_worth_having():
    checks = worth_having(GOOD, 0.01, CONFIG)
    assert [(check.name, check.passed) for check in checks] == [("ranks", True), ("calibrated", True)]
    assert checks[0].evidence == {"lift_at_10": {"value": 2.5, "low": 2.0, "high": 3.0}}
    assert checks[1].evidence == {"ece": 0.01}


@pytest.mark.parametrize("low", [1.2, 1.0, float("nan")])
def test_a_lift_that_may_be_chance_is_refused(low):
    ranks = worth_having(lift(1.5, low), 0.01, CONFIG)[0]
    assert not ranks.passed
    assert ranks.said == f"lift at 10% is 1.50, 95% interval from {low:.2f}; it must be over 1.2"


def test_without_churners_nothing_can_be_ranked():
    ranks = worth_having(lift(float("nan"), float("nan")), 0.01, CONFIG)[0]
    assert not ranks.passed
    assert ranks.said.startswith("nobody, or everybody, left")


@pytest.mark.parametrize("error", [0.0201, float("nan")])
def test_poor_calibration_is_refused(error):
    calibrated = worth_having(GOOD, error, CONFIG)[1]
    assert not calibrated.passed
    assert calibrated.said == f"expected calibration error is {error:.4f}; at most 0.02 is allowed"
    assert worth_having(GOOD, 0.02, CONFIG)[1].passed


def test_a_verdict_is_yes_if_every_check_is():
    yes, no = Check("ranks", True, "well"), Check("latency", False, "80 ms", {"p95_ms": 80.0})
    assert (Verdict((yes,)).passed, Verdict((yes,)).reasons) == (True, [])
    verdict = Verdict((yes, no))
    assert (verdict.passed, verdict.reasons) == (False, ["latency: 80 ms"])
    body = json.loads(json.dumps(verdict.to_json()))
    assert body["checks"][1] == {"name": "latency", "passed": False, "said": "80 ms", "evidence": {"p95_ms": 80.0}}


def test_what_cannot_be_compared_is_not_better():
    check = incomparable("the champion answers another question")
    assert (check.name, check.passed) == ("better", False)
    assert check.said.startswith("the champion answers another question, so the two cannot be compared; ")


@pytest.fixture(scope="module")
def world():
    """Customers of very different hazards, with three snapshots each, and a campaign that can pay.

    The last array is what one who knows one of two causes would say: calibrated, and not as sharp as the hazard.
    """
    rng = np.random.default_rng(0)
    u, v = rng.normal(-2.0, 0.9, N // 3), rng.normal(0.0, 0.9, N // 3)
    hazard = np.repeat(expit(u + v), 3)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    partly = np.repeat(expit(u[:, None] + 0.9 * nodes) @ weights / weights.sum(), 3)
    y = (rng.random(N) < hazard).astype(float)
    customers = np.repeat(np.arange(N // 3), 3)
    campaign = Campaign(
        value=np.full(N, 100.0), cost=np.array([5.0]), retention=np.array([0.5]), eligible=np.ones((N, 1), dtype=bool),
        budget=1.0,
    )  # fmt: skip
    return y, hazard, customers, campaign, partly


def judged(world, challenger, champion, slices=None, **config):
    y, _, customers, campaign, _ = world
    contest = Contest(y, challenger, champion, customers, campaign, slices or {}, "version 3")
    return against_champion(contest, Promotion(**config), replicates=100, seed=1)


def test_a_better_model_passes_every_check(world):
    y, hazard, _, _, partly = world
    checks = judged(world, hazard, partly, {"half": np.arange(N) % 2})
    assert [check.name for check in checks] == ["better", "profit", "calibration", "slices"]
    assert all(check.passed for check in checks)
    better = checks[0]
    assert better.evidence["difference"]["upper"] < 0
    assert (better.evidence["n"], better.evidence["against"]) == (N, "version 3")
    assert f"on {N:,} snapshots that neither was trained on, with {int(y.sum())} churners" in better.said
    assert "upper bound -0." in better.said


def test_the_same_model_is_not_better_and_no_worse_in_anything(world):
    _, hazard, *_ = world
    found = said(judged(world, hazard, hazard))
    assert {name: passed for name, (passed, _) in found.items()} == {
        "better": False, "profit": True, "calibration": True, "slices": True,
    }  # fmt: skip
    assert "must be below zero" in found["better"][1]


def test_a_worse_model_is_refused_by_profit_too(world):
    y, hazard, *_ = world
    found = said(judged(world, np.full(N, y.mean()), hazard))
    assert not found["better"][0]
    passed, sentence = found["profit"]
    assert not passed
    assert sentence.startswith("profit at the project's budget differs by -")
    assert "must not be below -" in sentence


def test_one_that_ranks_better_and_promises_too_much_is_refused_for_its_calibration(world):
    _, hazard, _, _, partly = world
    found = said(judged(world, expit(logit(hazard) + 0.4), partly))
    assert found["better"][0]  # log loss alone would have let it through
    passed, sentence = found["calibration"]
    assert not passed
    assert sentence.startswith("calibration error differs by +")


def test_margins_say_how_much_worse_is_too_much(world):
    _, hazard, *_ = world
    off = expit(logit(hazard) + 0.15)
    strict = said(judged(world, off, hazard, calibration_margin=0.01, profit_margin=0.0))
    mild = said(judged(world, off, hazard, calibration_margin=1.0, profit_margin=0.2))
    assert (strict["calibration"][0], mild["calibration"][0]) == (False, True)
    assert mild["profit"][0]


def test_a_slice_in_which_it_is_worse_is_named(world):
    y, hazard, *_ = world
    half = np.where(np.arange(N) // 3 % 2 == 0, "north", "south").tolist()
    north = np.array(half) == "north"
    champion = np.where(north, hazard, y.mean())
    challenger = np.where(north, np.full(N, y.mean()), hazard)
    found = judged(world, challenger, champion, {"region": half})[-1]
    assert (found.name, found.passed) == ("slices", False)
    assert "region = north: log_loss is 0." in found.said
    assert [w["value"] for w in found.evidence["worse"]] == ["north"]


def test_with_no_slice_listed_that_is_said(world):
    _, hazard, *_ = world
    assert said(judged(world, hazard, hazard))["slices"] == (True, "no slice is listed (training.slices)")


def test_less_confidence_is_easier_to_pass(world):
    _, hazard, *_ = world
    slightly = np.clip(hazard * 1.15, 0.001, 0.999)
    uppers = [
        judged(world, hazard, slightly, confidence=confidence)[0].evidence["difference"]["upper"]
        for confidence in (0.6, 0.9, 0.99)
    ]
    assert uppers == sorted(uppers)
    assert uppers[0] < uppers[2]
