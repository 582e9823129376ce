"""The promotion gate: may the challenger serve? Every refusal says which check, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from holdfast.config.learning import Promotion
from holdfast.evaluation.intervals import Evaluation, paired_difference
from holdfast.training.rows import FloatArray, IntArray


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes
    ----------
    passed : whether the challenger may become champion
    reasons : one sentence per check that said no
    evidence : the figures looked at, as JSON
    """

    passed: bool
    reasons: tuple[str, ...]
    evidence: Mapping[str, Any]


def decide(
    challenger: Evaluation,
    calibration_error: float,
    config: Promotion,
    *,
    comparison: Mapping[str, Any] | None = None,
) -> Verdict:
    """Judge a challenger on its own, and against the champion where there is one.

    Parameters
    ----------
    challenger : its metrics on snapshots it has not seen
    calibration_error : its expected calibration error there
    comparison : what `compare_with_champion` gave; None for a first champion
    """
    reasons: list[str] = []
    lift = challenger["lift_at_10"]
    if isnan(lift.value):
        reasons.append("nobody, or everybody, left among the unseen snapshots: the ranking cannot be measured")
    elif not lift.low > config.min_lift:
        reasons.append(
            f"lift at 10% is {lift.value:.2f}, 95% interval from {lift.low:.2f}: not above {config.min_lift:g}"
        )
    if not calibration_error <= config.max_calibration_error:
        reasons.append(f"expected calibration error is {calibration_error:.4f}, above {config.max_calibration_error:g}")
    if comparison is not None and not comparison["better"]:
        reasons.append(str(comparison["why"]))
    evidence = {
        "lift_at_10": lift.to_json(),
        "calibration_error": calibration_error,
        **({} if comparison is None else {"against_champion": dict(comparison)}),
    }
    return Verdict(not reasons, tuple(reasons), evidence)


def compare_with_champion(
    y: FloatArray,
    challenger: FloatArray,
    champion: FloatArray,
    customers: IntArray,
    config: Promotion,
    *,
    replicates: int,
    seed: int,
) -> dict[str, Any]:
    """Log loss of both on the same snapshots that neither trained on, paired and clustered by customer.

    The challenger is better iff the one-sided bound of the difference (challenger - champion) lies below zero.
    """
    difference = paired_difference(
        y, challenger, champion, customers, metric="log_loss", replicates=replicates, seed=seed,
        confidence=config.confidence,
    )  # fmt: skip
    better = difference.upper < 0
    why = (
        f"log loss differs from the champion's by {difference.value:+.5f}; its upper bound {difference.upper:+.5f} at "
        f"{config.confidence:.1%} confidence is not below zero"
    )
    return {"better": better, "why": "" if better else why, "difference": difference.to_json()}
