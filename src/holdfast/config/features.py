"""features.yaml: which features are computed from which tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from holdfast.clock import Span
from holdfast.config.base import Section, SpanField

EventAggregation = Literal[
    "count", "sum", "mean", "std", "min", "max", "first", "last", "n_unique", "trend", "ratio", "share", "recency",
    "mean_gap",
]  # fmt: skip
ValueAggregation = Literal["value", "changes", "days_since_change", "months_until"]

ROW_AGGREGATIONS: frozenset[str] = frozenset({"count", "trend", "ratio", "share", "recency", "mean_gap"})
"""What can be computed of rows alone, without a column."""


class Measure(Section):
    """A measure over an events table: a numeric column, an expression of numeric columns, or the rows themselves."""

    table: str
    column: str | None = None
    expression: str | None = None
    """Instead of ``column``: sums, differences and products of number columns and constants, ``amount - refund``."""
    where: dict[str, list[str]] = Field(default_factory=dict)
    """Keep rows whose column is one of the values."""
    by: dict[str, list[str]] = Field(default_factory=dict)
    """One column and some of its values: the measure is computed of the rows of each value, as
    ``<measure>_<value>_<aggregation>_<window>``; ``share`` is then the share by category."""
    label: str
    unit: str = ""
    aggregations: list[EventAggregation] = Field(min_length=1)
    windows: list[SpanField] | None = None

    @model_validator(mode="after")
    def _aggregations_fit(self) -> Measure:
        if self.column is not None and self.expression is not None:
            raise ValueError("give column or expression, not both")
        if self.column is None and self.expression is None:
            wrong = [a for a in self.aggregations if a not in ROW_AGGREGATIONS]
            if wrong:
                raise ValueError(f"{', '.join(wrong)} need a column; rows alone have {sorted(ROW_AGGREGATIONS)}")
        if "share" in self.aggregations and not self.where and not self.by:
            raise ValueError("share needs a where or a by: the share of which rows?")
        if len(self.by) > 1:
            raise ValueError("by takes one column")
        return self


class HistoryValue(Section):
    """A column of a history table, as it was at the cutoff."""

    table: str
    column: str
    label: str
    unit: str = ""
    aggregations: list[ValueAggregation] = Field(default=["value"], min_length=1)
    windows: list[SpanField] | None = None


class FeaturesSection(Section):
    """Which features are computed, from which tables, over which windows."""

    windows: list[SpanField] = Field(default=[Span(months=3), Span(months=6), Span(months=12)], min_length=1)
    measures: dict[str, Measure] = Field(default_factory=dict)
    values: dict[str, HistoryValue] = Field(default_factory=dict)
    attributes: dict[str, str] = Field(default_factory=dict)
    """Columns of customers tables to use (``column`` or ``table.column``), each with its label in business words."""
    tenure: bool = True
    """Completed months since the customer's start, on the cutoffs' own grid."""

    def _spans(self) -> list[Span]:
        spans = list(self.windows)
        for measure in self.measures.values():
            spans += measure.windows or []
        for value in self.values.values():
            spans += value.windows or []
        return spans

    @model_validator(mode="after")
    def _windows_are_long(self) -> FeaturesSection:
        if any(span.is_zero for span in self._spans()):
            raise ValueError("feature windows are longer than zero")
        return self

    @property
    def longest(self) -> int:
        """Months of the longest window; days count as the months that they surely fit into."""
        return max(span.months or -(-span.days // 28) for span in self._spans())
