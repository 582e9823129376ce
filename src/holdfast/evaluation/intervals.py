"""Customer-clustered bootstrap intervals.

A customer has a row per cutoff, and those rows are alike: resampling rows would make intervals too narrow.
So customers are drawn with replacement, all rows of one together (Field and Welsh 2007). A replicate is a
weighting of one presorted table, which takes milliseconds on 70,000 rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from holdfast.errors import UsageError, did_you_mean
from holdfast.evaluation.arrays import FloatArray, IntArray, dot, finite_or_none, number_or_nan, refuse
from holdfast.evaluation.ranking import Ranked, Steps, ap_of_steps, auc_of_steps, recall_of_steps

DEFAULT_REPLICATES = 300
CONFIDENCE = 0.95
TOP_SHARE = 0.1

WeightedMetric: TypeAlias = Callable[[Ranked, FloatArray, Steps], float]
"""A metric of (ranked rows, their (n,) weights in ranked order, ``ranked.steps(weights)``)."""


def _mean(values: FloatArray, weight: FloatArray, steps: Steps) -> float:
    return dot(values, weight) / steps.total


METRICS: Final[Mapping[str, WeightedMetric]] = {
    "roc_auc": lambda ranked, weight, steps: auc_of_steps(steps),
    "average_precision": lambda ranked, weight, steps: ap_of_steps(steps),
    "log_loss": lambda ranked, weight, steps: _mean(ranked.log_loss, weight, steps),
    "brier": lambda ranked, weight, steps: _mean(ranked.squared_error, weight, steps),
    "lift_at_10": lambda ranked, weight, steps: recall_of_steps(steps, TOP_SHARE) / TOP_SHARE,
    "recall_at_10": lambda ranked, weight, steps: recall_of_steps(steps, TOP_SHARE),
}
ROW_LOSSES: Final[Mapping[str, Callable[[Ranked], FloatArray]]] = {
    "log_loss": lambda ranked: ranked.log_loss,
    "brier": lambda ranked: ranked.squared_error,
}
LOWER_IS_BETTER: Final = frozenset(ROW_LOSSES)


@dataclass(frozen=True)
class Metric:
    """A measured value and its 95% interval; NaN where undefined."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def to_json(self) -> dict[str, float | None]:
        return {k: finite_or_none(v) for k, v in vars(self).items()}

    @classmethod
    def from_json(cls, body: Mapping[str, float | None]) -> Self:
        return cls(*(number_or_nan(body[k]) for k in ("value", "low", "high")))


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, of ``n`` rows with ``positives`` churners."""

    metrics: Mapping[str, Metric]
    n: int
    positives: int

    def __getitem__(self, name: str) -> Metric:
        return self.metrics[name]

    @property
    def base_rate(self) -> float:
        return self.positives / self.n

    def to_json(self) -> dict[str, Any]:
        metrics = {name: metric.to_json() for name, metric in self.metrics.items()}
        return {"n": self.n, "positives": self.positives, "metrics": metrics}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        metrics = {name: Metric.from_json(metric) for name, metric in body["metrics"].items()}
        return cls(metrics, int(body["n"]), int(body["positives"]))


@dataclass(frozen=True)
class Difference:
    """``metric(first) - metric(second)`` on the same rows.

    Attributes
    ----------
    value, low, high : the difference and its two-sided interval
    lower, upper : one-sided bounds: each is passed with probability ``1 - confidence``
    """

    metric: str
    value: float
    low: float
    high: float
    lower: float
    upper: float

    def to_json(self) -> dict[str, Any]:
        numbers = {k: finite_or_none(v) for k, v in vars(self).items() if k != "metric"}
        return {"metric": self.metric, **numbers}


def replicate_counts(n_clusters: int, replicates: int, seed: int) -> Iterator[FloatArray]:
    """How often each cluster is drawn, (n_clusters,), once per replicate."""
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        drawn = rng.integers(0, n_clusters, size=n_clusters)
        yield np.bincount(drawn, minlength=n_clusters).astype(np.float64)


def evaluate(
    y: ArrayLike,
    p: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    replicates: int = DEFAULT_REPLICATES,
    seed: int = 0,
) -> Evaluation:
    """Metrics with 95% percentile intervals.

    Parameters
    ----------
    y, p : (n,) labels and scores; `log_loss` and `brier` want probabilities and are NaN otherwise
    clusters : (n,) customer codes (integers, or anything `np.unique` takes); each row alone if not given
    metrics : names out of `METRICS`
    replicates : 0 for no intervals

    Raises
    ------
    DataError
        Arrays that cannot be measured.
    UsageError
        A metric's name is unknown.
    """
    chosen = {name: _metric(name) for name in metrics}
    ranked = Ranked(y, p)
    code, n_clusters = _codes(clusters, ranked.n)
    code = code[ranked.order]
    unit = ranked.unit()
    steps = ranked.steps(unit)
    values = {name: metric(ranked, unit, steps) for name, metric in chosen.items()}
    draws: dict[str, list[float]] = {name: [] for name in chosen}
    for counts in replicate_counts(n_clusters, replicates, seed):
        weight = counts[code]
        steps = ranked.steps(weight)
        for name, metric in chosen.items():
            draws[name].append(metric(ranked, weight, steps))
    results = {name: Metric(values[name], *_percentiles(draws[name])) for name in chosen}
    return Evaluation(results, ranked.n, int(ranked.y.sum()))


def paired_difference(
    y: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    metric: str = "log_loss",
    replicates: int = DEFAULT_REPLICATES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Difference:
    """The difference of two models' metric with a paired, clustered bootstrap interval.

    Each replicate weighs both models' rows alike, so what the rows share cancels out. The challenger has a
    lower log loss than the champion, at ``confidence``, if ``paired_difference(y, challenger, champion,
    customers).upper < 0``.
    """
    measure = _metric(metric)
    a, b = Ranked(y, first), Ranked(y, second)
    code, n_clusters = _codes(clusters, a.n)
    weightings = replicate_counts(n_clusters, replicates, seed)
    if metric in ROW_LOSSES:
        # a mean over rows: sums per customer are all that a replicate needs
        gap: FloatArray = np.empty(a.n)
        gap[a.order] = ROW_LOSSES[metric](a)
        gap[b.order] -= ROW_LOSSES[metric](b)
        sums = np.bincount(code, weights=gap).astype(np.float64)
        sizes = np.bincount(code).astype(np.float64)
        value = float(gap.mean())
        draws = [dot(counts, sums) / dot(counts, sizes) for counts in weightings]
    else:
        code_a, code_b = code[a.order], code[b.order]

        def difference(weight_a: FloatArray, weight_b: FloatArray) -> float:
            return measure(a, weight_a, a.steps(weight_a)) - measure(b, weight_b, b.steps(weight_b))

        value = difference(a.unit(), b.unit())
        draws = [difference(counts[code_a], counts[code_b]) for counts in weightings]
    low, high = _percentiles(draws, confidence)
    lower, upper = _percentiles(draws, 2 * confidence - 1)
    return Difference(metric, value, low, high, lower, upper)


def _metric(name: str) -> WeightedMetric:
    if name not in METRICS:
        raise UsageError(f"there is no metric '{name}'", fix=did_you_mean(name, METRICS))
    return METRICS[name]


def _codes(clusters: ArrayLike | None, n: int) -> tuple[IntArray, int]:
    if clusters is None:
        return np.arange(n, dtype=np.int64), n
    given = np.asarray(clusters)
    if given.shape != (n,):
        raise refuse("these predictions cannot be measured", f"clusters have shape {given.shape}, not ({n},)")
    names, code = np.unique(given, return_inverse=True)
    return code.astype(np.int64), len(names)


def _percentiles(draws: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    # a replicate that drew one class only has no AUC; it is left out
    defined = np.array([d for d in draws if np.isfinite(d)])
    if not len(defined):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
