"""What scoring and decisions write: one Parquet table per cutoff, beside a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

REASON = pa.struct(
    [
        ("group", pa.string()),
        ("feature", pa.string()),
        ("label", pa.string()),
        ("value", pa.string()),
        ("typical", pa.string()),
        ("direction", pa.string()),
        ("contribution", pa.float64()),
    ]
)

SCORE_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("cutoff", pa.timestamp("us")),
        ("probability", pa.float64()),
        ("tier", pa.string()),
        ("decile", pa.int8()),  # 1 is the riskiest tenth of the batch
        ("reasons", pa.list_(REASON)),
        ("model_version", pa.string()),
        ("bundle_sha256", pa.string()),
    ]
)

DECISION_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("cutoff", pa.timestamp("us")),
        ("probability", pa.float64()),
        ("tier", pa.string()),
        ("clv", pa.float64()),  # lifetime value if retained, in the project's currency
        ("expected_loss", pa.float64()),  # probability x clv
        ("segment", pa.string()),
        ("action", pa.string()),  # best eligible action, or "none"
        ("retention", pa.float64()),  # share of would-be churners the action keeps
        ("cost", pa.float64()),
        ("expected_value", pa.float64()),  # p(churn) x CLV x retention - cost
        ("status", pa.string()),  # contact | holdout | over_budget | no_action
        ("why", pa.string()),  # in words
    ]
)


@dataclass(frozen=True)
class ScoreBatch:
    """Scores of everyone active at one cutoff, ordered by customer_id. ``table`` has `SCORE_SCHEMA`."""

    cutoff: datetime
    table: pa.Table
    manifest: dict[str, Any]


@dataclass(frozen=True)
class DecisionBatch:
    """One decision for every scored customer, ordered by customer_id. ``table`` has `DECISION_SCHEMA`."""

    cutoff: datetime
    table: pa.Table
    manifest: dict[str, Any]
