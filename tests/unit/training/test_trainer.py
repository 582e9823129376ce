"""Training end to end on synthetic rows: the same bytes, honest figures, and what is said of end-state columns."""

from __future__ import annotations

import numpy as np
import pytest
from training_world import CUSTOMERS, CUTOFFS, FACTS, SCHEMA, rows_at, section, training_rows, walking

from holdfast.artifacts.schema import FeatureSchema
from holdfast.evaluation.intervals import evaluate
from holdfast.training import tuning
from holdfast.training.candidates import EncodedFolds, cross_calibrated, out_of_fold
from holdfast.training.rows import TrainingRows
from holdfast.training.trainer import train


def trained(rows=None, *, timed=True, config=None, seen=None, threads=1, progress=lambda _: None):
    def reference(rows, train_rows, p):
        if seen is not None:
            seen.append((train_rows, p))
        return {"histograms": {}}

    return train(
        training_rows() if rows is None else rows, walking(timed=timed), config or section(), FACTS,
        threads=threads, reference=reference, progress=progress,
    )  # fmt: skip


@pytest.mark.parametrize("timed", [True, False])
def test_the_same_inputs_make_the_same_bundle(timed):
    one, other = trained(timed=timed, threads=1), trained(timed=timed, threads=2)
    assert one.bundle.sha256 == other.bundle.sha256
    assert one.metrics == other.metrics
    assert trained(timed=timed, config=section(seed=8)).bundle.sha256 != one.bundle.sha256


def test_walking_forward_the_test_is_measured_with_what_was_fitted_before_it():
    rows, seen = training_rows(), []
    found = trained(rows, seen=seen)
    assert found.measured.rows.tolist() == rows_at(5).tolist()
    np.testing.assert_allclose(found.evaluated.predict(rows.take(rows_at(5))), found.measured.p)
    detail = found.metrics["test"]
    assert detail["n"] == CUSTOMERS
    assert detail["positives"] == rows.y[rows_at(5)].sum()
    assert [entry["cutoff"] for entry in detail["by_cutoff"]] == ["2024-06-01"]
    roc = detail["metrics"]["roc_auc"]
    assert roc["low"] < roc["value"] < roc["high"]
    train_rows, p = seen[0]
    assert train_rows.tolist() == rows_at(0, 1, 2, 3, 4).tolist()
    np.testing.assert_array_equal(p, found.measured.p)
    assert found.metrics["folds"]["kind"] == "purged walk-forward"


def test_labels_of_the_test_change_figures_and_not_the_model():
    rows = training_rows()
    y = np.array(rows.y, dtype=np.int8)
    y[rows_at(5)] = y[rows_at(5)][::-1]
    at = rows.table.column_names.index("label")
    other = TrainingRows(rows.table.set_column(at, "label", [y]), SCHEMA)
    one, two = trained(rows), trained(other)
    assert one.evaluated.model.dump() == two.evaluated.model.dump()
    assert one.evaluated.calibrator == two.evaluated.calibrator
    assert one.metrics["test"]["metrics"] != two.metrics["test"]["metrics"]


def test_what_may_serve_is_fitted_again_on_everything_matured():
    rows, seen = training_rows(), []
    found = trained(rows, seen=seen)
    serves, evaluated = found.bundle, found.evaluated
    assert evaluated.provenance.extra["trained_on"] == [str(c)[:10] for c in CUTOFFS[:5]]
    assert serves.provenance.extra["trained_on"] == [str(c)[:10] for c in CUTOFFS]
    assert serves.provenance.extra["evaluated"] == evaluated.sha256
    assert serves.reference["n"] == len(rows)
    assert evaluated.reference["n"] == len(rows) - CUSTOMERS
    assert serves.provenance.params == evaluated.provenance.params
    assert serves.metrics["test"] == evaluated.metrics["test"]  # of the one that had not seen the test
    again = serves.metrics["refit"]["fold"]
    assert (again["train"], again["test_cutoffs"]) == (len(rows), [])
    assert [train_rows.tolist() for train_rows, _ in seen] == [rows_at(*range(n)).tolist() for n in (5, 6)]
    # the same estimator on more: alike, and not the same
    p, q = evaluated.predict(rows.table), serves.predict(rows.table)
    assert 0 < np.abs(p - q).mean() < 0.1


