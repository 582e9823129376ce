"""What a configuration asks for must have one meaning; the rest is refused in words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from holdfast.clock import Span
from holdfast.config.data import Column, DataSection
from holdfast.config.features import FeaturesSection
from holdfast.errors import ConfigError
from holdfast.features.compute import window_lengths
from holdfast.features.definitions import feature_schema, measure_windows

DATA: dict[str, Any] = {
    "tables": {
        "customers": {
            "kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end",
            "columns": {"region": {"type": "category", "known_at": "start"}, "born": {"type": "time"}},
        },
        "plans": {
            "kind": "history", "path": "p.csv", "key": "id", "valid_from": "from", "end_state": True,
            "columns": {"price": {"type": "number"}},
        },
        "usage": {
            "kind": "events", "path": "u.csv", "key": "id", "time": "time", "columns": {"minutes": {"type": "number"}},
        },
    }
}  # fmt: skip
FEATURES: dict[str, Any] = {
    "windows": ["1m", "3m"],
    "attributes": {"region": "region"},
    "values": {"price": {"table": "plans", "column": "price", "label": "price", "aggregations": ["value", "changes"]}},
    "measures": {
        "minutes": {
            "table": "usage", "column": "minutes", "label": "minutes", "aggregations": ["sum", "trend", "recency"],
            "windows": ["1m", "6m"],
        }
    },
}  # fmt: skip


def schema(**changes: Any) -> Any:
    wanted = copy.deepcopy(FEATURES)
    for key, value in changes.items():
        wanted[key] |= value
    return feature_schema(DataSection.model_validate(DATA), FeaturesSection.model_validate(wanted))


def test_names_order_and_end_state() -> None:
    found = schema()
    assert found.names == [
        "tenure_months", "customers_region", "price", "price_changes_1m", "price_changes_3m", "minutes_sum_1m",
        "minutes_sum_6m", "minutes_trend_6m", "minutes_recency_6m", "usage_exposure_months",
    ]  # fmt: skip
    assert found.end_state == ["price", "price_changes_1m", "price_changes_3m"]
    assert found["tenure_months"].unit == "months"


@pytest.mark.parametrize(
    "changes",
    [
        {"values": {"Tenure_Months": FEATURES["values"]["price"]}},
        {"values": {"minutes_sum_6m": FEATURES["values"]["price"]}},
        {"measures": {"MINUTES": FEATURES["measures"]["minutes"]}},
    ],
)
def test_two_features_of_one_name_are_refused_whatever_their_case(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="2 features would be called"):
        schema(**changes)


@pytest.mark.parametrize("name", ["state", "Label", "cutoff", "customer_id", "k", "version_rank"])
def test_a_name_that_snapshots_have_already_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"would be called '{name}', as a column of every snapshot is"):
        schema(values={name: FEATURES["values"]["price"]})


def test_a_time_is_no_attribute() -> None:
    with pytest.raises(ConfigError, match=r"features\.attributes\.born: a time cannot be a feature"):
        schema(attributes={"born": "born"})


@pytest.mark.parametrize(
    ("aggregation", "windows"),
    [
        ("sum", ["30d", "1m", "3m"]), ("recency", ["3m"]), ("trend", ["3m"]), ("ratio", ["3m"]),
        ("n_unique", ["30d", "1m", "3m"]),
    ],
)  # fmt: skip
def test_windows_of_an_aggregation(aggregation: str, windows: list[str]) -> None:
    spans = [Span.parse("30d"), Span.parse("1m"), Span.parse("3m")]
    assert [str(w) for w in measure_windows(aggregation, spans)] == windows


def test_every_window_asked_for_is_in_the_cutoff_table() -> None:
    assert window_lengths(FeaturesSection.model_validate(FEATURES)) == [1, 3, 6]


@pytest.mark.parametrize(
    ("column", "word", "stored"),
    [
        ({"type": "boolean"}, "Yes", 1), ({"type": "boolean"}, "false", 0), ({"type": "category"}, " a ", "a"),
        ({"type": "number", "scale": 2}, "1.5", 150), ({"type": "number", "scale": 2}, "-0.285", -29),
        ({"type": "number", "scale": 0}, "3", 3),
    ],
)  # fmt: skip
def test_words_of_configuration_as_tables_hold_them(column: dict[str, Any], word: str, stored: str | int) -> None:
    assert Column.model_validate(column).stored(word) == stored


@pytest.mark.parametrize(("kind", "word"), [("boolean", "maybe"), ("number", "many"), ("time", "2024-01-01")])
def test_words_that_are_no_value_of_a_column(kind: str, word: str) -> None:
    with pytest.raises(ValueError, match=r"neither true nor false|is not a number|cannot be chosen"):
        Column.model_validate({"type": kind}).stored(word)
