"""The card says what must be said aloud."""

from __future__ import annotations

import re

import pytest
from card_world import REFUSED, WORSE, card_data, hostile

from holdfast.training.card.markdown import markdown, plain


@pytest.mark.parametrize(
    ("kind", "words"),
    [("identity", "not recalibrated"), ("sigmoid", "by a sigmoid"), ("isotonic", "by isotonic regression"),
     ("beta", "beta")],
)  # fmt: skip
def test_how_it_was_calibrated(kind, words):
    assert words in markdown(card_data(metrics={"calibration": kind})).partition("**Estimator**")[2].splitlines()[0]


def test_a_recorded_history():
    text = markdown(card_data())
    assert text.startswith("# shop: model version 3\n")
    assert "1,200 matured snapshots with 345 churners, 6 cutoffs, 4 features" in text
    assert "2 folds, purged walk-forward; final test on 6, touched once." in text
    assert "reconstructed" not in text
    assert "leaves within 1m of the cutoff." in text
    assert "plus 7d of delay for late news" in text
    for measure in card_data().importance:
        share = f"{measure['share']:.1%} ({measure['low']:.1%} to {measure['high']:.1%})"
        assert f"- {measure['label']}: {share}\n" in text
    assert "passed" in text.partition("## The gate")[2]
    assert "does not say what contacting does" in text


def test_in_a_bundle_it_knows_neither_its_number_nor_the_verdict():
    text = markdown(card_data(version=None, verdict=None))
    assert text.startswith("# shop: model\n")
    assert "The gate" not in text


def test_every_figure_with_its_interval():
    data = card_data()
    text = markdown(data)
    test = data.metrics["test"]
    for metric in test["metrics"].values():
        assert f"| {metric['value']:.4f} | {metric['low']:.4f} to {metric['high']:.4f} |" in text
    for key in ("mean_probability", "base_rate"):
        assert f"{test[key]:.4f}" in text
    for entry in test["by_cutoff"]:
        auc = entry["metrics"]["roc_auc"]
        assert f"| {entry['cutoff']} | {entry['n']:,} | {entry['positives']:,} | {auc['value']:.3f} (" in text
    for found in test["slices"]["plan"]["slices"]:
        assert f"| {found['value']} | {found['n']} | {found['positives']} | {found['base_rate']:.4f} |" in text
    for candidate in data.metrics["candidates"]:
        assert f"| {candidate['out_of_fold_log_loss']:.5f} |" in text


def test_a_reconstructed_history_says_so_and_warns_of_luck():
    text = markdown(card_data(timed=False, dataset={"history": "reconstructed", "reconstructed_why": "one extract."}))
    assert "- **History**: reconstructed, not recorded: one extract." in text
    assert "far above its interval is luck, or a column that knows the outcome" in text
    assert "each customer predicted by a model that never saw her" in text
    assert "how it ages is not known" in text


def test_end_state_columns_are_named_with_the_figures_without_them():
    data = card_data()
    text = markdown(data)
    assert "1 end-state columns (known only as of the extract" in text
    assert "): paperless." in text
    for name in ("roc_auc", "average_precision"):
        with_them, without = (data.metrics["end_state"][side][name]["value"] for side in ("with", "without"))
        assert re.search(rf"\| {with_them:.4f} \| [^|]* \| {without:.4f} \|", text)


def test_no_end_state_column_is_said_too():
    assert "No end-state column is used" in markdown(card_data(metrics={"end_state": {"columns": []}}))


def test_a_lead_and_a_refusal_are_told():
    text = markdown(card_data(verdict=REFUSED, dataset={"label": {"horizon": "1m", "lead": "14d"}}))
    assert "counted from 14d after it" in text
    assert "said no:\n\n- ranks: lift is low" in text
    assert "| ranks | no | lift is low |" in text
    assert "| calibrated | yes | calibration error is 0.0625 |" in text


def test_inactivity_is_told_as_such():
    label = {"churn": "inactivity", "horizon": "90d", "events": "purchases", "active_within": "180", "delay": "0d"}
    text = markdown(card_data(dataset={"label": label}))
    assert "shows no activity (purchases) for 90d from the cutoff on" in text
    assert "activity in the 180 days before the cutoff" in text
    assert "**Answer known**: At the end of the label window.\n" in text


def test_exclusions():
    cutoffs = [{"states": {"matured": 10, "immature": 7}}, {"states": {"in_lead": 2, "immature": 1}}]
    notes = {"excluded": {"ended_but_not_known": 6}, "left_for_another_reason": 5}
    text = markdown(card_data(dataset={"cutoffs": cutoffs, "notes": notes}, features=["usage_3m", "plan"]))
    assert "6 had left, which was not known yet; 8 await their label; 2 left inside the lead." in text
    assert "5 snapshots of customers who left for another reason" in text
    assert "2 are in the dataset and not in the model: tickets_3m, paperless." in text


