"""The Redis server of the tests: keys of their own in a real one, and a way to it that can be cut."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import pytest

ADDRESS = os.environ.get("HOLDFAST_TEST_REDIS", "redis://127.0.0.1:6379/0")


@contextmanager
def redis_project() -> Iterator[str]:
    """The name of a project that has no keys yet; what it gets is removed at the end."""
    try:
        redis = import_module("redis")
        client = redis.Redis.from_url(ADDRESS, socket_connect_timeout=3)
        client.ping()
    except Exception as e:  # the driver is missing, or whatever it raises
        reason = f"no Redis at HOLDFAST_TEST_REDIS or 127.0.0.1:6379: {str(e).splitlines()[0]}"
        if os.environ.get("HOLDFAST_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    project = f"test-{uuid4().hex[:12]}"
    try:
        yield project
    finally:
        for key in client.scan_iter(f"holdfast:{project}:*", count=1000):
            client.unlink(key)
        client.close()


class Way:
    """A TCP proxy to the tests' Redis. `cut` drops its connections and refuses new ones, as a stopped server does."""

    def __init__(self) -> None:
        host, _, port = ADDRESS.split("//")[1].split("/")[0].rpartition("@")[2].partition(":")
        self._target = (host, int(port or 6379))
        self._open: list[socket.socket] = []
        self._listening = self._listen(0)
        self.port: int = self._listening.getsockname()[1]

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> None:
        # shutdown wakes the thread that waits in accept; close alone would leave the port open until it does
        for end in (self._listening, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def mend(self) -> None:
        self._listening = self._listen(self.port)

    def _listen(self, port: int) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        return listening

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


class OwnRedis:
    """A Redis server of the test's own, which keeps what it has been told in ``folder``: it can be killed and started
    again."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("redis-server")
        if self._program is None:
            reason = "no redis-server on this machine to stop and start (Debian: apt-get install redis-server)"
            if os.environ.get("HOLDFAST_REQUIRE_SERVICES") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        folder.mkdir()
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.start()

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Return when it answers."""
        assert self._program is not None
        command = [self._program, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._popen = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        redis = import_module("redis")
        end = time.monotonic() + 20
        with redis.Redis.from_url(self.address, socket_connect_timeout=1) as client:
            while True:
                with suppress(redis.RedisError):  # it refuses connections, and then it is loading
                    client.ping()
                    return
                assert time.monotonic() < end, "redis-server does not answer"
                time.sleep(0.02)

    def pause(self) -> None:
        """Keep connections, take new ones, answer nothing."""
        self._popen.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        self._popen.send_signal(sign)
        self._popen.wait(20)
