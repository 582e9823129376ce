"""The online store as the API sees it: followed by each request, and a 503 when it cannot be read."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from holdfast.api import threads
from holdfast.api.metrics import Metrics
from holdfast.api.problems import Unavailable
from holdfast.errors import NotReadyError, StoreError, UnreachableError
from holdfast.stores.online import GenerationMeta, OnlineRow, OnlineStore, Page, Reader

log = logging.getLogger("holdfast.api")

NOT_READY = "nothing is materialised yet. Run: holdfast materialize"
SAY_AGAIN_SECONDS = 60.0
UNREADABLE = "the online store cannot be read; the server's log says why. Run: holdfast materialize"
THREADS = 16
"""Reads of a store on a server at a time; no more, so that they never keep scoring waiting for a thread."""
POLL_SECONDS = 0.1
AWAY_SECONDS = 1.0

_T = TypeVar("_T")


class Store:
    """Reads of the online store, each answered from exactly one generation.

    A local store is read on the event loop: it takes microseconds. One on a server is read in threads, as many as it
    has connections; a switch is seen within `POLL_SECONDS`; and once it did not answer, nobody waits for it for
    `AWAY_SECONDS`.
    """

    def __init__(self, online: OnlineStore, metrics: Metrics) -> None:
        self.online = online
        self._metrics = metrics
        self._reader: Reader | None = None
        self._opening = threading.Lock()
        self._polling = threading.Lock()
        self._threads: CapacityLimiter | None = None
        self._polled = -math.inf
        self._away: tuple[float, UnreachableError] | None = None
        self._said = ("", 0.0)

    async def meta(self) -> GenerationMeta:
        """The generation that serves at this moment.

        Raises
        ------
        Unavailable
            There is nothing to read, or it cannot be read.
        """
        return await self._do(lambda reader: reader.meta)

    async def get(self, customer_id: str) -> tuple[GenerationMeta, OnlineRow | None]:
        """One customer, and the generation that was asked."""

        def read(reader: Reader) -> tuple[GenerationMeta, OnlineRow | None]:
            while True:
                meta = reader.meta
                row = reader.get(customer_id)
                # another thread may have refreshed in between; then ask the new generation
                if reader.meta is meta and (row is None or row.meta is meta):
                    return meta, row

        return await self._do(read)

    async def get_many(self, customer_ids: Sequence[str], *, long: bool) -> tuple[GenerationMeta, dict[str, OnlineRow]]:
        """The customers that there are, and the generation that was asked. ``long``: it may take milliseconds."""

        def read(reader: Reader) -> tuple[GenerationMeta, dict[str, OnlineRow]]:
            while True:
                meta = reader.meta
                try:
                    rows = reader.get_many(customer_ids)
                except StoreError:
                    if reader.meta is meta:
                        raise
                    continue  # two switches in between took its file away
                if reader.meta is meta and all(row.meta is meta for row in rows.values()):
                    return meta, rows

        return await self._do(read, long=long)

    async def worklist(self, read: Callable[[Reader], Page], *, long: bool) -> Page:
        """What ``read`` makes of the reader. ``long``: it may take milliseconds."""
        return await self._do(read, long=long)

    async def _do(self, read: Callable[[Reader], _T], *, long: bool = False) -> _T:
        if self.online.local and not long:
            return self._read(read)
        if self.online.local:
            return await threads.run(self._read, read)
        if self._threads is None:
            self._threads = CapacityLimiter(THREADS)
        return await to_thread.run_sync(self._read, read, limiter=self._threads)

    def _read(self, read: Callable[[Reader], _T]) -> _T:
        with self.guard(), self._reaching():
            found = read(self._followed())
            self._away = None
            return found

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Not while the server has just not answered; if it does not answer now, remember that."""
        if self._away is not None and monotonic() < self._away[0]:
            raise self._away[1]
        try:
            yield
        except UnreachableError as e:
            self._away = (monotonic() + AWAY_SECONDS, e)
            raise

    def _followed(self) -> Reader:
        """The reader, on what serves."""
        if self._reader is None:
            with self._opening, self._reaching():  # those who waited ask no server that has not answered meanwhile
                self._reader = self._reader or self.online.reader()
        elif self.online.local:
            self._reader.refresh()
        elif monotonic() - self._polled >= POLL_SECONDS and self._polling.acquire(blocking=False):
            try:  # the others read on
                self._reader.refresh()
                self._polled = monotonic()
            finally:
                self._polling.release()
        return self._reader

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Make what a damaged store raises, in reading or in decoding its rows, a 503."""
        try:
            yield
        except NotReadyError as e:
            raise self._down("not-ready", NOT_READY, e) from e
        except (StoreError, OSError, ValueError, LookupError, TypeError) as e:
            raise self._down("unreadable", UNREADABLE, e) from e

    def _down(self, reason: str, detail: str, error: Exception) -> Unavailable:
        self._metrics.store_error(reason)
        # these say files and causes; others may repeat a row
        safe = isinstance(error, NotReadyError | StoreError | OSError)
        said = str(error) if safe else f"a row is damaged: {type(error).__name__}"
        before, at = self._said
        if said != before or monotonic() >= at + SAY_AGAIN_SECONDS:  # not for every request until it is mended
            self._said = (said, monotonic())
            log.error("the online store cannot be read: %s", said)
        return Unavailable(reason, detail)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
