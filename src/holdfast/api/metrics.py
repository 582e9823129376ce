"""What Prometheus sees. Every app has its own registry, so that one process may hold many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_PROBABILITY = tuple(i / 20 for i in range(1, 21))


class Metrics:
    """The measures of one app.

    Names: ``holdfast_http_request_seconds`` by method, route template and status; ``holdfast_scores`` by source
    (stored or computed); ``holdfast_store_errors_total`` by reason; ``holdfast_keys_read_timestamp_seconds``; and, as
    of the scrape, ``holdfast_store_up``, ``holdfast_generation_age_seconds``, ``holdfast_generation_stale`` and
    ``holdfast_model_info``.
    """

    def __init__(self, project: str) -> None:
        self.project = project
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "holdfast_http_request_seconds",
            "Time to answer, by route template.",
            ["project", "method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._scores = Histogram(
            "holdfast_scores",
            "Probabilities of churn given out.",
            ["project", "source"],
            buckets=_PROBABILITY,
            registry=self.registry,
        )
        self._errors = Counter(
            "holdfast_store_errors",
            "Reads of the online store or of the keys, loads of a bundle and shared rate limits that failed.",
            ["project", "reason"],
            registry=self.registry,
        )
        self._keys = Gauge(
            "holdfast_keys_read_timestamp_seconds",
            "When the API's keys were last read, in Unix time.",
            ["project"],
            registry=self.registry,
        )
        self._up = Gauge("holdfast_store_up", "1 if the online store can be read.", ["project"], registry=self.registry)
        self._age = Gauge(
            "holdfast_generation_age_seconds",
            "Time since the cutoff of the serving generation.",
            ["project"],
            registry=self.registry,
        )
        self._stale = Gauge(
            "holdfast_generation_stale", "1 if older than serving.ttl.", ["project"], registry=self.registry
        )
        self._model = Gauge(
            "holdfast_model_info",
            "1 for the model whose scores are served.",
            ["project", "version", "bundle_sha256", "generation"],
            registry=self.registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(self.project, method, route, str(status)).observe(seconds)

    def scores(self, source: str, probabilities: Iterable[float]) -> None:
        histogram = self._scores.labels(self.project, source)
        for p in probabilities:
            histogram.observe(p)

    def store_error(self, reason: str) -> None:
        self._errors.labels(self.project, reason).inc()

    def keys_read(self) -> None:
        self._keys.labels(self.project).set_to_current_time()

    def down(self) -> None:
        """The store cannot be read: what served is no longer said."""
        self._up.labels(self.project).set(0)
        self._model.clear()

    def serves(self, version: str, sha256: str, generation: str, cutoff: datetime, now: datetime, stale: bool) -> None:
        """What serves, as of the scrape."""
        self._up.labels(self.project).set(1)
        self._age.labels(self.project).set((now - cutoff).total_seconds())
        self._stale.labels(self.project).set(stale)
        self._model.clear()
        self._model.labels(self.project, version, sha256, generation).set(1)

    def text(self) -> bytes:
        """The exposition of everything."""
        return generate_latest(self.registry)
