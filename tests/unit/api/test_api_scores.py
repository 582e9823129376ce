"""POST /v1/scores: stored and computed."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from holdfast.clock import naive
from holdfast.models.bundle import Bundle
from serving_world import CUTOFF, IDS, ROW, SCHEMA, World


def rows_of(world: World) -> list[dict]:
    return world.features.drop_columns(["customer_id"]).to_pylist()


@pytest.mark.parametrize("n", [3, 100])
def test_stored_scores_in_the_order_asked(api, world: World, n: int) -> None:
    asked = ["nobody", *reversed(IDS[:n]), IDS[0], "no one"]
    body = api.post("/v1/scores", json={"customer_ids": asked}).json()
    assert [s["customer_id"] for s in body["scores"]] == IDS[:n][::-1]
    assert body["not_found"] == ["nobody", "no one"]
    one = api.get(f"/v1/customers/{IDS[1]}").json()
    assert body["scores"][n - 2] == {k: one[k] for k in body["scores"][0]}
    assert (body["generation"], body["model"], body["freshness"]) == (one["generation"], one["model"], one["freshness"])


@pytest.mark.parametrize("n", [1, 16, 17, 120])
def test_rows_are_scored_as_the_batch_was(api, world: World, n: int) -> None:
    """What was materialised and what is computed from the same features agree to the last bit."""
    computed = api.post("/v1/scores", json={"rows": rows_of(world)[:n]}).json()
    stored = api.post("/v1/scores", json={"customer_ids": IDS[:n]}).json()
    assert [s["probability"] for s in computed["scores"]] == [s["probability"] for s in stored["scores"]]
    assert computed["model"] == stored["model"]


def test_whole_numbers_are_numbers_and_levels_may_be_new(api, bundle: Bundle) -> None:
    row = {**ROW, "usage_minutes_sum_3m": 16777217, "contract": "never seen"}
    body = api.post("/v1/scores", json={"rows": [row, dict.fromkeys(SCHEMA.names)]}).json()
    table = pa.table(
        [
            pa.array([row[f.name]], f.arrow_type, safe=False)
            if f.kind == "category"
            else pa.array([float(row[f.name])], f.arrow_type)
            for f in SCHEMA
        ],
        names=SCHEMA.names,
    )
    dated = table.append_column("cutoff", [[naive(CUTOFF)]])
    assert body["scores"][0]["probability"] == bundle.predict(dated)[0] != bundle.predict(table)[0]
    assert 0 < body["scores"][1]["probability"] < 1


def test_rows_that_do_not_fit_are_told_how(api) -> None:
    renamed = {("tickets_cuont_3m" if k == "tickets_count_3m" else k): v for k, v in ROW.items()}
    answer = api.post("/v1/scores", json={"rows": [ROW, renamed, renamed]})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "where": "body.rows[1].tickets_cuont_3m",
            "what": "is not a feature of the model",
            "fix": "did you mean 'tickets_count_3m'?",
            "count": 2,
        },
        {
            "where": "body.rows[1].tickets_count_3m",
            "what": "is missing",
            "fix": "Give null if it is unknown.",
            "count": 2,
        },
    ]
    wrong = {**ROW, "usage_minutes_sum_3m": "12", "tickets_count_3m": True, "contract": 5}
    answer = api.post("/v1/scores", json={"rows": [wrong]})
    assert [(e["where"], e["what"]) for e in answer.json()["errors"]] == [
        ("body.rows[0].usage_minutes_sum_3m", "is text, not a number"),
        ("body.rows[0].tickets_count_3m", "is true or false, not a number"),
        ("body.rows[0].contract", "is a number, not text"),
    ]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e39", "1" + "0" * 400, "[]", "{}"])
def test_numbers_that_json_or_float32_does_not_have(api, value: str) -> None:
    text = json.dumps({"rows": [{**ROW, "tickets_count_3m": 0.125}]}).replace("0.125", value)
    answer = api.post("/v1/scores", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.rows[0].tickets_count_3m"


def test_a_flood_of_unknown_names_is_bounded(api) -> None:
    answer = api.post("/v1/scores", json={"rows": [{f"unknown_{i}" * 10: 1 for i in range(20_000)}]})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 10
    assert answer.json()["more_errors"] >= 1
    assert len(answer.content) < 10_000


def test_batches_have_a_limit(open_api, world: World) -> None:
    api = open_api(world, max_batch=5)
    assert api.post("/v1/scores", json={"customer_ids": IDS[:5]}).status_code == 200
    for path, body, where in (
        ("/v1/scores", {"customer_ids": IDS[:6]}, "body.customer_ids"),
        ("/v1/scores", {"rows": [ROW] * 6}, "body.rows"),
        ("/v1/explanations", {"rows": [ROW] * 6}, "body.rows"),
    ):
        answer = api.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0] == {
            "where": where,
            "what": "has 6 items, at most 5 are taken",
            "fix": "Send several requests.",
        }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "body"),
        ({"customer_ids": ["a"], "rows": [ROW]}, "body"),
        ({"customer_ids": []}, "body.customer_ids"),
        ({"customer_ids": ["C-0001", 5]}, "body.customer_ids[1]"),
        ({"customer_ids": ["C-0001", ""]}, "body.customer_ids[1]"),
        ({"customer_ids": "C-0001"}, "body.customer_ids"),
        ({"rows": []}, "body.rows"),
        ({"rows": [5]}, "body.rows[0]"),
        ({"customers": ["C-0001"]}, "body.customers"),
        ([], "body"),
    ],
)
def test_bodies_of_another_shape(api, body, where: str) -> None:
    answer = api.post("/v1/scores", json=body)
    assert answer.status_code == 422
    assert where in [e["where"] for e in answer.json()["errors"]]
