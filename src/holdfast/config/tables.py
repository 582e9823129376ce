"""The declared tables: customers, history and events."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from holdfast.clock import Span
from holdfast.config.base import Section, SpanField
from holdfast.config.columns import COLUMN_CHECKS, DEFAULT_CHECKS, Attribute, CheckName, Column, OnViolation, only
from holdfast.config.database import Database


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
    differ: ClassVar[tuple[str, str] | None] = None
    """Two of them that cannot be one column."""
    possible: ClassVar[frozenset[CheckName]] = COLUMN_CHECKS
    """The checks that a table of this kind can fail."""

    @model_validator(mode="after")
    def _one_place(self) -> _Table:
        if bool(self.path) == (self.database is not None):
            raise ValueError("give path (files) or database, one of them")
        return self

    @model_validator(mode="after")
    def _checks_are_its_own(self) -> _Table:
        kind = getattr(self, "kind", "")
        only(self.checks, self.possible, f"a table of {kind}")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> _Table:
        seen: dict[str, str] = {}
        for name in self.source_columns():
            if (other := seen.setdefault(name.lower(), name)) != name:
                raise ValueError(f"columns {other!r} and {name!r} differ only in case; rename one where it comes from")
        return self

    @model_validator(mode="after")
    def _begins_and_ends(self) -> _Table:
        if self.differ is not None:
            one, other = (getattr(self, role) for role in self.differ)
            if one is not None and one == other:
                raise ValueError(f"{self.differ[0]} and {self.differ[1]} are both {one!r}: that would last no time")
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
    differ: ClassVar[tuple[str, str] | None] = ("start", "end")
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
    differ: ClassVar[tuple[str, str] | None] = ("valid_from", "valid_to")
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
