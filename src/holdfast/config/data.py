"""data.yaml: the tables, the churn definition and the cutoffs."""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, PositiveInt, field_validator, model_validator

from holdfast.clock import Every, Span, iso
from holdfast.config.base import InstantField, Section, SpanField
from holdfast.types import History

ColumnType = Literal["number", "category", "boolean", "time", "text"]

CheckName = Literal[
    "type", "missing", "range", "allowed", "unique", "foreign_key", "order", "overlap", "conflict", "future", "outside"
]
"""What is checked of a table's rows.

type         a cell is not of its declared type, or has no time zone where others of its column have one
missing      no value where one is needed (keys, times, ``nullable: false``, when a known end became known)
range        below ``min`` or above ``max``
allowed      not one of ``allowed``
unique       a value of a ``unique`` column, or a customer of a one-row-per-customer table, comes more than once
foreign_key  a row of a customer that the customers table does not have
order        an end before its start, a valid_to before its valid_from
overlap      two versions of a customer's history hold at the same time
conflict     one id with different content available at the same instant
future       an event, start or version later than tomorrow, by the clock of the machine
outside      an event before the customer's start or after their end
"""

OnViolation = Literal["error", "warn", "drop"]
"""``error`` refuses the table; ``warn`` counts and keeps; ``drop`` counts and leaves the rows out of everything.

A cell of a nullable column that is not of its type becomes null and its row stays, dropped or warned. Rows that cannot
be kept are left out by ``warn`` as by ``drop``: without a customer, a time or its availability, in conflict, or several
of a customer where there may be one. Of rows in conflict or overlapping none is right, so all of them go.
"""

DEFAULT_CHECKS: dict[CheckName, OnViolation] = {"foreign_key": "warn", "outside": "warn"}
"""Every other check is an error by default."""

COLUMN_CHECKS: frozenset[CheckName] = frozenset({"type", "missing", "range", "allowed", "unique"})

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
    unique: bool = False
    """No value comes twice (nulls aside)."""
    checks: dict[CheckName, OnViolation] = Field(default_factory=dict)
    """What to do about violations in this column; by default what the table says."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Column:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.type != "number" and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max are for numbers, not for a {self.type}")
        for word in self.allowed or []:
            self.stored(word)
        return self

    @field_validator("checks")
    @classmethod
    def _of_a_column(cls, checks: dict[CheckName, OnViolation]) -> dict[CheckName, OnViolation]:
        return _only(checks, COLUMN_CHECKS, "a column")

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


def _only(checks: dict[CheckName, OnViolation], known: frozenset[CheckName], what: str) -> dict[CheckName, OnViolation]:
    if odd := sorted(set(checks) - known):
        raise ValueError(f"{', '.join(odd)} is no check of {what}; it has {', '.join(sorted(known))}")
    return checks


class Attribute(Column):
    """A column of the customers table."""

    known_at: Literal["start", "extract"] = "extract"
    """``start``: fixed when the customer starts. ``extract``: end-state, known only as of the extract."""


_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^".]+)'


class Database(Section):
    """A table of a database: DuckDB (a file) or PostgreSQL."""

    url: str | None = None
    """``duckdb:///file.duckdb`` (relative to ``sources``) or ``postgresql://user@host:port/database``; no password."""
    url_from: str | None = None
    """The environment variable that holds the url, where it has a password. Its value is never stored."""
    table: str
    """``table`` or ``schema.table``, as the database spells it; a name with a dot in it goes in double quotes."""

    @model_validator(mode="after")
    def _one_url(self) -> Database:
        if (self.url is None) == (self.url_from is None):
            raise ValueError("give url or url_from (the name of an environment variable), one of them")
        if self.url is not None and not self.url.startswith(("duckdb:///", "postgresql://")):
            raise ValueError(f"url {self.url.partition(':')[0]!r} is not known; write duckdb:///… or postgresql://…")
        if self.url is not None and ":" in self.url.partition("://")[2].rpartition("@")[0]:
            raise ValueError("a password does not belong into YAML; put the whole url into the environment (url_from)")
        return self

    @field_validator("table")
    @classmethod
    def _one_or_two_names(cls, table: str) -> str:
        if not re.fullmatch(rf"{_IDENTIFIER}(\.{_IDENTIFIER})?", table):
            raise ValueError(f"{table!r} is not a table's name; write table or schema.table")
        return table

    @property
    def names(self) -> tuple[str, ...]:
        """``table`` or ``schema, table``, without quotes."""
        found = re.findall(_IDENTIFIER, self.table)
        return tuple(n[1:-1].replace('""', '"') if n.startswith('"') else n for n in found)


