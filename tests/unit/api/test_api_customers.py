"""Stored customers: one, the work list, and how old they are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.models.bundle import Bundle
from holdfast.stores.online import OnlineReader
from serving_world import CUTOFF, IDS, World


def test_a_customer_is_served_whole(api, world: World, bundle: Bundle) -> None:
    answer = api.get("/v1/customers/C-0007")
    assert answer.status_code == 200
    body = answer.json()
    row = OnlineReader(world.online).get("C-0007")
    assert body["probability"] == row.probability
    assert (body["tier"], body["segment"], body["expected_value"]) == (row.tier, row.segment, row.expected_value)
    assert body["reasons"] == row.reasons
    assert body["decision"] == row.decision
    assert body["freshness"] == {"cutoff": "2024-03-01T00:00:00Z", "age_days": 3.5, "stale": False}
    assert body["model"] == {"version": "1", "bundle_sha256": bundle.sha256}
    assert body["generation"] == row.generation


@pytest.mark.parametrize("customer", ["a/b c", "Ærø-客"])
def test_ids_may_be_any_text(api, customer: str) -> None:
    from urllib.parse import quote

    for path in (quote(customer), quote(customer, safe="")):
        assert api.get(f"/v1/customers/{path}").json()["customer_id"] == customer


@pytest.mark.parametrize(
    "customer", ["nobody", "x" * 200, "%00x", "a%09b", "", "x" * 201, "%20", "%FF", "..%2F..%2Fetc"]
)
def test_unknown_and_malformed_ids(api, customer: str) -> None:
    answer = api.get(f"/v1/customers/{customer}")
    malformed = customer in ("%00x", "a%09b", "", "x" * 201)
    assert answer.status_code == (422 if malformed else 404)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    if malformed:
        assert body["errors"][0]["where"] == "path.customer_id"
    else:
        assert body["type"] == "urn:holdfast:unknown-customer"
        assert "cutoff" in body["detail"]


def test_old_rows_say_so(api, clock) -> None:
    clock.at = CUTOFF + timedelta(days=45)
    assert api.get("/v1/customers/C-0001").json()["freshness"]["stale"] is False
    clock.at += timedelta(seconds=1)
    assert api.get("/v1/customers/C-0001").json()["freshness"] == {
        "cutoff": "2024-03-01T00:00:00Z",
        "age_days": 45.0,
        "stale": True,
    }


def test_old_rows_are_refused_where_the_project_says(open_api, world: World, clock) -> None:
    api = open_api(world, stale="refuse", ttl="2d")
    clock.at = CUTOFF + timedelta(days=2)
    assert api.get("/v1/customers/C-0001").status_code == 200
    clock.at = CUTOFF + timedelta(days=9)
    for answer in (
        api.get("/v1/customers/C-0001"),
        api.get("/v1/customers"),
        api.post("/v1/scores", json={"customer_ids": ["C-0001"]}),
        api.post("/v1/explanations", json={"customer_id": "C-0001"}),
    ):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:holdfast:stale"
        assert "9 days ago" in answer.json()["detail"]
    # no stored row is served, and this is still answered
    assert api.get("/v1/model").status_code == 200
    assert api.get("/readyz").status_code == 200


def test_pages_hold_everybody_once_and_in_order(api) -> None:
    found, cursor, pages = [], None, 0
    while True:
        params = {"limit": 50, **({"cursor": cursor} if cursor else {})}
        page = api.get("/v1/customers", params=params).json()
        found += page["customers"]
        pages += 1
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == 3
    assert sorted(c["customer_id"] for c in found) == IDS
    values = [c["expected_value"] for c in found]
    assert values == sorted(values, reverse=True)
    assert found[0]["decision"]["why"] == "worth it"
    assert found[0]["reasons"]


def test_the_work_list_is_filtered_and_ordered(api) -> None:
    page = api.get("/v1/customers", params={"tier": "high", "segment": "valued", "order": "probability"}).json()
    assert page["customers"]
    assert {(c["tier"], c["segment"]) for c in page["customers"]} == {("high", "valued")}
    p = [c["probability"] for c in page["customers"]]
    assert p == sorted(p, reverse=True)
    assert api.get("/v1/customers", params={"tier": "none"}).json()["customers"] == []


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"limit": 0}, "query.limit"),
        ({"limit": 1001}, "query.limit"),
        ({"limit": "many"}, "query.limit"),
        ({"order": "name"}, "query.order"),
        ({"tier": "x" * 101}, "query.tier"),
    ],
)
def test_wrong_parameters_are_named(api, params, where) -> None:
    answer = api.get("/v1/customers", params=params)
    assert answer.status_code == 422
    assert [e["where"] for e in answer.json()["errors"]] == [where]


def test_cursors_that_were_not_given_out(api) -> None:
    import base64
    import json

    def made(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()

    generation = api.get("/v1/customers").json()["generation"]
    query = ["expected_value", None, None]
    good = api.get("/v1/customers", params={"limit": 1}).json()["next_cursor"]
    for cursor in ("x", "é", "=" * 9, made(5), made([generation, 10**40, query]), made([generation, "1", query])):
        answer = api.get("/v1/customers", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["status"]) == (422, 422), cursor
    assert api.get("/v1/customers", params={"cursor": good, "tier": "high"}).status_code == 422
    gone = api.get("/v1/customers", params={"cursor": made(["0123456789abcdef", 1, query])})
    assert (gone.status_code, gone.json()["type"]) == (410, "urn:holdfast:cursor-gone")
    assert "without a cursor" in gone.json()["detail"]
