"""The bundle that the serving generation names, loaded beside requests and swapped when it is whole."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from holdfast.api import threads
from holdfast.api.metrics import Metrics
from holdfast.api.problems import RETRY_SECONDS, Unavailable, trace_without_values
from holdfast.artifacts.schema import FeatureSpec
from holdfast.errors import HoldfastError, StoreError
from holdfast.models.bundle import Bundle
from holdfast.models.explain import Value, members_of
from holdfast.stores.online import GenerationMeta

log = logging.getLogger("holdfast.api")

PATIENCE_SECONDS = 0.5
"""Of requests with rows of their own for a new model: all that come meanwhile wait, and there is room for so many."""
KEPT = 2
"""Requests that began before a switch still explain scores of the model before."""

NO_BUNDLE = "no model is loaded: the bundle that the online store names cannot be read; the server's log says why"


@dataclass(frozen=True)
class Loaded:
    """A bundle, the version it serves as, and the cutoff of the generation it made: a probability is of a month."""

    bundle: Bundle
    version: str
    cutoff: datetime

    @property
    def sha256(self) -> str:
        return self.bundle.sha256

    @cached_property
    def told(self) -> tuple[tuple[FeatureSpec, Value], ...]:
        """The features and what is typical of each."""
        typicals = self.bundle.typicals
        return tuple((f, _plain(typicals.get(f.name))) for f in self.bundle.schema)

    @cached_property
    def members(self) -> list[list[int]]:
        """Of each group the positions of its features."""
        return members_of(self.bundle.schema)


def _plain(typical: Value) -> Value:
    """JSON has whole numbers, and answers do not."""
    return float(typical) if isinstance(typical, int) else typical


class Bundles:
    """Bundles by sha256.

    Parameters
    ----------
    models : the folder all bundles lie in, ``var/<project>/models``
    """

    def __init__(self, models: Path, metrics: Metrics) -> None:
        self.models = models
        self._metrics = metrics
        self._loading = threading.Lock()
        self._tasks: dict[str, asyncio.Task[Loaded]] = {}
        self._loaded: dict[str, Bundle] = {}
        self._last: Loaded | None = None
        self._failed: tuple[str, float] = ("", 0.0)

    @property
    def last(self) -> Loaded | None:
        """What was loaded last: it can score rows even when the store is gone."""
        return self._last

    async def of(self, meta: GenerationMeta) -> Loaded:
        """The very bundle that made a generation.

        Raises
        ------
        Unavailable
            It cannot be read, or is another than the generation says.
        """
        found = self._ready(meta)
        if found is None:
            loaded = await asyncio.shield(self._task(meta))
            found = self._ready(meta) or loaded  # asked for by another generation of the same bundle
        return found

    async def of_or_last(self, meta: GenerationMeta) -> Loaded:
        """The bundle that made a generation or, while it takes longer than `PATIENCE_SECONDS` to load, the one before.

        Raises
        ------
        Unavailable
            As `of`.
        """
        found = self._ready(meta)
        if found is not None:
            return found
        task = self._task(meta)
        if self._last is not None:
            await asyncio.wait([task], timeout=PATIENCE_SECONDS)
            if not task.done():
                return self._last
        return await self.of(meta)

    async def close(self) -> None:
        """Wait for nothing that is still being loaded."""
        for task in list(self._tasks.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, Unavailable):
                await task

    def _ready(self, meta: GenerationMeta) -> Loaded | None:
        last = self._last
        wanted = (meta.bundle_sha256, meta.model_version, meta.cutoff)
        if last is not None and (last.sha256, last.version, last.cutoff) == wanted:
            return last
        bundle = self._loaded.get(meta.bundle_sha256)
        if bundle is None:
            return None
        self._last = Loaded(bundle, meta.model_version, meta.cutoff)
        return self._last

    def _task(self, meta: GenerationMeta) -> asyncio.Task[Loaded]:
        """One for all who wait for the same bundle: a thread each would leave none for other work."""
        sha256 = meta.bundle_sha256
        task = self._tasks.get(sha256)
        if task is None:
            task = self._tasks[sha256] = asyncio.create_task(threads.run(self._load, meta))
            task.add_done_callback(lambda done: self._ended(sha256, done))
        return task

    def _ended(self, sha256: str, task: asyncio.Task[Loaded]) -> None:
        del self._tasks[sha256]
        if not task.cancelled():
            task.exception()  # whoever still waits for it is told; nobody may be

    def _load(self, meta: GenerationMeta) -> Loaded:
        with self._loading:
            bundle = self._loaded.get(meta.bundle_sha256)
            if bundle is None:
                sha256, at = self._failed
                # reading and hashing megabytes for every request until someone mends it would take the API down too
                if sha256 == meta.bundle_sha256 and time.monotonic() < at + RETRY_SECONDS:
                    raise Unavailable("no-model", NO_BUNDLE)
                bundle = self._read(meta)
                self._loaded[bundle.sha256] = bundle
                for sha256 in list(self._loaded)[:-KEPT]:
                    del self._loaded[sha256]
            self._last = Loaded(bundle, meta.model_version, meta.cutoff)
            return self._last

    def _read(self, meta: GenerationMeta) -> Bundle:
        try:
            bundle = Bundle.load(self._folder(meta.bundle_dir))
            if bundle.sha256 != meta.bundle_sha256:
                raise StoreError(f"{meta.bundle_dir} is {bundle.sha256}, the generation names {meta.bundle_sha256}")
            warm_up(bundle)
        except Exception as e:  # whatever another version wrote there: stored scores are served all the same
            self._failed = (meta.bundle_sha256, time.monotonic())
            self._metrics.store_error("bundle")
            why = str(e) if isinstance(e, HoldfastError | OSError) else trace_without_values(e)
            log.error("the bundle of generation %s cannot be loaded: %s", meta.generation, why)
            raise Unavailable("no-model", NO_BUNDLE) from e
        log.info("model %s is loaded (bundle %s)", meta.model_version, bundle.sha256)
        return bundle

    def _folder(self, bundle_dir: str) -> Path:
        """The folder of a bundle, named relative to ``models`` or, as pointers do, to the folder around it."""
        within = Path(bundle_dir)
        if within.parts[:1] == (self.models.name,):
            within = within.relative_to(self.models.name)
        folder = (self.models / within).resolve()
        if not folder.is_relative_to(self.models.resolve()):
            raise StoreError(f"the bundle folder {bundle_dir!r} is outside {self.models}")
        return folder


def warm_up(bundle: Bundle) -> None:
    """Build tables, then score and explain one row of unknowns: libraries build theirs on first use, and faults show
    here."""
    bundle.model.prepare_for_single_rows()
    row = pa.table([pa.nulls(1, f.arrow_type) for f in bundle.schema], names=bundle.schema.names)
    bundle.predict(row)
    bundle.contributions(row)
