"""Drift: the false-alarm rate it states, the power it has, and what it will not judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from holdfast.artifacts.files import canonical_json
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.config.business import DriftThresholds
from holdfast.errors import DataError
from holdfast.monitoring.drift import DriftReport, compute_drift
from holdfast.monitoring.reference import reference_histograms

FEATURES = 40
SCHEMA = FeatureSchema(
    tuple(FeatureSpec(f"f{j}", "category" if j % 4 == 3 else "number", f"f{j}", f"f{j}") for j in range(FEATURES))
)
CATEGORIES = np.array(["a", "b", "c", "rare"])


def batch(rng: np.random.Generator, rows: int, customers: int | None = None) -> pa.Table:
    """Continuous, discrete and correlated numbers, categories, some nulls."""
    columns: dict[str, Any] = {"customer_id": [f"c{i % (customers or rows)}" for i in range(rows)]}
    common = rng.normal(size=rows)
    for j, spec in enumerate(SCHEMA):
        mask = rng.random(rows) < (0.1 if j % 5 == 0 else 0.0)
        if spec.kind == "category":
            columns[spec.name] = pa.array(rng.choice(CATEGORIES, rows, p=[0.6, 0.3, 0.095, 0.005]), mask=mask)
        else:
            kinds = (common + rng.normal(size=rows), rng.poisson(0.7, rows), rng.lognormal(size=rows))
            columns[spec.name] = pa.array(kinds[j % 4].astype(np.float32), mask=mask)
    return pa.table(columns)


def scores(rng: np.random.Generator, n: int, shift: float = 0.0) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(3 - rng.normal(shift, 1, n))))


def run(rng: np.random.Generator, current: pa.Table, *, shift: float = 0.0, **changes: Any) -> DriftReport:
    reference = reference_histograms(batch(rng, 3000), SCHEMA, 10, scores=scores(rng, 3000))
    return compute_drift(current, reference, DriftThresholds(**changes), scores=scores(rng, len(current), shift))


@pytest.mark.slow
def test_where_nothing_drifted_alarms_are_as_rare_as_stated() -> None:
    """The size thresholds are set aside, so that significance alone must keep the family-wise promise."""
    rng = np.random.default_rng(11)
    runs, alpha = 200, 0.1
    alarms = 0
    for _ in range(runs):
        report = run(rng, batch(rng, 300), psi=1e-9, kl=1e-9, false_alarm=alpha)
        alarms += any(row.verdict == "drifted" for row in report.rows)
    assert alarms / runs <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)
    assert alarms > runs * alpha / 4, "it would also pass if nothing could ever alarm"


def test_psi_above_its_threshold_by_chance_is_no_alarm() -> None:
    rng = np.random.default_rng(12)
    found = [run(rng, batch(rng, 60), min_rows=50) for _ in range(10)]
    assert sum(row.psi > 0.2 for report in found for row in report.rows) > 20
    assert sum(len(report.drifted) for report in found) == 0


def test_a_shifted_feature_is_found_and_nothing_else() -> None:
    rng = np.random.default_rng(13)
    current = batch(rng, 1000)
    shifted = pa.array(np.asarray(current["f1"].to_numpy(zero_copy_only=False)) + 2.0, pa.float32())
    category = pa.array(np.where(rng.random(1000) < 0.3, "new", "a"))
    current = current.set_column(2, "f1", shifted).set_column(4, "f3", category)
    report = run(rng, current)
    assert report.drifted == ["f1", "f3"]
    assert report.drifted_share == 2 / FEATURES
    row = next(r for r in report.rows if r.name == "f3")
    assert row.change.startswith(("other: 0.0% -> ", "'b': "))
    assert report.score is not None
    assert report.score.verdict == "stable"


def test_a_moderate_change_of_scale_is_mostly_found() -> None:
    rng = np.random.default_rng(14)
    hits = 0
    for _ in range(40):
        current = batch(rng, 500)
        values = current["f2"].to_numpy(zero_copy_only=False)
        hits += "f2" in run(rng, current.set_column(3, "f2", pa.array(values * 1.8, pa.float32()))).drifted
    assert hits >= 20


def test_nulls_are_a_row_of_their_own() -> None:
    rng = np.random.default_rng(15)
    current = batch(rng, 1000)
    values = current["f1"].to_numpy(zero_copy_only=False).astype(np.float32)
    current = current.set_column(2, "f1", pa.array(values, mask=rng.random(1000) < 0.4))
    report = run(rng, current)
    rows = {row.what: row for row in report.rows if row.name == "f1"}
    assert rows["values"].verdict == "stable"
    assert rows["nulls"].verdict == "drifted"
    assert report.drifted == ["f1"]
    gone = current.set_column(2, "f1", pa.nulls(1000, pa.float32()))
    rows = {row.what: row for row in run(rng, gone).rows if row.name == "f1"}
    assert (rows["values"].verdict, rows["nulls"].verdict) == ("no verdict", "drifted")


def test_the_score_is_a_row_and_no_feature() -> None:
    rng = np.random.default_rng(16)
    report = run(rng, batch(rng, 1000), shift=1.0)
    assert report.score is not None
    assert report.score.verdict == "drifted"
    assert report.drifted == []


def test_too_few_rows_get_no_verdict() -> None:
    rng = np.random.default_rng(17)
    report = run(rng, batch(rng, 150), shift=3.0)
    assert {row.verdict for row in report.rows} == {"no verdict"}
    assert report.drifted_share is None
    assert all(row.p_adjusted is None for row in report.rows)
    canonical_json(report.to_json())
    canonical_json(run(rng, batch(rng, 150).slice(0, 0)).to_json())


def test_repeated_customers_count_once_in_the_reference() -> None:
    rng = np.random.default_rng(18)
    table = batch(rng, 4000)
    repeated = table.set_column(0, "customer_id", pa.array([f"c{i % 400}" for i in range(4000)]))
    many, few = (reference_histograms(t, SCHEMA, 10) for t in (table, repeated))
    current = batch(rng, 500)
    wide, narrow = (compute_drift(current, r, DriftThresholds()) for r in (few, many))
    assert all(a.psi_expected > b.psi_expected for a, b in zip(wide.rows, narrow.rows, strict=True))


def test_a_missing_feature_is_an_error() -> None:
    rng = np.random.default_rng(19)
    with pytest.raises(DataError, match="feature 'f7' is missing"):
        run(rng, batch(rng, 300).drop_columns(["f7"]))
