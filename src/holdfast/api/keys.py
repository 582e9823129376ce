"""The keys that the API takes, in memory: read again beside requests, never on their way.

A key that is revoked elsewhere is refused after at most `REREAD_SECONDS` (and the time that one read takes). While the
state database cannot be read, what was known last counts.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.api import threads
from holdfast.api.metrics import Metrics
from holdfast.api.problems import Unavailable, trace_without_values
from holdfast.artifacts.keys import Key, digest, parts
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.stores.state import StateStore

log = logging.getLogger("holdfast.api")

REREAD_SECONDS = 5.0
MARK_EVERY = timedelta(minutes=1)
"""How often, at most, the last use of a key is written."""

NEVER_READ = "the keys cannot be read; the server's log says why"

_NEVER = datetime.min.replace(tzinfo=UTC)
_NOBODY = Key("", "read", digest(b""))
"""What a key that is not known is compared with, so that it takes the same path as a wrong secret."""


class Keys:
    """The keys of one project.

    Parameters
    ----------
    open_state : opens the state database; None where there is none, and so no key
    now : the time in UTC, for when a key was last used
    """

    def __init__(
        self,
        open_state: Callable[[], StateStore] | None,
        project: str,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self.project = project
        self._open = open_state
        self._metrics = metrics
        self._now = now
        self._state: StateStore | None = None
        self._known: dict[str, Key] | None = {} if open_state is None else None
        self._used: dict[str, datetime] = {}
        self._marked: dict[str, datetime] = {}
        self._opening = threading.Lock()
        self._reading = threading.Lock()
        self._marking = threading.Lock()
        self._said = ""

    def find(self, sent: bytes) -> Key | None:
        """The key that a client sent; None if it is wrong, unknown or revoked, which look and take the same.

        Raises
        ------
        Unavailable
            The keys were never read.
        """
        if self._known is None:
            raise Unavailable("keys-unknown", NEVER_READ)
        key_id, secret = parts(sent)
        key = self._known.get(key_id, _NOBODY)
        right = hmac.compare_digest(digest(secret), key.digest)
        if not right or key is _NOBODY:
            return None
        self._used[key_id] = self._now()
        return key

    def state(self) -> StateStore:
        """The state database, opened once; for a thread.

        Raises
        ------
        StoreError
            It cannot be opened.
        """
        with self._opening:
            assert self._open is not None, "admin calls need a key, and without a state database there is none"
            if self._state is None:
                self._state = self._open()
            return self._state

    def read(self) -> None:
        """Learn which keys there are, and write when those that there are were last used; for a thread.

        What another thread still waits for is left to it: a database that does not answer holds one thread, and a
        write that waits for its turn keeps nobody from learning that a key was revoked.
        """
        if self._open is None:
            return
        try:
            with _unless_taken(self._reading) as mine:
                if mine:
                    self._known = self.state().usable_keys(self.project)
                    self._metrics.keys_read()
            with _unless_taken(self._marking) as mine:
                if mine:
                    self._mark(self.state())
        except Exception as e:  # whatever it is, there must be a next time
            self._metrics.store_error("keys")
            said = str(e) if isinstance(e, HoldfastError | OSError) else trace_without_values(e)
            if said != self._said:  # once, not every few seconds until it is mended
                self._said = said
                log.error("the keys cannot be read or marked as used; those known so far count: %s", said)
            return
        self._said = ""

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Read again and again, until cancelled."""
        while True:
            await sleep(REREAD_SECONDS)
            try:
                await threads.run(self.read)
            except Unavailable:
                log.warning("reading the keys takes long; those known so far count")

    def close(self) -> None:
        """Close the state database."""
        if self._state is not None:
            self._state.close()
            self._state = None

    def _mark(self, state: StateStore) -> None:
        due = {k: at for k, at in self._used.copy().items() if at - self._marked.get(k, _NEVER) >= MARK_EVERY}
        if due:
            state.mark_used(due)
            self._marked |= due


@contextmanager
def _unless_taken(lock: threading.Lock) -> Iterator[bool]:
    """Whether the lock was had, without waiting for it."""
    mine = lock.acquire(blocking=False)
    try:
        yield mine
    finally:
        if mine:
            lock.release()
