"""What the API answers from the online store while it is written to and while its server goes away: never a mixed and
never a missing answer (issue 5, faults)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from company import command, environment, write_company
from killed import Group, Moment, driven
from serving_load import Load, Server, free_port

from holdfast.stores.scores import read_scores
from redis_server import OwnRedis

CUTOFFS = ("2024-02-01", "2024-01-01", "2023-12-01")
"""Each has a generation of its own. The store keeps two of them, so that the third is always written anew."""
KILLS = 20 if os.environ.get("HOLDFAST_ALL_KILLS") == "1" else 6
LATEST_SECONDS = 0.8
PROJECT = ("--project", "shop", "--set", "serving.ttl=36500d")


@dataclass
class Shop:
    """A company that is scored at all of `CUTOFFS`, and where its online store is."""

    home: Path
    words: tuple[str, ...]
    env: dict[str, str]
    redis: OwnRedis | None
    truth: dict[datetime, dict[str, float]]
    seen: dict[str, datetime] = field(default_factory=dict)
    """The cutoff of each generation that has answered."""
    moments: int = 0
    """Changes to the disk that materialize makes; see killed.py."""

    def materialize(self, cutoff: str, *moments: Moment) -> Group:
        """A call that is killed at its moments, and then is not; see killed.py."""
        return ".", None, ("materialize", "--cutoff", cutoff, *self.words, "--quiet"), [*moments, None]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("scored")
    write_company(home)
    calls: list[tuple[str, ...]] = [("build",), ("train",)]
    calls += [(verb, "--cutoff", cutoff) for cutoff in CUTOFFS for verb in ("score", "decide")]
    driven(home, [(".", None, (*words, *PROJECT, "--quiet"), [None]) for words in calls])
    return home


@pytest.fixture(params=["sqlite", "redis"])
def shop(request: pytest.FixtureRequest, scored: Path, tmp_path: Path) -> Iterator[Shop]:
    home = tmp_path / "home"
    shutil.copytree(scored, home)
    truth = {}
    for cutoff in CUTOFFS:
        at = datetime.fromisoformat(cutoff).replace(tzinfo=UTC)
        table = read_scores(home / "var" / "shop", at).table
        truth[at] = dict(zip(table["customer_id"].to_pylist(), table["probability"].to_pylist(), strict=True))
    if request.param == "sqlite":
        yield Shop(home, PROJECT, environment(home), None, truth)
        return
    redis = OwnRedis(tmp_path / "redis")
    try:
        env = environment(home, {"HOLDFAST_REDIS_URL": redis.address})
        yield Shop(home, (*PROJECT, "--set", "serving.store=redis"), env, redis, truth)
    finally:
        redis.stop(signal.SIGKILL)


@pytest.fixture
def server(shop: Shop) -> Iterator[Server]:
    [[(_, shop.moments)]] = driven(shop.home, [shop.materialize(CUTOFFS[0])], shop.env)
    port = free_port()
    program = command("serve", "--port", str(port), *shop.words)
    server = Server(port, program, shop.home / "serve.log", shop.env)
    try:
        server.until_up()
        yield server
    finally:
        server.close()


def check(shop: Shop, body: dict[str, Any], asked: list[str]) -> None:
    """Every customer is there whom the one generation that answered has, with the probability that it has."""
    cutoff = datetime.fromisoformat(body["freshness"]["cutoff"])
    assert shop.seen.setdefault(body["generation"], cutoff) == cutoff
    truth = shop.truth[cutoff]
    told = {score["customer_id"]: score["probability"] for score in body["scores"]}
    assert told == {i: pytest.approx(truth[i], abs=1e-12) for i in asked if i in truth}
    assert sorted(body["not_found"]) == [i for i in asked if i not in truth]


def everyone(shop: Shop) -> list[str]:
    return sorted(set().union(*shop.truth.values()))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_materialize_killed_under_constant_reads(shop: Shop, server: Server) -> None:
    asked = everyone(shop)

    def ask(client: int, number: int) -> None:
        status, body = server.ask("POST", "/v1/scores", {"customer_ids": asked})
        assert status == 200, body
        check(shop, body, asked)

    dice = random.Random(os.environ.get("HOLDFAST_KILL_SEED", "9"))
    # before a change to the disk, or by the clock, whatever it is doing then
    moments = [(dice.randrange(shop.moments), dice.uniform(0, LATEST_SECONDS))[n % 2] for n in range(KILLS)]
    with Load(ask) as load:
        # each writes a generation that the store has not, or has not any more; after the kill, to its end
        calls = [shop.materialize(CUTOFFS[(n + 1) % 3], moment) for n, moment in enumerate(moments)]
        attempts = driven(shop.home, calls, shop.env)
        load.wait_for(20)
    codes = [code for group in attempts for code, _ in group]
    assert codes.count(-signal.SIGKILL) >= KILLS // 2
    assert not load.lost, load.lost[:3]
    assert set(shop.seen.values()) == set(shop.truth)
    assert len(shop.seen) == len(CUTOFFS)
    if shop.redis is None:
        left = {path.name for path in (shop.home / "var" / "shop" / "online").iterdir()}
        assert len(left) == 3, left  # the pointer, the present generation and the one before


def until_it_answers(states: list[int]) -> None:
    end = time.monotonic() + 20
    while states[-1] != 200:
        assert time.monotonic() < end, "it does not answer again"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("shop", ["redis"], indirect=True)
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_redis_stopped_and_started_again_under_load(sign: signal.Signals, shop: Shop, server: Server) -> None:
    assert shop.redis is not None
    asked = everyone(shop)
    status, body = server.ask("POST", "/v1/scores", {"customer_ids": asked})
    assert status == 200, body
    states: list[int] = []
    times: list[float] = []
    lock = threading.Lock()

    def ask(client: int, number: int) -> None:
        status, body = server.ask("POST", "/v1/scores", {"customer_ids": asked}, timeout=5)
        with lock:
            states.append(status)
            times.append(time.monotonic())
        if status == 200:
            check(shop, body, asked)
        else:
            assert (status, body["type"]) == (503, "urn:holdfast:unreadable"), body

    with Load(ask) as load:
        load.wait_for(50)
        shop.redis.stop(sign)
        stopped = time.monotonic()
        load.wait_for(100)
        back = time.monotonic()
        shop.redis.start()
        until_it_answers(states)
        again = time.monotonic()
        load.wait_for(100)
    assert not load.lost, load.lost[:3]
    told = list(zip(times, states, strict=True))
    assert {status for at, status in told if stopped + 1 < at < back} <= {503}
    assert 503 in {status for at, status in told if stopped < at < back}
    assert {status for at, status in told if at > again + 1} <= {200}
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("shop", ["redis"], indirect=True)
def test_redis_that_answers_nothing_keeps_nobody_waiting_for_long(shop: Shop, server: Server) -> None:
    assert shop.redis is not None
    asked = everyone(shop)
    longest = 0.0
    states: list[int] = []

    def ask(client: int, number: int) -> None:
        nonlocal longest
        began = time.monotonic()
        status, body = server.ask("POST", "/v1/scores", {"customer_ids": asked}, timeout=60)
        longest = max(longest, time.monotonic() - began)
        states.append(status)
        if status == 200:
            check(shop, body, asked)

    with Load(ask, clients=40) as load:
        load.wait_for(100)
        shop.redis.pause()
        try:
            load.wait_for(400)
            assert states[-1] == 503
        finally:
            shop.redis.go_on()
        until_it_answers(states)
        load.wait_for(200)
    assert not load.lost, load.lost[:3]
    assert states[-1] == 200
    assert longest < 15  # what docs/how-to/secure-the-api.md promises of any request
