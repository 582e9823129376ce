"""Features of a history table: the version that held at the cutoff by what was known then (DESIGN 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.config.data import HistoryTable
from holdfast.config.features import FeaturesSection, HistoryValue
from holdfast.features.definitions import DAYS_PER_MONTH, windows_of
from holdfast.features.knowledge import days_between, known_rows, with_superseded


def history_features(
    engine: Engine,
    number: int,
    config: HistoryTable,
    table: Any,
    values: Mapping[str, HistoryValue],
    features: FeaturesSection,
    population: Any,
    *,
    known_as_of: datetime,
) -> Any:
    """Values at the cutoff, changes in windows and time since the last change.

    Parameters
    ----------
    number : tells the tables of one computation apart; their names may hold anything

    Returns
    -------
    Ibis table
        customer_id, k and the features; rows only where some version was known.
    """
    versions = with_superseded(known_rows(table, known_as_of), ["customer_id", "valid_from"])
    seen = population.join(
        versions,
        [
            population.customer_id == versions.customer_id,
            versions.available_at < population.cutoff,
            versions.superseded_at.isnull() | (versions.superseded_at >= population.cutoff),
            versions.valid_from < population.cutoff,
        ],
    )
    pair = ["customer_id", "k"]
    ordered = ibis.window(group_by=pair, order_by="valid_from")
    latest = ibis.row_number().over(ibis.window(group_by=pair, order_by=ibis.desc("valid_from")))
    columns = sorted({f"c_{v.column}" for v in values.values()})
    ranked = seen.select(
        *pair, "cutoff", "valid_from", "valid_to", "closed_available_at", *columns,
        *[c for c in population.columns if c.startswith("start_")],
        rank=latest,
        first=ibis.row_number().over(ordered) == 0,
        **{f"before_{c}": seen[c].lag().over(ordered) for c in columns},
    )  # fmt: skip
    ranked = engine.materialize(ranked, f"hist_{number}_seen")
    whole = ibis.window(group_by=pair)
    closed = (
        ranked.valid_to.notnull() & (ranked.valid_to < ranked.cutoff) & (ranked.closed_available_at < ranked.cutoff)
    ).fill_null(False)
    found: dict[str, Any] = {}
    for value_name, value in values.items():
        found |= _value_features(ranked, value_name, value, config, features, closed, whole)
    rows = ranked.select(*pair, version_rank=ranked["rank"], **found)
    rows = rows.filter(rows.version_rank == 0).drop("version_rank")
    result = engine.materialize(rows, f"hist_{number}_features")
    engine.drop(f"hist_{number}_seen")
    return result


def _value_features(
    t: Any,
    name: str,
    value: HistoryValue,
    config: HistoryTable,
    features: FeaturesSection,
    closed: Any,
    whole: Any,
) -> dict[str, Any]:
    column = config.columns[value.column]
    cell = t[f"c_{value.column}"]
    before = t[f"before_c_{value.column}"]
    same = (cell == before).fill_null(False) | (cell.isnull() & before.isnull())
    changed = ~t["first"] & ~same
    found: dict[str, Any] = {}
    for aggregation in value.aggregations:
        if aggregation == "value":
            kind = "string" if column.type in ("category", "text") else "float32"
            number = cell if kind == "string" else (cell.cast("float64") / float(_unit(column.type, column.scale)))
            found[name] = ibis.ifelse(closed, ibis.null(kind), number.cast(kind))
        elif aggregation == "months_until":
            months = days_between(t.cutoff, cell) / DAYS_PER_MONTH
            found[name] = ibis.ifelse(closed, ibis.null("float32"), months.cast("float32"))
        elif aggregation == "days_since_change":
            since = t.valid_from.max(where=changed | t["first"]).over(whole)
            days = days_between(since, t.cutoff).cast("float32")
            found[f"{name}_days_since_change"] = ibis.ifelse(closed, ibis.null("float32"), days)
        else:
            for w in windows_of(value, features):
                since = t[f"start_{w}"] if w.months else t.cutoff - ibis.interval(days=w.days)
                count = (changed & (t.valid_from >= since)).cast("int64").sum().over(whole)
                found[f"{name}_changes_{w}"] = count.cast("float32")
    return found


def _unit(column_type: str, scale: int) -> int:
    return 10**scale if column_type == "number" else 1
