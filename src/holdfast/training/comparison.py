"""What the candidates are worth beside each other: the proper score that decides, ranking, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from holdfast.evaluation.arrays import finite_or_none
from holdfast.evaluation.calibration import calibration_line, log_loss
from holdfast.evaluation.ranking import average_precision, roc_auc
from holdfast.training.candidates import Candidate, cross_calibrated
from holdfast.training.rows import FloatArray, TrainingRows


def compare(candidates: Sequence[Candidate], rows: TrainingRows) -> list[dict[str, Any]]:
    """The candidates, best first, as JSON; every figure is of rows that their model has not seen.

    ``calibration.raw`` is of the model's own probabilities, ``calibration.calibrated`` of those by a calibrator that
    saw the other folds alone. Weighing the classes takes the first far from the truth; the second says what is left.
    """
    return [_entry(c, rows) for c in sorted(candidates, key=Candidate.rank)]


def _entry(candidate: Candidate, rows: TrainingRows) -> dict[str, Any]:
    y, customers = rows.y[candidate.rows], rows.customers[candidate.rows]
    raw = np.asarray(expit(candidate.margin), dtype=np.float64)
    return {
        "estimator": candidate.name,
        "params": dict(candidate.config.params),
        "imbalance": candidate.config.imbalance[0],
        "features": list(candidate.config.features),
        "monotone": dict(candidate.config.monotone),
        "calibrator": candidate.calibration.calibrator.to_json()["kind"],
        "out_of_fold_log_loss": round(candidate.log_loss, 6),
        "ranking": {
            "roc_auc": _round(roc_auc(y, candidate.margin)),
            "average_precision": _round(average_precision(y, candidate.margin)),
        },
        "calibration": {
            "raw": _calibration(y, raw),
            "calibrated": _calibration(y, cross_calibrated(candidate, y, customers)),
        },
    }


def _calibration(y: FloatArray, p: FloatArray) -> dict[str, float | None]:
    return {
        "slope": _round(calibration_line(y, p).slope),
        "observed_expected": _round(float(y.mean() / p.mean())),
        "log_loss": _round(log_loss(y, p)),
    }


def _round(value: float) -> float | None:
    found = finite_or_none(value)
    return None if found is None else round(found, 6)
