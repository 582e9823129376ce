"""Nulls from before a source began are no drift once it has; nulls of any other kind are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.config.business import DriftThresholds
from holdfast.monitoring.coverage import without_uncovered
from holdfast.monitoring.drift import DriftReport, compute_drift
from holdfast.monitoring.reference import reference_histograms

SCHEMA = FeatureSchema(
    (
        FeatureSpec("offers_count", "number", "offers", "offers", source="treatments"),
        FeatureSpec("offers_recency", "number", "offers", "days since an offer", source="treatments"),
        FeatureSpec("price", "number", "price", "price", source="plans"),
    )
)
JUL, AUG, SEP, OCT = (datetime(2024, month, 1, tzinfo=UTC) for month in (7, 8, 9, 10))
ROWS = 1000
SNAPSHOTS = dict.fromkeys((JUL, AUG, SEP), ROWS)
BEGAN = {"treatments": datetime(2024, 7, 20, tzinfo=UTC), "plans": datetime(2020, 1, 1, tzinfo=UTC)}


def batch(seed: int, *, begun: bool = True, lost: float = 0.0) -> pa.Table:
    """The snapshots of one cutoff: one in ten had an offer; ``lost`` of the counts are missing."""
    rng = np.random.default_rng(seed)
    had = rng.random(ROWS) < 0.1
    nothing = np.ones(ROWS, bool)
    return pa.table(
        {
            "customer_id": [f"c{i}" for i in range(ROWS)],
            "offers_count": pa.array(had.astype(np.float32), mask=rng.random(ROWS) < lost if begun else nothing),
            "offers_recency": pa.array(rng.random(ROWS).astype(np.float32), mask=~had if begun else nothing),
            "price": pa.array(rng.random(ROWS).astype(np.float32)),
        }
    )


def reference() -> dict[str, Any]:
    """Of three cutoffs, at the first of which treatments had not begun."""
    return reference_histograms(pa.concat_tables([batch(1, begun=False), batch(2), batch(3)]), SCHEMA, 10)


def drift(current: pa.Table, of: dict[str, Any]) -> DriftReport:
    return compute_drift(current, of, DriftThresholds())


def test_nulls_from_before_a_source_began_are_left_out() -> None:
    assert drift(batch(4), reference()).drifted == ["offers_count"]  # without it they would
    found, left_out = without_uncovered(reference(), SCHEMA, BEGAN, SNAPSHOTS)
    assert left_out == {"treatments": ROWS}
    assert found["features"]["offers_count"]["null"] == 0
    report = drift(batch(4), found)
    assert report.drifted == []
    nulls = next(r for r in report.rows if (r.name, r.what) == ("offers_recency", "nulls"))
    assert nulls.reference_rows == 2 * ROWS


def test_nulls_of_a_source_that_had_begun_still_drift() -> None:
    found, _ = without_uncovered(reference(), SCHEMA, BEGAN, SNAPSHOTS)
    assert drift(batch(4, lost=0.3), found).drifted == ["offers_count"]
    assert drift(batch(4, begun=False), found).drifted == ["offers_count", "offers_recency"]


def test_the_day_it_began_is_not_covered_at_its_own_midnight() -> None:
    """The first row came on July 20; at a cutoff of that midnight it was not known, at the next it was."""
    for day, rows in ((20, ROWS), (21, 0)):
        snapshots = {datetime(2024, 7, day, tzinfo=UTC): ROWS, SEP: 2 * ROWS}
        assert without_uncovered(reference(), SCHEMA, BEGAN, snapshots)[1] == ({"treatments": rows} if rows else {})


def test_a_source_that_lost_its_old_rows_leaves_the_reference_as_it_is() -> None:
    of = reference()
    for began in (datetime(2024, 8, 15, tzinfo=UTC), OCT, None):  # more rows than have nulls would be uncovered
        assert without_uncovered(of, SCHEMA, {"treatments": began}, SNAPSHOTS) == (of, {})
    assert without_uncovered(of, SCHEMA, {"plans": OCT}, SNAPSHOTS) == (of, {})
