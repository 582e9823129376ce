"""A server under load: a process that serves, and clients that ask it one thing after another."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

START_SECONDS = 60
CLIENTS = 4
PAUSE_SECONDS = 0.01
"""Between a client's requests, or they keep the processor from a process that starts."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


class Server:
    """A command that serves 127.0.0.1 at ``port``, and everything below it; what it says goes into ``log``."""

    def __init__(self, port: int, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.log = log
        with log.open("wb") as said:  # in a session of its own, so that all of it can be stopped
            self.popen = subprocess.Popen(command, stdout=said, stderr=said, env=env, start_new_session=True)

    def ask(self, method: str, path: str, body: Any = None, *, timeout: float = 20) -> tuple[int, Any]:
        """One request on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)) as connection:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"connection": "close", "content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def until_up(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/readyz", timeout=2)[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def close(self) -> None:
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)


class Load:
    """Clients that ask one thing after another until told to stop; what went wrong, and how often it went well."""

    def __init__(self, ask: Callable[[int, int], None], clients: int = CLIENTS) -> None:
        self.lost: list[Exception] = []
        self.answered = 0
        self._stop = threading.Event()
        self._ask = ask
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(clients)]

    def _run(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                self._ask(client, number)
                self.answered += 1
            except Exception as e:
                self.lost.append(e)
            number += 1
            time.sleep(PAUSE_SECONDS)

    def wait_for(self, more: int) -> None:
        """Until that many more were answered."""
        wanted, end = self.answered + more, time.monotonic() + START_SECONDS
        while self.answered < wanted:
            assert time.monotonic() < end, f"no answers; lost: {self.lost[-3:]}"
            time.sleep(0.005)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
