"""Scores of one cutoff: calibrated probability, tier, decile and reasons for everyone active."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from holdfast.artifacts.batches import SCORE_SCHEMA, ScoreBatch
from holdfast.clock import iso
from holdfast.config.learning import ScoringSection, Tier
from holdfast.models.bundle import Bundle
from holdfast.models.explain import Reason, Value

DECILES = 10
SIGNIFICANT = 4


def score_batch(
    bundle: Bundle, features: pa.Table, cutoff: datetime, config: ScoringSection, *, model_version: str
) -> ScoreBatch:
    """Score feature rows of one cutoff.

    Parameters
    ----------
    features : customer_id, cutoff and at least the bundle's features, ordered by customer_id

    Returns
    -------
    ScoreBatch
        One row per row of ``features``, in their order.

    Raises
    ------
    DataError
        Features that the bundle needs are missing or of another kind.
    """
    probability = bundle.predict(features)
    reasons = bundle.explain(features, top=config.reasons) if features.num_rows else []
    tiers = tiers_of(probability, config.tiers)
    table = pa.table(
        {
            "customer_id": features.column("customer_id").combine_chunks(),
            "cutoff": features.column("cutoff").combine_chunks(),
            "probability": pa.array(probability, pa.float64()),
            "tier": pa.array(tiers, pa.string()),
            "decile": pa.array(deciles_of(probability), pa.int8()),
            "reasons": pa.array([[_reason(r) for r in row] for row in reasons], SCORE_SCHEMA.field("reasons").type),
            "model_version": pa.array([model_version] * features.num_rows, pa.string()),
            "bundle_sha256": pa.array([bundle.sha256] * features.num_rows, pa.string()),
        },
        schema=SCORE_SCHEMA,
    )
    counts = {tier.name: int(sum(t == tier.name for t in tiers)) for tier in config.tiers}
    manifest: dict[str, Any] = {
        "cutoff": iso(cutoff),
        "customers": features.num_rows,
        "model_version": model_version,
        "bundle_sha256": bundle.sha256,
        "mean_probability": round(float(probability.mean()), 9) if len(probability) else None,
        "expected_churners": round(float(probability.sum()), 6),
        "tiers": counts,
        "top_reasons": top_reasons(reasons),
    }
    return ScoreBatch(cutoff, table, manifest)


def tiers_of(probability: npt.NDArray[np.float64], tiers: Sequence[Tier]) -> list[str]:
    """The tier of each probability: the highest whose bound it reaches."""
    bounds = np.array([t.at_least for t in tiers[::-1]])
    index = np.searchsorted(bounds, probability, side="right") - 1
    names = [t.name for t in tiers[::-1]]
    return [names[i] for i in np.clip(index, 0, len(names) - 1)]


def deciles_of(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """1 for the riskiest tenth of the batch to 10; equal probabilities go by row order."""
    order = np.argsort(-probability, kind="stable")
    rank = np.empty(len(probability), dtype=np.int64)
    rank[order] = np.arange(len(probability))
    return (rank * DECILES // max(len(probability), 1) + 1).astype(np.int8)


def top_reasons(reasons: Sequence[Sequence[Reason]], limit: int = 5) -> list[dict[str, Any]]:
    """The measures most often given as the first reason, with the share of customers."""
    first = [row[0] for row in reasons if row]
    counts: dict[str, int] = {}
    labels: dict[str, str] = {}
    for reason in first:
        counts[reason.group] = counts.get(reason.group, 0) + 1
        labels.setdefault(reason.group, reason.label)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [{"measure": g, "label": labels[g], "share": round(n / len(first), 4)} for g, n in ordered]


def shown_value(value: Value) -> str | None:
    """A feature's value as people read it: four significant digits, or the category."""
    if value is None or isinstance(value, str):
        return value
    return f"{value:.{SIGNIFICANT}g}" if abs(value) < 10**SIGNIFICANT else f"{value:.0f}"


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "group": reason.group,
        "feature": reason.feature,
        "label": reason.label,
        "value": shown_value(reason.value),
        "typical": shown_value(reason.typical),
        "direction": reason.direction,
        "contribution": reason.contribution,
    }
