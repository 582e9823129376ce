"""The section models: what each refuses by itself, and what only the whole can see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from holdfast.clock import Span
from holdfast.config.base import InstantField, Section, SpanField
from holdfast.config.business import Segments, ServingSection
from holdfast.config.data import (
    Column,
    CustomersTable,
    Cutoffs,
    Database,
    DataSection,
    EventsTable,
    HistoryTable,
    Label,
)
from holdfast.config.features import FeaturesSection, Measure
from holdfast.config.learning import ScoringSection
from holdfast.config.load import load
from holdfast.config.schema import SECTIONS, Config

Project = Callable[..., Path]
EVENTS: dict[str, Any] = {"kind": "events", "path": "p", "key": "k", "time": "t"}
CUSTOMERS: dict[str, Any] = {"kind": "customers", "path": "p", "key": "k", "start": "s", "end": "e"}
MEASURE: dict[str, Any] = {"table": "usage", "label": "usage"}


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        (Column, {"type": "number", "min": 2, "max": 1}, "min 2.0 is above max 1.0"),
        (Column, {"type": "number", "min": float("nan")}, "finite"),
        (Column, {"type": "category", "max": 1}, "min and max are for numbers, not for a category"),
        (Column, {"type": "number", "allowed": ["1", "x"]}, "'x' is not a number"),
        (Column, {"type": "time", "allowed": ["2024-01-01"]}, "a time cannot be chosen by its value"),
        (Column, {"type": "number", "checks": {"order": "drop"}}, "order is no check of a column; it has allowed,"),
        (Column, {"type": "number", "checks": {"range": "ignore"}}, "'error', 'warn' or 'drop'"),
        (Database, {"table": "t"}, "give url or url_from"),
        (Database, {"table": "t", "url": "duckdb:///f", "url_from": "V"}, "give url or url_from"),
        (Database, {"table": "t", "url": "mysql://h/d"}, "url 'mysql' is not known"),
        (Database, {"table": "t", "url": "postgresql://u:p@h/d"}, "a password does not belong into YAML"),
        (Database, {"table": "a.b.c", "url": "duckdb:///f"}, "'a.b.c' is not a table's name"),
        (Database, {"table": 'a."b', "url": "duckdb:///f"}, "is not a table's name"),
        (EventsTable, EVENTS | {"database": {"table": "t", "url_from": "V"}}, "give path (files) or database"),
        (EventsTable, {k: v for k, v in EVENTS.items() if k != "path"}, "give path (files) or database"),
        (EventsTable, EVENTS | {"timezone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone"),
        (EventsTable, EVENTS | {"timezone": "../UTC"}, "is no time zone"),
        (EventsTable, EVENTS | {"checks": {"overlap": "warn"}}, "overlap is no check of a table of events"),
        (EventsTable, EVENTS | {"columns": {"T": {"type": "time"}}}, "columns 't' and 'T' differ only in case"),
        (
            EventsTable,
            EVENTS | {"columns": {"x": {"type": "text"}, "X": {"type": "text"}}},
            "columns 'x' and 'X' differ only in case",
        ),
        (CustomersTable, CUSTOMERS | {"end": None}, "start and end come together"),
        (CustomersTable, CUSTOMERS | {"start": "s", "end": "s"}, "start and end are both 's'"),
        (EventsTable, EVENTS | {"path": ""}, "give path (files) or database, one of them"),
        (CustomersTable, {"kind": "customers", "path": "p", "key": "k", "notice": "n"}, "notice need start and end"),
        (CustomersTable, CUSTOMERS | {"id": "i", "columns": {"x": {"type": "text"}}}, "has several rows per customer"),
        (CustomersTable, CUSTOMERS | {"checks": {"outside": "warn"}}, "outside is no check of a table of customers"),
        (EventsTable, EVENTS | {"available_at": "a", "delay": "1d"}, "give available_at or delay, not both"),
        (EventsTable, EVENTS | {"delay": "1m"}, "days or weeks, not months"),
        (EventsTable, EVENTS | {"deleted": "d"}, "deleted needs id"),
        (Cutoffs, {"anchor_days": [1, 1]}, "anchor_days must differ"),
        (Cutoffs, {"anchor_days": [32]}, "anchor_days are from 1 to 31"),
        (Cutoffs, {"anchor_days": [8], "every": "week"}, "anchor_days are from 1 to 7"),
        (Cutoffs, {"anchor_days": [2], "every": "day"}, "every: day has no anchor_days"),
        (Cutoffs, {"anchor_days": []}, "there must be one"),
        (Label, {"horizon": "0d"}, "longer than zero"),
        (Label, {"grace": "1m"}, "grace is in days or weeks"),
        (Label, {"horizon": "2000m"}, "longer than a century"),
        (Label, {"churn": "inactivity", "events": "e"}, "churn: inactivity needs days, active_within"),
        (
            Label,
            {"churn": "inactivity", "events": "e", "days": 9, "active_within": 9, "horizon": "1m"},
            "are for churn: contractual",
        ),
        (Label, {"days": 90}, "days are for churn: inactivity"),
        (DataSection, {"tables": {"a": CUSTOMERS}, "label": {"reasons": ["x"]}}, "label.reasons needs end_reason in"),
        (
            DataSection,
            {"tables": {"e": EVENTS}, "label": {"churn": "inactivity", "events": "x", "days": 9, "active_within": 9}},
            "label.events: there is no events table 'x'",
        ),
        (DataSection, {"tables": {}}, "exactly one table must have kind: customers with start and end; found none"),
        (DataSection, {"tables": {"a": CUSTOMERS, "b": CUSTOMERS}}, "found ['a', 'b']"),
        (Measure, MEASURE | {"aggregations": ["sum", "count"]}, "sum need a column"),
        (Measure, MEASURE | {"aggregations": ["share"]}, "share needs a where"),
        (FeaturesSection, {"windows": ["3m", "0d"]}, "longer than zero"),
        (
            FeaturesSection,
            {"measures": {"u": MEASURE | {"aggregations": ["count"], "windows": ["0m"]}}},
            "longer than zero",
        ),
        (ScoringSection, {"tiers": [{"name": "a", "at_least": 0}, {"name": "b", "at_least": 0}]}, "without ties"),
        (ScoringSection, {"tiers": [{"name": "a", "at_least": 0.5}, {"name": "a", "at_least": 0}]}, "must differ"),
        (ScoringSection, {"tiers": [{"name": "a", "at_least": 0.5}]}, "down to 0"),
        (Segments, {"names": ["one"]}, "one more name"),
        (Segments, {"value_quantiles": [0.8, 0.5]}, "must ascend"),
        (ServingSection, {"ttl": "0d"}, "at least 1d"),
    ],
)
def test_what_a_section_refuses(model: type[Section], values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    assert words in str(caught.value)


def test_what_a_violation_leads_to() -> None:
    """As the column says, else the table, else the default of the check, else error."""
    columns = {"x": {"type": "number", "checks": {"range": "warn"}}, "y": {"type": "number"}}
    table = EventsTable.model_validate(EVENTS | {"checks": {"range": "drop", "outside": "error"}, "columns": columns})
    assert [table.on_violation("range", c) for c in ("x", "y", None)] == ["warn", "drop", "drop"]
    assert [table.on_violation(c) for c in ("outside", "foreign_key", "type")] == ["error", "warn", "error"]


def test_the_names_of_a_table_in_a_database() -> None:
    found = {t: Database(url="duckdb:///f", table=t).names for t in ("t", "s.t", '"a.b".t', '"S ""x"""."t.1"')}
    assert list(found.values()) == [("t",), ("s", "t"), ("a.b", "t"), ('S "x"', "t.1")]


