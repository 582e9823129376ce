"""The online store on Redis: its address, what is lost there, and a server that is gone."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from holdfast.config.business import ServingSection
from holdfast.errors import NotReadyError, StoreError, UnreachableError, UsageError
from holdfast.stores.online import online_store
from holdfast.stores.online_redis import RedisStore
from holdfast.stores.online_redis_write import RedisWriter
from online_tables import CUTOFF, serve, tables, write
from redis_server import ADDRESS, Way, redis_project

IDS = [f"C{i:03d}" for i in range(30)]


@pytest.fixture
def project() -> Iterator[str]:
    with redis_project() as name:
        yield name


@pytest.fixture
def client(project: str) -> Iterator[Any]:
    redis = pytest.importorskip("redis")
    with redis.Redis.from_url(ADDRESS) as client:
        yield client


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hush@db/x", "scheme 'postgresql'"),
        ("localhost:6379", "scheme 'localhost'"),
        ("redis://:hush@db:port/0", "host or port is wrong"),
        ("redis:///0", "no host"),
        ("rediss://db/customers-hush", "not a number"),
    ],
)
def test_a_wrong_address_is_refused_without_repeating_a_secret(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as e:
        RedisStore(url, "shop")
    assert "hush" not in str(e.value)


def test_the_address_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="HOLDFAST_REDIS_URL"):
        online_store(ServingSection(store="redis"), tmp_path, "shop")


def test_the_extra_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(UsageError, match=r"holdfast\[redis\]"):
        online_store(ServingSection(store="redis", redis_url=SecretStr("redis://db")), tmp_path, "shop")


def test_projects_share_a_server(project: str) -> None:
    one, other = (RedisStore(ADDRESS, f"{project}:{name}") for name in "ab")
    serve(one, tables(IDS))
    with pytest.raises(NotReadyError):
        other.reader()
    serve(other, tables(IDS, seed=2))
    assert one.reader().current() != other.reader().current()


def test_a_server_that_is_gone_is_an_error_and_then_it_is_not() -> None:
    with redis_project() as project:
        way = Way()
        store = RedisStore(way.address, project)
        reader = serve(store, tables(IDS))
        before = reader.current()
        way.cut()
        for ask in (reader.refresh, lambda: reader.get("C001"), lambda: list(reader.scan()), reader.worklist):
            with pytest.raises(StoreError, match="HOLDFAST_REDIS_URL"):
                ask()
        with pytest.raises(StoreError, match=r"127\.0\.0\.1"):
            write(store, tables(IDS, seed=2))
        way.mend()
        assert reader.get("C001") is not None
        assert not reader.refresh()
        assert reader.current() == before
        way.cut()


def test_a_server_that_accepts_and_never_answers_is_an_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.stores.online_redis_connect.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", "shop")
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="HOLDFAST_REDIS_URL"):
            store.reader()
        assert time.monotonic() - began < 10


def test_the_one_that_serves_is_written_anew_under_readers(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RedisStore(ADDRESS, project)
    reader = serve(store, tables(IDS))
    rows = [row.probability for row in reader.scan()]
    send = RedisWriter._send
    seen: list[list[float]] = []

    def sending(*args: Any) -> None:
        send(*args)
        seen.append([row.probability for row in store.reader().get_many(IDS).values()])
        raise StoreError("killed")

    monkeypatch.setattr(RedisWriter, "_send", sending)
    t = tables(IDS)
    with pytest.raises(StoreError, match="killed"):
        store.writer().write(
            t.features, t.schema, t.scores, t.decisions, bundle_sha256="b1", model_version="1", cutoff=CUTOFF,
            bundle_dir="models/1", config_hash="another, of no consequence to the rows",
        )  # fmt: skip
    assert seen == [rows]
    assert [row.probability for row in store.reader().scan()] == rows


def test_of_two_writers_one_fails_and_names_why(project: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RedisStore(ADDRESS, project)
    reader = serve(store, tables(IDS))
    send = RedisWriter._send

    def sending(*args: Any) -> None:
        send(*args)
        store.writer().switch(reader.current().generation)  # it clears what it takes for a killed writer's

    monkeypatch.setattr(RedisWriter, "_send", sending)
    with pytest.raises(StoreError, match="another writer removed"):
        write(store, tables(IDS, seed=2))
    assert len(list(reader.scan())) == len(IDS)
    assert not list(client.scan_iter(f"holdfast:{project}:online:new-*"))


@pytest.mark.parametrize("part", ["expected_value:all", "expected_value:0"])
def test_a_work_list_that_lost_customers_is_no_shorter_list(project: str, client: Any, part: str) -> None:
    store = RedisStore(ADDRESS, project)
    reader = serve(store, tables(IDS))
    first = next(reader.scan())
    client.zpopmax(f"holdfast:{project}:online:{reader.current().generation}:{part}")
    asked = {} if part.endswith("all") else {"tier": "high"}
    with pytest.raises(StoreError, match="holdfast materialize"):
        reader.worklist(**asked)
    assert reader.get(first.customer_id) is not None
    serve(store, tables(IDS))
    assert reader.worklist(**asked).rows


@pytest.mark.parametrize("part", ["rows", "a row", "meta"])
def test_what_the_server_lost_is_an_error_and_not_an_answer_and_is_written_anew(
    project: str, client: Any, part: str
) -> None:
    store = RedisStore(ADDRESS, project)
    reader = serve(store, tables(IDS))
    name = f"holdfast:{project}:online:{reader.current().generation}"
    if part == "a row":
        client.hdel(f"{name}:rows", "C001")
    else:
        client.delete(f"{name}:{part}")
    if part == "meta":
        with pytest.raises(StoreError, match="missing"):
            store.reader()
    else:
        for ask in (lambda: reader.get("C001"), lambda: list(reader.scan()), reader.worklist):
            with pytest.raises(StoreError, match="holdfast materialize"):
                ask()
    serve(store, tables(IDS))
    assert store.reader().get("C001") is not None


@pytest.mark.parametrize("text", ["", "{}", "[]", '"x"', '{"generation": "../x"}', b"\xff"])
def test_a_damaged_pointer_is_refused_and_mended_by_a_switch(project: str, client: Any, text: Any) -> None:
    store = RedisStore(ADDRESS, project)
    serve(store, tables(IDS))
    client.set(f"holdfast:{project}:online:current", text)
    with pytest.raises(StoreError, match="not an online store pointer"):
        store.reader()
    serve(store, tables(IDS))
    assert store.reader().get("C001") is not None


def test_a_damaged_row_is_an_error(project: str, client: Any) -> None:
    store = RedisStore(ADDRESS, project)
    reader = serve(store, tables(IDS))
    client.hset(f"holdfast:{project}:online:{reader.current().generation}:rows", "C001", b"short")
    with pytest.raises(StoreError, match="cut short"):
        reader.get("C001")
    assert reader.get("C002") is not None
    serve(store, tables(IDS))
    assert reader.get("C001") is not None
