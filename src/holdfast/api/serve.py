"""Runs the API in this process, or in several workers."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from uvicorn.supervisors import Multiprocess

from holdfast.api.app import create_app
from holdfast.config.business import ServingSection
from holdfast.config.tree import SECRETS
from holdfast.errors import HoldfastError, UsageError

ALLOW_REMOTE = "HOLDFAST_ALLOW_REMOTE"
SETTINGS = "HOLDFAST_API_SETTINGS"
"""How worker processes learn what to serve; set by `serve`, not by people."""
GRACE_SECONDS = 10
_BACKLOG = 2048

log = logging.getLogger("holdfast.api")


@dataclass(frozen=True)
class Settings:
    """What `app.create_app` needs, in a form that passes to another process."""

    online: Path
    models: Path
    serving: ServingSection
    project: str

    def app(self) -> FastAPI:
        return create_app(self.online, self.models, self.serving, project=self.project)

    def dump(self) -> str:
        # no secrets: the API has no use for the database's address, and takes that of Redis from its own environment
        serving = self.serving.model_dump(mode="json", exclude={"database_url", "redis_url"})
        return json.dumps(
            {"online": str(self.online), "models": str(self.models), "serving": serving, "project": self.project}
        )

    @classmethod
    def load(cls, text: str) -> Settings:
        data: dict[str, Any] = json.loads(text)
        address = os.environ.get(SECRETS["serving", "redis_url"])
        serving = ServingSection(**data["serving"], redis_url=SecretStr(address) if address else None)
        return cls(Path(data["online"]), Path(data["models"]), serving, data["project"])


def app_of_environment() -> FastAPI:
    """The app of one worker process."""
    logging.basicConfig(level=logging.INFO)  # changes nothing in a process whose logging is configured
    return Settings.load(os.environ[SETTINGS]).app()


def serve(
    settings: Settings,
    host: str,
    port: int,
    *,
    workers: int = 1,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Serve until told to stop by SIGINT or SIGTERM; requests under way are then finished.

    Parameters
    ----------
    port : 0 for any free one; the log says which
    workers : processes; each counts its own /metrics

    Raises
    ------
    UsageError
        The host is not a loopback address, and ``HOLDFAST_ALLOW_REMOTE`` is not 1.
    HoldfastError
        The address is in use or cannot be had.
    """
    check_host(host, os.environ if environ is None else environ)
    config = uvicorn.Config(
        f"{__name__}:{app_of_environment.__name__}",
        factory=True,
        workers=workers,
        access_log=False,  # it logs paths, which hold customer ids; `edge.Edge` logs templates
        log_config=None,  # as the program that calls this has configured
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    listening = listen(host, port)
    os.environ[SETTINGS] = settings.dump()
    shown = listening.getsockname()
    log.info("the API of %s is on http://%s:%d", settings.project, f"[{host}]" if ":" in host else host, shown[1])
    try:
        with _stopping_is_success():
            if workers > 1:
                log.warning("%d workers: each counts its own /metrics", workers)
                Multiprocess(config, sockets=[listening]).run()
            else:
                uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises it again after it has shut down
        pass
    finally:
        listening.close()
        del os.environ[SETTINGS]


def check_host(host: str, environ: Mapping[str, str]) -> None:
    """Refuse addresses that other machines can reach: the API has no keys yet.

    Raises
    ------
    UsageError
        It is such an address, or no address, and ``HOLDFAST_ALLOW_REMOTE`` is not 1.
    """
    if is_loopback(host):
        return
    if environ.get(ALLOW_REMOTE) == "1":
        log.warning("%s is reachable from other machines and the API asks for no key: keep a proxy in front", host)
        return
    raise UsageError(
        f"{host} is not a loopback address, and the API asks for no key yet: anyone who reaches it can read it",
        fix=f"Serve on 127.0.0.1 behind a reverse proxy; where only a proxy reaches it, set {ALLOW_REMOTE}=1.",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``. Names other than localhost are not trusted to stay what they are."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, had before anything else is started.

    Raises
    ------
    HoldfastError
        The address is in use, or cannot be had.
    """
    listening = None
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        # With the protocol given: asyncio turns Nagle's algorithm off only where it can see that this is TCP, and
        # with it on, every answer waits 40 ms for the client's delayed ACK. `socket.create_server` does not give it.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as e:
        if listening is not None:
            listening.close()
        raise HoldfastError(
            f"cannot listen on {host} port {port}: {e.strerror or e}",
            fix="Stop what listens there, or choose another port.",
        ) from e
    listening.setblocking(False)
    return listening


@contextmanager
def _stopping_is_success() -> Iterator[None]:
    """SIGTERM is how services are stopped; uvicorn, once it has shut down, would let it kill the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