def test_what_serves_was_fitted_again_after_the_figures():
    text = markdown(card_data())
    again = card_data().metrics["refit"]["fold"]["train"]
    assert "They are of the model before it was fitted again on everything that had matured" in text
    assert f"- **Fitted again**: on all {again:,} matured snapshots, with the same parameters, " in text
    assert "fitted again" not in markdown(card_data(timed=False)).lower()


def test_names_are_not_markup():
    """An underscore inside a name is no emphasis, and is left as it is."""
    assert plain("usage_3m _x_ ~y~ *z*") == r"usage_3m \_x\_ \~y\~ \*z\*"
    assert [plain(s) for s in ("# a", "- a", "12. a", "1.5 a")] == [r"\# a", r"\- a", r"\12. a", "1.5 a"]


def test_worse_groups_are_named():
    text = markdown(card_data(test={"worse_slices": WORSE}))
    said = "plan = pro: observed / expected 1.7500, against 1.0000 (1,234 snapshots, 56 churners)."
    assert f"\n- {said}\n" in text.partition("## By group")[2]
    assert f"\n- Worse for {said}\n" in text.partition("## Limits")[2]
    assert "calibration is off by more than 25%, or recall lower by more than 0.10 (level 0.05" in text
    assert "There is no group whose calibration is off" in markdown(
        card_data(test={"worse_slices": {**WORSE, "found": []}})
    )


def test_new_customers():
    metric = {"value": 0.61, "low": 0.55, "high": 0.66}
    text = markdown(card_data(test={"new_customers": {"n": 1077, "positives": 55, "metrics": {"roc_auc": metric}}}))
    assert "of whom no snapshot was trained on: 1,077 snapshots, 55 churners.\n" in text
    assert "| ROC-AUC | 0.6100 | 0.5500 to 0.6600 |" in text
    why = {"n": 3, "positives": 0, "why": "too few to measure"}
    assert "3 snapshots, 0 churners. Not measured apart: too few" in markdown(card_data(test={"new_customers": why}))


def test_figures_that_others_add_are_shown():
    test = card_data().metrics["test"]
    more = {"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}, "novelty": {"value": 0.97, "low": 0.9, "high": 1.05}}
    parts = {"reliability": 0.0125, "resolution": 0.0375}
    entry = {**test["by_cutoff"][0], "metrics": {**test["by_cutoff"][0]["metrics"], "profit": more["novelty"]}}
    text = markdown(card_data(test={"metrics": more, "brier_parts": parts, "by_cutoff": [entry]}))
    assert "| ROC-AUC | 0.8000 | 0.7000 to 0.9000 |\n| novelty | 0.9700 | 0.9000 to 1.0500 |" in text
    assert "| brier parts: resolution | 0.0375 | – |" in text
    assert "| profit per customer at the budget |\n" in text
    assert "| 0.970 (0.900 to 1.050) |\n" in text


def test_a_metric_that_is_not_defined():
    nothing = {"roc_auc": {"value": None, "low": None, "high": None}}
    assert "| ROC-AUC | not defined | – |" in markdown(card_data(test={"metrics": nothing}))


def test_names_mean_nothing_but_themselves():
    text = markdown(hostile())
    assert "<" not in text
    assert "&amp;lt;" in text
    for line in text.splitlines():
        assert not re.search(r"(?<!\\)[`\[\]]", line), line
        if line.startswith("| "):
            assert line.endswith(" |"), "a name must not end its row"
        assert not line.startswith("# $"), "a name must not start a heading"


def test_the_order_of_what_was_read_back_changes_nothing():
    data = card_data(verdict=REFUSED)

    def turned(found):
        if isinstance(found, dict):
            return {k: turned(found[k]) for k in reversed(found)}
        return [turned(v) for v in found] if isinstance(found, list | tuple) else found

    back = card_data(
        manifest=turned(data.manifest), metrics=turned(data.metrics), dataset=turned(data.dataset),
        verdict=turned(data.verdict),
    )  # fmt: skip
    assert markdown(back) == markdown(data)


def test_a_figure_is_told_once_with_its_interval():
    metric = {"value": 0.0125, "low": 0.01, "high": 0.02}
    text = markdown(card_data(test={"metrics": {"ece": metric}, "ece": 0.0125}))
    assert text.count("| expected calibration error |") == 1
    assert "| expected calibration error | 0.0125 | 0.0100 to 0.0200 |" in text
