"""data.yaml: the tables, the churn definition and the cutoffs."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from holdfast.clock import Span, iso
from holdfast.config.base import InstantField, Section, SpanField
from holdfast.types import History

ColumnType = Literal["number", "category", "boolean", "time", "text"]

TRUE = ("true", "t", "yes", "y", "1")
FALSE = ("false", "f", "no", "n", "0")
"""The words for a boolean, in cells as in configuration; case does not matter."""


class Column(Section):
    """A declared column of a source table."""

    type: ColumnType
    scale: int = Field(default=2, ge=0, le=6)
    """Decimal digits of a number; sums are exact at this scale."""
    nullable: bool = True
    min: float | None = None
    max: float | None = None
    allowed: list[str] | None = None
    """Allowed values; others are a data error. Leave out to accept new categories."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Column:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    def stored(self, word: str) -> str | int:
        """A value written in configuration as the canonical table holds it (`holdfast.sources.columns`).

        >>> Column(type="number", scale=2).stored("1.5")
        150

        Raises
        ------
        ValueError
            ``word`` is no value of this type, or the column is a time.
        """
        text = word.strip()
        match self.type:
            case "number":
                try:
                    units = Decimal(text).scaleb(self.scale).quantize(Decimal(1), ROUND_HALF_UP)
                except InvalidOperation as e:
                    raise ValueError(f"{word!r} is not a number") from e
                return int(units)
            case "boolean":
                if text.lower() in (*TRUE, *FALSE):
                    return int(text.lower() in TRUE)
                raise ValueError(f"{word!r} is neither true nor false")
            case "time":
                raise ValueError("a time cannot be chosen by its value")
            case _:
                return text


class Attribute(Column):
    """A column of the customers table."""

    known_at: Literal["start", "extract"] = "extract"
    """``start``: fixed when the customer starts. ``extract``: end-state, known only as of the extract."""


class CustomersTable(Section):
    """One row per customer: start, end and plain attributes."""

    kind: Literal["customers"]
    path: str
    """A Parquet or CSV file, folder or glob, relative to ``sources``."""
    key: str
    start: str
    start_available_at: str | None = None
    end: str
    end_available_at: str | None = None
    columns: dict[str, Attribute] = Field(default_factory=dict)


class HistoryTable(Section):
    """Versions of a customer's state, valid in ``[valid_from, valid_to)``; null valid_to is open."""

    kind: Literal["history"]
    path: str
    key: str
    valid_from: str
    valid_to: str | None = None
    available_at: str | None = None
    closed_available_at: str | None = None
    """When the closing of a version became known; by default when it happened."""
    end_state: bool = False
    """The whole table was rebuilt from values known only as of the extract."""
    columns: dict[str, Column]


class EventsTable(Section):
    """Things that happened to customers."""

    kind: Literal["events"]
    path: str
    key: str
    """The customer's id."""
    id: str | None = None
    """The event's own id: rows that share it are versions of one event, the latest available counts."""
    time: str
    available_at: str | None = None
    delay: SpanField = Span()
    """Where there is no available_at column: available_at = time + delay (whole days)."""
    deleted: str | None = None
    """A boolean column; a version with true deletes the event (a tombstone)."""
    end_state: bool = False
    """The whole table was rebuilt from values known only as of the extract."""
    columns: dict[str, Column] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_availability(self) -> EventsTable:
        if self.available_at and not self.delay.is_zero:
            raise ValueError("give available_at or delay, not both")
        if self.delay.months:
            raise ValueError("a delay is in days or weeks, not months")
        if self.deleted and not self.id:
            raise ValueError("deleted needs id: a tombstone must say which event it deletes")
        return self


Table = Annotated[CustomersTable | HistoryTable | EventsTable, Field(discriminator="kind")]


class Cutoffs(Section):
    """The instants that training snapshots are taken at: monthly, on each anchor day."""

    anchor_days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = Field(default=(1,), min_length=1)
    first: InstantField | None = None
    """The first cutoff; by default the first on the grid after the sources begin plus the longest window."""
    last: InstantField | None = None
    """The last cutoff; by default the last on the grid at or before known_as_of."""

    @model_validator(mode="after")
    def _ascending(self) -> Cutoffs:
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"first {iso(self.first)} is after last {iso(self.last)}")
        if len(set(self.anchor_days)) != len(self.anchor_days):
            raise ValueError("anchor_days must differ")
        return self


class Label(Section):
    """What churn is and when it counts."""

    churn: Literal["contractual"] = "contractual"
    """``contractual``: the customer's end lies in the label window."""
    horizon: SpanField = Span(months=1)
    lead: SpanField = Span()
    grace: SpanField = Span()
    """A customer who comes back within this time has not churned."""
    delay: SpanField = Span()
    """Label delay: how long after the window (and grace) the business waits for late news of an end."""

    @model_validator(mode="after")
    def _spans(self) -> Label:
        if self.horizon.is_zero:
            raise ValueError("horizon must be longer than zero")
        for name in ("lead", "grace", "delay"):
            if getattr(self, name).months:
                raise ValueError(f"{name} is in days or weeks, not months")
        return self


class Simulate(Section):
    """The built-in company that ``holdfast simulate`` writes into ``sources``."""

    customers: PositiveInt = 7043
    months: Annotated[int, Field(ge=1, le=240)] = 36
    seed: Annotated[int, Field(ge=0)] = 7
    start: date = date(2022, 1, 1)


class DataSection(Section):
    """The tables, the churn definition and the cutoffs."""

    sources: str = "sources"
    """Folder of the source files, relative to var/<project>/ (or absolute)."""
    history: History = "recorded"
    """``reconstructed``: the history was rebuilt from one extract; folds are grouped by customer, not by time."""
    reconstructed_why: str = ""
    known_as_of: InstantField | None = None
    """Rows available at or after it do not exist; by default the sources' own watermark."""
    complete_through: InstantField | None = None
    """How far the source of the label is complete; by default known_as_of."""
    cutoffs: Cutoffs = Cutoffs()
    label: Label = Label()
    tables: dict[str, Table]
    simulate: Simulate | None = None

    @model_validator(mode="after")
    def _one_customers_table(self) -> DataSection:
        found = [name for name, table in self.tables.items() if table.kind == "customers"]
        if len(found) != 1:
            raise ValueError(f"exactly one table must have kind: customers; found {found or 'none'}")
        return self

    @property
    def customers(self) -> tuple[str, CustomersTable]:
        """The name and declaration of the customers table."""
        for name, table in self.tables.items():
            if isinstance(table, CustomersTable):
                return name, table
        raise AssertionError("checked on load")
