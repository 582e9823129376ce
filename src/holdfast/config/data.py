"""data.yaml: the tables, the churn definition and the cutoffs. Its parts are to be had from here."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from holdfast.config.base import InstantField, Section
from holdfast.config.columns import (
    COLUMN_CHECKS,
    DEFAULT_CHECKS,
    FALSE,
    TRUE,
    Attribute,
    CheckName,
    Column,
    ColumnType,
    OnViolation,
)
from holdfast.config.cutoffs import Cutoffs
from holdfast.config.database import Database
from holdfast.config.label import Label
from holdfast.config.tables import CustomersTable, EventsTable, HistoryTable, Table
from holdfast.types import History

__all__ = [
    "COLUMN_CHECKS", "DEFAULT_CHECKS", "FALSE", "TRUE", "Attribute", "CheckName", "Column", "ColumnType",
    "CustomersTable", "Cutoffs", "DataSection", "Database", "EventsTable", "HistoryTable", "Label", "OnViolation",
    "QueryEngine", "Simulate", "Table",
]  # fmt: skip


class Simulate(Section):
    """The built-in company that ``holdfast simulate`` writes into ``sources``."""

    customers: PositiveInt = 7043
    months: Annotated[int, Field(ge=1, le=240)] = 36
    seed: Annotated[int, Field(ge=0)] = 7
    start: date = date(2022, 1, 1)


class QueryEngine(Section):
    """Where snapshots, labels, features and scores are computed. Both engines give the same, bit for bit."""

    kind: Literal["duckdb", "spark"] = "duckdb"
    """``duckdb``: in this process. ``spark``: in a cluster's executors (needs the extra ``spark`` and Java 17)."""
    memory: str | None = None
    """DuckDB's memory limit, for example ``8GB``; beyond it, it uses the disk. By default 80% of the machine's."""
    master: str = "local[*]"
    """Spark's master: ``local[4]``, ``spark://host:7077``, ``yarn`` or ``k8s://…``."""
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Spark's own settings, for example ``spark.executor.memory: 8g``."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> QueryEngine:
        if self.kind == "spark" and self.memory is not None:
            raise ValueError("memory is DuckDB's; write options: {spark.executor.memory: …}")
        if self.kind == "duckdb" and (self.options or "master" in self.model_fields_set):
            raise ValueError("master and options are Spark's; write kind: spark, or leave them out")
        if strange := [name for name in self.options if not name.startswith("spark.")]:
            raise ValueError(f"{strange[0]!r} is no setting of Spark; they begin with 'spark.'")
        return self

    @property
    def settings(self) -> dict[str, str]:
        """``options`` as Spark writes them."""
        return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in self.options.items()}


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
    engine: QueryEngine = QueryEngine()

    @model_validator(mode="after")
    def _who_is_a_customer(self) -> DataSection:
        stays = [name for name, table in self.tables.items() if isinstance(table, CustomersTable) and table.start]
        if len(stays) > 1 or (not stays and self.label.churn == "contractual"):
            raise ValueError(f"exactly one table must have kind: customers with start and end; found {stays or 'none'}")
        if self.label.reasons is not None and self.stays is not None and self.stays[1].end_reason is None:
            raise ValueError(f"label.reasons needs end_reason in data.tables.{self.stays[0]}")
        if self.label.events is not None:
            table = self.tables.get(self.label.events)
            if not isinstance(table, EventsTable):
                raise ValueError(f"label.events: there is no events table '{self.label.events}'")
            if strange := [c for c in self.label.where if c not in table.columns]:
                raise ValueError(f"label.where: {strange} not declared in data.tables.{self.label.events}.columns")
        return self

    @property
    def stays(self) -> tuple[str, CustomersTable] | None:
        """The name and declaration of the table with starts and ends; None where churn is inactivity without one."""
        for name, table in self.tables.items():
            if isinstance(table, CustomersTable) and table.start is not None:
                return name, table
        return None

    def attribute(self, name: str) -> tuple[str, Attribute] | None:
        """The customers table and the declaration of an attribute, written ``column`` or ``table.column``."""
        for table_name, table in self.tables.items():
            if isinstance(table, CustomersTable):
                for column, declared in table.columns.items():
                    if name in (column, f"{table_name}.{column}"):
                        return table_name, declared
        return None
