"""The API as a real process: it serves, follows a new generation, stops when told, and refuses what it must."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from holdfast.api.loopback import is_loopback
from holdfast.api.serve import Settings, listen, needs_keys
from holdfast.config.business import ServingSection
from holdfast.errors import HoldfastError, UsageError
from serving_world import IDS, ROW, World, train

PROGRAM = """
import logging, sys
from pathlib import Path
from holdfast.api.serve import Settings, serve
from holdfast.config.business import ServingSection
from holdfast.errors import HoldfastError
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
root, host, port, workers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
state = f"sqlite:///{root / 'state.db'}"
settings = Settings(root / "online", root / "models", ServingSection(ttl="36500d"), "demo", state)
if __name__ == "__main__":
    try:
        serve(settings, host, port, workers=workers)
    except HoldfastError as e:
        sys.exit(f"error: {e}")
"""
START_SECONDS = 60


class Process:
    """A process that serves, and everything it has said."""

    def __init__(self, root: Path, host: str, port: int, workers: int) -> None:
        script = root / "serve_demo.py"
        script.write_text(PROGRAM)
        self.popen = subprocess.Popen(
            [sys.executable, str(script), str(root), host, str(port), str(workers)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.append(line)
            if "Application startup complete" in line:
                self._up.set()
        self._up.set()

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def url(self) -> str:
        assert self._up.wait(START_SECONDS), self.said
        found = re.search(r"is on (http://\S+)", self.said)
        assert found, self.said
        return found[1]

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        self.popen.send_signal(sign)
        return self.wait()

    def wait(self) -> int:
        code = self.popen.wait(START_SECONDS)
        self._reader.join(5)
        return code

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(10)
        self._reader.join(5)
        assert self.popen.stderr is not None
        self.popen.stderr.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.promote(train(3, estimator="logistic"), "1")
    return world


@pytest.fixture
def start(world: World) -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def run(host: str = "127.0.0.1", port: int = 0, workers: int = 1) -> Process:
        running.append(Process(world.root, host, port, workers))
        return running[-1]

    yield run
    for process in running:
        process.close()


def answer_to_a_slow_request(process: Process, sign: signal.Signals) -> bytes:
    """What comes for a request whose second half is sent only when the process, told to stop, takes no more of them."""
    host, port = process.url().removeprefix("http://").split(":")
    head = "POST /v1/scores HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(head.encode() + b'{"customer')
        assert httpx2.get(f"{process.url()}/healthz").status_code == 200  # the slow one is under way by now
        process.popen.send_signal(sign)
        for _ in range(200):
            try:
                socket.create_connection((host, int(port)), timeout=5).close()
            except ConnectionRefusedError:
                break
            threading.Event().wait(0.05)
        else:
            pytest.fail("it still takes connections")
        slow.sendall(b'_ids": ["C-0007"]}')
        answer = slow.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    return answer


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_follows_and_stops(start, world: World, sign: signal.Signals) -> None:
    process = start()
    with httpx2.Client(base_url=process.url(), timeout=20) as client:
        assert client.get("/readyz").status_code == 200
        first = client.get("/v1/customers/C-0007")
        assert first.json()["customer_id"] == "C-0007"
        assert "server" not in first.headers
        assert client.post("/v1/scores", json={"rows": [ROW]}).status_code == 200
        generation = world.promote(train(4, estimator="logistic"), "2")
        again = client.get("/v1/customers/C-0007").json()
        assert (again["generation"], again["model"]["version"]) == (generation, "2")
        assert len(client.post("/v1/scores", json={"customer_ids": IDS}).json()["scores"]) == len(IDS)
        chunked = client.post("/v1/scores", content=(b"x" for _ in range(3)), headers={"content-type": "text/plain"})
        assert chunked.status_code == 415
    assert b'"C-0007"' in answer_to_a_slow_request(process, sign)
    assert process.wait() == 0
    assert "C-0007" not in process.said
    assert "Traceback" not in process.said
    assert "GET /v1/customers/{customer_id} 200" in process.said


def test_a_port_in_use_is_a_clear_error(start) -> None:
    first = start()
    port = int(first.url().rpartition(":")[2])
    second = start(port=port)
    assert second.wait() == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in second.said
    assert "Traceback" not in second.said
    assert first.stop() == 0


def test_other_machines_need_a_key(world: World) -> None:
    state = f"sqlite:///{world.root}/state.db"
    settings = Settings(world.online, world.models, ServingSection(), "demo", state)
    behind_a_proxy = replace(settings, serving=ServingSection(require_keys=True))
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        assert is_loopback(host)
        assert not needs_keys(settings, host)
        with pytest.raises(UsageError, match="require_keys is true"):
            needs_keys(behind_a_proxy, host)
    others = ("0.0.0.0", "::", "192.168.1.5", "example.com", "", "localhost.example.com", "0")
    for host in others:
        assert not is_loopback(host)
        with pytest.raises(UsageError, match="holdfast keys create"):
            needs_keys(settings, host)
    with pytest.raises(UsageError, match="holdfast keys create"):
        needs_keys(replace(settings, state_url=None), "0.0.0.0")
    with closing(settings.state()) as store:
        row, key = store.create_key("demo", "crm", "score", actor="me")
        assert all(needs_keys(settings, host) for host in others)
        assert needs_keys(behind_a_proxy, "127.0.0.1")
        assert key[16:] not in replace(settings, keys_required=True).dump()
        store.revoke_key("demo", row.key_id, actor="me")
    with pytest.raises(UsageError, match="has none"):
        needs_keys(settings, "0.0.0.0")


def test_several_workers_ask_for_keys(start, world: World) -> None:
    state = f"sqlite:///{world.root}/state.db"
    with closing(Settings(world.online, world.models, ServingSection(), "demo", state).state()) as store:
        key = store.create_key("demo", "crm", "score", actor="me")[1]
    process = start(host="0.0.0.0", workers=2)
    url = process.url().replace("0.0.0.0", "127.0.0.1")
    with httpx2.Client(base_url=url, timeout=30) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/customers/C-0007").status_code == 401
        answer = client.get("/v1/customers/C-0007", headers={"Authorization": f"Bearer {key}"})
        assert answer.json()["customer_id"] == "C-0007"
    assert process.stop() == 0
    assert "each counts its own /metrics" in process.said
    assert key[16:] not in process.said


def test_addresses_that_cannot_be_had() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        # without it asyncio leaves Nagle's algorithm on: 44 ms an answer in place of 1
        assert taken.proto == socket.IPPROTO_TCP
        with pytest.raises(HoldfastError, match=f"port {port}: Address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(HoldfastError, match="cannot listen on"):
        listen("203.0.113.7", 8000)
    if socket.has_ipv6:
        listen("::1", 0).close()
