"""What training rows looked like: typical values, for reasons; ranges, for telling when a row is strange."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
            values = column.to_numpy().astype(np.float64)
            values = values[np.isfinite(values)]
            found = values if len(values) else None
            typicals[feature.name] = None if found is None else _short(np.median(found))
            ranges[feature.name] = {
                "null_share": nulls,
                "min": None if found is None else _short(found.min()),
                "max": None if found is None else _short(found.max()),
                "quantiles": {}
                if found is None
                else dict(zip(map(str, QUANTILES), map(_short, np.quantile(found, QUANTILES)), strict=True)),
            }
        else:
            counted = pc.value_counts(column.drop_null())
            pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
            ordered = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
            typicals[feature.name] = ordered[0][0] if ordered else None
            ranges[feature.name] = {"null_share": nulls, "levels": dict(ordered[:MAX_LEVELS_KEPT])}
    return {"n": rows.num_rows, "typicals": typicals, "ranges": ranges}


def _short(value: Any) -> float:
    # features are float32: more digits than it has are noise
    return float(str(np.float32(value)))
