"""A sample of what features add to the log-odds, for the card's plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.evaluation.arrays import FloatArray

TOP_FEATURES = 6
MOST_POINTS = 300


def dependence(
    contributions: FloatArray,
    table: pa.Table,
    schema: FeatureSchema,
    *,
    top: int = TOP_FEATURES,
    most: int = MOST_POINTS,
) -> list[dict[str, Any]]:
    """The features that move scores most, each with an even sample of (value, contribution).

    Parameters
    ----------
    contributions : (n, n_features) log-odds
    table : the n rows, with the schema's columns
    """
    sizes = np.abs(contributions).mean(axis=0)
    largest = np.argsort(-sizes, kind="stable")[:top]
    rows = np.unique(np.linspace(0, len(contributions) - 1, most).astype(np.int64))
    found = []
    for j in largest:
        feature = schema.features[j]
        values = table.column(feature.name).take(pa.array(rows)).to_pylist()
        points = [[_plain(v), round(c, 5)] for v, c in zip(values, contributions[rows, j].tolist(), strict=True)]
        found.append({"feature": feature.name, "label": feature.label, "kind": feature.kind, "points": points})
    return found


def _plain(value: Any) -> Any:
    """NaN and infinity are no values of a plot."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
