"""The card says what must be said aloud."""

from __future__ import annotations

from dataclasses import replace

import pytest
from training_world import FACTS, section, training_rows, walking

from holdfast.training.model_card import model_card
from holdfast.training.trainer import train

DATASET = {
    "label": {"horizon": "1m", "lead": "0d"},
    "known_as_of": "2024-07-01",
    "complete_through": "2024-07-01",
    "matured": 1200,
    "positives": 345,
    "cutoffs": [{}] * 6,
    "features": [{}] * 4,
    "history": "recorded",
    "reconstructed_why": "",
}
SAID = {"passed": True, "reasons": [], "evidence": {}}


@pytest.fixture(scope="module")
def found():
    return {
        timed: train(
            training_rows(), walking(timed=timed), section(), FACTS, threads=1, reference=lambda *_: {"histograms": {}}
        )
        for timed in (True, False)
    }


@pytest.mark.parametrize("kind", ["identity", "sigmoid", "isotonic"])
def test_the_card_says_how_it_was_calibrated(found, kind):
    words = {"identity": "not recalibrated", "sigmoid": "by a sigmoid", "isotonic": "by isotonic regression"}
    trained = replace(found[True], metrics={**found[True].metrics, "calibration": kind})
    assert words[kind] in card(trained)
    assert found[True].metrics["calibration"] == found[True].bundle.calibrator.kind


def card(trained, *, verdict=SAID, **dataset):
    return model_card(
        project="shop", version="3", manifest=trained.bundle.manifest, metrics=trained.metrics,
        dataset={**DATASET, **dataset}, importance=[{"measure": "usage", "label": "usage", "share": 0.5}],
        verdict=verdict,
    )  # fmt: skip


def test_a_recorded_history(found):
    text = card(found[True])
    assert text.startswith("# shop: model version 3\n")
    assert "1,200 matured snapshots with 345 churners, 6 cutoffs, 4 features" in text
    assert "purged walk-forward folds; final test on 6, touched once." in text
    assert "reconstructed" not in text
    assert "within 1m of the cutoff." in text
    assert "- usage: 50.0%" in text
    for name in ("ROC-AUC", "average precision", "log loss", "Brier score"):
        assert f"| {name} | 0." in text
    assert "passed" in text.partition("## The gate")[2]


def test_a_reconstructed_history_says_so_and_warns_of_luck(found):
    text = card(found[False], history="reconstructed", reconstructed_why="one extract only.")
    assert "**The history is reconstructed**, not recorded: one extract only." in text
    assert "far above the interval below is luck, or a column that knows the outcome" in text
    assert "each customer predicted by a model that never saw her" in text


def test_end_state_columns_are_named_with_the_figures_without_them(found):
    text = card(found[True])
    assert "1 end-state columns (known only as of the extract" in text
    assert "): paperless." in text
    without = found[True].metrics["end_state"]["without"]["roc_auc"]["value"]
    assert f"without them {without:.4f}" in text


def test_none_is_said_too(found):
    bare = {**found[True].metrics, "end_state": {"columns": []}}
    text = model_card(
        project="shop", version="3", manifest=found[True].bundle.manifest, metrics=bare, dataset=DATASET,
        importance=[], verdict=SAID,
    )  # fmt: skip
    assert "No end-state column is used" in text


def test_a_lead_and_a_refusal_are_told(found):
    refusal = {"passed": False, "reasons": ["lift is low"], "evidence": {}}
    text = card(found[True], verdict=refusal, label={"horizon": "1m", "lead": "14d"})
    assert "counted from 14d after it" in text
    assert text.rstrip().endswith("said no:\n- lift is low")
