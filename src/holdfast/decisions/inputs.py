"""Scores and features side by side, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.config.business import DecisionsSection
from holdfast.errors import ConfigError, DataError, Problem, did_you_mean


@dataclass(frozen=True)
class Inputs:
    """What a decision run works on, all n rows in the scores' order.

    Attributes
    ----------
    customer_id, tier : (n,)
    probability : (n,) in [0, 1]
    revenue : (n,) per month, NaN where unknown
    features : n rows
    order : (n,) rank by customer_id, for ties
    """

    customer_id: pa.Array
    tier: pa.ChunkedArray
    probability: NDArray[np.float64]
    revenue: NDArray[np.float64]
    features: pa.Table
    order: NDArray[np.int64]


def read_inputs(scores: pa.Table, features: pa.Table, config: DecisionsSection) -> Inputs:
    """Check the scores and bring the features into their order.

    Raises
    ------
    ConfigError
        ``value.revenue`` names no number feature.
    DataError
        A customer is scored twice, has no features or two rows of them, or a probability is not in [0, 1].
    """
    _check_revenue(features, config.value.revenue)
    ids = scores.column("customer_id").combine_chunks()
    probability = np.asarray(scores.column("probability"), dtype=np.float64)
    feature_ids = features.column("customer_id").combine_chunks()
    problems = [*_duplicates("scores", ids), *_duplicates("features", feature_ids)]
    wrong = ~((probability >= 0) & (probability <= 1))
    if wrong.any():
        problems.append(
            Problem(
                "scores.probability",
                f"{int(wrong.sum())} are not between 0 and 1",
                examples=tuple(probability[wrong][:3].tolist()),
            )
        )
    at = pc.index_in(ids, value_set=feature_ids)
    if at.null_count:
        examples = tuple(ids.filter(pc.is_null(at)).slice(0, 3).to_pylist())
        problems.append(
            Problem("features", f"{at.null_count} scored customers have no row", count=at.null_count, examples=examples)
        )
    if problems:
        raise DataError("decisions cannot be made on these scores", problems)
    same_order = feature_ids.equals(ids)  # taking a million rows of every feature is only done where needed
    aligned = features if same_order else features.take(at)
    order = np.empty(len(ids), dtype=np.int64)
    order[np.asarray(pc.sort_indices(ids))] = np.arange(len(ids))
    revenue = aligned.column(config.value.revenue).cast(pa.float64())
    return Inputs(
        customer_id=ids,
        tier=scores.column("tier"),
        probability=probability,
        revenue=np.asarray(pc.fill_null(revenue, float("nan")), dtype=np.float64),
        features=aligned,
        order=order,
    )


def _duplicates(where: str, ids: pa.Array) -> list[Problem]:
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if not len(twice):
        return []
    what = f"{len(twice)} customers have more than one row"
    return [Problem(where, what, count=len(twice), examples=tuple(twice.slice(0, 3).to_pylist()))]


def _check_revenue(features: pa.Table, name: str) -> None:
    where = "decisions.value.revenue"
    numbers = [f.name for f in features.schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    if name not in features.column_names:
        problem = Problem(where, f"there is no feature '{name}'", did_you_mean(name, numbers))
    elif name not in numbers:
        problem = Problem(where, f"the feature '{name}' is not a number", did_you_mean(name, numbers))
    else:
        return
    raise ConfigError("lifetime value cannot be computed", [problem])
