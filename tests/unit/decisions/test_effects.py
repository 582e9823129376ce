"""Effects against hand calculations and against simulated experiments whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import kstest

from holdfast.artifacts.files import canonical_json
from holdfast.config.business import DecisionsSection
from holdfast.decisions.effects import TREATMENT_SCHEMA, compute_effects
from holdfast.decisions.experiment import Trial, compute_measured, compute_mismatch
from holdfast.errors import DataError

Build = Callable[..., DecisionsSection]


def trial(rng: np.random.Generator, n: int, base: float, ratio: float, *, visits: int = 1) -> Trial:
    """n customers, ``visits`` assignments each. Those at more risk are treated more often, so raw rates mislead."""
    risky = np.repeat(rng.random(n) < 0.5, visits)
    propensity = np.where(risky, 0.8, 0.4)
    treated = rng.random(n * visits) < propensity
    rate = base * np.where(risky, 1.5, 0.5)
    return Trial(
        np.repeat(np.arange(n), visits),
        treated,
        propensity,
        rng.random(n * visits) < rate * np.where(treated, ratio, 1),
    )


def table(t: Trial, offer: str = "call", **changes: Any) -> pa.Table:
    n = len(t.treated)
    columns: dict[str, Any] = {
        "customer_id": [f"c{i}" for i in t.customer],
        "assigned_at": pa.array([datetime(2024, 1, 1)] * n, pa.timestamp("us")),  # noqa: DTZ001 - as tables hold it
        "offer": [offer] * n,
        "treated": t.treated,
        "propensity": t.propensity,
        "churned": t.churned,
        "matured": np.ones(n, dtype=bool),
    }
    return pa.table({**columns, **changes}).cast(TREATMENT_SCHEMA)


def test_weighted_rates_by_hand() -> None:
    """One treated at 0.5 and one at 0.25 weigh 2 and 4; the controls weigh 2 and 4/3."""
    t = Trial(
        np.arange(4),
        np.array([True, True, False, False]),
        np.array([0.5, 0.25, 0.5, 0.25]),
        np.array([True, False, True, False]),
    )
    m = compute_measured(t, 0.95)
    assert m.rate_treated == pytest.approx(2 / 6)
    assert m.rate_control == pytest.approx(2 / (2 + 4 / 3))
    assert m.difference == pytest.approx(2 / 6 - 0.6)


def test_with_even_arms_the_interval_is_the_textbook_one() -> None:
    """Katz's log interval of a relative risk: var = 1/a - 1/n1 + 1/b - 1/n0 (up to n/(n-1))."""
    n, a, b = 1000, 40, 80
    treated = np.repeat([True, False], n)
    churned = np.concatenate([np.arange(n) < a, np.arange(n) < b])
    m = compute_measured(Trial(np.arange(2 * n), treated, np.full(2 * n, 0.5), churned), 0.95)
    error = np.sqrt(1 / a - 1 / n + 1 / b - 1 / n)
    assert m.retention == pytest.approx(0.5)
    assert m.low == pytest.approx(1 - np.exp(np.log(0.5) + 1.96 * error), abs=1e-3)
    assert m.high == pytest.approx(1 - np.exp(np.log(0.5) - 1.96 * error), abs=1e-3)


@pytest.mark.parametrize(("ratio", "visits"), [(0.7, 1), (0.7, 3), (1.2, 1)])
def test_the_interval_covers_the_truth_as_often_as_it_says(ratio: float, visits: int) -> None:
    rng = np.random.default_rng(5)
    runs = 400
    found = [compute_measured(trial(rng, 1500, 0.15, ratio, visits=visits), 0.9) for _ in range(runs)]
    covered = sum(m.low <= 1 - ratio <= m.high for m in found)
    assert 0.9 - 4 * np.sqrt(0.09 / runs) <= covered / runs <= 0.9 + 4 * np.sqrt(0.09 / runs)
    error = np.std([m.retention for m in found]) / np.sqrt(runs)
    assert np.mean([m.retention for m in found]) == pytest.approx(1 - ratio, abs=4 * error + 0.005)


def test_a_customer_counted_ten_times_is_one_customer() -> None:
    once = trial(np.random.default_rng(1), 2000, 0.2, 0.7)
    again = Trial(*(np.repeat(a, 10) for a in (once.customer, once.treated, once.propensity, once.churned)))
    a, b = compute_measured(once, 0.95), compute_measured(again, 0.95)
    assert (b.low, b.high) == pytest.approx((a.low, a.high))


