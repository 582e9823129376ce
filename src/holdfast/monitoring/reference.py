"""What the training data looked like: the histograms that later batches are compared with.

The result is plain JSON and travels in the model's bundle as ``reference.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import DataError, Problem, did_you_mean

FORMAT = 1
MAX_CATEGORIES = 50  # the rest are counted together as "other"
SCORE = "score"


def reference_histograms(
    table: pa.Table, schema: FeatureSchema, bins: int, *, scores: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Histograms of every feature, and of the scores, as JSON.

    Parameters
    ----------
    table : n training snapshots: the schema's columns and, where there is one, customer_id
    bins : most bins of a number
    scores : (m,) calibrated predictions on snapshots the model was *not* trained on (the test cutoffs): predictions
        on training rows are spread wider than any later ones and would look like drift

    Returns
    -------
    dict : ``format``, ``rows``, ``customers`` (distinct; the rows of one customer are not independent),
        ``features`` by name and ``score`` (or None)

    Raises
    ------
    DataError
        A column is missing or is not what the schema says.
    """
    columns = schema.conform(table, where="the reference")
    has_ids = "customer_id" in table.column_names
    return {
        "format": FORMAT,
        "rows": len(table),
        "customers": int(pc.count_distinct(table.column("customer_id")).as_py()) if has_ids else len(table),
        "features": {
            f.name: number_reference(columns.column(f.name).to_numpy(), bins)
            if f.kind == "number"
            else category_reference(columns.column(f.name))
            for f in schema
        },
        "score": None if scores is None else number_reference(np.asarray(scores, dtype=np.float64), bins),
    }


def number_reference(values: NDArray[Any], bins: int) -> dict[str, Any]:
    """Quantile bins of a number.

    ``edges`` e1 < ... < ek are values that occur, and make k + 1 bins ``(-inf, e1], (e1, e2], ..., (ek, inf)``; a
    value that holds many rows takes one edge, so discrete numbers get fewer bins. A number that never varied
    gets three: below it, itself, above it. NaN is null.
    """
    known = np.sort(values[~np.isnan(values)])
    edges = _edges(known, bins)
    finite = known[np.searchsorted(known, -np.inf, side="right") : np.searchsorted(known, np.inf)]
    up_to = np.searchsorted(known, edges, side="right")
    return {
        "kind": "number",
        "edges": edges.tolist(),
        "counts": np.diff([0, *up_to, len(known)]).tolist(),
        "null": len(values) - len(known),
        "min": float(finite[0]) if len(finite) else None,
        "max": float(finite[-1]) if len(finite) else None,
    }


def category_reference(column: pa.ChunkedArray) -> dict[str, Any]:
    """Counts of a category: the `MAX_CATEGORIES` most frequent by name, the others together."""
    known = column.drop_null()
    found = pc.value_counts(known.cast(pa.string()))
    counted = sorted(
        zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True),
        key=lambda pair: (-pair[1], pair[0]),
    )
    kept = counted[:MAX_CATEGORIES]
    return {
        "kind": "category",
        "categories": [value for value, _ in kept],
        "counts": [count for _, count in kept],
        "other": sum(count for _, count in counted[MAX_CATEGORIES:]),
        "null": column.null_count,
    }


def compute_counts(column: pa.ChunkedArray, reference: Mapping[str, Any]) -> tuple[NDArray[np.int64], int]:
    """Counts of a column in the bins of its reference, and the number of nulls.

    Returns
    -------
    counts : (b,) as `reference_counts` orders them; categories the reference does not name are in the last, "other"
    nulls : null or NaN
    """
    if reference["kind"] == "number":
        values = _numbers(column)
        known = values[~np.isnan(values)]
        edges = np.asarray(reference["edges"], dtype=np.float64)
        return _number_counts(known, edges), len(values) - len(known)
    categories = reference["categories"]
    known = column.drop_null().cast(pa.string())
    at = pc.index_in(known, value_set=pa.array(categories, pa.string()))
    code = np.asarray(pc.fill_null(at, len(categories)).to_numpy(), dtype=np.int64)
    return np.bincount(code, minlength=len(categories) + 1), column.null_count


def reference_counts(reference: Mapping[str, Any]) -> NDArray[np.int64]:
    """(b,) counts of the reference: a number's bins, or a category's values and then "other"."""
    counts = list(reference["counts"])
    return np.asarray(counts if reference["kind"] == "number" else [*counts, reference["other"]], dtype=np.int64)


def bin_names(reference: Mapping[str, Any]) -> list[str]:
    """A name for each count, for messages."""
    if reference["kind"] == "category":
        return [*(f"'{c}'" for c in reference["categories"]), "other"]
    edges = reference["edges"]
    if not edges:
        return ["any value"]
    if len(edges) == 2 and np.nextafter(edges[0], np.inf) == edges[1]:  # a number that never varied
        return [f"below {edges[1]:.6g}", f"{edges[1]:.6g}", f"above {edges[1]:.6g}"]
    inner = [f"({a:.6g}, {b:.6g}]" for a, b in pairwise(edges)]
    return [f"at most {edges[0]:.6g}", *inner, f"above {edges[-1]:.6g}"]


def column_of(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    """A feature's column.

    Raises
    ------
    DataError
        It is missing.
    """
    if name not in table.column_names:
        hint = did_you_mean(name, table.column_names)
        raise DataError(f"{where} cannot be monitored", [Problem(where, f"feature '{name}' is missing", hint)])
    return table.column(name)


def _edges(known: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """Of sorted values."""
    if not len(known):
        return np.zeros(0)
    low, high = float(known[0]), float(known[-1])
    if low == high:
        return np.array([np.nextafter(low, -np.inf), low]) if np.isfinite(low) else np.zeros(0)
    # inverted_cdf gives values that occur: interpolated edges would cut a discrete number at values nobody has
    at = np.maximum(np.ceil(len(known) * (np.arange(1, bins) / bins) - 1).astype(np.int64), 0)
    edges = np.unique(known[at]).astype(np.float64)
    return edges[(edges < high) & np.isfinite(edges)]  # an edge at the maximum would make an empty last bin


def _number_counts(known: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(), dtype=np.float64)
