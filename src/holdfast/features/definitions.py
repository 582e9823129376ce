"""What every feature means: names, business words and null meanings, from the configuration alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.artifacts.dataset import snapshot_schema
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import Span
from holdfast.config.data import DataSection, EventsTable, HistoryTable
from holdfast.config.features import FeaturesSection, HistoryValue, Measure
from holdfast.errors import ConfigError, Problem
from holdfast.features.words import AGGREGATIONS, in_words, window
from holdfast.types import FeatureKind

FEATURES_VERSION = "3"
"""Changes when the meaning of a feature does; part of every dataset id."""

DAYS_PER_MONTH = 30.4375  # 365.25 / 12

EXPOSURE = "exposure"
"""The group of the columns that say how much of a window is covered."""

RESERVED = (*snapshot_schema(FeatureSchema(())).names, "k", "version_rank")
"""Columns that snapshots have beside their features, in the end or while these are computed."""

OF_MONTHS = ("ratio", "trend")
"""What compares months: only over windows of two months or more."""
OVER_THE_LONGEST = ("recency",)


@dataclass(frozen=True)
class Part:
    """A measure, or what it is of one value of ``by``."""

    name: str
    label: str
    by: tuple[tuple[str, tuple[str]], ...] = ()


def parts_of(name: str, measure: Measure) -> list[Part]:
    """A measure with ``by`` is one part for each value, named by it in letters, digits and underscores."""
    if not measure.by:
        return [Part(name, measure.label)]
    (column, values) = next(iter(measure.by.items()))
    return [
        Part(f"{name}_{safe(value)}", f"{measure.label} ({column}: {value.strip()})", ((column, (value,)),))
        for value in values
    ]


def safe(value: str) -> str:
    """A value as a part of a name.

    >>> safe(" Fibre optic+ ")
    'fibre_optic'
    """
    return re.sub(r"\W+", "_", value.lower()).strip("_") or "blank"


def length(span: Span) -> tuple[float, int]:
    """Windows in order of their length."""
    return (span.months * DAYS_PER_MONTH + span.days, span.months)


def windows_of(item: Measure | HistoryValue, features: FeaturesSection) -> list[Span]:
    """The windows of a measure or a value, ascending."""
    return sorted(set(item.windows or features.windows), key=length)


def measure_windows(aggregation: str, windows: list[Span]) -> list[Span]:
    """Windows an aggregation is computed over: recency only over the longest, ratio and trend need two months."""
    if aggregation in OVER_THE_LONGEST:
        return windows[-1:]
    if aggregation in OF_MONTHS:
        return [w for w in windows if w.months > 1]
    return windows


def feature_schema(data: DataSection, features: FeaturesSection) -> FeatureSchema:
    """The ordered features that `holdfast.features.compute` gives for a configuration.

    Raises
    ------
    ConfigError
        Two features would have one name, one has a name that is taken, or an attribute is a time.
    """
    found: list[FeatureSpec] = []
    if features.tenure:
        found.append(
            FeatureSpec(
                "tenure_months", "number", "tenure", "months as a customer", "months", _population_table(data), "",
                "never null", False, "completed months of the cutoffs' grid since the customer's start",
            )
        )  # fmt: skip
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
                f"full months before the cutoff, at most {features.longest}, that the customer and {name} cover",
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
    problems += [
        Problem(
            "features", f"a feature would be called '{spec.name}', as a column of every snapshot is",
            f"Give the measure, the value or the column another name; taken are {', '.join(RESERVED)}.",
        )
        for spec in found
        if spec.name.lower() in RESERVED
    ]  # fmt: skip
    problems += [
        Problem(f"features.attributes.{name}", "a time cannot be a feature", "Leave it out; tenure comes of itself.")
        for name in features.attributes
        if (found_at := data.attribute(name)) is not None and found_at[1].type == "time"
    ]
    problems += [
        Problem(
            f"features.measures.{name}.aggregations", f"{aggregation} needs a window of two months or more",
            "Add one to its windows, or leave it out.",
        )
        for name, measure in features.measures.items()
        for aggregation in measure.aggregations
        if not measure_windows(aggregation, windows_of(measure, features))
    ]  # fmt: skip
    if problems:
        raise ConfigError("features cannot be computed", problems)


def _attributes(data: DataSection, features: FeaturesSection) -> list[FeatureSpec]:
    found: list[FeatureSpec] = []
    for name, label in features.attributes.items():
        at = data.attribute(name)
        assert at is not None  # checked on load
        table, column = at
        short = name.rpartition(".")[2]
        end_state = column.known_at == "extract"
        since = "as of the extract" if end_state else "fixed at the customer's start"
        found.append(
            FeatureSpec(
                f"{table}_{short}", _kind(column.type), f"{table}_{short}", label, "", table, "", "not recorded",
                end_state, f"{table}.{short}, {since}",
            )
        )  # fmt: skip
    return found


def _population_table(data: DataSection) -> str:
    """The table that says since when somebody is a customer."""
    return data.stays[0] if data.stays is not None else data.label.events or ""


def _history(name: str, value: HistoryValue, data: DataSection, features: FeaturesSection) -> list[FeatureSpec]:
    table = data.tables[value.table]
    assert isinstance(table, HistoryTable)
    cell = f"{value.table}.{value.column}"
    gap = "no version is known to hold at the cutoff"
    found: list[FeatureSpec] = []

    def add(
        suffix: str, label: str, unit: str, null: str, definition: str, *, kind: FeatureKind = "number",
        window: str = "",
    ) -> None:  # fmt: skip
        found.append(
            FeatureSpec(
                f"{name}{suffix}", kind, name, label, unit, value.table, window, null, table.end_state, definition
            )
        )

    for aggregation in value.aggregations:
        if aggregation == "value":
            kind = _kind(table.columns[value.column].type)
            add("", value.label, value.unit, gap, f"{cell} of the version that holds at the cutoff", kind=kind)
        elif aggregation == "months_until":
            words = f"days from the cutoff to {cell}, divided by {DAYS_PER_MONTH}"
            add("", value.label, "months", f"no date, or {gap}", words)
        elif aggregation == "days_since_change":
            words = f"days from when {cell} last took another value to the cutoff"
            add("_days_since_change", f"days since {value.label} last changed", "days", gap, words)
        else:
            for w in windows_of(value, features):
                words = f"how often {cell} took another value in {window(w)}"
                label = f"changes of {value.label}, {in_words(w)}"
                add(f"_changes_{w}", label, "", "no version known", words, window=str(w))
    return found


def _measure(name: str, measure: Measure, data: DataSection, features: FeaturesSection) -> list[FeatureSpec]:
    end_state = _end_state_table(data, measure.table)
    rows = f"rows of {measure.table}"
    chosen = _where(rows, measure.where)
    of_rows = measure.column is None and measure.expression is None
    value = f"{measure.table}.{measure.column}" if measure.expression is None else f"({measure.expression})"
    found: list[FeatureSpec] = []
    for part in parts_of(name, measure):
        terms = {
            "rows": _where(rows, {**measure.where, **dict(part.by)}),
            "value": value,
            "whole": chosen if part.by else f"all {rows}",
        }
        whole = measure.label if part.by else "all rows"
        for aggregation in measure.aggregations:
            words = AGGREGATIONS[aggregation]
            unit = measure.unit if words.unit is None else words.unit
            unit = f"{unit} per month".strip() if aggregation == "trend" else unit
            how = (words.of_rows if of_rows and words.of_rows else words.definition).format(**terms)
            label = words.label.format(label=part.label, whole=whole)
            found += [
                FeatureSpec(
                    f"{part.name}_{aggregation}_{w}", "number", part.name, f"{label}, {in_words(w)}", unit,
                    measure.table, str(w), words.null, end_state, f"{how}, in {window(w)}",
                )
                for w in measure_windows(aggregation, windows_of(measure, features))
            ]  # fmt: skip
    return found


def _where(rows: str, where: Mapping[str, Sequence[str]]) -> str:
    said = [f"{column} is {' or '.join(values)}" for column, values in where.items()]
    return f"{rows} where {' and '.join(said)}" if said else rows


def _kind(column_type: str) -> FeatureKind:
    return "category" if column_type in ("category", "text") else "number"


def _end_state_table(data: DataSection, name: str) -> bool:
    table = data.tables[name]
    return isinstance(table, HistoryTable | EventsTable) and table.end_state