def test_the_columns_that_a_table_takes_from_its_source() -> None:
    table = CustomersTable.model_validate(CUSTOMERS | {"end_available_at": "e", "columns": {"x": {"type": "text"}}})
    assert table.source_columns() == ["k", "s", "e", "x"]


def test_attributes_are_found_by_column_or_by_table_and_column() -> None:
    more = {"kind": "customers", "path": "p", "key": "k", "columns": {"vip": {"type": "boolean"}}}
    data = DataSection.model_validate({"tables": {"c": CUSTOMERS, "more": more}})
    for name in ("vip", "more.vip"):
        found = data.attribute(name)
        assert found is not None
        assert (found[0], found[1].type) == ("more", "boolean")
    assert data.attribute("c.vip") is None
    assert data.stays is not None
    assert data.stays[0] == "c"


def test_inactivity_needs_no_stays() -> None:
    label = {"churn": "inactivity", "events": "e", "days": 90, "active_within": 180}
    data = DataSection.model_validate({"tables": {"e": EVENTS}, "label": label})
    assert data.stays is None
    assert data.label.window == Span(days=90)


def test_sections_are_frozen_and_refuse_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Cutoffs().anchor_days = (2,)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Cutoffs.model_validate({"frist": "2024-01-01"})


@pytest.mark.parametrize("value", ["2024-03-01", date(2024, 3, 1), datetime(2024, 3, 1, tzinfo=UTC)])
def test_instants_are_read_as_utc_and_written_short(value: object) -> None:
    adapter: TypeAdapter[datetime] = TypeAdapter(InstantField)
    instant = adapter.validate_python(value)
    assert instant == datetime(2024, 3, 1, tzinfo=UTC)
    assert adapter.dump_python(instant) == "2024-03-01"


