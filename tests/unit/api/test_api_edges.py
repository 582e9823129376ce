"""What holds for every route: problem documents, request ids, limits, safe headers, no customer in any log."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.api import customers
from holdfast.api.problems import trace_without_values
from serving_world import ROW, SCHEMA, World

JSON = {"content-type": "application/json"}


def test_every_error_is_a_problem_document(api) -> None:
    for answer, status in (
        (api.get("/nowhere"), 404),
        (api.get("/v1/model/"), 404),
        (api.get("/docs/assets/nothing.js"), 404),
        (api.get("/docs/assets/../../../../etc/passwd"), 404),
        (api.delete("/v1/model"), 405),
        (api.get("/v1/scores"), 405),
        (api.get("/v1/customers/nobody"), 404),
        (api.post("/v1/scores", content="{", headers=JSON), 422),
        (api.post("/v1/scores", content=b"\xff", headers=JSON), 400),
        (api.post("/v1/scores", content="[" * 50_000, headers=JSON), 400),
        (api.post("/v1/scores", content="x=1", headers={"content-type": "text/plain"}), 415),
    ):
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(body)
        assert body["status"] == status
        assert body["request_id"] == answer.headers["x-request-id"]
        assert "Traceback" not in answer.text
    assert "GET" in api.delete("/v1/model").headers["allow"]


def test_request_ids_are_echoed_or_made(api) -> None:
    assert api.get("/healthz", headers={"X-Request-ID": "job-7/a"}).headers["x-request-id"] == "job-7/a"
    made = {api.get("/healthz").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    for bad in ("a b", "x" * 129, "é".encode()):
        assert api.get("/healthz", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


def test_large_bodies_are_refused_with_and_without_a_length(open_api, world: World) -> None:
    api = open_api(world, max_body_bytes=500)
    ids = [f"{i:09d}" for i in range(100)]
    body = json.dumps({"customer_ids": ids}).encode()

    def chunks():
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    for content in (body, chunks()):
        answer = api.post("/v1/scores", content=content, headers=JSON)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert "500 bytes" in answer.json()["detail"]
    exact = json.dumps({"customer_ids": ["x"]}).encode().ljust(500)
    assert api.post("/v1/scores", content=exact, headers=JSON).status_code == 200


def test_answers_carry_safe_headers(api) -> None:
    for path in ("/v1/customers/C-0001", "/nowhere", "/healthz", "/docs"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_an_unexpected_error_is_a_500_without_values(api, monkeypatch, caplog) -> None:
    def broken(row):
        raise RuntimeError(f"{row.customer_id} is broken")

    monkeypatch.setattr(customers, "_whole", broken)
    with caplog.at_level(logging.INFO, "holdfast"), caplog.at_level(logging.WARNING, "httpx2"):
        answer = api.get("/v1/customers/C-0042")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "is broken" not in answer.text
    assert answer.json()["request_id"] in caplog.text
    assert "test_api_edges.py" in caplog.text  # the traceback is in the log
    assert "RuntimeError" in caplog.text
    assert "C-0042" not in caplog.text


def test_traces_follow_causes_without_messages() -> None:
    def fail():
        try:
            raise KeyError("C-0042")
        except KeyError as e:
            raise ValueError("secret C-0042") from e

    with pytest.raises(ValueError, match="secret") as caught:
        fail()
    trace = trace_without_values(caught.value)
    assert "builtins.ValueError" in trace
    assert "builtins.KeyError" in trace
    # source lines are shown, values are not
    assert trace.count("C-0042") == 2


def test_no_customer_is_in_the_log(api, caplog) -> None:
    with caplog.at_level(logging.DEBUG, "holdfast"):
        api.get("/v1/customers/C-0042", headers={"X-Request-ID": "r1"})
        api.get("/v1/customers/C-99999")
        api.post("/v1/scores", json={"customer_ids": ["C-0042", ""]})
        api.get("/healthz")
    ours = [r for r in caplog.records if r.name.startswith("holdfast")]
    assert not [r for r in ours if "C-" in r.getMessage()]
    assert ours[0].getMessage().startswith("GET /v1/customers/{customer_id} 200")
    assert ours[0].request_id == "r1"
    assert ours[-1].levelno == logging.DEBUG


def test_the_api_never_imports_mlflow() -> None:
    import subprocess

    heavy = ("mlflow", "duckdb", "ibis", "optuna", "matplotlib")
    code = f"import sys, holdfast.api.serve; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "\x00", "C-0001", 10**400, -0.0, "a" * 300]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["\ud800", *SCHEMA.names]), inner, max_size=4)
    ),
    max_leaves=8,
)
FEATURE_ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(SCHEMA.names, ANY_JSON)), max_size=3)
BODIES = (
    ANY_JSON
    | st.fixed_dictionaries(
        {}, optional={"rows": FEATURE_ROWS | ANY_JSON, "customer_ids": st.lists(ANY_JSON) | ANY_JSON}
    )
    | st.fixed_dictionaries(
        {}, optional={"rows": FEATURE_ROWS, "customer_id": ANY_JSON, "top": ANY_JSON, "other": ANY_JSON}
    )
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/v1/scores", "/v1/explanations"]), body=BODIES)
@example(path="/v1/scores", body={"customer_ids": ["\ud800"]})
@example(path="/v1/explanations", body={"customer_id": "\ud800"})
@example(path="/v1/scores", body={"rows": [{**ROW, "contract": "\ud800"}]})
@example(path="/v1/scores", body={"rows": [{**ROW, "\ud800": 1}]})
@example(path="/v1/scores", body={"rows": [{**ROW, "usage_minutes_sum_12m": 10**400}]})
@example(path="/v1/scores", body={"\ud800": 1})
def test_no_body_is_a_500(api, path: str, body: object) -> None:
    answer = api.post(path, content=json.dumps(body), headers=JSON)
    assert answer.status_code in (200, 400, 404, 422), answer.text
    assert answer.json()  # what comes back is JSON, always


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), cursor=st.text(max_size=40), customer=st.text(max_size=20))
def test_no_bytes_are_a_500(api, content: bytes, cursor: str, customer: str) -> None:
    from urllib.parse import quote

    assert api.post("/v1/scores", content=content, headers=JSON).status_code in (400, 422)
    assert api.get("/v1/customers", params={"cursor": cursor.encode("utf-8", "replace")}).status_code in (200, 422)
    path = quote(customer.encode("utf-8", "replace"), safe="")
    assert api.get(f"/v1/customers/{path}").status_code in (200, 404, 422)
