"""POST /v1/explanations adds up and agrees with what was stored."""

from __future__ import annotations

import pytest

from holdfast.api.answers import Explanations
from serving_world import IDS, ROW, SCHEMA, World


def test_a_customer_is_explained_by_the_model_that_scored_it(api) -> None:
    body = api.post("/v1/explanations", json={"customer_id": IDS[3]}).json()
    stored = api.get(f"/v1/customers/{IDS[3]}").json()
    (found,) = body["explanations"]
    assert found["customer_id"] == IDS[3]
    assert found["probability"] == stored["probability"]
    assert (body["model"], body["generation"], body["freshness"]) == (
        stored["model"],
        stored["generation"],
        stored["freshness"],
    )
    assert found["base"] + sum(p["contribution"] for p in found["contributions"]) == pytest.approx(found["margin"])
    assert sorted(p["feature"] for p in found["contributions"]) == sorted(SCHEMA.names)
    sizes = [abs(p["contribution"]) for p in found["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    by_group = [(r["group"], r["contribution"]) for r in found["raises"]]
    assert by_group == [(r["group"], pytest.approx(r["contribution"])) for r in stored["reasons"]]


def test_rows_are_explained_in_business_words(api, world: World, bundle) -> None:
    body = api.post("/v1/explanations", json={"rows": [ROW, dict.fromkeys(SCHEMA.names)], "top": 2}).json()
    assert (body["generation"], body["freshness"]) == (None, None)
    first, unknown = body["explanations"]
    assert first["customer_id"] is None
    part = next(p for p in first["contributions"] if p["feature"] == "usage_minutes_sum_3m")
    assert (part["label"], part["value"]) == ("minutes used, last 3 months", 12.5)
    assert part["typical"] == bundle.typicals["usage_minutes_sum_3m"]
    assert {r["direction"] for r in first["raises"]} <= {"raises"}
    assert {r["direction"] for r in first["lowers"]} <= {"lowers"}
    assert len(first["raises"]) <= 2
    assert all(p["value"] is None for p in unknown["contributions"])
    scored = api.post("/v1/scores", json={"rows": [ROW]}).json()
    assert first["probability"] == scored["scores"][0]["probability"]


@pytest.mark.parametrize(
    "asked", [{"rows": [ROW]}, {"rows": [ROW, dict.fromkeys(SCHEMA.names)], "top": 20}, {"customer_id": IDS[3]}]
)
def test_answers_are_written_as_their_model_writes_them(api, asked) -> None:
    """They are written from dictionaries: in the model's order, numbers as it has them."""
    content = api.post("/v1/explanations", json=asked).content
    read = Explanations.model_validate_json(content)
    assert read.__pydantic_serializer__.to_json(read) == content


def test_a_row_is_explained_alike_alone_and_among_others(api) -> None:
    """Alone without a thread, from trees laid flat; among others by the library."""
    (alone,) = api.post("/v1/explanations", json={"rows": [ROW]}).json()["explanations"]
    among = api.post("/v1/explanations", json={"rows": [ROW, ROW]}).json()["explanations"][1]
    parts, others = ({p["feature"]: p["contribution"] for p in e["contributions"]} for e in (alone, among))
    assert parts == pytest.approx(others, abs=1e-5)
    assert (alone["probability"], alone["margin"]) == (among["probability"], pytest.approx(among["margin"], abs=1e-5))


def test_refusals(api) -> None:
    assert api.post("/v1/explanations", json={"customer_id": "nobody"}).status_code == 404
    assert api.post("/v1/explanations", json={"rows": [ROW] * 101}).status_code == 422
    assert api.post("/v1/explanations", json={"rows": [ROW], "top": 0}).json()["errors"][0]["where"] == "body.top"
    assert api.post("/v1/explanations", json={}).json()["errors"][0]["what"] == "give either customer_id or rows"
