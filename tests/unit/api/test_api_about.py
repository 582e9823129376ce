"""The model, its features, the measures, the description and its page."""

from __future__ import annotations

import gc
import re

import pytest
from pydantic import BaseModel, TypeAdapter
from starlette.testclient import TestClient

from holdfast.api import answers, asked
from holdfast.api.app import create_app
from holdfast.config.business import ServingSection
from holdfast.models.bundle import Bundle
from serving_world import ROW, SCHEMA, World


def test_the_model_is_described(api, bundle: Bundle) -> None:
    body = api.get("/v1/model").json()
    assert (body["version"], body["bundle_sha256"], body["estimator"]) == ("1", bundle.sha256, "xgboost")
    assert (body["metrics"], body["trained_on"], body["features"]) == ({"roc_auc": 0.7}, "dataset3", len(SCHEMA))
    assert body["params"] == {"rounds": 20}
    assert body["provenance"]["seed"] == 3


def test_the_features_are_described_in_the_models_order(api, bundle: Bundle) -> None:
    found = api.get("/v1/features").json()["features"]
    assert [f["name"] for f in found] == SCHEMA.names
    assert (found[0]["label"], found[0]["unit"], found[0]["window"]) == ("minutes used, last 3 months", "minutes", "3m")
    assert found[0]["typical"] == bundle.typicals["usage_minutes_sum_3m"]
    assert (found[0]["levels"], found[3]["levels"]) == (None, ["monthly", "yearly"])
    assert found[3]["null_means"] == "no contract is known of"


def test_what_is_measured(api, bundle: Bundle) -> None:
    api.get("/v1/customers/C-0001")
    api.get("/v1/customers/C-0002")
    api.get("/nowhere")
    api.request("BREW", "/v1/customers/C-0001")
    api.post("/v1/scores", json={"rows": [ROW] * 3})
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    route = 'method="GET",project="demo",route="/v1/customers/{customer_id}",status="200"'
    assert f"holdfast_http_request_seconds_count{{{route}}} 2.0" in text
    assert 'route="(none)",status="404"' in text
    assert 'method="OTHER"' in text
    assert 'holdfast_scores_count{project="demo",source="stored"} 2.0' in text
    assert 'holdfast_scores_count{project="demo",source="computed"} 3.0' in text
    assert 'holdfast_generation_age_seconds{project="demo"} 302400.0' in text
    assert 'holdfast_generation_stale{project="demo"} 0.0' in text
    assert f'bundle_sha256="{bundle.sha256}"' in text
    assert "C-000" not in text


def test_the_collector_leaves_the_libraries_out_while_it_serves(world: World) -> None:
    before = gc.get_freeze_count()
    app = create_app(world.online, world.models, ServingSection(), project="demo")
    with TestClient(app):
        assert gc.get_freeze_count() > before + 10_000
    assert gc.get_freeze_count() <= before


def test_every_app_measures_alone(open_api, world: World) -> None:
    first, second = open_api(world), open_api(world)
    first.get("/v1/customers/C-0001")
    assert "holdfast_scores_count" in first.get("/metrics").text
    assert "holdfast_scores_count" not in second.get("/metrics").text


def test_the_page_needs_no_internet(api) -> None:
    home = api.get("/")
    assert (home.status_code, home.headers["location"]) == (307, "docs")
    page = api.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(files) == 4
    for file in files:
        answer = api.get("/" + file)
        assert answer.status_code == 200, file
        assert len(answer.content) > 100
    assert "script-src 'self'" in api.get("/docs").headers["content-security-policy"]


def test_the_description_is_whole(api) -> None:
    document = api.get("/openapi.json").json()
    paths = {
        "/v1/customers",
        "/v1/customers/{customer_id}",
        "/v1/scores",
        "/v1/explanations",
        "/v1/model",
        "/v1/features",
        "/v1/admin/keys",
        "/v1/admin/keys/{key_id}/revoke",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert set(document["paths"]) == paths
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert not [name for name, schema in schemas.items() if not schema.get("examples")]
    referred = set(re.findall(r"#/components/schemas/(\w+)", api.get("/openapi.json").text))
    assert referred <= set(schemas)
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            errors = [r for s, r in operation["responses"].items() if s >= "400"]
            assert all("application/problem+json" in r["content"] for r in errors)


@pytest.mark.parametrize(
    "model",
    [
        m
        for module in (answers, asked)
        for m in vars(module).values()
        if isinstance(m, type)
        and issubclass(m, BaseModel)
        and m.__module__ == module.__name__
        and not m.__name__.startswith("_")
    ],
    ids=lambda m: m.__name__,
)
def test_examples_are_valid(model) -> None:
    for shown in model.model_config["json_schema_extra"]["examples"]:
        TypeAdapter(model).validate_python(shown)
