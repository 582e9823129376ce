"""What nobody should send: each is refused with a problem document, and nothing of it is in the log."""

from __future__ import annotations

import gzip
import json
import logging
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from holdfast.api.app import create_app
from holdfast.api.asked import ScoreRequest
from holdfast.config.business import ServingSection
from holdfast.models.bundle import Bundle
from serving_world import HERE, NOW, ROW, World

JSON = {"content-type": "application/json"}
SECRET = "C-SECRET-77"
"""In everything sent, and in no log."""
ROWS = json.dumps({"rows": [ROW]}).encode()


def ids(*values: Any) -> bytes:
    return json.dumps({"customer_ids": [SECRET, *values]}).encode()


BODIES: dict[str, tuple[bytes, dict[str, str], int]] = {
    "a gzip bomb": (gzip.compress(b"0" * 10_000_000), {**JSON, "content-encoding": "gzip"}, 415),
    "brotli": (ROWS, {**JSON, "content-encoding": "br"}, 415),
    "two encodings": (ROWS, {**JSON, "content-encoding": "identity, gzip"}, 415),
    "a form": (b"customer_ids=" + SECRET.encode(), {"content-type": "application/x-www-form-urlencoded"}, 415),
    "a file": (b"--x\r\n\r\n" + ROWS, {"content-type": "multipart/form-data; boundary=x"}, 415),
    "xml": (f'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///{SECRET}">]>'.encode(), {"content-type": "text/xml"}, 415),
    "no type": (ROWS, {"content-type": ""}, 415),
    "a million ids": (json.dumps({"customer_ids": [f"{i}" for i in range(1_000_000)]}).encode(), JSON, 413),
    "a name twice": (b'{"customer_ids": ["a"], "customer_ids": ["b"]}', JSON, 400),
    "a name twice, written in two ways": (b'{"rows": [1], "\\u0072ows": [2]}', JSON, 400),
    "a name twice, deep": (b'{"rows": [{"contract": "a", "contract": "b"}]}', JSON, 400),
    "lists in lists": (b"[" * 100_000, JSON, 400),
    "objects in objects": (b'{"a":' * 100_000, JSON, 400),
    "a value in lists in lists": (b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON, 400),
    "a long number": (b'{"rows": [{"contract": ' + b"9" * 5_000 + b"}]}", JSON, 400),
    "not UTF-8": (b'{"customer_ids": ["\xff"]}', JSON, 400),
    "UTF-16": (ids().decode().encode("utf-16"), JSON, 400),
    "an overlong slash": (b'{"customer_ids": ["\xc0\xaf"]}', JSON, 400),
    "a byte order mark": (b"\xef\xbb\xbf" + ids(), JSON, 422),
    "nothing": (b"", JSON, 422),
    "NaN as an id": (b'{"customer_ids": [NaN]}', JSON, 422),
    "infinity as a limit": (b'{"rows": [], "top": Infinity}', JSON, 422),
    "NaN as everything": (b"NaN", JSON, 422),
    "a number too large": (b'{"rows": [{"contract": null, "tickets_count_3m": 1e999}]}', JSON, 422),
    "an object as an id": (ids({"$gt": ""}), JSON, 422),
    "true as an id": (ids(True), JSON, 422),
    "a number as an id": (ids(7), JSON, 422),
    "NUL in an id": (ids("a\0b"), JSON, 422),
    "a lone surrogate": (b'{"customer_ids": ["\\ud800"]}', JSON, 422),
    "a very long id": (ids("x" * 100_000), JSON, 422),
    "prototype": (b'{"__proto__": {"x": 1}, "constructor": 1}', JSON, 422),
    "too many ids": (ids(*map(str, range(1000))), JSON, 422),
    "a million wrong ids": (b'{"customer_ids": [' + b"0," * 999_999 + b"0]}", JSON, 422),
    "a million wrong rows": (b'{"rows": [' + b"0," * 999_999 + b"0]}", JSON, 422),
    "a hundred thousand fields": (json.dumps({f"f{i}": 0 for i in range(100_000)}).encode(), JSON, 422),
}


