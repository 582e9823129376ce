"""Quality: what is found, and that a good batch finds nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.files import canonical_json
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.monitoring.quality import QualityReport, check_quality
from holdfast.monitoring.reference import reference_histograms
from holdfast.monitoring.staleness import Reach

SCHEMA = FeatureSchema((FeatureSpec("x", "number", "x", "x"), FeatureSpec("c", "category", "c", "c")))
GOOD: dict[str, Any] = {"x": pa.array(np.arange(100.0), pa.float32()), "c": ["u", "v"] * 50}
NOW = datetime(2024, 3, 1, tzinfo=UTC)
FRESH = Reach("tickets", "tickets", "opened_at", NOW.replace(year=2023), NOW, 0.0, 0.5, 3.0, False)


def check(columns: dict[str, Any], **given: Any) -> QualityReport:
    return check_quality(pa.table(columns), reference_histograms(pa.table(GOOD), SCHEMA, 10), **given)


def words(report: QualityReport) -> list[str]:
    return [f"{f.severity} {f.where} {f.what}" for f in report.findings]


def test_a_good_batch() -> None:
    report = check(GOOD, expected_rows=90, tables=[FRESH])
    assert report.ok
    assert not report.findings
    assert not report.stale
    assert report.to_json()["tables"][0]["through"] == "2024-03-01"
    canonical_json(report.to_json())


def test_nulls() -> None:
    some = pa.array(np.arange(100.0), mask=np.arange(100) < 20)
    report = check({**GOOD, "x": some})
    assert report.ok
    assert words(report) == ["warning x 20.0% null; in training 0.0%"]
    report = check({**GOOD, "x": pa.nulls(100, pa.float32())})
    assert not report.ok
    assert words(report) == ["error x is always null; in training 0.0% was"]


def test_what_training_never_saw() -> None:
    report = check({"x": pa.array(np.arange(100.0) - 10), "c": ["u"] * 90 + ["new"] * 10})
    assert [f.out_of_range_share for f in report.features] == [0.1, None]
    assert [f.unseen_share for f in report.features] == [None, 0.1]
    assert words(report) == [
        "warning x 10.0% lie outside the range seen in training",
        "warning c 10.0% are categories never seen in training: 'new'",
    ]


def test_size_and_stale_tables() -> None:
    late = replace(FRESH, through=NOW.replace(day=1, month=2), behind_days=29.0, stale=True)
    unknown = replace(FRESH, name="plans", stale=None)
    report = check(GOOD, expected_rows=1000, tables=[FRESH, late, unknown])
    assert report.stale == [late]
    assert words(report) == [
        "error batch has 100 rows where about 1,000 were expected",
        "warning table 'tickets' is stale: opened_at reaches 2024-02-01, 29.0 days before the cutoff; in its last year "
        "it was never more than 0.5 days behind, and up to 3.0 are expected",
    ]
    assert "error batch has no rows" in words(check({"x": pa.array([], pa.float32()), "c": pa.array([], pa.string())}))


def test_where_training_saw_too_many_categories_to_name_none_is_called_unseen() -> None:
    many = pa.table({"x": pa.array(np.zeros(80), pa.float32()), "c": [f"v{i}" for i in range(80)]})
    reference = reference_histograms(many, SCHEMA, 10)
    assert check_quality(many, reference).features[1].unseen_share is None