class _Table(Section):
    """What every declared table has."""

    path: str | None = None
    """A Parquet or CSV file, folder or glob, relative to ``sources``."""
    database: Database | None = None
    """Instead of ``path``: a table of a DuckDB file or of PostgreSQL."""
    timezone: str = "UTC"
    """The zone of times that are written without one, for example ``Europe/Berlin``; of a local time that is there
    twice, or not at all, when the clocks change, the later reading counts. A date is midnight UTC in any zone."""
    checks: dict[CheckName, OnViolation] = Field(default_factory=dict)
    """What to do about rows that are not as declared: error (default), warn or drop, by check."""

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as e:
            raise ValueError(f"{name!r} is no time zone; write an IANA name, for example Europe/Berlin") from e
        return name

    roles: ClassVar[tuple[str, ...]] = ("key",)
    """The fields that name a column of the source."""
    possible: ClassVar[frozenset[CheckName]] = COLUMN_CHECKS
    """The checks that a table of this kind can fail."""

    @model_validator(mode="after")
    def _one_place(self) -> _Table:
        if (self.path is None) == (self.database is None):
            raise ValueError("give path (files) or database, one of them")
        return self

    @model_validator(mode="after")
    def _checks_are_its_own(self) -> _Table:
        kind = getattr(self, "kind", "")
        _only(self.checks, self.possible, f"a table of {kind}")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> _Table:
        seen: dict[str, str] = {}
        for name in self.source_columns():
            if (other := seen.setdefault(name.lower(), name)) != name:
                raise ValueError(f"columns {other!r} and {name!r} differ only in case; rename one where it comes from")
        return self

    def source_columns(self) -> list[str]:
        """The columns of the source that the declaration names, each once."""
        named: list[str | None] = [getattr(self, role) for role in self.roles]
        return list(dict.fromkeys(n for n in [*named, *getattr(self, "columns", {})] if n is not None))

    def on_violation(self, check: CheckName, column: str | None = None) -> OnViolation:
        """What to do about a violated check: as the column says, else the table, else `DEFAULT_CHECKS`, else error."""
        columns: dict[str, Column] = getattr(self, "columns", {})
        if column in columns and check in columns[column].checks:
            return columns[column].checks[check]
        return self.checks.get(check, DEFAULT_CHECKS.get(check, "error"))


class CustomersTable(_Table):
    """Customers: their start and end, and plain attributes.

    One row per customer; with ``id``, one row per subscription, any number of them per customer. A project has one
    table with ``start`` (none is needed where churn is inactivity); others hold attributes only.
    """

    roles: ClassVar[tuple[str, ...]] = (
        "key", "id", "start", "start_available_at", "end", "end_available_at", "end_reason", "notice",
    )  # fmt: skip
    possible: ClassVar[frozenset[CheckName]] = COLUMN_CHECKS | {"foreign_key", "order", "conflict", "future"}

    kind: Literal["customers"]
    key: str
    id: str | None = None
    """The subscription's own id: a customer may have several, overlapping, consecutive or with gaps."""
    start: str | None = None
    start_available_at: str | None = None
    end: str | None = None
    end_available_at: str | None = None
    """When the end became known; without such a column, when it happened."""
    end_reason: str | None = None
    """A column with the reason of the end, for ``label.reasons``."""
    notice: str | None = None
    """A column with the time the customer gave notice: from then on they are not in the population."""
    columns: dict[str, Attribute] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _start_and_end(self) -> CustomersTable:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end come together; a table without both holds attributes only")
        about_stays = ("id", "start_available_at", "end_available_at", "end_reason", "notice")
        if self.start is None and (odd := [n for n in about_stays if getattr(self, n) is not None]):
            raise ValueError(f"{', '.join(odd)} need start and end")
        if self.id is not None and self.columns:
            raise ValueError(
                "a table with an id has several rows per customer, so its columns are no attributes of the customer; "
                "declare the table once more as kind: history, or put attributes in a customers table of their own"
            )
        return self


