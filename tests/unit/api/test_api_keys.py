"""Keys: who may ask what, how soon a revoked one is refused, and what is remembered of it."""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from holdfast.api.app import create_app
from holdfast.api.gate import is_open
from holdfast.api.keys import MARK_EVERY, REREAD_SECONDS, Keys
from holdfast.api.metrics import Metrics
from holdfast.api.problems import Unavailable
from holdfast.artifacts.keys import ROLES, digest, new_key
from holdfast.config.business import ServingSection
from holdfast.errors import StoreError
from holdfast.stores.state import StateStore
from serving_world import HERE, NOW, ROW, World

SCORES = {"rows": [ROW]}


@dataclass
class Office:
    """A state database with one key of each role."""

    url: str
    keys: dict[str, str]

    def open(self) -> StateStore:
        return StateStore(self.url)

    def revoke(self, role: str) -> None:
        with_key = self.open()
        with_key.revoke_key("demo", self.keys[role][3:15], actor="me")
        with_key.close()

    def last_used(self, role: str) -> Any:
        state = self.open()
        (found,) = [k.last_used_at for k in state.keys("demo") if k.role == role]
        state.close()
        return found

    def log(self) -> list[tuple[str, str, str, str]]:
        state = self.open()
        found = [(a.actor, a.action, a.subject, a.outcome) for a in state.admin_log("demo")][: -len(ROLES)]
        state.close()
        return found


@pytest.fixture
def office(tmp_path: Path) -> Office:
    url = f"sqlite:///{tmp_path}/state.db"
    state = StateStore(url)
    keys = {role: state.create_key("demo", role, role, actor="me")[1] for role in ROLES}
    state.close()
    return Office(url, keys)


@pytest.fixture
def guarded(world: World, office: Office) -> Iterator[Callable[..., TestClient]]:
    clients: list[TestClient] = []

    def start(*, required: bool = True, **settings: Any) -> TestClient:
        app = create_app(
            world.online, world.models, ServingSection(ttl="36500d", **settings),
            project="demo", open_state=office.open, keys_required=required,
        )  # fmt: skip
        clients.append(TestClient(app, HERE, follow_redirects=False).__enter__())
        return clients[-1]

    yield start
    for client in clients:
        client.__exit__(None, None, None)


def with_key(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"X-API-Key": key}}


@pytest.mark.parametrize("required", [True, False])
def test_a_key_is_enough_under_any_name(guarded, office: Office, required: bool) -> None:
    headers = {"x-api-key": office.keys["read"], "host": "evil.example"}
    assert guarded(required=required).get("/v1/customers/C-0001", headers=headers).status_code == 200


def test_each_role_may_do_its_part(guarded, office: Office) -> None:
    api = guarded()
    for role, key in office.keys.items():
        rank = ROLES.index(role)
        assert api.get("/v1/customers/C-0001", **with_key(key)).status_code == 200
        assert api.get("/metrics", headers={"Authorization": f"bearer {key}"}).status_code == 200
        assert api.post("/v1/scores", json=SCORES, **with_key(key)).status_code == (200 if rank >= 1 else 403)
        assert api.post("/v1/explanations", json=SCORES, **with_key(key)).status_code == (200 if rank >= 1 else 403)
        assert api.get("/v1/admin/keys", **with_key(key)).status_code == (200 if rank == 2 else 403)
        assert api.delete("/v1/model", **with_key(key)).status_code == 405


def test_every_route_but_the_open_ones_asks_for_a_key(guarded, office: Office) -> None:
    api = guarded()
    paths = api.get("/openapi.json").json()["paths"]
    assert {p for p in paths if is_open(p)} == {"/healthz", "/readyz"}
    for path, operations in paths.items():
        for method, operation in operations.items():
            answer = api.request(method, path.format(customer_id="C-0001", key_id="0" * 12))
            assert answer.status_code == (200 if is_open(path) else 401), path
            assert ("security" in operation) != is_open(path)
            assert is_open(path) or {"401", "429"} <= set(operation["responses"])
    # what is not there, or not so, tells nobody more
    for method, path in (("GET", "/nowhere"), ("OPTIONS", "/v1/model"), ("BREW", "/"), ("GET", "/docs/../v1/model")):
        assert api.request(method, path).status_code in (401, 404, 405)
    assert api.get("/docs%2f..%2fv1/model").status_code == 404
    assert api.get("//v1/model").status_code == 401
    assert [api.get(p).status_code for p in ("/", "/docs", "/openapi.json", "/docs/start.js")] == [307, 200, 200, 200]


