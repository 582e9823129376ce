"""A batch of scores: rows are scored where they are, ranked by the engine, and summed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.batches import SCORE_SCHEMA
from holdfast.artifacts.engine import Engine
from holdfast.clock import iso
from holdfast.config.learning import ScoringSection
from holdfast.models.bundle import Bundle
from holdfast.scoring.predictor import score_rows

DECILES = 10
BINS = 1000
"""Customers are ranked within bins of like probability, so that no single task must sort them all."""
UNITS = 10**10
"""Probabilities are summed in these, as integers: the sum does not depend on the order."""
TOP_REASONS = 5

ROW_SCHEMA = pa.schema(
    [*(f for f in SCORE_SCHEMA if f.name != "decile"), ("first_group", pa.string()), ("first_label", pa.string())]
)
"""What is known of a customer alone: no decile; the group and the label of the first reason for the sums."""


@dataclass(frozen=True)
class ScoreRows:
    """Feature rows to rows of `ROW_SCHEMA`, batch by batch."""

    bundle: Bundle
    config: ScoringSection
    model_version: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            features = pa.Table.from_batches([batch])
            rows = score_rows(self.bundle, features, self.config, model_version=self.model_version)
            reasons = rows.column("reasons").combine_chunks()
            # an empty list has no first element, which Arrow would call an error
            first = pc.list_element(pc.if_else(pc.equal(pc.list_value_length(reasons), 0), None, reasons), 0)
            for key in ("group", "label"):
                rows = rows.append_column(f"first_{key}", pc.struct_field(first, key))
            yield from rows.cast(ROW_SCHEMA).combine_chunks().to_batches()


def score_batch(
    engine: Engine, features: Any, bundle: Bundle, cutoff: datetime, config: ScoringSection, *, model_version: str
) -> tuple[Any, dict[str, Any]]:
    """Score the customers of one cutoff.

    Parameters
    ----------
    features : customer_id, cutoff and at least the bundle's features, one row per customer

    Returns
    -------
    (Ibis table of `SCORE_SCHEMA`, manifest)

    Raises
    ------
    DataError
        Features that the bundle needs are missing or of another kind.
    """
    bundle.encoder.transform(_no_rows(engine, features))  # a wrong table is refused before anything runs
    function = ScoreRows(bundle, config, model_version)
    scored = engine.map_batches(features.order_by("customer_id"), function, ROW_SCHEMA, "scored")
    manifest = {
        "cutoff": iso(cutoff),
        "model_version": model_version,
        "bundle_sha256": bundle.sha256,
        **_sums(engine, scored),
        "tiers": _tiers(engine, scored, config),
        "top_reasons": _top_reasons(engine, scored),
    }
    return with_deciles(scored).select(*SCORE_SCHEMA.names), manifest


def with_deciles(scored: Any) -> Any:
    """Add ``decile``: 1 for the riskiest tenth to 10; equal probabilities go by customer_id."""
    scored = scored.mutate(bin=(scored.probability * float(BINS)).floor().cast("int64"))
    bins = scored.group_by("bin").aggregate(n=scored.count())
    falling = ibis.window(order_by=bins.bin.desc(), preceding=(None, 1))
    riskier = bins.select("bin", riskier=bins.n.sum().over(falling).fill_null(0), all=bins.n.sum().over(ibis.window()))
    ranked = scored.inner_join(riskier, "bin")
    within = ibis.window(group_by="bin", order_by=[ranked.probability.desc(), ranked.customer_id])
    rank = ranked.riskier + ibis.row_number().over(within)
    return ranked.mutate(decile=(rank * DECILES // ranked["all"] + 1).cast("int8"))


def _no_rows(engine: Engine, features: Any) -> pa.Table:
    return engine.to_arrow(features.limit(0))


def _sums(engine: Engine, scored: Any) -> dict[str, Any]:
    units = (scored.probability * float(UNITS)).cast("int64")
    row = engine.to_arrow(scored.aggregate(n=scored.count(), total=units.sum())).to_pylist()[0]
    n, total = int(row["n"]), int(row["total"] or 0)
    return {
        "customers": n,
        "mean_probability": round(total / UNITS / n, 9) if n else None,
        "expected_churners": round(total / UNITS, 6),
    }


def _tiers(engine: Engine, scored: Any, config: ScoringSection) -> dict[str, int]:
    counted = engine.to_arrow(scored.group_by("tier").aggregate(n=scored.count())).to_pylist()
    found = {row["tier"]: int(row["n"]) for row in counted}
    return {tier.name: found.get(tier.name, 0) for tier in config.tiers}


def _top_reasons(engine: Engine, scored: Any) -> list[dict[str, Any]]:
    """The measures most often given as the first reason, with the share of the customers that have one."""
    with_one = scored.filter(scored.first_group.notnull())
    groups = with_one.group_by("first_group").aggregate(n=with_one.count(), label=with_one.first_label.min())
    rows = engine.to_arrow(groups).to_pylist()
    total = sum(row["n"] for row in rows)
    most = sorted(rows, key=lambda row: (-row["n"], row["first_group"]))[:TOP_REASONS]
    return [{"measure": r["first_group"], "label": r["label"], "share": round(r["n"] / total, 4)} for r in most]