def test_spans_are_read_and_written_as_people_do() -> None:
    adapter: TypeAdapter[Span] = TypeAdapter(SpanField)
    assert adapter.dump_python(adapter.validate_python("2w")) == "14d"
    assert adapter.validate_python(Span(months=2)) == Span(months=2)


def test_history_and_events_may_be_end_state_and_are_not_by_default() -> None:
    history = {"kind": "history", "path": "p", "key": "k", "valid_from": "v", "columns": {}}
    assert not HistoryTable.model_validate(history).end_state
    assert HistoryTable.model_validate(history | {"end_state": True}).end_state
    assert not EventsTable.model_validate(EVENTS).end_state
    assert EventsTable.model_validate(EVENTS | {"end_state": True}).end_state


def test_the_longest_window_counts_those_of_measures() -> None:
    assert FeaturesSection().longest == 12
    long = MEASURE | {"aggregations": ["count"], "windows": ["24m"]}
    assert FeaturesSection.model_validate({"measures": {"u": long}}).longest == 24


def test_the_hash_is_of_meaning_not_of_layout(project: Project) -> None:
    def config(**changes: object) -> Config:
        return load(project(**changes), environ={}).config

    plain = config()
    assert plain.hash() == config(data=("label:\n  horizon: 1m", "# moved\nlabel: {horizon: '1m'}")).hash()
    longer = config(data=("horizon: 1m", "horizon: 2m"))
    assert plain.hash("data") != longer.hash("data")
    assert plain.hash("features", "training") == longer.hash("features", "training")


@pytest.mark.parametrize(
    ("section", "old", "new", "words"),
    [
        ("features", "column: minutes", "column: mintes", "features.measures.usage_minutes.column: 'mintes' is not"),
        ("features", "column: minutes", "column: kind", "'kind' is a category, not a number"),
        ("features", "label: minutes", "where: {knd: [a]}, label: minutes", "did you mean 'kind'"),
        ("features", "table: plans", "table: usage", "features.values.plans_price.table: no history table 'usage'"),
        ("features", "column: price", "column: prce", "features.values.plans_price.column: 'prce' is not declared"),
        ("features", "column: price", "column: contract_end", "months_until goes with a time column"),
        ("decisions", "", "treatments: {table: t, offer: o, arm: a, propensity: p}", "no events table 't'"),
        (
            "decisions",
            "",
            "treatments: {table: usage, offer: o, arm: a, propensity: p}",
            "decisions.treatments: 'o' is",
        ),
    ],
)
def test_references_that_lead_nowhere_are_found(project: Project, section: str, old: str, new: str, words: str) -> None:
    with pytest.raises(Exception, match="problem") as caught:
        load(project(**{section: (old, new)}), environ={})
    assert words in str(caught.value)


def test_every_section_has_a_model_and_a_line_of_docs() -> None:
    assert set(Config.model_fields) == set(SECTIONS)
    for section in SECTIONS:
        annotation = Config.model_fields[section].annotation
        assert annotation is not None
        assert annotation.__doc__
