"""Global importance: what moves a model's scores, over many rows, and how sure that is.

The size of a measure is the mean absolute contribution of its features taken together (Lundberg et al. 2020, Nature
Machine Intelligence 2:56-67): windows of one measure that pull against each other are not counted twice. Its interval
says how much it would differ with other customers; the model is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import DataError, Problem
from holdfast.evaluation.arrays import FloatArray, IntArray, finite_or_none
from holdfast.evaluation.intervals import DEFAULT_REPLICATES, Metric, replicate_counts
from holdfast.models.bundle import Bundle
from holdfast.models.dependence import Effect, effect
from holdfast.models.explain import groups_of

SAMPLE_ROWS = 20_000
TOP_FEATURES = 12
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Size:
    """How much a measure, or one feature, moves the margin.

    Attributes
    ----------
    name, label : the measure or the feature, and its words
    mean_abs : mean absolute contribution in log-odds, with its 95% interval
    share : of the sum over all measures (or features), 0 to 1, with its 95% interval
    """

    name: str
    label: str
    mean_abs: Metric
    share: Metric


@dataclass(frozen=True)
class Importance:
    """Sizes, largest first, and the effects of the `TOP_FEATURES` largest features.

    Attributes
    ----------
    rows, customers : of the sample
    """

    rows: int
    customers: int
    measures: tuple[Size, ...]
    features: tuple[Size, ...]
    effects: tuple[Effect, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON; ``low`` and ``high`` are those of ``share``."""
        return {
            "rows": self.rows,
            "customers": self.customers,
            "measures": [_size_json("measure", size) for size in self.measures],
            "features": [_size_json("feature", size) for size in self.features],
            "effects": [asdict(e) for e in self.effects],
        }


def even_sample(rows: IntArray, most: int = SAMPLE_ROWS) -> IntArray:
    """At most ``most`` of some row numbers, evenly spread over them."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def global_importance(
    bundle: Bundle, table: pa.Table, customers: IntArray, *, replicates: int = DEFAULT_REPLICATES, seed: int = 0
) -> Importance:
    """Importance of a bundle's measures and features.

    Parameters
    ----------
    table : (n,) feature rows, for example an `even_sample` of those trained on
    customers : (n,) customer codes
    replicates, seed : of the customer-clustered bootstrap

    Raises
    ------
    DataError
        There are no rows, or ``customers`` is not as long as ``table``.
    """
    return importance_of(
        bundle.contributions(table)[0], bundle.schema, table, customers, replicates=replicates, seed=seed
    )


def importance_of(
    contributions: FloatArray,
    schema: FeatureSchema,
    table: pa.Table,
    customers: IntArray,
    *,
    replicates: int,
    seed: int,
) -> Importance:
    """The same from (n, n_features) contributions that are known already."""
    n = len(contributions)
    if not n or table.num_rows != n or len(customers) != n:
        what = f"{n} rows of contributions, {table.num_rows} of features, {len(customers)} customer codes"
        raise DataError("importance cannot be measured on these rows", [Problem("rows", what)])
    groups = groups_of(schema)
    position = {group: k for k, group in enumerate(groups)}
    grouped = np.zeros((n, len(groups)), dtype=np.float64)
    for j, feature in enumerate(schema):
        grouped[:, position[feature.group]] += contributions[:, j]
    labels: dict[str, str] = {}
    for feature in schema:
        labels.setdefault(feature.group, feature.label.partition(",")[0])
    names, code = np.unique(customers, return_inverse=True)
    weights = list(replicate_counts(len(names), replicates, seed))
    measures = _sizes(np.abs(grouped), groups, [labels[g] for g in groups], code, weights)
    features = _sizes(np.abs(contributions), schema.names, [f.label for f in schema], code, weights)
    index = {name: j for j, name in enumerate(schema.names)}
    rows = schema.conform(table, where="rows to explain")
    top = [index[size.name] for size in features[:TOP_FEATURES] if size.mean_abs.value > 0]
    effects = tuple(effect(schema.features[j], rows.column(j), contributions[:, j]) for j in top)
    return Importance(n, len(names), measures, features, effects)


def _sizes(
    absolute: FloatArray, names: Sequence[str], labels: Sequence[str], code: IntArray, weights: Sequence[FloatArray]
) -> tuple[Size, ...]:
    """Means over rows and their shares; a replicate needs no more than the sums of each customer."""
    n_customers = int(code.max()) + 1
    sums = np.stack([np.bincount(code, weights=column, minlength=n_customers) for column in absolute.T])
    rows = np.bincount(code, minlength=n_customers).astype(np.float64)
    # not BLAS: its rounding depends on the number of threads
    means = np.array([(sums * w).sum(axis=1) / (rows * w).sum() for w in weights])
    value = absolute.mean(axis=0)

    def metric(values: FloatArray, draws: FloatArray, j: int) -> Metric:
        if not len(draws):
            return Metric(float(values[j]))
        tail = (1 - CONFIDENCE) / 2
        return Metric(float(values[j]), *(float(q) for q in np.quantile(draws[:, j], [tail, 1 - tail])))

    shares, share_draws = _shares(value), _shares(means)
    sizes = [
        Size(name, labels[j], metric(value, means, j), metric(shares, share_draws, j)) for j, name in enumerate(names)
    ]
    return tuple(sorted(sizes, key=lambda size: (-size.mean_abs.value, size.name)))


def _shares(means: FloatArray) -> FloatArray:
    total = means.sum(axis=-1, keepdims=True)
    return means / np.where(total > 0, total, 1.0)


def _size_json(kind: str, size: Size) -> dict[str, Any]:
    return {
        kind: size.name,
        "label": size.label,
        "share": round(size.share.value, 6),
        "low": finite_or_none(round(size.share.low, 6)),
        "high": finite_or_none(round(size.share.high, 6)),
        "mean_abs": size.mean_abs.to_json(),
    }
