"""The catalogue says of every feature what it is, in which unit, from where, over what, and what a null means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from holdfast.cli.main import main
from holdfast.clock import Span
from holdfast.config.data import DataSection
from holdfast.config.features import EventAggregation, FeaturesSection
from holdfast.config.load import load
from holdfast.features.definitions import feature_schema, safe
from holdfast.features.words import AGGREGATIONS, in_words, window

CONF = Path(__file__).resolve().parents[3] / "conf"


def test_every_aggregation_has_words() -> None:
    assert set(AGGREGATIONS) == set(get_args(EventAggregation))


@pytest.mark.parametrize("project", ["demo", "telco"])
def test_nothing_is_left_unsaid(project: str) -> None:
    config = load(CONF / project, environ={}).config
    schema = feature_schema(config.data, config.features)
    for feature in schema:
        assert feature.label
        assert feature.definition
        assert feature.source in config.data.tables
        assert feature.null_means
        assert "{" not in feature.definition + feature.label
    assert type(schema).from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_definitions_name_rows_values_and_windows() -> None:
    table: dict[str, Any] = {
        "kind": "events", "path": "p", "key": "id", "time": "time",
        "columns": {"amount": {"type": "number"}, "status": {"type": "category"}, "way": {"type": "category"}},
    }  # fmt: skip
    customers = {"kind": "customers", "path": "c", "key": "id", "start": "start", "end": "end"}
    data = DataSection.model_validate({"tables": {"customers": customers, "payments": table}})
    features = FeaturesSection.model_validate(
        {
            "windows": ["2w"],
            "measures": {
                "fee": {
                    "table": "payments", "expression": "amount * 2", "where": {"status": ["late", "failed"]},
                    "label": "fees", "unit": "EUR", "aggregations": ["sum"],
                },
                "way": {
                    "table": "payments", "by": {"way": ["by card"]}, "label": "payments", "aggregations": ["share"],
                },
            },
        }
    )  # fmt: skip
    schema = feature_schema(data, features)
    fee, way = schema["fee_sum_14d"], schema["way_by_card_share_14d"]
    assert fee.definition == (
        "sum of (amount * 2) over rows of payments where status is late or failed, in [cutoff - 14 days, cutoff)"
    )
    assert (fee.label, fee.unit, fee.window) == ("fees, total, last 14 days", "EUR", "14d")
    assert way.definition == (
        "number of rows of payments where way is by card, divided by that of rows of payments, in "
        "[cutoff - 14 days, cutoff)"
    )
    assert way.label == "payments (way: by card), share of payments, last 14 days"


@pytest.mark.parametrize(
    ("value", "name"),
    [("Fiber optic", "fiber_optic"), (" DSL+ ", "dsl"), ("it's", "it_s"), ("süd", "süd"), ("?", "blank")],
)
def test_values_in_names(value: str, name: str) -> None:
    assert safe(value) == name


def test_spans_in_words() -> None:
    said = [(in_words(Span.parse(w)), window(Span.parse(w))) for w in ("1m", "3m", "1d", "12d")]
    assert said == [
        ("last month", "[cutoff - 1 month, cutoff)"), ("last 3 months", "[cutoff - 3 months, cutoff)"),
        ("last day", "[cutoff - 1 day, cutoff)"), ("last 12 days", "[cutoff - 12 days, cutoff)"),
    ]  # fmt: skip


def test_the_verb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(CONF.parent))
    assert main(["features", "--json", "tickets"]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    assert report["features"]
    assert {f["source"] for f in report["features"]} == {"tickets"}
    assert not report["derived"]
    assert main(["features"]) == 0
    assert "usage_minutes_sum_3m" in capsys.readouterr().out
    assert main(["features", "usage_minutes_trend"]) == 0
    assert "least-squares slope" in capsys.readouterr().out
    assert main(["features", "tickts"]) == 2
    assert "did you mean 'tickets'" in capsys.readouterr().err


def test_the_verb_says_what_is_derived(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(CONF.parent))
    none = [w for key in ("measures", "values", "attributes") for w in ("--set", f"features.{key}={{}}")]
    sets = ["--set", "decisions.value.revenue=plans_monthly_price", "--set", "training.slices=[]"]
    assert main(["features", *none, *sets]) == 0
    out = capsys.readouterr().out
    assert "features.yaml declares none" in out
    assert "tickets_category_n_unique_12m" in out
