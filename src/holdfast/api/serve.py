"""Runs the API in this process, or in several workers."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from uvicorn.supervisors import Multiprocess

from holdfast.api.app import create_app
from holdfast.api.connections import KEEP_ALIVE_SECONDS, MAX_HEAD_BYTES, Connection
from holdfast.api.loopback import is_loopback
from holdfast.config.business import ServingSection
from holdfast.config.tree import SECRETS
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from holdfast.stores.state import StateStore

SETTINGS = "HOLDFAST_API_SETTINGS"
"""How worker processes learn what to serve; set by `serve`, not by people."""
GRACE_SECONDS = 10
_BACKLOG = 2048

log = logging.getLogger("holdfast.api")


@dataclass(frozen=True)
class Settings:
    """What `app.create_app` needs, in a form that passes to another process.

    Attributes
    ----------
    state_url : the state database, which holds the keys; may hold a password. None where there is none, and so no key
    """

    online: Path
    models: Path
    serving: ServingSection
    project: str
    state_url: str | None = field(default=None, repr=False)
    keys_required: bool = False

    def app(self) -> FastAPI:
        return create_app(
            self.online,
            self.models,
            self.serving,
            project=self.project,
            open_state=None if self.state_url is None else self.state,
            keys_required=self.keys_required,
        )

    def state(self) -> StateStore:
        """The state database."""
        from holdfast.stores.state import StateStore  # where no key is needed, SQLAlchemy need not be loaded

        assert self.state_url is not None
        return StateStore(self.state_url)

    def has_keys(self) -> bool:
        """Whether there is a key that could be sent."""
        if self.state_url is None:
            return False
        with closing(self.state()) as state:
            return bool(state.usable_keys(self.project))

    def dump(self) -> str:
        """As JSON; in the environment of this process and its workers, where the state database's address came from.

        That of Redis stays where it is: workers take it from their own environment.
        """
        serving = self.serving.model_dump(mode="json", exclude={"database_url", "redis_url"})
        paths = {"online": str(self.online), "models": str(self.models)}
        rest = {"project": self.project, "state_url": self.state_url, "keys_required": self.keys_required}
        return json.dumps({**paths, "serving": serving, **rest})

    @classmethod
    def load(cls, text: str) -> Settings:
        data: dict[str, Any] = json.loads(text)
        online, models, serving = (data.pop(name) for name in ("online", "models", "serving"))
        address = os.environ.get(SECRETS["serving", "redis_url"])
        section = ServingSection(**serving, redis_url=SecretStr(address) if address else None)
        return cls(Path(online), Path(models), section, **data)


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
) -> None:
    """Serve until told to stop by SIGINT or SIGTERM; requests under way are then finished.

    Parameters
    ----------
    port : 0 for any free one; the log says which
    workers : processes; each counts its own /metrics and its own rate limits

    Raises
    ------
    UsageError
        Keys are needed, and there is none.
    HoldfastError
        The address is in use or cannot be had, or the state database cannot be read.
    """
    settings = replace(settings, keys_required=needs_keys(settings, host))
    config = uvicorn.Config(
        f"{__name__}:{app_of_environment.__name__}",
        factory=True,
        workers=workers,
        http=Connection,
        ws="none",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
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
                log.warning("%d workers: each counts its own /metrics and rate limits", workers)
                Multiprocess(config, sockets=[listening]).run()
            else:
                uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises it again after it has shut down
        pass
    finally:
        listening.close()
        del os.environ[SETTINGS]


def needs_keys(settings: Settings, host: str) -> bool:
    """Whether every request needs a key: other machines reach ``host``, or ``serving.require_keys`` says so.

    Raises
    ------
    UsageError
        It does, and no key exists: nobody could ask anything.
    StoreError
        It does, and the state database cannot be read.
    """
    required = settings.serving.require_keys or not is_loopback(host)
    if required and not settings.has_keys():
        why = "serving.require_keys is true" if is_loopback(host) else f"{host} is not a loopback address"
        raise UsageError(
            f"{why}, so every request needs a key, and {settings.project} has none",
            fix=f"Run: holdfast keys create --name NAME --role read --project {settings.project}",
        )
    return required


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
