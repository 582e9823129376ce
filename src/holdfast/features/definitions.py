"""What every feature means: names, business words and null meanings, from the configuration alone."""

from __future__ import annotations

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import Span
from holdfast.config.data import DataSection, EventsTable, HistoryTable
from holdfast.config.features import FeaturesSection, HistoryValue, Measure
from holdfast.errors import ConfigError, Problem
from holdfast.types import FeatureKind

FEATURES_VERSION = "2"
"""Changes when the meaning of a feature does; part of every dataset id."""

EXPOSURE = "exposure"
"""The group of the columns that say how much of a window is covered."""

NO_ROWS = "no such rows in the window, or the source does not cover it"
NOT_COVERED = "the source does not cover the window"

_WORDS = {
    "count": ("number of {label}", NOT_COVERED),
    "sum": ("{label}, total", NOT_COVERED),
    "mean": ("{label}, average", NO_ROWS),
    "std": ("{label}, variation", "fewer than two rows in the window"),
    "min": ("{label}, lowest", NO_ROWS),
    "max": ("{label}, highest", NO_ROWS),
    "trend": ("{label}, change per month", "fewer than two full months covered"),
    "ratio": ("{label}, last month relative to the months before", "nothing in the earlier months to compare with"),
    "share": ("{label}, share of all rows", NO_ROWS),
    "recency": ("days since the last of {label}", "none in the window, or the source does not cover it"),
}


def windows_of(item: Measure | HistoryValue, features: FeaturesSection) -> list[int]:
    """Window lengths in months, ascending."""
    spans: list[Span] = item.windows or features.windows
    return sorted({s.months for s in spans})


def measure_windows(aggregation: str, windows: list[int]) -> list[int]:
    """Windows an aggregation is computed over: recency only over the longest, ratio and trend need two months."""
    if aggregation == "recency":
        return windows[-1:]
    if aggregation in ("ratio", "trend"):
        return [w for w in windows if w > 1]
    return windows


def feature_schema(data: DataSection, features: FeaturesSection) -> FeatureSchema:
    """The ordered features that `holdfast.features.compute` gives for a configuration.

    Raises
    ------
    ConfigError
        Two features would have one name, or an attribute is a time.
    """
    found: list[FeatureSpec] = []
    if features.tenure:
        found.append(
            FeatureSpec("tenure_months", "number", "tenure", "months as a customer", "months", data.customers[0])
        )
    found += _attributes(data, features)
    for name, value in features.values.items():
        found += _history(name, value, data, features)
    for name, measure in features.measures.items():
        found += _measure(name, measure, data, features)
    for name in dict.fromkeys(m.table for m in features.measures.values()):
        found.append(
            FeatureSpec(
                f"{name}_exposure_months", "number", EXPOSURE, f"full months of {name} history", "months", name,
                f"{features.longest}m", "never null", _end_state_table(data, name),
            )
        )  # fmt: skip
    _require_usable(found, data, features)
    return FeatureSchema(tuple(found))


def _require_usable(found: list[FeatureSpec], data: DataSection, features: FeaturesSection) -> None:
    """Names must differ by more than case: engines do not tell ``Usage`` from ``usage``."""
    by_name: dict[str, list[FeatureSpec]] = {}
    for spec in found:
        by_name.setdefault(spec.name.lower(), []).append(spec)
    problems = [
        Problem("features", f"{len(specs)} features would be called '{specs[0].name}'", "Rename a measure or a value.")
        for specs in by_name.values()
        if len(specs) > 1
    ]
    columns = data.customers[1].columns
    problems += [
        Problem(f"features.attributes.{name}", "a time cannot be a feature", "Leave it out; tenure comes of itself.")
        for name in features.attributes
        if columns[name].type == "time"
    ]
    if problems:
        raise ConfigError("features cannot be computed", problems)


def _attributes(data: DataSection, features: FeaturesSection) -> list[FeatureSpec]:
    table_name, table = data.customers
    return [
        FeatureSpec(
            f"{table_name}_{name}", _kind(table.columns[name].type), f"{table_name}_{name}", label, "", table_name, "",
            "not recorded", table.columns[name].known_at == "extract",
        )
        for name, label in features.attributes.items()
    ]  # fmt: skip


def _history(name: str, value: HistoryValue, data: DataSection, features: FeaturesSection) -> list[FeatureSpec]:
    table = data.tables[value.table]
    assert isinstance(table, HistoryTable)
    end_state = _end_state_table(data, value.table)
    gap = "no version is known to hold at the cutoff"
    found: list[FeatureSpec] = []
    for aggregation in value.aggregations:
        if aggregation == "value":
            kind = _kind(table.columns[value.column].type)
            found.append(FeatureSpec(name, kind, name, value.label, value.unit, value.table, "", gap, end_state))
        elif aggregation == "months_until":
            found.append(
                FeatureSpec(
                    name, "number", name, value.label, "months", value.table, "", f"no date, or {gap}", end_state
                )
            )
        elif aggregation == "days_since_change":
            found.append(
                FeatureSpec(
                    f"{name}_days_since_change", "number", name, f"days since {value.label} last changed", "days",
                    value.table, "", gap, end_state,
                )
            )  # fmt: skip
        else:
            found += [
                FeatureSpec(
                    f"{name}_changes_{w}m", "number", name, f"changes of {value.label}, last {w} months", "",
                    value.table, f"{w}m", "no version known", end_state,
                )
                for w in windows_of(value, features)
            ]  # fmt: skip
    return found


def _measure(name: str, measure: Measure, data: DataSection, features: FeaturesSection) -> list[FeatureSpec]:
    end_state = _end_state_table(data, measure.table)
    found: list[FeatureSpec] = []
    for aggregation in measure.aggregations:
        words, null = _WORDS[aggregation]
        unit = {"count": "", "ratio": "", "share": "", "recency": "days", "trend": f"{measure.unit} per month".strip()}
        label = words.format(label=measure.label)
        found += [
            FeatureSpec(
                f"{name}_{aggregation}_{w}m", "number", name, f"{label}, {_last(w)}",
                unit.get(aggregation, measure.unit), measure.table, f"{w}m", null, end_state,
            )
            for w in measure_windows(aggregation, windows_of(measure, features))
        ]  # fmt: skip
    return found


def _last(months: int) -> str:
    return "last month" if months == 1 else f"last {months} months"


def _kind(column_type: str) -> FeatureKind:
    return "category" if column_type in ("category", "text") else "number"


def _end_state_table(data: DataSection, name: str) -> bool:
    table = data.tables[name]
    return isinstance(table, HistoryTable | EventsTable) and table.end_state
