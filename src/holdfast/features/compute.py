"""THE feature path: training, batch scoring and online materialisation all come through `compute`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import Grid
from holdfast.config.data import Column, DataSection, EventsTable, HistoryTable
from holdfast.config.features import FeaturesSection, Measure
from holdfast.errors import ConfigError, Problem
from holdfast.features.definitions import feature_schema, measure_windows, windows_of
from holdfast.features.events import EventsJob, event_features
from holdfast.features.history import history_features
from holdfast.features.knowledge import first_full_bucket
from holdfast.features.measures import PlannedMeasure

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
    cutoffs : cutoff, k and ``start_<w>m`` for 1 month and every window length
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

    found = _customer_features(pairs, data, features, tables, grid)
    for number, (name, table) in enumerate(tables.items()):
        config = data.tables[name]
        if isinstance(config, HistoryTable):
            values = {n: v for n, v in features.values.items() if v.table == name}
            if values:
                part = history_features(engine, number, config, table, values, features, pairs, known_as_of=known_as_of)
                found = _join(found, part)
        elif isinstance(config, EventsTable):
            measures = _planned(name, data, features)
            if measures:
                job = EventsJob(number, name, config, table, measures, features.longest)
                part = event_features(engine, job, pairs, grid=grid, known_as_of=known_as_of, ks=ks)
                found = _join(found, part)
    return found.select("customer_id", "cutoff", *schema.names), schema


def window_lengths(features: FeaturesSection) -> list[int]:
    """Months of every window the cutoff table must know: 1 and all that features ask for."""
    lengths = {1, features.longest}
    for measure in features.measures.values():
        lengths.update(windows_of(measure, features))
    for value in features.values.values():
        lengths.update(windows_of(value, features))
    return sorted(lengths)


def _join(found: Any, part: Any) -> Any:
    return found.left_join(part, ["customer_id", "k"]).drop("customer_id_right", "k_right")


def _customer_features(
    pairs: Any, data: DataSection, features: FeaturesSection, tables: Mapping[str, Any], grid: Grid
) -> Any:
    table_name, config = data.customers
    columns: dict[str, Any] = {}
    customers = tables[table_name]
    joined = pairs.select("customer_id", "cutoff", "k", "start").inner_join(
        customers.select("customer_id", *[f"c_{a}" for a in features.attributes]), "customer_id"
    )
    if features.tenure:
        columns["tenure_months"] = (joined.k - first_full_bucket(joined.start, grid) + 1).cast("float32")
    for attribute in features.attributes:
        column, cell = config.columns[attribute], joined[f"c_{attribute}"]
        if column.type in ("category", "text"):
            columns[f"{table_name}_{attribute}"] = cell
        else:
            unit = float(10**column.scale) if column.type == "number" else 1.0
            columns[f"{table_name}_{attribute}"] = (cell.cast("float64") / unit).cast("float32")
    return joined.select("customer_id", "cutoff", "k", **columns)


def _planned(name: str, data: DataSection, features: FeaturesSection) -> list[PlannedMeasure]:
    return [
        _plan(measure_name, measure, data, features)
        for measure_name, measure in features.measures.items()
        if measure.table == name
    ]


def _plan(name: str, measure: Measure, data: DataSection, features: FeaturesSection) -> PlannedMeasure:
    table = data.tables[measure.table]
    column = None if measure.column is None else table.columns[measure.column]
    return PlannedMeasure(
        name=name,
        column=None if measure.column is None else f"c_{measure.column}",
        where=tuple((f"c_{c}", _stored(name, c, table.columns[c], words)) for c, words in measure.where.items()),
        scale=column.scale if column is not None and column.type == "number" else 0,
        windows={a: measure_windows(a, windows_of(measure, features)) for a in measure.aggregations},
    )


def _stored(measure: str, name: str, column: Column, words: Sequence[str]) -> tuple[str | int, ...]:
    """The words of a ``where`` as the column holds them: a boolean is 0 or 1, a number is in units of its scale."""
    try:
        return tuple(column.stored(word) for word in words)
    except ValueError as e:
        problem = Problem(f"features.measures.{measure}.where.{name}", f"{e}; the column is a {column.type}")
        raise ConfigError("a feature cannot be computed", [problem]) from e
