"""Which nulls of the reference only say that a source had not begun."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from holdfast.artifacts.schema import FeatureSchema


def without_uncovered(
    reference: Mapping[str, Any],
    schema: FeatureSchema,
    begins: Mapping[str, datetime | None],
    snapshots: Mapping[datetime, int],
) -> tuple[dict[str, Any], dict[str, int]]:
    """The reference without the nulls of training snapshots from before a feature's source began.

    At such a cutoff every feature of the source is null for everybody (DESIGN 3.8), and at no later one is it for
    that reason. Those nulls say nothing of customers and never come back, so a later batch is compared with the
    other cutoffs only. Nulls that mean "no such rows" stay on both sides.

    Where the source holds fewer of its old rows than it did in training (a table that keeps its last year only), more
    snapshots would seem uncovered than have nulls. Then nothing is left out.

    Parameters
    ----------
    reference : of `holdfast.monitoring.reference.reference_histograms`
    schema : names each feature's source
    begins : by source table, the day from which something of it was known; None where nothing is known
    snapshots : the reference's rows, by training cutoff

    Returns
    -------
    reference : the same, with fewer ``null``
    left_out : by source table, how many snapshots; tables that had begun at every training cutoff are not there
    """
    features = dict(reference["features"])
    left_out: dict[str, int] = {}
    for table, day in begins.items():
        mine = [f.name for f in schema if f.source == table and f.name in features]
        rows = 0 if day is None else sum(n for cutoff, n in snapshots.items() if cutoff <= day)
        if not mine or not 0 < rows <= min(features[name]["null"] for name in mine):
            continue
        left_out[table] = rows
        features |= {name: {**features[name], "null": features[name]["null"] - rows} for name in mine}
    return {**reference, "features": features}, left_out
