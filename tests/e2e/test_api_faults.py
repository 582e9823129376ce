"""The API's processes killed under load, and the model and generation switched under load: nothing fails but what was
under way in a killed process, and nothing is mixed."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_load import CLIENTS, START_SECONDS, Load, Server, free_port

from holdfast.models.bundle import Bundle
from holdfast.stores.online import OnlineWriter
from serving_world import IDS, ROW, World, train

PROGRAM = """
import sys
from pathlib import Path
from holdfast.api.serve import Settings, serve
from holdfast.config.business import ServingSection
if __name__ == "__main__":
    root = Path(sys.argv[1])
    settings = Settings(root / "online", root / "models", ServingSection(ttl="36500d"), "demo")
    serve(settings, "127.0.0.1", int(sys.argv[2]), workers=int(sys.argv[3]))
"""
LOOP = 'while :; do "$0" "$@"; done'
SWITCHES = 50


@pytest.fixture(scope="module")
def bundles() -> list[Bundle]:
    return [train(seed, estimator="logistic") for seed in (3, 4, 5)]


@pytest.fixture
def world(tmp_path: Path, bundles: list[Bundle]) -> World:
    world = World(tmp_path)
    world.promote(bundles[0], "1")
    return world


@pytest.fixture
def start(world: World) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def run(workers: int, *before: str) -> Server:
        """A supervisor and the processes below it that serve the world."""
        script = world.root / "serve_demo.py"
        script.write_text(PROGRAM)
        port = free_port()
        program = [sys.executable, str(script), str(world.root), str(port), str(workers)]
        running.append(Server(port, [*before, *program], world.root / "serve.log"))
        running[-1].until_up()
        return running[-1]

    yield run
    for server in running:
        server.close()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(pid: int) -> set[int]:
    """The supervisor's children that serve; multiprocessing has one more for itself."""
    found = set()
    for child in children(pid):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(child)
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc, as on Linux")


def good_read(server: Server) -> Callable[[int, int], None]:
    def ask(client: int, number: int) -> None:
        status, body = server.ask("GET", f"/v1/customers/C-{(client + number) % 100:04d}")
        assert status == 200, body
        assert body["customer_id"] == f"C-{(client + number) % 100:04d}"

    return ask


@needs_proc
def test_a_killed_worker_takes_only_what_it_was_answering_with_it(start) -> None:
    server = start(2)
    end = time.monotonic() + START_SECONDS
    while len(before := workers_of(server.popen.pid)) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    with Load(good_read(server)) as load:
        load.wait_for(100)
        killed = random.Random(7).choice(sorted(before))
        os.kill(killed, signal.SIGKILL)
        load.wait_for(200)  # the other goes on
        while not (now := workers_of(server.popen.pid)) - before or killed in now:
            assert time.monotonic() < end, "no worker took its place"
            time.sleep(0.05)
        load.wait_for(200)
    # no client had more than one request under way
    assert len(load.lost) <= CLIENTS, load.lost
    # a broken connection, never a wrong answer
    assert all(isinstance(e, OSError | http.client.HTTPException) for e in load.lost), load.lost


@needs_proc
def test_a_process_alone_is_started_again_by_whatever_watches_it(start) -> None:
    server = start(1, "/bin/sh", "-c", LOOP)
    with Load(good_read(server)) as load:
        load.wait_for(50)
        (serving,) = children(server.popen.pid)
        os.kill(serving, signal.SIGKILL)
        load.wait_for(50)
    # broken, or refused while there is no process: never a wrong answer
    assert all(isinstance(e, OSError | http.client.HTTPException) for e in load.lost), load.lost[-3:]
    assert sum(not isinstance(e, ConnectionRefusedError) for e in load.lost) <= CLIENTS, load.lost[-3:]


def test_fifty_switches_under_load_are_never_seen_half(start, world: World, bundles: list[Bundle]) -> None:
    kept = world.root / "kept"
    kept.mkdir()
    expected: dict[str, tuple[dict[str, str], dict[str, float]]] = {}
    computed: dict[str, float] = {}
    for i, bundle in enumerate(bundles):
        generation = world.write(bundle, str(i + 1), features_seed=i)
        assert world.features is not None
        shutil.copy(world.online / f"{generation}.sqlite", kept)
        model = {"version": str(i + 1), "bundle_sha256": bundle.sha256}
        expected[generation] = (model, stored_probabilities(kept / f"{generation}.sqlite"))
    server = start(1)
    for i, generation in enumerate(expected):  # what each says of the client's own row, while nothing moves
        switch(world, kept, generation)
        status, body = server.ask("POST", "/v1/scores", {"rows": [ROW]})
        assert (status, body["model"]["version"]) == (200, str(i + 1))
        computed[body["model"]["bundle_sha256"]] = body["scores"][0]["probability"]
    assert len(set(computed.values())) == len(bundles)
    seen: set[str] = set()

    def check(body: dict[str, Any], scores: list[dict[str, Any]]) -> None:
        model, probabilities = expected[body["generation"]]
        assert body["model"] == model
        assert scores
        for score in scores:
            assert score["probability"] == pytest.approx(probabilities[score["customer_id"]], abs=1e-12)
        seen.add(body["generation"])

    def ask(client: int, number: int) -> None:
        customer = f"C-{(7 * client + number) % 100:04d}"
        kind = (client + number) % 5
        if kind == 0:
            status, body = server.ask("GET", f"/v1/customers/{customer}")
            assert status == 200, body
            check(body, [body])
        elif kind == 1:
            status, body = server.ask("POST", "/v1/scores", {"customer_ids": IDS})
            assert status == 200, body
            assert body["not_found"] == []
            check(body, body["scores"])
        elif kind == 2:
            status, body = server.ask("POST", "/v1/explanations", {"customer_id": customer})
            assert status == 200, body
            check(body, body["explanations"])
            (why,) = body["explanations"]
            parts = sum(part["contribution"] for part in why["contributions"])
            assert why["base"] + parts == pytest.approx(why["margin"], abs=1e-6)
        elif kind == 3:
            status, body = server.ask("GET", "/v1/customers?limit=20")
            assert status == 200, body
            check(body, body["customers"])
        else:
            status, body = server.ask("POST", "/v1/scores", {"rows": [ROW] * 20})
            assert status == 200, body
            assert {s["probability"] for s in body["scores"]} == {computed[body["model"]["bundle_sha256"]]}

    draw = random.Random(11)
    now = generation
    with Load(ask) as load:
        for _ in range(SWITCHES):
            now = draw.choice([g for g in expected if g != now])
            switch(world, kept, now)
            load.wait_for(draw.randrange(1, 12))
    assert not load.lost, load.lost[:3]
    assert seen == set(expected)


def switch(world: World, kept: Path, generation: str) -> None:
    """Make a generation serve; its file comes back if the switches before have removed it."""
    file = f"{generation}.sqlite"
    if not (world.online / file).exists():
        shutil.copy(kept / file, world.online / "coming")
        (world.online / "coming").rename(world.online / file)
    OnlineWriter(world.online).switch(generation)


def stored_probabilities(file: Path) -> dict[str, float]:
    import sqlite3

    with contextlib.closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute("SELECT customer_id, probability FROM customer"))
