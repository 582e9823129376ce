"""What is measured of unseen rows: everywhere it may differ, and for those the model has never met."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit
from training_world import CUSTOMERS, FACTS, SCHEMA, rows_at, section, training_rows, walking

from holdfast.evaluation.campaign import Campaign, campaign_profit
from holdfast.evaluation.ranking import roc_auc
from holdfast.training.measuring import measure
from holdfast.training.rows import TrainingRows
from holdfast.training.trainer import train


def probabilities(rows, at):
    """The truth of `training_world`."""
    usage, tickets, plan = (rows.table.column(c).take(at).to_pylist() for c in ("usage_3m", "tickets_3m", "plan"))
    return expit(-1.5 - 0.8 * np.array(usage) + 0.5 * np.array(tickets) + (np.array(plan) == "basic"))


@pytest.fixture(scope="module")
def rows():
    return training_rows()


def test_the_figures_are_json_and_hold_together(rows):
    at = rows_at(4, 5)
    found = measure(rows, at, probabilities(rows, at), section(), trained_on=rows_at(0, 1, 2))
    detail = json.loads(json.dumps(found.detail, allow_nan=False))
    assert detail["metrics"] == json.loads(json.dumps(found.evaluation.to_json()["metrics"]))
    assert "profit" not in detail["metrics"]
    for name in ("calibration_slope", "observed_expected", "empc", "ece"):
        metric = detail["metrics"][name]
        assert metric["low"] < metric["high"]
    assert detail["ece"] == pytest.approx(detail["metrics"]["ece"]["value"])
    parts = detail["brier_parts"]
    assert parts["score"] == pytest.approx(detail["metrics"]["brier"]["value"])
    assert sum(one["n"] for one in detail["reliability"]) == detail["n"] == 2 * CUSTOMERS
    assert [entry["n"] for entry in detail["by_cutoff"]] == [CUSTOMERS, CUSTOMERS]
    assert detail["by_cutoff"][0]["metrics"]["observed_expected"]["value"] is not None


def test_profit_is_that_of_the_campaign_in_the_whole_and_in_each_part(rows):
    at = rows_at(4, 5)
    p = probabilities(rows, at)
    asked = []

    def campaign(numbers):
        asked.append(numbers.tolist())
        n = len(numbers)
        return Campaign(np.linspace(50, 300, n), np.array([5.0]), np.array([0.3]), np.ones((n, 1), bool), 1.0)

    detail = measure(rows, at, p, section(), campaign=campaign).detail
    whole = campaign(at)
    assert asked[0] == at.tolist()
    assert detail["metrics"]["profit"]["value"] == pytest.approx(campaign_profit(rows.y[at], p, whole))
    last = np.arange(CUSTOMERS, 2 * CUSTOMERS)
    mine = campaign_profit(rows.y[at][last], p[last], whole.take(last))
    assert detail["by_cutoff"][1]["metrics"]["profit"]["value"] == pytest.approx(mine)


def test_slices_may_be_numbers_and_columns_that_the_model_must_not_see(rows):
    # half of those on the basic plan leave, whatever they do
    y = np.array(rows.y, dtype=np.int8)
    y[np.flatnonzero(np.array(rows.table.column("plan").to_pylist()) == "basic")[::2]] = 1
    rows = TrainingRows(rows.table.set_column(rows.table.column_names.index("label"), "label", pa.array(y)), SCHEMA)
    config = section(exclude=["plan", "paperless"], slices=["plan", "usage_3m"], estimators={"logistic": {}})
    found = train(rows, walking(timed=False), config, FACTS, threads=1, reference=lambda *_: {"histograms": {}})
    assert found.bundle.schema.names == ["usage_3m", "tickets_3m"]
    slices = found.metrics["test"]["slices"]
    assert {one["value"] for one in slices["plan"]["slices"]} == {"basic", "plus", "pro"}
    assert len(slices["usage_3m"]["slices"]) == 4
    named = found.metrics["test"]["worse_slices"]
    assert ("plan", "basic", "observed_expected") in {(w["column"], w["value"], w["metric"]) for w in named["found"]}
    assert all(w["p_value"] <= named["level"] for w in named["found"])


def test_a_number_that_is_unknown_has_its_own_slice(rows):
    usage = rows.table.column("usage_3m").to_numpy().copy()
    usage[::2] = np.nan
    place = rows.table.column_names.index("usage_3m")
    known = pa.array(usage, from_pandas=True)
    holed = TrainingRows(rows.table.set_column(place, "usage_3m", known), SCHEMA)
    everything = rows_at(*range(6))
    detail = measure(holed, everything, probabilities(rows, everything), section(slices=["usage_3m"])).detail
    sizes = {one["value"]: one["n"] for one in detail["slices"]["usage_3m"]["slices"]}
    assert sizes["(unknown)"] == len(rows) / 2


def test_new_customers_are_those_of_whom_no_row_was_trained_on(rows):
    at, trained_on = rows_at(2, 3, 4, 5), rows_at(0, 1)
    trained_on = trained_on[trained_on % CUSTOMERS >= CUSTOMERS / 2]
    p = probabilities(rows, at)
    new = at % CUSTOMERS < CUSTOMERS / 2
    found = measure(rows, at, p, section(), trained_on=trained_on).detail["new_customers"]
    assert (found["n"], found["positives"]) == (new.sum(), rows.y[at[new]].sum())
    assert found["metrics"]["roc_auc"]["value"] == pytest.approx(roc_auc(rows.y[at[new]], p[new]))


def test_where_new_customers_cannot_be_measured_it_says_why(rows):
    at = rows_at(5)
    p = probabilities(rows, at)
    known = measure(rows, at, p, section(), trained_on=rows_at(0)).detail["new_customers"]
    assert (known["n"], known["positives"]) == (0, 0)
    assert "too few" in known["why"]
    grouped = measure(rows, at, p, section()).detail["new_customers"]
    assert grouped["n"] == CUSTOMERS
    assert "every customer is one" in grouped["why"]


def test_a_cutoff_without_churners_is_counted_and_not_measured(rows):
    at = rows_at(4, 5)
    y = np.array(rows.y, dtype=np.int8)
    y[rows_at(4)] = 0
    table = rows.table.set_column(rows.table.column_names.index("label"), "label", pa.array(y))
    first, second = measure(TrainingRows(table, SCHEMA), at, probabilities(rows, at), section()).detail["by_cutoff"]
    assert first == {"cutoff": "2024-05-01", "n": CUSTOMERS, "positives": 0}
    assert second["metrics"]["roc_auc"]["value"] > 0.5
