"""The online store as the API sees it: followed by each request, and a 503 when it cannot be read."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.api.metrics import Metrics
from holdfast.api.problems import Unavailable
from holdfast.errors import NotReadyError, StoreError
from holdfast.stores.online import GenerationMeta, OnlineReader, OnlineRow

log = logging.getLogger("holdfast.api")

NOT_READY = "nothing is materialised yet. Run: holdfast materialize"
SAY_AGAIN_SECONDS = 60.0
UNREADABLE = "the online store cannot be read; the server's log says why. Run: holdfast materialize"


class Store:
    """Reads of the online store, each answered from exactly one generation.

    Parameters
    ----------
    folder : ``var/<project>/online``
    """

    def __init__(self, folder: Path, metrics: Metrics) -> None:
        self.folder = folder
        self._metrics = metrics
        self._reader: OnlineReader | None = None
        self._opening = threading.Lock()
        self._said = ("", 0.0)

    def reader(self) -> OnlineReader:
        """The reader, on what serves at this moment; one stat of a file when nothing changed.

        Call it on the event loop only: between two awaits, then, everything is of one generation.

        Raises
        ------
        Unavailable
            There is nothing to read, or it cannot be read.
        """
        with self.guard():
            if self._reader is None:
                with self._opening:
                    self._reader = self._reader or OnlineReader(self.folder)
            else:
                self._reader.refresh()
            return self._reader

    def get(self, customer_id: str) -> tuple[GenerationMeta, OnlineRow | None]:
        """One customer, and the generation that was asked."""
        reader = self.reader()
        with self.guard():
            return reader.meta, reader.get(customer_id)

    def get_many(
        self, reader: OnlineReader, customer_ids: Sequence[str]
    ) -> tuple[GenerationMeta, dict[str, OnlineRow]]:
        """The customers that there are, and the generation that was asked. May run in a thread."""
        with self.guard():
            while True:
                meta = reader.meta
                try:
                    rows = reader.get_many(customer_ids)
                except StoreError:
                    if reader.meta is meta:
                        raise
                    continue  # two switches in between took its file away
                # another request may have refreshed in between; then ask the new generation
                if reader.meta is meta and all(row.meta is meta for row in rows.values()):
                    return meta, rows

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
        if said != before or time.monotonic() >= at + SAY_AGAIN_SECONDS:  # not for every request until it is mended
            self._said = (said, time.monotonic())
            log.error("the online store cannot be read: %s", said)
        return Unavailable(reason, detail)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
