"""What alerts are called, and what to do about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # listing alerts need not wait for SciPy
    from holdfast.monitoring.drift import What

STALE = "stale_table"
PARITY = "parity"
DRIFT: dict[What, str] = {"values": "drift", "nulls": "null_drift", "score": "score_drift"}

_AGAIN = "then run score, decide, materialize and monitor again"
_RETRAIN = "Run: holdfast retrain --project {project}"
_ADVICE = {
    STALE: f"See whether the table's feed still runs, and bring what is missing, {_AGAIN}.",
    PARITY: "See which values: holdfast materialize --verify --project {project}. Then: holdfast materialize --project "
    "{project}",
    "drift": f"If the source changed what it records (units, words), mend it, {_AGAIN}. Else: {_RETRAIN}",
    "null_drift": f"If the source no longer fills what the feature needs, mend it, {_AGAIN}. Else: {_RETRAIN}",
    "score_drift": f"See which features drifted, and mend what is wrong with them. Else: {_RETRAIN}",
    "drifted_share": f"Mend stale and wrong tables first. {_RETRAIN}",
    "score_psi": f"Mend stale and wrong tables first. {_RETRAIN}",
    "log_loss_increase": _RETRAIN,
    "max_age": _RETRAIN,
}
_OTHER = "See the report in var/{project}/reports."


def what_to_do(kind: str, project: str) -> str:
    """The next step after an alert of this kind, in a sentence or two."""
    return _ADVICE.get(kind, _OTHER).format(project=project)
