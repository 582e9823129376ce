"""What every route needs, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.api.answers import Freshness, Model
from holdfast.api.bundles import Bundles, Loaded
from holdfast.api.metrics import Metrics
from holdfast.api.problems import ApiProblem, Unavailable
from holdfast.api.store import Store
from holdfast.clock import iso
from holdfast.config.business import ServingSection
from holdfast.errors import Problem
from holdfast.stores.online import GenerationMeta

INLINE_ROWS = 16
"""More rows than this are read or scored in a thread, so that other requests are not kept waiting."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Serving:
    """One app's store, bundles, settings, clock and measures."""

    project: str
    store: Store
    bundles: Bundles
    settings: ServingSection
    metrics: Metrics
    clock: Callable[[], datetime]

    def freshness(self, meta: GenerationMeta) -> Freshness:
        """How old a generation's rows are.

        Raises
        ------
        ApiProblem
            409: they are stale, and ``serving.stale`` is ``refuse``.
        """
        age = self.clock() - meta.cutoff
        stale = self.is_stale(meta)
        days = round(age / _DAY, 2)
        if stale and self.settings.stale == "refuse":
            raise ApiProblem(
                409,
                "stale",
                f"the stored scores are of {iso(meta.cutoff)}, {days:g} days ago; older than {self.settings.ttl} is "
                "refused (serving.stale). Run: holdfast materialize",
            )
        return Freshness(cutoff=meta.cutoff, age_days=days, stale=stale)

    def is_stale(self, meta: GenerationMeta) -> bool:
        return self.clock() - meta.cutoff > timedelta(days=self.settings.ttl.days)

    async def model(self) -> Loaded:
        """The model for rows that the client brings: the serving one or, while that is being loaded, or the store or
        its bundle cannot be read, the one loaded last. Answers name the one used."""
        try:
            return await self.bundles.of_or_last(await self.store.meta())
        except Unavailable:
            if self.bundles.last is None:
                raise
            return self.bundles.last

    def check_batch(self, where: str, size: int, limit: int | None = None) -> None:
        """Refuse more than ``serving.max_batch``, or ``limit`` if that is less."""
        most = self.settings.max_batch if limit is None else min(limit, self.settings.max_batch)
        if size > most:
            problem = Problem(where, f"has {size} items, at most {most} are taken", "Send several requests.")
            raise ApiProblem(422, "invalid-request", "the batch is too large", [problem])


def model_of(meta: GenerationMeta) -> Model:
    """The model that made a generation."""
    return Model(version=meta.model_version, bundle_sha256=meta.bundle_sha256)


def unknown_customer() -> ApiProblem:
    """404, the same for every customer: it says nothing of why one is not there."""
    return ApiProblem(
        404,
        "unknown-customer",
        "this customer is not in the serving generation: the id is wrong, or the customer was not active at its cutoff",
    )
