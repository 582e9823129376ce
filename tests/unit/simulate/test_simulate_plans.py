"""The history of plans: versions follow each other, and closings are known from their own time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from simulated_company import Company

Version = dict[str, object]


@pytest.fixture(scope="module")
def histories(company: Company) -> list[list[dict]]:
    rows = company.table("plans").sort_by([("customer_id", "ascending"), ("valid_from", "ascending")])
    found: dict[str, list[dict]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["customer_id"], []).append(row)
    return list(found.values())


def test_every_customer_has_a_history(histories: list[list[dict]]) -> None:
    assert len(histories) == 6000
    assert sum(map(len, histories)) > 9000


def test_versions_never_overlap_and_leave_no_gap(histories: list[list[dict]]) -> None:
    for versions in histories:
        for one, two in pairwise(versions):
            assert one["valid_from"] < one["valid_to"] == two["valid_from"]


def test_closings_are_known_from_their_own_time(histories: list[list[dict]]) -> None:
    for versions in histories:
        for version in versions:
            assert version["available_at"] >= version["valid_from"]
            assert (version["closed_known_at"] is None) == (version["valid_to"] is None)
            if version["valid_to"] is not None:
                assert version["closed_known_at"] >= version["valid_to"]
                assert version["closed_known_at"] >= version["available_at"]


def test_last_version_closes_with_the_customer(company: Company, histories: list[list[dict]]) -> None:
    customers = {row["customer_id"]: row for row in company.table("customers").to_pylist()}
    for versions in histories:
        customer = customers[versions[0]["customer_id"]]
        assert versions[0]["valid_from"] >= customer["signup_at"]
        assert versions[-1]["valid_to"] == customer["ended_at"]


def test_contract_end_is_fixed_when_signed(histories: list[list[dict]]) -> None:
    kept = 0
    for versions in histories:
        for version in versions:
            assert (version["contract_end"] is None) == (version["contract"] == "month-to-month")
            if version["contract_end"] is not None:
                assert version["contract_end"] > version["valid_from"]
                # a contract is never held beyond its end: it is renewed, switched or lapses there
                assert version["valid_to"] is None or version["valid_to"] <= version["contract_end"]
        for one, two in pairwise(versions):
            if one["contract"] == two["contract"] and two["valid_from"] != one["contract_end"]:
                kept += 1
                assert one["contract_end"] == two["contract_end"]
    assert kept > 100


def test_plans_change_in_every_way(histories: list[list[dict]]) -> None:
    changes = dict.fromkeys(("contract", "contract_end", "internet", "addons", "streaming"), 0)
    dearer = 0
    for versions in histories:
        for one, two in pairwise(versions):
            changed = [name for name in changes if one[name] != two[name]]
            for name in changed:
                changes[name] += 1
            dearer += not changed and two["monthly_price"] > one["monthly_price"]
            assert changed or two["monthly_price"] != one["monthly_price"]
    assert min(*changes.values(), dearer) > 20


def test_months_cheaper_in_a_contract(company: Company) -> None:
    plans = company.table("plans").group_by("contract").aggregate([("monthly_price", "mean")])
    price = dict(zip(plans.column("contract").to_pylist(), plans.column("monthly_price_mean").to_pylist(), strict=True))
    assert price["two year"] < price["one year"] < price["month-to-month"]
    assert np.isfinite(list(price.values())).all()
