"""Features for a project that declares none: a good set, from the declared columns alone.

================  =====================  ====================================================================
table             column                 features
================  =====================  ====================================================================
events            its rows               count, recency, mean_gap, ratio, trend
events            number                 sum, mean, max, last, ratio, trend
events            boolean                count and share of the rows where it is true
events            category, ``allowed``  share of every allowed value
events            category               n_unique
history           category, boolean      value, changes, days_since_change
history           number                 value, changes, days_since_change
history           time                   months_until
customers         known at the start     as it is; times, texts and end-state columns are left out
================  =====================  ====================================================================
"""

from __future__ import annotations

from typing import Any

from holdfast.config.data import Column, CustomersTable, DataSection, EventsTable, HistoryTable
from holdfast.config.features import FeaturesSection

OF_ROWS = ["count", "recency", "mean_gap", "ratio", "trend"]
OF_NUMBERS = ["sum", "mean", "max", "last", "ratio", "trend"]
OF_MONTHS = ("ratio", "trend")
OF_STATES = ["value", "changes", "days_since_change"]


def declares_none(features: FeaturesSection) -> bool:
    """Whether a configuration names no measure, value or attribute."""
    return not (features.measures or features.values or features.attributes)


def with_defaults(data: DataSection, features: FeaturesSection) -> FeaturesSection:
    """The features section, filled in from the tables where it declares no measures, values and attributes."""
    if not declares_none(features):
        return features
    monthly = any(w.months > 1 for w in features.windows)  # what trend and ratio need
    measures: dict[str, Any] = {}
    values: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    for name, table in data.tables.items():
        if isinstance(table, EventsTable):
            measures[name] = {"table": name, "label": _said(name), "aggregations": OF_ROWS}
            for column, declared in table.columns.items():
                found = _measure(name, column, declared)
                if found is not None:
                    measures[f"{name}_{column}"] = {"table": name, "label": _said(f"{name} {column}"), **found}
        elif isinstance(table, HistoryTable):
            for column, declared in table.columns.items():
                said = {"table": name, "column": column, "label": _said(f"{name} {column}")}
                if declared.type == "time":
                    values[f"{name}_months_until_{column}"] = {
                        **said, "label": _said(f"months until {name} {column}"), "aggregations": ["months_until"],
                    }  # fmt: skip
                elif declared.type != "text":
                    values[f"{name}_{column}"] = {**said, "aggregations": OF_STATES}
        elif isinstance(table, CustomersTable):
            attributes |= {
                f"{name}.{column}": _said(column)
                for column, declared in table.columns.items()
                if declared.known_at == "start" and declared.type not in ("time", "text")
            }
    for measure in measures.values():
        measure["aggregations"] = [a for a in measure["aggregations"] if monthly or a not in OF_MONTHS]
    derived = FeaturesSection.model_validate({"measures": measures, "values": values, "attributes": attributes})
    return features.model_copy(
        update={"measures": derived.measures, "values": derived.values, "attributes": derived.attributes}
    )


def _measure(table: str, name: str, column: Column) -> dict[str, Any] | None:
    if column.type == "number":
        return {"column": name, "aggregations": OF_NUMBERS}
    if column.type == "boolean":
        return {"where": {name: ["true"]}, "aggregations": ["count", "share"]}
    if column.type == "category":
        if column.allowed:
            return {"by": {name: column.allowed}, "label": _said(table), "aggregations": ["share"]}
        return {"column": name, "aggregations": ["n_unique"]}
    return None


def _said(name: str) -> str:
    return name.replace("_", " ").strip()