def test_the_months_are_left_alone_where_that_is_asked_for():
    found = trained(config=section(prior_shift=False)).metrics["prior_shift"]
    assert found == {"applied": False, "why": "not asked for (training.prior_shift)"}


def test_grouped_by_customer_what_is_measured_by_folds_serves_itself():
    found = trained(timed=False)
    assert found.evaluated is None
    assert "refit" not in found.bundle.metrics
    assert found.bundle.provenance.extra["trained_on"] == []


def test_grouped_by_customer_every_row_is_predicted_by_a_model_without_that_customer():
    rows = training_rows()
    found = trained(rows, timed=False)
    assert sorted(found.measured.rows.tolist()) == list(range(len(rows)))
    assert found.metrics["folds"]["kind"] == "grouped by customer"
    assert found.metrics["folds"]["final"]["train"] == len(rows)
    # the kept model has seen them all, and would look better than it is
    seen = evaluate(rows.y, found.bundle.predict(rows.table), metrics=("log_loss",), replicates=0)
    assert seen["log_loss"].value < found.measured.evaluation["log_loss"].value


def test_grouped_by_customer_a_fold_is_measured_with_what_the_other_folds_chose(monkeypatch):
    """Here each fold would choose another estimator: what it is measured with is then the other fold's."""
    losses = {"xgboost": (0.1, 0.3), "logistic": (0.2, 0.1)}
    monkeypatch.setattr(tuning, "losses_of", lambda folds, found: losses[found.name])
    rows = training_rows()
    found = trained(rows, timed=False)
    folds, config = EncodedFolds(rows, SCHEMA, walking(timed=False)), section()
    by = {name: out_of_fold(folds, name, config.estimators[name], seed=config.seed, threads=1) for name in losses}
    p = {name: cross_calibrated(c, rows.y[c.rows], rows.customers[c.rows]) for name, c in by.items()}
    first = by["xgboost"].fold == 0
    np.testing.assert_array_equal(found.measured.p, np.where(first, p["logistic"], p["xgboost"]))
    # what serves was chosen on all folds, and it is with its own figures that those without end-state columns compare
    chosen = found.bundle.provenance.estimator
    assert chosen == min(by, key=lambda name: by[name].log_loss)
    at = by[chosen].rows
    own = evaluate(rows.y[at], p[chosen], rows.customers[at], metrics=("roc_auc",), replicates=50, seed=config.seed)
    assert found.metrics["end_state"]["with"]["roc_auc"] == own["roc_auc"].to_json()
    assert found.metrics["end_state"]["with"]["roc_auc"] != found.metrics["test"]["metrics"]["roc_auc"]


def test_the_best_candidate_is_kept_and_all_are_listed():
    found = trained()
    candidates = found.metrics["candidates"]
    losses = [c["out_of_fold_log_loss"] for c in candidates]
    assert losses == sorted(losses)
    assert {c["estimator"] for c in candidates} == {"xgboost", "logistic"}
    assert found.bundle.provenance.estimator == candidates[0]["estimator"]


@pytest.mark.parametrize("timed", [True, False])
def test_figures_are_given_with_and_without_end_state_columns(timed):
    found = trained(timed=timed).metrics["end_state"]
    assert found["columns"] == ["paperless"]
    for name in ("roc_auc", "average_precision"):
        assert found["without"][name]["value"] < found["with"][name]["value"] - 0.03  # it leaks, and that shows


def test_without_end_state_columns_there_is_nothing_to_compare():
    bare = SCHEMA.without(["paperless"])
    assert trained(training_rows(schema=bare)).metrics["end_state"] == {"columns": []}
    excluded = trained(config=section(exclude=["paperless"]))
    assert excluded.metrics["end_state"] == {"columns": []}
    assert excluded.bundle.schema.names == bare.names


def test_only_end_state_columns_are_named_and_not_compared():
    only = FeatureSchema((SCHEMA["paperless"],))
    assert trained(training_rows(schema=only)).metrics["end_state"] == {"columns": ["paperless"]}


def test_slices_are_measured_and_progress_is_told():
    told = []
    found = trained(timed=False, config=section(slices=["plan"]), progress=told.append)
    assert set(found.metrics["test"]["slices"]) == {"plan"}
    assert [line.partition(":")[0] for line in told[:2]] == ["xgboost", "logistic (balanced)"]
    assert any("end-state" in line for line in told)
