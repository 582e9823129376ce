"""Decisions: the identity of expected value, eligibility, the budget, the holdout and the words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binom

from holdfast.artifacts.batches import DECISION_SCHEMA, DecisionBatch
from holdfast.artifacts.files import canonical_json
from holdfast.config.business import DecisionsSection
from holdfast.decisions.decide import decide
from holdfast.decisions.effects import Effect, Effects, compute_effects
from holdfast.errors import ConfigError, DataError

Build = Callable[..., DecisionsSection]
Customers = Callable[[int, int], tuple[pa.Table, pa.Table]]
CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


def run(tables: tuple[pa.Table, pa.Table], config: DecisionsSection, effects: Effects | None = None) -> DecisionBatch:
    known = compute_effects(None, config) if effects is None else effects
    return decide(*tables, known, config, horizon_months=1.0, cutoff=CUTOFF)


def rows(batch: DecisionBatch, status: str) -> pa.Table:
    return batch.table.filter(pc.equal(batch.table.column("status"), status))


def floats(table: pa.Table, name: str) -> Any:
    return table.column(name).to_numpy()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 120), budget=st.sampled_from([None, 0.0, 7.5, 60.0, 500.0]))
def test_what_always_holds(section: Build, customers: Customers, seed: int, n: int, budget: float | None) -> None:
    config = section(budget=budget)
    scores, features = customers(n, seed)
    batch = run((scores, features), config)
    t, m = batch.table, batch.manifest
    canonical_json(m)
    assert t.schema == DECISION_SCHEMA
    assert t.column("customer_id").to_pylist() == scores.column("customer_id").to_pylist()
    p, clv, ev = (floats(t, c) for c in ("probability", "clv", "expected_value"))
    acts = np.asarray(pc.not_equal(t.column("action"), "none").to_numpy())
    assert ev[acts] == pytest.approx((p * clv * floats(t, "retention") - floats(t, "cost"))[acts])
    assert (ev[acts] > 0).all()
    assert (ev[~acts] == 0).all()
    assert t.column("expected_loss").null_count == t.column("clv").null_count
    contact = rows(batch, "contact")
    assert m["cost"] == pytest.approx(floats(contact, "cost").sum())
    assert m["expected_value"] == pytest.approx(floats(contact, "expected_value").sum())
    assert m["expected_value"] <= m["budget"]["value_bound"] + 1e-6
    if budget is None:
        assert not len(rows(batch, "over_budget"))
    else:
        assert m["cost"] <= budget
    assert m["contacted"] + m["holdout"]["customers"] + m["over_budget"] + m["no_action"] == n
    assert sum(r["customers"] for r in m["table"]) == n
    for row in t.to_pylist():
        assert row["why"]
        assert row["action"] != "call" or row["tier"] != "low"
        assert row["status"] == "no_action" or (row["clv"] is not None and row["clv"] > 0)
        assert (row["segment"] == "unknown") == (row["clv"] is None)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_more_budget_never_lowers_the_total(section: Build, customers: Customers, seed: int) -> None:
    tables = customers(80, seed)
    budgets = [0.0, 5.0, 20.0, 45.0, 100.0, 400.0, 2000.0, None]
    totals = [run(tables, section(budget=b)).manifest["expected_value"] for b in budgets]
    assert (np.diff(totals) >= -1e-9).all()


def test_the_order_of_rows_changes_nothing(section: Build, customers: Customers) -> None:
    scores, features = customers(500, 1)
    config = section(budget=300.0)
    rng = np.random.default_rng(2)
    a = run((scores, features), config)
    b = run((scores.take(rng.permutation(500)), features.take(rng.permutation(500))), config)
    columns = ["customer_id", "segment", "action", "status"]
    assert b.table.sort_by("customer_id").select(columns) == a.table.select(columns)


def test_the_holdout_is_a_random_share_of_those_chosen_and_stable(section: Build, customers: Customers) -> None:
    scores, features = customers(8000, 3)
    for budget in (None, 5000.0):
        batch = run((scores, features), section(budget=budget))
        held, contacted = rows(batch, "holdout"), rows(batch, "contact")
        chosen = len(held) + len(contacted)
        low, high = binom.interval(0.9999, chosen, 0.1)
        assert low <= len(held) <= high
        # chosen alike: the same mix of risk and of actions
        error = floats(contacted, "probability").std() / np.sqrt(len(held))
        assert floats(held, "probability").mean() == pytest.approx(
            floats(contacted, "probability").mean(), abs=4 * error
        )
    ids = set(held.column("customer_id").to_pylist())
    tomorrow = scores.set_column(1, "probability", pc.multiply(scores.column("probability"), 0.9))
    later = run((tomorrow, features), section(budget=None))
    assert not ids & set(rows(later, "contact").column("customer_id").to_pylist())


def test_the_budget_is_spent_on_the_contacted_in_full(section: Build, customers: Customers) -> None:
    batch = run(customers(8000, 4), section(budget=3000.0))
    assert 3000.0 - batch.manifest["cost"] < 12.0
    assert batch.manifest["budget"]["gap"] <= floats(batch.table, "expected_value").max()


def one(section: Build, effects: Effects | None = None, **customer: Any) -> dict[str, Any]:
    c = {"probability": 0.2, "tier": "high", "price": 50.0, "plan": "basic", **customer}
    scores = pa.table({"customer_id": ["ada"], "probability": [c["probability"]], "tier": [c["tier"]]})
    features = pa.table(
        {
            "customer_id": ["ada"],
            "price": pa.array([c["price"]], pa.float32()),
            "plan": pa.array([c["plan"]], pa.string()),
        }
    )
    row: dict[str, Any] = run((scores, features), section(holdout=0.0), effects).table.to_pylist()[0]
    return row


def test_the_reasons_in_words(section: Build) -> None:
    assert "Revenue is unknown" in one(section, price=None)["why"]
    assert one(section, price=None)["clv"] is None
    assert "not above zero" in one(section, price=-10.0)["why"]
    dear = one(section, probability=0.0001)
    assert dear["status"] == "no_action"
    assert "No action pays; the best, Email, costs more than it keeps" in dear["why"]
    chosen = one(section, price=500.0, plan="max")
    assert chosen["status"] == "contact"
    for part in ("20.0% risk", f"{chosen['clv']:.2f} lifetime value", "30.0% kept (assumed)", "12.00 cost", "USD"):
        assert part in chosen["why"]
    assert one(section, price=500.0)["action"] == "discount"
    assert one(section, price=500.0, plan=None)["action"] == "call"


def test_nobody_eligible(section: Build) -> None:
    only = {"call": {"label": "Call", "cost": 1.0, "retention": 0.5, "tiers": ["high"]}}

    def build(**changes: Any) -> DecisionsSection:
        return section(actions=only, **changes)

    assert "No action is open" in one(build, tier="low")["why"]


@pytest.mark.parametrize("price", [50.0, -50.0])
def test_a_harmful_action_is_never_chosen_not_even_on_an_unprofitable_customer(section: Build, price: float) -> None:
    names = section().actions
    harmful = {n: Effect(n, -0.9, -1.2, -0.6, "measured", "harm") for n in names}
    row = one(section, harmful, price=price)
    assert (row["status"], row["action"], row["expected_value"]) == ("no_action", "none", 0.0)


def test_an_effect_that_may_be_nothing_says_so_and_the_total_has_an_interval(
    section: Build, customers: Customers
) -> None:
    config = section()
    unsure = {n: Effect(n, a.retention, -0.1, a.retention + 0.2, "measured", "w") for n, a in config.actions.items()}
    batch = run(customers(300, 5), config, unsure)
    low, high = batch.manifest["expected_value_interval"]
    assert low < batch.manifest["expected_value"] < high
    assert all("not distinguishable from zero" in w for w in rows(batch, "contact").column("why").to_pylist())


def test_errors_name_the_key_and_the_nearest_name(section: Build, customers: Customers) -> None:
    scores, features = customers(20, 6)
    renamed = features.rename_columns({"price": "prices", "plan": "plan"})
    with pytest.raises(ConfigError, match=r"decisions\.value\.revenue: there is no feature 'price'.*mean 'prices'"):
        run((scores, renamed), section())
    with pytest.raises(ConfigError, match=r"decisions\.actions\.discount\.when\.plan.*mean 'plans'"):
        run((scores, features.rename_columns({"plan": "plans"})), section())
    with pytest.raises(ConfigError, match="the feature 'plan' is not a number"):
        run((scores, features), section(value={"revenue": "plan"}))
    with pytest.raises(ConfigError, match="no effect was given"):
        run((scores, features), section(), {})
    with pytest.raises(DataError, match="3 scored customers have no row"):
        run((scores, features.slice(3)), section())
    with pytest.raises(DataError, match="more than one row"):
        run((pa.concat_tables([scores, scores]), features), section())
    with pytest.raises(DataError, match="not between 0 and 1"):
        run((scores.set_column(1, "probability", pa.array([1.2] * 20)), features), section())
    with pytest.raises(DataError, match="horizon_months"):
        decide(scores, features, {}, section(), horizon_months=0.0, cutoff=CUTOFF)


def test_a_value_of_when_that_nobody_has_is_noted(section: Build, customers: Customers) -> None:
    actions = {"a": {"label": "A", "cost": 1, "retention": 0.5, "when": {"plan": ["basik"]}}}
    notes = run(customers(50, 7), section(actions=actions)).manifest["notes"]
    assert notes == ["actions.a.when.plan: no customer has 'basik'; did you mean 'basic'?"]


def test_reserved_names(section: Build) -> None:
    with pytest.raises(ValidationError, match="stands for no action"):
        section(actions={"none": {"label": "x", "cost": 1, "retention": 0.1}})
    with pytest.raises(ValidationError, match="kept for customers without a value"):
        section(segments={"value_quantiles": [0.5], "names": ["unknown", "top"]})


def test_a_hundred_thousand_customers(section: Build, customers: Customers) -> None:
    batch = run(customers(99_999, 8), section(budget=50_000.0))
    assert batch.manifest["budget"]["gap"] < 0.001 * batch.manifest["expected_value"]