@pytest.fixture(scope="module")
def api(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One API for all of it: nothing that is sent here changes what it holds."""
    world = World(tmp_path_factory.mktemp("abused"))
    world.promote(bundle, "1")
    app = create_app(world.online, world.models, ServingSection(), clock=lambda: NOW, project="demo")
    with TestClient(app, HERE, raise_server_exceptions=True, follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("what", BODIES)
def test_bodies(api, what: str, caplog: pytest.LogCaptureFixture) -> None:
    body, headers, status = BODIES[what]
    with caplog.at_level(logging.DEBUG, "holdfast"):
        for path in ("/v1/scores", "/v1/explanations"):
            answer = api.post(path, content=body, headers=headers)
            if path == "/v1/scores" or status != 422:
                assert answer.status_code == status, answer.text[:300]
            assert 400 <= answer.status_code < 500
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
            assert "Traceback" not in answer.text
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("name", ["customer_ids", "rows"])
def test_wrong_items_are_not_counted_one_by_one(name: str) -> None:
    """Each problem that pydantic keeps is a kilobyte and some microseconds of the event loop."""
    with pytest.raises(ValidationError) as caught:
        ScoreRequest.model_validate({name: [0] * 1_000_000})
    assert caught.value.error_count() == 1
    with pytest.raises(ValidationError) as caught:
        ScoreRequest.model_validate({f"f{i}": 0 for i in range(1_000)})
    assert caught.value.error_count() == 1
    assert "has 1000 fields; there are rows, customer_ids" in str(caught.value)


def test_who_asks_for_less_at_once_is_told_the_limit(open_api, world: World) -> None:
    api = open_api(world, max_body_bytes=20_000_000, max_batch=1000)
    body = json.dumps({"customer_ids": [f"{i}" for i in range(1_000_000)]})
    answer = api.post("/v1/scores", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["what"] == "has 1000000 items, at most 1000 are taken"


TRICKS = [
    "' OR '1'='1", "'; DROP TABLE rows; --", 'x" UNION SELECT * FROM rows --', "%", "_", "*", "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd", "....//....//", "C:\\windows", "file:///etc/passwd", "${jndi:ldap://x}", "{{7*7}}",
    "$(id)", "<script>alert(1)</script>", "C-0001 ", " C-0001", "c-0001", "C-0001/", "C-0001?x", "C-0001#x", "C‑0001",
    "С-0001", "‮1000-C", "C-0001\u200b", "Ⅷ", "ß", "\U0001f9ff", "\u0301", "a" * 200,
]  # fmt: skip


def test_tricks_in_ids_are_ids_that_are_not_there(api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "holdfast"):
        for trick in TRICKS:
            assert api.get(f"/v1/customers/{quote(trick, safe='')}").status_code == 404, trick
            assert api.post("/v1/explanations", json={"customer_id": trick}).status_code == 404, trick
            assert api.get("/v1/customers", params={"segment": trick[:100]}).json()["customers"] == []
        assert api.post("/v1/scores", json={"customer_ids": TRICKS}).json()["not_found"] == TRICKS
    assert api.get("/v1/customers/C-0001").status_code == 200
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("holdfast")]
    assert ours
    assert not [line for line in ours for trick in TRICKS if len(trick) > 5 and trick in line]


def test_ids_are_taken_as_they_are(api) -> None:
    """An id is what the project's tables say, code point by code point: another form of the same letters is another."""
    there = "Ærø-客"
    assert api.get(f"/v1/customers/{quote(there)}").json()["customer_id"] == there
    for form in ("NFD", "NFKD"):
        other = unicodedata.normalize(form, "é")
        assert other != "é"
        assert api.post("/v1/scores", json={"customer_ids": ["é", other]}).json()["not_found"] == ["é", other]
    for bad in ("%00", "a%00b", "%0a", "%7f", "x" * 201, ""):
        assert api.get(f"/v1/customers/{bad}").status_code == 422
    assert api.get("/v1/customers/%ff%fe").status_code == 404  # not UTF-8: no id is so


def test_methods(api) -> None:
    assert api.head("/v1/customers/C-0001").status_code == 200
    assert api.head("/healthz").headers["content-length"]
    assert api.head("/v1/customers/nobody").status_code == 404
    assert api.head("/v1/scores").status_code == 405
    for method in ("OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND", "QUERY", "A" * 500):
        answer = api.request(method, "/v1/model")
        assert answer.status_code == 405, method
        assert answer.headers["allow"] == "GET, HEAD"
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.options("/v1/scores").headers["allow"] == "POST"
    # what other servers take for another method
    tricks = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "PUT", "X-Original-URL": "/v1/admin/keys"}
    assert api.get("/v1/model", headers=tricks).json()["version"] == "1"
    assert api.get("/v1/model?_method=DELETE").status_code == 200


def test_headers_and_queries(api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "holdfast"):
        assert api.get("/v1/customers", params={"cursor": SECRET * 400}).status_code == 422
        assert api.get("/v1/customers", params={"tier": SECRET * 50}).status_code == 422
        assert api.get("/v1/customers?" + "&".join(f"limit={i}" for i in range(5000))).status_code == 422
        assert api.get("/v1/customers?limit=1&tier=%00&cursor=%ff").status_code == 422
        assert api.get("/v1/customers", params={"limit": "1e3"}).status_code == 422
        assert (
            api.get("/v1/model", headers=[("X-Request-ID", f"{SECRET}\tx"), ("Accept", "x" * 9000)]).status_code == 200
        )
        assert api.get("/v1/model", headers={"Host": f"{SECRET}.example"}).status_code == 421
        assert SECRET not in str(api.get("/", headers={"Host": f"{SECRET}.example"}).headers)
        assert api.get("/v1/model", headers={"Content-Length": "-1"}).status_code < 500
        assert api.get("/v1/model", headers={"Range": "bytes=0-1,-9", "If-None-Match": "*"}).status_code == 200
    assert SECRET not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("holdfast"))


def test_the_page_is_guarded_by_its_headers(api) -> None:
    for path in ("/docs", "/docs/start.js", "/docs/assets/swagger-ui.css", "/openapi.json", "/"):
        headers = api.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert "access-control-allow-origin" not in headers
    assert "script-src 'self'" in api.get("/docs").headers["content-security-policy"]


def test_too_many_at_once_are_told_to_come_again(api, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.api import edge

    monkeypatch.setattr(edge, "MAX_UNDER_WAY", 0)
    answer = api.get("/v1/model")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:holdfast:busy")
    assert answer.headers["retry-after"]
    assert api.get("/healthz").status_code == 200  # who watches must not restart what is only busy
