"""Scores of feature rows: calibrated probability, tier and reasons, each row by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from holdfast.artifacts.batches import REASON
from holdfast.artifacts.schema import FeatureSchema
from holdfast.config.learning import ScoringSection, Tier
from holdfast.evaluation.arrays import IntArray
from holdfast.models.bundle import Bundle
from holdfast.models.explain import NONE, RankedReasons, Value, as_values, rank_reasons

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
    probability, contributions = bundle.scored(features)
    ranked = rank_reasons(contributions, bundle.schema, top=config.reasons)
    return pa.table(
        {
            "customer_id": features.column("customer_id"),
            "cutoff": features.column("cutoff"),
            "probability": pa.array(probability, pa.float64()),
            "tier": pa.array(tiers_of(probability, config.tiers), pa.string()),
            "reasons": reasons_column(ranked, bundle.schema, features, bundle.typicals),
            "model_version": pa.repeat(model_version, features.num_rows),
            "bundle_sha256": pa.repeat(bundle.sha256, features.num_rows),
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
    # what rounds to five digits is written out too, not as 1e+04
    return f"{value:.{SIGNIFICANT}g}" if abs(value) < 10**SIGNIFICANT - 0.5 else f"{value:.0f}"


def reasons_column(
    ranked: RankedReasons, schema: FeatureSchema, rows: pa.Table, typicals: Mapping[str, Value]
) -> pa.ListArray:
    """(n,) lists of `REASON`, strongest first, made column by column: a million rows make no object each."""
    found = ranked.feature != NONE
    picked = ranked.feature[found]
    of_row = np.nonzero(found)[0]
    specs = [*schema]

    def word(texts: list[str | None]) -> pa.Array:
        return pa.array(texts, pa.string()).take(pa.array(picked))

    columns = {
        "group": word([f.group for f in specs]),
        "feature": word([f.name for f in specs]),
        "label": word([f.label for f in specs]),
        "value": _shown_values(picked, of_row, schema, rows),
        "typical": word([shown_value(typicals.get(f.name)) for f in specs]),
        "direction": pa.repeat(ranked.direction, len(picked)),
        "contribution": pa.array(ranked.contribution[found]),
    }
    offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
    reasons = pa.StructArray.from_arrays([columns[field.name] for field in REASON], fields=list(REASON))
    return pa.ListArray.from_arrays(pa.array(offsets), reasons)


def _shown_values(picked: IntArray, of_row: IntArray, schema: FeatureSchema, rows: pa.Table) -> pa.Array:
    """`shown_value` of feature ``picked[i]`` of row ``of_row[i]``; each value that occurs is written once."""
    texts = np.full(len(picked), None, dtype=object)
    for number in np.unique(picked).tolist():
        feature = schema.features[number]
        at = np.flatnonzero(picked == number)
        column = rows.column(feature.name).take(pa.array(of_row[at])).cast(feature.arrow_type)
        coded = column.combine_chunks().dictionary_encode()
        shown = [*(shown_value(value) for value in as_values(pa.chunked_array([coded.dictionary]))), None]
        codes = coded.indices.fill_null(len(shown) - 1).to_numpy(zero_copy_only=False)
        texts[at] = np.array(shown, dtype=object)[codes]
    return pa.array(texts, pa.string())