def test_a_refusal_says_how_and_no_more(guarded, office: Office) -> None:
    api = guarded()
    missing = api.get("/v1/model")
    assert missing.headers["www-authenticate"] == 'Bearer realm="holdfast"'
    assert "holdfast keys create" in missing.json()["detail"]
    right, revoked = office.keys["read"], office.keys["score"]
    office.revoke("score")
    api.app.state.keys.read()
    wrong = [
        "", "hf_", new_key()[1], right[:-1], right + "0", right[:-1] + ("0" if right[-1] != "0" else "1"), revoked,
        right.upper(), "' OR 1=1 --", "x" * 10_000,
    ]  # fmt: skip
    said = set()
    for key in wrong:
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"Basic {key}"}):
            answer = api.get("/v1/model", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].endswith('error="invalid_token"')
            assert answer.headers["content-type"] == "application/problem+json"
            said.add((answer.json()["detail"], answer.json()["type"]))
    assert len(said) == 1  # unknown, wrong and revoked look the same
    both = [("X-API-Key", right), ("Authorization", f"Bearer {right}")]
    assert api.get("/v1/model", headers=both).status_code == 401  # which of them counts would be a guess
    assert api.get("/v1/model", headers={"X-API-Key": b"\xff\xfe"}).status_code == 401


def test_keys_are_compared_in_constant_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(office.open, "demo", Metrics("demo"), lambda: NOW)
    keys.read()
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return compare_digest(a, b)

    compare_digest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    right = office.keys["read"].encode()
    sent = [right, right[:-1] + b"-", new_key()[1].encode(), b"", b"x" * 999]
    assert [keys.find(key) is not None for key in sent] == [True, False, False, False, False]
    # each of them: one hash of what was sent, one comparison of two digests of equal length
    assert [(len(a), len(b)) for a, b in compared] == [(32, 32)] * len(sent)
    assert keys.find(b"") is None
    assert compared[-1][0] == digest(b"")  # even the digest of what nobody has does not let one in
    keys.close()


def test_on_loopback_a_key_is_not_needed_but_a_wrong_one_is_refused(guarded, office: Office) -> None:
    api = guarded(required=False)
    assert api.get("/v1/model").status_code == 200
    assert api.post("/v1/scores", json=SCORES).status_code == 200
    assert api.get("/v1/model", **with_key(new_key()[1])).status_code == 401
    assert api.post("/v1/scores", json=SCORES, **with_key(office.keys["read"])).status_code == 403
    assert api.get("/v1/admin/keys").status_code == 401  # the log must say who
    security = {p: o["get"].get("security") for p, o in api.get("/openapi.json").json()["paths"].items() if "get" in o}
    assert {} in security["/v1/model"]
    assert {} not in security["/v1/admin/keys"]


def test_a_revoked_key_is_refused_after_the_next_read(office: Office) -> None:
    keys = Keys(office.open, "demo", Metrics("demo"), lambda: NOW)
    keys.read()
    key = office.keys["read"].encode()
    slept: list[float] = []
    found: list[bool] = []

    async def sleep(seconds: float) -> None:
        found.append(keys.find(key) is not None)
        if len(slept) == 2:
            raise asyncio.CancelledError
        if not slept:
            office.revoke("read")
        slept.append(seconds)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keys.follow(sleep))
    assert slept == [REREAD_SECONDS] * 2
    assert found == [True, False, False]
    assert REREAD_SECONDS <= 5  # what the documentation promises
    keys.close()


class Broken:
    """A state database that stops answering, and answers again."""

    def __init__(self, office: Office) -> None:
        self.state = office.open()
        self.down = False

    def usable_keys(self, project: str) -> Any:
        if self.down:
            raise StoreError("the state database failed")
        return self.state.usable_keys(project)

    def mark_used(self, used: Any) -> None:
        self.state.mark_used(used)

    def close(self) -> None:
        self.state.close()


def test_while_the_state_is_gone_what_was_known_counts(
    office: Office, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, metrics = Broken(office), Metrics("demo")
    broken.down = True
    keys = Keys(lambda: broken, "demo", metrics, lambda: NOW)  # type: ignore[arg-type,return-value]
    key = office.keys["read"].encode()
    keys.read()
    with pytest.raises(Unavailable, match="the keys cannot be read"):  # nothing was known yet
        keys.find(key)
    broken.down = False
    keys.read()
    assert keys.find(key)
    caplog.clear()
    broken.down = True
    for _ in range(3):
        keys.read()
    assert keys.find(key)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "the keys cannot be read or marked as used; those known so far count: the state database failed"
    ]
    monkeypatch.setattr(broken.state, "usable_keys", lambda _: bytes.fromhex("damaged"))
    broken.down = False
    keys.read()  # what nobody thought of must not end the reading
    assert keys.find(key)
    assert "builtins.ValueError" in caplog.text
    assert 'holdfast_store_errors_total{project="demo",reason="keys"} 5.0' in metrics.text().decode()
    assert "holdfast_keys_read_timestamp_seconds" in metrics.text().decode()
    keys.close()


