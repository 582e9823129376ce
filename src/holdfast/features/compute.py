"""THE feature path: training, batch scoring and online materialisation all come through `compute`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import Grid
from holdfast.config.data import Column, DataSection, EventsTable, HistoryTable
from holdfast.config.features import FeaturesSection, HistoryValue, Measure
from holdfast.features.definitions import EXPOSURE, feature_schema, windows_of
from holdfast.features.events import event_features
from holdfast.features.history import history_features
from holdfast.features.job import EventsJob
from holdfast.features.knowledge import first_full_bucket
from holdfast.features.plan import plan_of

NOBODY = (1970 * 12, 1970 * 12)
"""The grid span of an empty population: any month will do."""


def compute(
    engine: Engine,
    population: Any,
    cutoffs: Any,
    tables: Mapping[str, Any],
    data: DataSection,
    features: FeaturesSection,
    *,
    grid: Grid,
    known_as_of: datetime,
) -> tuple[Any, FeatureSchema]:
    """Features of every (customer, cutoff) of a population whose cutoffs lie on one grid.

    Parameters
    ----------
    population : customer_id, cutoff, k (grid index), start; one row per pair
    cutoffs : cutoff, k and ``start_<w>m`` for 1 month and every window in months
    tables : canonical tables by name (`holdfast.sources.tables`)
    known_as_of : rows available at or after it do not exist

    Returns
    -------
    (Ibis table, FeatureSchema)
        customer_id, cutoff and the schema's columns; numbers float32, categories string, null is unknown.
    """
    schema = feature_schema(data, features)
    starts = [c for c in cutoffs.columns if c.startswith("start_")]
    pairs = population.select("customer_id", "cutoff", "k", "start").join(cutoffs.select("k", *starts), "k")
    pairs = engine.materialize(pairs, "pairs")
    span = engine.to_arrow(pairs.aggregate(low=pairs.k.min(), high=pairs.k.max())).to_pylist()[0]
    ks = NOBODY if span["low"] is None else (int(span["low"]), int(span["high"]))
    months = _numbers(engine, "b", ks[0] - features.longest + 1, ks[1])
    offsets = _numbers(engine, "o", 0, features.longest - 1)

    parts: list[Any] = []
    for number, (name, table) in enumerate(tables.items()):
        config = data.tables[name]
        if isinstance(config, HistoryTable):
            values = {n: v for n, v in features.values.items() if v.table == name}
            if values:
                parts.append(
                    history_features(engine, number, config, table, values, features, pairs, known_as_of=known_as_of)
                )
        elif isinstance(config, EventsTable):
            plan = plan_of(name, data, features)
            if plan is not None:
                parts += event_features(
                    engine,
                    EventsJob(
                        f"events_{number}", name, config, table, plan, pairs, months, offsets, ks, grid, known_as_of,
                        features.longest,
                    ),
                )  # fmt: skip
    return _together(pairs, parts, tables, data, features, schema, grid), schema


def window_lengths(features: FeaturesSection) -> list[int]:
    """Months of every window the cutoff table must know: 1 and all that features ask for."""
    items: list[Measure | HistoryValue] = [*features.measures.values(), *features.values.values()]
    spans = {span for item in items for span in windows_of(item, features)}
    return sorted({1, *(s.months for s in spans if s.months)})


def _numbers(engine: Engine, name: str, first: int, last: int) -> Any:
    column = pa.array(range(first, last + 1), pa.int64())
    return engine.from_arrow(pa.table({name: column}), f"numbers_{name}")


def _together(
    pairs: Any, parts: Sequence[Any], tables: Mapping[str, Any], data: DataSection, features: FeaturesSection,
    schema: FeatureSchema, grid: Grid,
) -> Any:  # fmt: skip
    """Every pair with all its features; what no part has is unknown."""
    joined = pairs
    columns: dict[str, Any] = {}
    for part in parts:
        joined = joined.left_join(part, [pairs.customer_id == part.customer_id, pairs.k == part.k])
        columns |= {name: part[name] for name in part.columns if name not in ("customer_id", "k")}
    for table_name in dict.fromkeys(at[0] for a in features.attributes if (at := data.attribute(a)) is not None):
        customers = tables[table_name]
        joined = joined.left_join(customers, [pairs.customer_id == customers.customer_id])
        for attribute in features.attributes:
            at = data.attribute(attribute)
            if at is not None and at[0] == table_name:
                name = attribute.rpartition(".")[2]
                columns[f"{table_name}_{name}"] = _attribute(customers[f"c_{name}"], at[1])
    if features.tenure:
        columns["tenure_months"] = (pairs.k - first_full_bucket(pairs.start, grid) + 1).cast("float32")
    for spec in schema:
        if spec.group == EXPOSURE:
            columns[spec.name] = columns.get(spec.name, _null(spec)).fill_null(0.0).cast("float32")
        elif spec.name not in columns:
            columns[spec.name] = _null(spec)
    return joined.select(pairs.customer_id, pairs.cutoff, **{name: columns[name] for name in schema.names})


def _null(spec: FeatureSpec) -> Any:
    return ibis.null("float32" if spec.kind == "number" else "string")


def _attribute(cell: Any, column: Column) -> Any:
    if column.type in ("category", "text"):
        return cell
    unit = float(10**column.scale) if column.type == "number" else 1.0
    return (cell.cast("float64") / unit).cast("float32")
