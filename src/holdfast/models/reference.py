"""What training rows looked like: typical values, for reasons; ranges, for telling when a row is strange."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.artifacts.schema import FeatureSchema
from holdfast.models.explain import Value

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MAX_LEVELS_KEPT = 100


def reference_of(table: pa.Table, schema: FeatureSchema) -> dict[str, Any]:
    """Typical values and ranges of training rows; a dict that more may be added to before it is stored.

    Returns
    -------
    dict
        ``n``; ``typicals`` by feature: the median of a number, the most frequent level of a category (the
        first by name among equals), None if all are null; ``ranges`` by feature: ``null_share`` with
        ``min max quantiles`` of a number or ``levels`` (counts by name) of a category.

    Raises
    ------
    DataError
        The table does not fit the schema.
    """
    rows = schema.conform(table, where="training rows")
    typicals: dict[str, Value] = {}
    ranges: dict[str, Any] = {}
    for feature in schema:
        column = rows.column(feature.name)
        nulls = column.null_count / rows.num_rows if rows.num_rows else 0.0
        if feature.kind == "number":
            values = column.to_numpy()
            found = _quantiles(values[np.isfinite(values)])
            typicals[feature.name] = found.get(0.5)
            ranges[feature.name] = {
                "null_share": nulls,
                "min": found.get(0.0),
                "max": found.get(1.0),
                "quantiles": {str(q): found[q] for q in QUANTILES if found},
            }
        else:
            counted = pc.value_counts(column.drop_null())
            pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
            ordered = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
            typicals[feature.name] = ordered[0][0] if ordered else None
            ranges[feature.name] = {"null_share": nulls, "levels": dict(ordered[:MAX_LEVELS_KEPT])}
    return {"n": rows.num_rows, "typicals": typicals, "ranges": ranges}


def _quantiles(values: NDArray[np.float32]) -> dict[float, float]:
    """Linearly interpolated quantiles, extremes among them; none of no values. ``values`` are sorted in place."""
    if not len(values):
        return {}
    asked = np.array([0.0, *QUANTILES, 1.0])
    at = asked * (len(values) - 1)
    low, high = np.floor(at).astype(np.int64), np.ceil(at).astype(np.int64)
    values.sort()  # several times faster than a partition at this many places
    below, above = values[low].astype(np.float64), values[high].astype(np.float64)
    return dict(zip(asked.tolist(), map(_short, below + (above - below) * (at - low)), strict=True))


def _short(value: Any) -> float:
    # features are float32: more digits than it has are noise
    return float(str(np.float32(value)))