def test_a_write_that_waits_keeps_no_revoked_key_alive(office: Office) -> None:
    waiting, go = threading.Event(), threading.Event()

    class Waiting(Broken):
        def mark_used(self, used: Any) -> None:
            waiting.set()
            go.wait(20)
            super().mark_used(used)

    state = Waiting(office)
    keys = Keys(lambda: state, "demo", Metrics("demo"), lambda: NOW)  # type: ignore[arg-type,return-value]
    keys.read()
    key = office.keys["read"].encode()
    assert keys.find(key)
    first = threading.Thread(target=keys.read)
    first.start()
    assert waiting.wait(20)
    office.revoke("read")
    keys.read()  # neither waits nor writes
    assert keys.find(key) is None
    go.set()
    first.join(20)
    keys.close()


def test_last_use_is_written_at_most_once_a_minute(office: Office) -> None:
    at = NOW
    keys = Keys(office.open, "demo", Metrics("demo"), lambda: at)
    key = office.keys["read"].encode()
    keys.read()
    assert office.last_used("read") is None
    keys.find(key)
    assert office.last_used("read") is None  # not on the request's path
    keys.read()
    assert office.last_used("read") == NOW
    at = NOW + MARK_EVERY - timedelta(seconds=1)
    keys.find(key)
    keys.read()
    assert office.last_used("read") == NOW
    at = NOW + MARK_EVERY
    keys.find(key)
    keys.read()
    assert office.last_used("read") == at
    assert office.last_used("score") is None
    keys.close()


def test_admin_calls_are_done_and_logged(guarded, office: Office, caplog: pytest.LogCaptureFixture) -> None:
    api = guarded()
    admin, reader = office.keys["admin"], office.keys["read"]
    admin_id, reader_id = admin[3:15], reader[3:15]
    with caplog.at_level(logging.INFO, "holdfast"):
        listed = api.get("/v1/admin/keys", **with_key(admin)).json()["keys"]
        assert {(k["key_id"], k["role"]) for k in listed} == {(key[3:15], role) for role, key in office.keys.items()}
        assert api.post(f"/v1/admin/keys/{admin_id}/revoke", **with_key(reader)).status_code == 403
        assert api.post(f"/v1/admin/keys/{reader_id}/revoke", **with_key(admin)).json()["revoked_at"]
        assert api.get("/v1/model", **with_key(reader)).status_code == 401  # at once in this process
        assert api.post(f"/v1/admin/keys/{'0' * 12}/revoke", **with_key(admin)).status_code == 404
        for bad in ("x", "%00", "' OR 1=1 --", "0" * 13):
            assert api.post(f"/v1/admin/keys/{bad}/revoke", **with_key(admin)).status_code == 422
    assert office.log() == [
        (f"key {admin_id}", "revoke key", "0" * 12, "failed"),
        (f"key {admin_id}", "revoke key", reader_id, "done"),
        (f"key {reader_id}", "POST /v1/admin/keys/{key_id}/revoke", "", "refused"),
        (f"key {admin_id}", "list keys", "", "done"),
    ]
    assert f"admin call: key {admin_id} revoke key {reader_id}" in caplog.text
    assert f"admin call refused: key {reader_id} (read)" in caplog.text
    assert not [key for key in office.keys.values() if key[16:] in caplog.text]
    assert not [key for key in office.keys.values() if key[16:] in str(listed)]


def test_admin_calls_without_a_state_database_are_503(guarded, office: Office, monkeypatch) -> None:
    api = guarded()

    def fail(*_: object, **__: object) -> None:
        raise StoreError("the state database failed")

    monkeypatch.setattr(StateStore, "log_admin", fail)
    answer = api.get("/v1/admin/keys", **with_key(office.keys["admin"]))
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:holdfast:state-unreadable")
    assert answer.headers["retry-after"]
    # the role is refused all the same
    assert api.get("/v1/admin/keys", **with_key(office.keys["read"])).status_code == 403


def test_a_key_that_asks_too_often_waits(guarded, office: Office) -> None:
    api = guarded(required=False, rate_limit={"requests": 3, "seconds": 60})
    codes = [api.get("/v1/model", **with_key(office.keys["read"])).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    answer = api.get("/v1/model", **with_key(office.keys["read"]))
    assert answer.json()["type"] == "urn:holdfast:too-many-requests"
    assert 0 < int(answer.headers["retry-after"]) <= 20
    assert api.get("/v1/model", **with_key(office.keys["score"])).status_code == 200  # each key has its own
    assert {api.get("/v1/model").status_code for _ in range(5)} == {200}  # loopback without a key
    assert api.get("/healthz", **with_key(office.keys["read"])).status_code == 200
