"""The histogram of scores is what prometheus-client's own would be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from holdfast.api.metrics import _PROBABILITY, Metrics

BATCHES = st.lists(st.lists(st.floats(0, 1) | st.sampled_from(_PROBABILITY), max_size=5), max_size=4)


@given(batches=BATCHES)
def test_scores_are_counted_as_prometheus_counts(batches: list[list[float]]) -> None:
    registry = CollectorRegistry()
    theirs = Histogram("holdfast_scores", "", ["project", "source"], buckets=_PROBABILITY, registry=registry)
    metrics = Metrics("demo")
    for batch in batches:
        metrics.scores("stored", batch)
        for p in batch:
            theirs.labels("demo", "stored").observe(p)

    def counts(text: bytes) -> list[str]:
        wanted = ("holdfast_scores_bucket", "holdfast_scores_count")
        return [line.replace(" ", "") for line in text.decode().splitlines() if line.startswith(wanted)]

    def by_labels(lines: list[str]) -> set[tuple[frozenset[str], str]]:
        return {
            (frozenset(line[: line.index("}")].replace("{", ",").split(",")), line[line.index("}") :]) for line in lines
        }

    assert by_labels(counts(metrics.text())) == by_labels(counts(generate_latest(registry)))
