"""What Prometheus sees. Every app has its own registry, so that one process may hold many."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import Lock
from typing import Literal, TypeAlias, get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

Source: TypeAlias = Literal["stored", "computed"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_PROBABILITY = tuple(i / 20 for i in range(1, 21))


class _Scores(Collector):
    """A histogram of probabilities; `prometheus_client.Histogram` takes one at a time, and slowly for a thousand."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._lock = Lock()
        self._counts = {source: np.zeros(len(_PROBABILITY) + 1, dtype=np.int64) for source in get_args(Source)}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, source: Source, probabilities: Sequence[float]) -> None:
        """Count probabilities."""
        if len(probabilities) == 1:
            at, total = bisect_left(_PROBABILITY, probabilities[0]), probabilities[0]
            with self._lock:
                self._counts[source][at] += 1
                self._sums[source] += total
            return
        found = np.bincount(np.searchsorted(_PROBABILITY, probabilities), minlength=len(_PROBABILITY) + 1)
        total = math.fsum(probabilities)
        with self._lock:
            self._counts[source] += found
            self._sums[source] += total

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(
            "holdfast_scores", "Probabilities of churn given out.", labels=["project", "source"]
        )
        bounds = [*map(str, _PROBABILITY), "+Inf"]
        with self._lock:
            for source, counts in self._counts.items():
                upto = np.cumsum(counts).tolist()
                if upto[-1]:
                    family.add_metric(
                        [self._project, source], list(zip(bounds, upto, strict=True)), sum_value=self._sums[source]
                    )
        yield family


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
        self._scores = _Scores(project)
        self.registry.register(self._scores)
        self._timers: dict[tuple[str, str, int], Histogram] = {}
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
        timer = self._timers.get((method, route, status))
        if timer is None:  # few are ever made: routes are templates
            timer = self._timers[method, route, status] = self._requests.labels(
                self.project, method, route, str(status)
            )
        timer.observe(seconds)

    def scores(self, source: Source, probabilities: Sequence[float]) -> None:
        self._scores.observe(source, probabilities)

    def store_error(self, reason: str) -> None:
        self._errors.labels(self.project, reason).inc()

    def keys_read(self) -> None:
        self._keys.labels(self.project).set_to_current_time()

    def down(self) -> None:
        """The store cannot be read: what served is no longer said."""
        self._up.labels(self.project).set(0)
        for gauge in (self._model, self._age, self._stale):
            gauge.clear()

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