class HistoryTable(_Table):
    """Versions of a customer's state, valid in ``[valid_from, valid_to)``; null valid_to is open."""

    roles: ClassVar[tuple[str, ...]] = ("key", "valid_from", "valid_to", "available_at", "closed_available_at")
    possible: ClassVar[frozenset[CheckName]] = COLUMN_CHECKS | {
        "foreign_key", "order", "overlap", "conflict", "future",
    }  # fmt: skip

    kind: Literal["history"]
    key: str
    valid_from: str
    valid_to: str | None = None
    available_at: str | None = None
    closed_available_at: str | None = None
    """When the closing of a version became known; by default when it happened."""
    end_state: bool = False
    """The whole table was rebuilt from values known only as of the extract."""
    columns: dict[str, Column]


class EventsTable(_Table):
    """Things that happened to customers."""

    roles: ClassVar[tuple[str, ...]] = ("key", "id", "time", "available_at", "deleted")
    possible: ClassVar[frozenset[CheckName]] = COLUMN_CHECKS | {"foreign_key", "conflict", "future", "outside"}

    kind: Literal["events"]
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
    """The instants that training snapshots are taken at."""

    every: Every = "month"
    anchor_days: tuple[int, ...] = (1,)
    """Days of the month, 1 to 31 (31 is the month's end); with ``every: week`` ISO weekdays, 1 is Monday."""
    first: InstantField | None = None
    """The first cutoff; by default the first on the grid after the sources begin plus the longest window."""
    last: InstantField | None = None
    """The last cutoff; by default the last on the grid at or before known_as_of."""

    @model_validator(mode="after")
    def _ascending(self) -> Cutoffs:
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"first {iso(self.first)} is after last {iso(self.last)}")
        if not self.anchor_days or len(set(self.anchor_days)) != len(self.anchor_days):
            raise ValueError("anchor_days must differ, and there must be one")
        limit = {"month": 31, "week": 7, "day": 1}[self.every]
        if not all(1 <= day <= limit for day in self.anchor_days):
            raise ValueError(
                "every: day has no anchor_days" if self.every == "day" else f"anchor_days are from 1 to {limit}"
            )
        return self


class Label(Section):
    """What churn is and when it counts."""

    churn: Literal["contractual", "inactivity"] = "contractual"
    """``contractual``: the customer's end lies in the label window. ``inactivity``: no qualifying event in it."""
    horizon: SpanField | None = None
    """Length of the label window of contractual churn; 1m by default."""
    lead: SpanField = Span()
    grace: SpanField = Span()
    """Contractual: a customer who comes back within this time has not churned."""
    delay: SpanField = Span()
    """Label delay: how long after the window (and grace) the business waits for late news."""
    reasons: list[str] | None = None
    """Contractual: only ends with one of these in ``end_reason`` are churn; others are label 0."""
    events: str | None = None
    """Inactivity: the events table that shows a customer is active."""
    where: dict[str, list[str]] = Field(default_factory=dict)
    """Inactivity: only events whose column is one of the values qualify."""
    days: PositiveInt | None = None
    """Inactivity: churned is who has no qualifying event for this many days from the cutoff (and lead) on."""
    active_within: PositiveInt | None = None
    """Inactivity: the population is who has a qualifying event in this many days before the cutoff."""

    @model_validator(mode="after")
    def _spans(self) -> Label:
        of_inactivity = {"events": self.events, "days": self.days, "active_within": self.active_within}
        if self.churn == "inactivity":
            missing = [name for name, value in of_inactivity.items() if value is None]
            if missing:
                raise ValueError(f"churn: inactivity needs {', '.join(missing)}")
            if self.horizon is not None or not self.grace.is_zero or self.reasons is not None:
                raise ValueError("horizon, grace and reasons are for churn: contractual; inactivity has days")
        else:
            odd = [name for name, value in {**of_inactivity, "where": self.where or None}.items() if value is not None]
            if odd:
                raise ValueError(f"{', '.join(odd)} are for churn: inactivity")
            if self.horizon is not None and self.horizon.is_zero:
                raise ValueError("horizon must be longer than zero")
        for name in ("grace", "delay"):
            if getattr(self, name).months:
                raise ValueError(f"{name} is in days or weeks, not months")
        return self

    @property
    def window(self) -> Span:
        """Length of the label window."""
        if self.days is not None:
            return Span(days=self.days)
        return self.horizon or Span(months=1)


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
