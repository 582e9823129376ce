"""What the figures are called, for people: one table for reports, cards and MLflow's descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "lift_at_10": "lift at 10%",
    "recall_at_10": "recall at 10%",
    "observed_expected": "observed / expected",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "calibration_error": "calibration error",
    "ece": "expected calibration error",
    "out_of_fold_log_loss": "out-of-fold log loss",
    "empc": "expected maximum profit",
    "profit": "profit per customer at the budget",
}


def name_of(key: str) -> str:
    """A metric's name in words."""
    return NAMES.get(key, key.replace("_", " "))


def ordered(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Known metrics in the order of `NAMES`, then the others by name, however they were written."""
    place = {name: i for i, name in enumerate(NAMES)}
    return {k: metrics[k] for k in sorted(metrics, key=lambda k: (place.get(k, len(place)), k))}
