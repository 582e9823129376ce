"""What every online store can do. Two do: SQLite (`online_sqlite`) and Redis (`online_redis`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.stores.online_format import Order, Pointer
from holdfast.stores.online_row import GenerationMeta, OnlineRow, Page


class Reader(Protocol):
    """Reads the generation that serves, and follows the pointer when told to `refresh`. Threads may share it.

    Every answer is of one generation. What cannot be read is a StoreError; the next call tries anew.
    """

    def current(self) -> Pointer:
        """What serves, as last seen."""
        ...

    @property
    def meta(self) -> GenerationMeta:
        """What the serving generation holds, as last seen."""
        ...

    def refresh(self) -> bool:
        """Follow the pointer; whether it had changed."""
        ...

    def get(self, customer_id: str) -> OnlineRow | None:
        """One customer, or None if the generation does not hold it."""
        ...

    def get_many(self, customer_ids: Sequence[str]) -> dict[str, OnlineRow]:
        """The customers that there are, by id, in the order asked; all of one generation."""
        ...

    def worklist(
        self,
        tier: str | None = None,
        segment: str | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        order: Order = "expected_value",
    ) -> Page:
        """One page of customers, highest ``order`` first; a cursor stays on the generation of its first page."""
        ...

    def scan(self) -> Iterator[OnlineRow]:
        """All rows of the serving generation, by customer_id, a bounded number in memory."""
        ...

    def close(self) -> None:
        """Let go of files and connections; the reader must not be used after."""
        ...


class Writer(Protocol):
    """Writes generations, and switches between them. One writer at a time."""

    def write(
        self,
        features: pa.Table,
        schema: FeatureSchema,
        scores: pa.Table,
        decisions: pa.Table,
        *,
        bundle_sha256: str,
        model_version: str,
        cutoff: datetime,
        bundle_dir: str,
        dataset_id: str = "",
        config_hash: str = "",
    ) -> str:
        """Write one generation and return its name, a hash of its content; it serves only after `switch`."""
        ...

    def switch(self, generation: str) -> Pointer:
        """Make ``generation`` serve; keep the one before, remove older ones and what killed writers left."""
        ...


class OnlineStore(Protocol):
    """One project's online store; nothing is opened before a reader is, or a writer writes."""

    local: bool
    """Whether a read takes microseconds, so that an event loop may wait for it."""

    def reader(self) -> Reader:
        """A reader on what serves. NotReadyError before the first generation."""
        ...

    def writer(self) -> Writer: ...

    def place(self, generation: str) -> str:
        """Where a generation lies, for people; without secrets."""
        ...

    def bundle_dirs(self) -> set[str]:
        """The bundles, relative to var/<project>, that the present and the previous generation name."""
        ...