def test_no_churner_among_the_treated_is_not_a_perfect_action() -> None:
    treated = np.arange(600) < 300
    t = Trial(np.arange(600), treated, np.full(600, 0.5), ~treated & (np.arange(600) % 10 == 0))
    m = compute_measured(t, 0.95)
    assert m.method == "sparse"
    assert 0 < m.low < m.retention < m.high == 1


def test_measured_effects_say_so(section: Build) -> None:
    config = section()
    effects = compute_effects(table(trial(np.random.default_rng(2), 6000, 0.2, 0.6)), config)
    call = effects["call"]
    assert call.source == "measured"
    assert call.low is not None
    assert call.high is not None
    assert call.low < 0.4 < call.high
    assert call.distinguishable is True
    assert effects["email"].source == "assumed"
    assert effects["email"].retention == config.actions["email"].retention
    assert "0 treated" in effects["email"].why
    canonical_json({name: effect.to_json() for name, effect in effects.items()})


def test_a_harmful_action_keeps_its_sign_and_an_idle_one_is_called_so(section: Build) -> None:
    rng = np.random.default_rng(3)
    harmful = compute_effects(table(trial(rng, 6000, 0.2, 1.5)), section())["call"]
    assert harmful.retention < 0
    assert harmful.distinguishable is True
    idle = compute_effects(table(trial(rng, 6000, 0.2, 1.0)), section())["call"]
    assert idle.distinguishable is False
    assert "not distinguishable from zero" in idle.why


def test_what_cannot_be_measured_is_assumed(section: Build) -> None:
    config = section()
    assert "no randomised treatments" in compute_effects(None, config)["call"].why
    rng = np.random.default_rng(4)
    few = compute_effects(table(trial(rng, 50, 0.2, 0.5)), config)["call"]
    assert (few.source, few.retention, few.low) == ("assumed", 0.3, None)
    assert "fewer than 100" in few.why
    rare = compute_effects(table(trial(rng, 1000, 0.001, 0.5)), config)["call"]
    assert "churned untreated" in rare.why


def test_treatments_that_were_not_drawn_as_stated_are_not_trusted(section: Build) -> None:
    rng = np.random.default_rng(6)
    honest = [compute_mismatch(trial(rng, 300, 0.2, 0.6)) for _ in range(400)]
    assert kstest(honest, "uniform").pvalue > 1e-3
    t = trial(rng, 4000, 0.2, 0.6)
    arm_received = np.where(t.treated, t.propensity, 1 - t.propensity)  # a common mistake: of the arm, not of treatment
    effect = compute_effects(table(t, propensity=arm_received), section())["call"]
    assert effect.source == "assumed"
    assert "do not look randomised" in effect.why


def test_immature_and_unrandomised_rows_are_left_out_and_counted(section: Build) -> None:
    t = trial(np.random.default_rng(7), 3000, 0.2, 0.6)
    clean = table(t)
    n = 100
    ones = Trial(np.arange(n), np.ones(n, dtype=bool), np.ones(n), np.ones(n, dtype=bool))
    late = table(ones, propensity=np.full(n, 0.5), churned=pa.nulls(n, pa.bool_()), matured=np.zeros(n, dtype=bool))
    effect = compute_effects(pa.concat_tables([clean, table(ones), late]), section())["call"]
    assert effect.retention == compute_effects(clean, section())["call"].retention
    assert "100 not matured, 100 not randomised left out" in effect.why


def test_order_does_not_matter(section: Build) -> None:
    t = table(trial(np.random.default_rng(8), 2000, 0.2, 0.6, visits=2))
    order = np.random.default_rng(9).permutation(len(t))
    a, b = (compute_effects(x, section())["call"] for x in (t, t.take(order)))
    assert (a.retention, a.low, a.high) == pytest.approx((b.retention, b.low, b.high), rel=1e-12)


def test_errors_name_what_and_where(section: Build) -> None:
    good = table(trial(np.random.default_rng(10), 200, 0.2, 0.6))
    with pytest.raises(DataError, match=r"'propensity' is missing.*did you mean 'propensities'"):
        compute_effects(good.rename_columns({"propensity": "propensities"}), section())
    with pytest.raises(DataError, match="outside 0 to 1"):
        compute_effects(good.set_column(4, "propensity", pa.array([1.5] * 200)), section())
    with pytest.raises(DataError, match="a matured row has no outcome"):
        compute_effects(good.set_column(5, "churned", pa.nulls(200, pa.bool_())), section())
