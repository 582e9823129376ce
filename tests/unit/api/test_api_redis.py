"""The API over a Redis store: no request waits for a server that is gone, and none is wrong when it is back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from pydantic import SecretStr

from holdfast.api import store as api_store
from holdfast.api.serve import Settings
from holdfast.config.business import ServingSection
from holdfast.models.bundle import Bundle
from holdfast.stores.online_redis import RedisStore
from redis_server import Way, redis_project
from serving_world import IDS, ROW, World

PROJECT = "demo"  # as `open_api` calls it


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    monkeypatch.setattr(api_store, "POLL_SECONDS", 0)
    monkeypatch.setattr(api_store, "AWAY_SECONDS", 0)
    with redis_project() as project:
        monkeypatch.setattr("holdfast.stores.online_redis._PREFIX", f"holdfast:{project}:{{}}:")
        way = Way()
        yield way
        way.cut()


@pytest.fixture
def api(way: Way, world: World, bundle: Bundle, open_api):
    world.elsewhere = RedisStore(way.address, PROJECT)
    world.promote(bundle, "1")
    return open_api(world, store="redis", redis_url=SecretStr(way.address))


def test_every_read_and_a_new_champion(api, world: World, second_bundle: Bundle) -> None:
    first = api.get("/v1/customers/C-0001").json()
    assert first["model"]["version"] == "1"
    page = api.get("/v1/customers", params={"limit": 10}).json()
    second = world.promote(second_bundle, "2")
    assert api.get("/v1/customers/C-0001").json()["generation"] == second
    batch = api.post("/v1/scores", json={"customer_ids": [*IDS, "nobody"]}).json()
    assert (batch["generation"], batch["not_found"], len(batch["scores"])) == (second, ["nobody"], len(IDS))
    rest = api.get("/v1/customers", params={"limit": 1000, "cursor": page["next_cursor"]}).json()
    assert rest["generation"] == first["generation"]
    assert len(rest["customers"]) == len(IDS) - 10
    assert api.post("/v1/explanations", json={"customer_id": "a/b c"}).json()["generation"] == second
    assert api.get("/v1/customers/nobody").status_code == 404
    assert api.get("/readyz").json()["generation"] == second


def test_a_server_that_stops_and_comes_back(api, way: Way, caplog) -> None:
    assert api.get("/v1/customers/C-0001").status_code == 200
    for _ in range(2):
        way.cut()
        for path in ("/v1/customers/C-0001", "/v1/customers", "/readyz"):
            answer = api.get(path)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "127.0.0.1" not in answer.text
        assert api.post("/v1/scores", json={"customer_ids": IDS}).status_code == 503
        assert api.post("/v1/scores", json={"rows": [ROW]}).status_code == 200
        assert api.get("/healthz").status_code == 200
        way.mend()
        assert api.get("/v1/customers/C-0001").status_code == 200
        assert api.get("/readyz").status_code == 200
    assert (
        len([r for r in caplog.records if "cannot be read" in r.getMessage()]) == 1
    )  # within a minute, however often it goes


def test_a_server_that_is_gone_at_the_start_is_followed_once_it_is_there(way: Way, world: World, open_api) -> None:
    way.cut()
    api = open_api(world, store="redis", redis_url=SecretStr(way.address))
    assert api.get("/readyz").status_code == 503
    way.mend()
    assert "materialize" in api.get("/v1/customers/C-0001").json()["detail"]
    world.elsewhere = RedisStore(way.address, PROJECT)
    assert world.bundle is not None
    world.promote(world.bundle, "1")
    assert api.get("/v1/customers/C-0001").status_code == 200


def test_nobody_waits_for_a_server_that_has_just_not_answered(api, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_store, "AWAY_SECONDS", 3600)
    way.cut()
    assert api.get("/v1/customers/C-0001").status_code == 503
    way.mend()
    assert api.get("/v1/customers/C-0001").status_code == 503  # it was not asked
    monkeypatch.setattr(api_store, "monotonic", lambda: float("inf"))
    assert api.get("/v1/customers/C-0001").status_code == 200


def test_workers_take_the_address_from_their_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = ServingSection(store="redis", redis_url=SecretStr("redis://:hush@db:1/0"))
    settings = Settings(world.online, world.models, serving, "demo")
    assert "hush" not in settings.dump()
    monkeypatch.setenv("HOLDFAST_REDIS_URL", "redis://:hush@db:1/0")
    assert Settings.load(settings.dump()) == settings


def test_one_damaged_row_keeps_nobody_else_waiting(api, world: World, way: Way, monkeypatch) -> None:
    monkeypatch.setattr(api_store, "AWAY_SECONDS", 3600)
    generation = api.get("/v1/customers/C-0001").json()["generation"]
    with redis.Redis.from_url(way.address) as client:
        (rows,) = client.keys(f"*:{generation}:rows")
        client.hset(rows, "C-0001", b"short")
    assert api.get("/v1/customers/C-0001").status_code == 503
    assert api.get("/v1/customers/C-0002").status_code == 200
    world.promote(world.bundle, "1")  # what the answer says to do
    assert api.get("/v1/customers/C-0001").status_code == 200
