"""The truth is what was drawn from: hazards are calibrated, offers do what their effects say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simulated_company import Company


@pytest.fixture(scope="module")
def months(company: Company) -> dict[str, Any]:
    return company.at_risk()


def z_score(left: Any, hazard: Any) -> float:
    return float((left.sum() - hazard.sum()) / np.sqrt((hazard * (1 - hazard)).sum()))


def test_each_customer_month_at_risk_is_there_once(company: Company, months: dict[str, Any]) -> None:
    assert len(months["hazard"]) == company.summary.customer_months
    assert ((months["hazard"] > 0) & (months["hazard"] < 1)).all()
    signed, ended = company.column("customers", "signup_at"), company.column("customers", "ended_at")
    expected = 0
    for month in np.unique(months["month_start"]):
        expected += ((signed < month) & (np.isnat(ended) | (ended >= month))).sum()
    assert expected == company.summary.customer_months
    assert months["left"].sum() == company.summary.churned == (~np.isnat(ended)).sum()


def test_churn_matches_the_hazard_in_all(months: dict[str, Any]) -> None:
    assert abs(z_score(months["left"], months["hazard"])) < 3
    assert 0.018 < months["left"].mean() < 0.035


def test_churn_matches_the_hazard_in_each_tenth(months: dict[str, Any]) -> None:
    scores = [
        z_score(months["left"][tenth], months["hazard"][tenth])
        for tenth in np.array_split(np.argsort(months["hazard"]), 10)
    ]
    assert max(np.abs(scores)) < 3.5
    assert sum(score**2 for score in scores) < 29.6  # chi-squared, 10 degrees of freedom, p = 0.001


def test_hazard_ranks_churn_well_but_not_perfectly(months: dict[str, Any]) -> None:
    order = np.argsort(months["hazard"], kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    left = months["left"]
    auc = (rank[left].mean() - (left.sum() + 1) / 2) / (~left).sum()
    assert 0.76 < auc < 0.87


def test_frailty_is_hidden_and_wide(company: Company) -> None:
    frailty = company.column("effects", "frailty").reshape(-1, 3)[:, 0]
    assert len(frailty) == 6000
    assert abs(frailty.std() - 0.45) < 0.02
    assert abs(frailty.mean()) < 0.03
    ended = company.column("customers", "ended_at")
    assert frailty[~np.isnat(ended)].mean() > frailty[np.isnat(ended)].mean() + 0.05


def test_effects_have_mixed_signs(company: Company) -> None:
    effects = company.column("effects", "effect").reshape(-1, 3)
    above = (effects > 0).mean(axis=0)
    assert ((above > 0.1) & (above < 0.6)).all()
    assert (effects.mean(axis=0) < 0).all()
    assert (effects.std(axis=0) > 0.2).all()


@pytest.fixture(scope="module")
def treated(company: Company, months: dict[str, Any]) -> dict[str, Any]:
    """Treatments with the log-hazard of their month and of the next (NaN if no longer there)."""
    log_hazard = dict(
        zip(
            zip(months["customer_id"], months["month_start"].astype("datetime64[M]"), strict=True),
            np.log(months["hazard"]),
            strict=True,
        )
    )
    table = company.table("treatments")
    customer = table.column("customer_id").to_pylist()
    month = table.column("assigned_at").to_numpy().astype("datetime64[M]")
    effects = company.table("effects").to_pylist()
    effect = {(row["customer_id"], row["offer"]): row["effect"] for row in effects}
    offer = table.column("offer").to_pylist()
    return {
        "offered": np.array(table.column("arm").to_pylist()) == "offer",
        "offer": np.array(offer),
        "propensity": table.column("propensity").to_numpy(),
        "now": np.array([log_hazard[key] for key in zip(customer, month, strict=True)]),
        "next": np.array([log_hazard.get(key, np.nan) for key in zip(customer, month + 1, strict=True)]),
        "effect": np.array([effect[key] for key in zip(customer, offer, strict=True)]),
    }


def test_arms_are_randomised_with_the_recorded_propensity(treated: dict[str, Any]) -> None:
    offered, propensity = treated["offered"], treated["propensity"]
    z = (offered - propensity).sum() / np.sqrt((propensity * (1 - propensity)).sum())
    assert abs(z) < 3
    assert set(propensity) == {0.5, 0.6}
    for offer in np.unique(treated["offer"]):
        own = treated["offer"] == offer
        for what in ("now", "effect"):
            a, b = treated[what][own & offered], treated[what][own & ~offered]
            assert abs(a.mean() - b.mean()) < 3.5 * np.sqrt(a.var() / len(a) + b.var() / len(b))


def test_programme_is_modest_and_begins_later(company: Company, months: dict[str, Any]) -> None:
    assigned = company.column("treatments", "assigned_at")
    assert assigned.min() >= np.datetime64("2022-07-01")
    running = months["month_start"] >= np.datetime64("2022-07-01")
    assert 0.03 < len(assigned) / running.sum() < 0.05


def test_controls_cost_nothing(company: Company) -> None:
    arm = np.array(company.table("treatments").column("arm").to_pylist())
    cost = company.column("treatments", "cost")
    assert (cost[arm == "control"] == 0).all()
    assert (cost[arm == "offer"] > 0).all()


def test_offers_move_the_next_hazard_by_their_effect(treated: dict[str, Any]) -> None:
    moved, offered = treated["next"] - treated["now"], treated["offered"]
    known = np.isfinite(moved)
    slope = np.polyfit(treated["effect"][known & offered], moved[known & offered], 1)[0]
    idle = np.polyfit(treated["effect"][known & ~offered], moved[known & ~offered], 1)[0]
    assert abs(slope - 1.0) < 0.3  # the involuntary part of the hazard does not move
    assert abs(idle) < 0.3
