"""The model card: what a version is, was trained on, is good for, and is not. Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "lift_at_10": "lift in the top 10%",
    "recall_at_10": "recall in the top 10%",
}

_CALIBRATION = {
    "identity": "not recalibrated (no calibration map improved its own probabilities on unseen snapshots)",
    "sigmoid": "calibrated by a sigmoid on unseen snapshots",
    "isotonic": "calibrated by isotonic regression on unseen snapshots",
}


def model_card(
    *,
    project: str,
    version: str,
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
    dataset: Mapping[str, Any],
    importance: Sequence[Mapping[str, Any]],
    verdict: Mapping[str, Any],
) -> str:
    """The card of a version as Markdown.

    Parameters
    ----------
    manifest, metrics : of the bundle
    dataset : the dataset manifest as JSON
    importance : measures with the share of the mean absolute contribution, largest first
    verdict : the gate's, as JSON
    """
    test = metrics["test"]
    lines = [
        f"# {project}: model version {version}",
        "",
        f"{manifest['estimator']}, {_CALIBRATION[metrics['calibration']]}; bundle trained on dataset "
        f"`{manifest['dataset_id']}`.",
        "",
        "## What it says",
        "",
        f"The probability that a customer leaves within {dataset['label']['horizon']} of the cutoff"
        + (f", counted from {dataset['label']['lead']} after it" if dataset["label"]["lead"] != "0d" else "")
        + ". It ranks and values customers; it does not say what would happen if they were contacted.",
        "",
        "## Data",
        "",
        f"- Known as of {dataset['known_as_of']}; labels complete through {dataset['complete_through']}.",
        f"- {dataset['matured']:,} matured snapshots with {dataset['positives']:,} churners, "
        f"{len(dataset['cutoffs'])} cutoffs, {len(dataset['features'])} features.",
        f"- Validation: {metrics['folds']['kind']} folds; {_final(metrics)}",
        *_reconstructed(dataset),
        *_end_state(metrics),
        "",
        "## Figures on snapshots it has not seen",
        "",
        f"{test['n']:,} snapshots, {test['positives']:,} churners (base rate {test['base_rate']:.4f}). "
        "Intervals are 95%, from a bootstrap that draws customers.",
        "",
        "| metric | value | interval |",
        "| --- | --- | --- |",
        *(_row(NAMES.get(name, name), m) for name, m in test["metrics"].items()),
        f"| expected calibration error | {test['ece']:.4f} | |",
        "",
        "| cutoff | snapshots | churners | ROC-AUC | average precision |",
        "| --- | --- | --- | --- | --- |",
        *(_cutoff(entry) for entry in test["by_cutoff"]),
        "",
        "## What moves it",
        "",
        "Share of the mean absolute contribution (exact, in log-odds), by measure:",
        "",
        *(f"- {item['label']}: {item['share']:.1%}" for item in importance),
        "",
        "## Candidates, by out-of-fold log loss",
        "",
        *(f"- {c['estimator']}: {c['out_of_fold_log_loss']:.5f}" for c in metrics["candidates"]),
        "",
        "## The gate",
        "",
        "passed" if verdict["passed"] else "said no:",
        *(f"- {reason}" for reason in verdict["reasons"]),
        "",
    ]
    return "\n".join(lines)


def _final(metrics: Mapping[str, Any]) -> str:
    final = metrics["folds"]["final"]
    if metrics["folds"]["kind"].startswith("purged"):
        return f"final test on {final['name']}, touched once."
    return "figures are those of the folds: each customer predicted by a model that never saw her."


def _reconstructed(dataset: Mapping[str, Any]) -> list[str]:
    if dataset["history"] != "reconstructed":
        return []
    return [
        f"- **The history is reconstructed**, not recorded: {dataset['reconstructed_why']}",
        "- On one extract with few thousand churners, folds differ by luck: a single average precision far above the "
        "interval below is luck, or a column that knows the outcome.",
    ]


def _end_state(metrics: Mapping[str, Any]) -> list[str]:
    end_state = metrics["end_state"]
    if not end_state["columns"]:
        return ["- No end-state column is used: nothing is known only as of the extract."]
    lines = [
        f"- {len(end_state['columns'])} end-state columns (known only as of the extract, with no history, so a value "
        f"may have changed after the cutoff): {', '.join(end_state['columns'])}."
    ]
    if "with" in end_state:
        lines += [
            f"- {NAMES[name]} with them {end_state['with'][name]['value']:.4f}, without them "
            f"{end_state['without'][name]['value']:.4f} "
            f"({end_state['without'][name]['low']:.4f} to {end_state['without'][name]['high']:.4f})."
            for name in end_state["with"]
        ]
    return lines


def _row(name: str, metric: Mapping[str, Any]) -> str:
    if metric["value"] is None:
        return f"| {name} | not defined | |"
    return f"| {name} | {metric['value']:.4f} | {metric['low']:.4f} to {metric['high']:.4f} |"


def _cutoff(entry: Mapping[str, Any]) -> str:
    if "metrics" not in entry:
        return f"| {entry['cutoff']} | {entry['n']:,} | {entry['positives']:,} | – | – |"
    auc, ap = entry["metrics"]["roc_auc"], entry["metrics"]["average_precision"]
    return (
        f"| {entry['cutoff']} | {entry['n']:,} | {entry['positives']:,} | {auc['value']:.3f} ({auc['low']:.3f} to "
        f"{auc['high']:.3f}) | {ap['value']:.3f} ({ap['low']:.3f} to {ap['high']:.3f}) |"
    )
