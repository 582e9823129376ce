"""Scores of feature rows: calibrated probability, tier and reasons, each row by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from holdfast.artifacts.batches import SCORE_SCHEMA
from holdfast.config.learning import ScoringSection, Tier
from holdfast.models.bundle import Bundle
from holdfast.models.explain import Reason, Value

SIGNIFICANT = 4


def score_rows(bundle: Bundle, features: pa.Table, config: ScoringSection, *, model_version: str) -> pa.Table:
    """Score feature rows.

    Parameters
    ----------
    features : customer_id, cutoff and at least the bundle's features

    Returns
    -------
    table
        `SCORE_SCHEMA` without ``decile``, which takes all rows of a cutoff; one row per row of ``features``, in order.

    Raises
    ------
    DataError
        Features that the bundle needs are missing or of another kind.
    """
    probability = bundle.predict(features)
    reasons = bundle.explain(features, top=config.reasons) if features.num_rows else []
    return pa.table(
        {
            "customer_id": features.column("customer_id"),
            "cutoff": features.column("cutoff"),
            "probability": pa.array(probability, pa.float64()),
            "tier": pa.array(tiers_of(probability, config.tiers), pa.string()),
            "reasons": pa.array([[_reason(r) for r in row] for row in reasons], SCORE_SCHEMA.field("reasons").type),
            "model_version": pa.array([model_version] * features.num_rows, pa.string()),
            "bundle_sha256": pa.array([bundle.sha256] * features.num_rows, pa.string()),
        }
    )


def tiers_of(probability: npt.NDArray[np.float64], tiers: Sequence[Tier]) -> list[str]:
    """The tier of each probability: the highest whose bound it reaches."""
    bounds = np.array([t.at_least for t in tiers[::-1]])
    index = np.searchsorted(bounds, probability, side="right") - 1
    names = [t.name for t in tiers[::-1]]
    return [names[i] for i in np.clip(index, 0, len(names) - 1)]


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
