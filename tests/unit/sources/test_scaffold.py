"""A first configuration from files: it loads as it is, and says where it guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from holdfast.config.data import CustomersTable, EventsTable, HistoryTable
from holdfast.config.load import Loaded, load
from holdfast.config.schema import SECTIONS
from holdfast.errors import DataError, UsageError
from holdfast.sources.scaffold import GUESSED, scaffold

CUSTOMERS = """
    select 'c' || i as customer_id, timestamp '2024-01-01' + i * interval 1 day as started_at,
    if(i % 3 = 0, timestamp '2024-06-01', null) as ended_at, if(i % 2 = 0, 'web', 'shop') as channel,
    'moved' as end_reason, {'a': 1} as nested from range(60) t(i)"""
USAGE = """
    select i as event_id, 'c' || (i % 60) as customer_id, timestamp '2024-02-01' as occurred_at,
    timestamp '2024-02-03' as loaded_at, 12.345::double as minutes, 7 as calls, true as roaming,
    false as deleted, 'note ' || i as note from range(600) t(i)"""
PLANS = """
    select 'c' || i as customer_id, timestamp '2024-01-01' as valid_from, null::timestamp as valid_to,
    date '2025-01-01' as contract_end, 29.95::decimal(8, 2) as monthly_price, 'basic' as plan from range(60) t(i)"""
TREATMENTS = """
    select 'c' || i as customer_id, date '2024-03-01' as assigned_at, 'call' as offer, 'offer' as arm,
    0.5 as propensity from range(60) t(i)"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, query: str) -> Path:
        file = tmp_path / "sources" / name
        file.parent.mkdir(exist_ok=True)
        with duckdb.connect() as connection:
            quoted = str(file).replace("'", "''")
            connection.execute(f"copy ({query}) to '{quoted}'")
        return file

    return write


def loaded(folder: Path, files: dict[str, str]) -> Loaded:
    project = folder / "conf" / "mine"
    project.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (project / name).write_text(text, encoding="utf-8")
    return load(project, environ={})


def test_four_tables_become_a_configuration_that_loads(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    files = scaffold(
        {
            "customers": write("customers.parquet", CUSTOMERS),
            "usage": write("usage.parquet", USAGE),
            "plans": write("plans.parquet", PLANS),
            "treatments": write("treatments.parquet", TREATMENTS),
        }
    )
    assert list(files) == [f"{section}.yaml" for section in SECTIONS]
    config = loaded(tmp_path, files).config

    assert config.data.sources == str(tmp_path / "sources")
    customers, usage, plans = (config.data.tables[n] for n in ("customers", "usage", "plans"))
    assert isinstance(customers, CustomersTable)
    assert (customers.key, customers.start, customers.end) == ("customer_id", "started_at", "ended_at")
    assert list(customers.columns) == ["channel"]  # neither the leak nor the struct
    assert isinstance(usage, EventsTable)
    assert (usage.id, usage.time, usage.available_at, usage.deleted) == (
        "event_id", "occurred_at", "loaded_at", "deleted",
    )  # fmt: skip
    assert {n: (c.type, c.scale) for n, c in usage.columns.items() if c.type == "number"} == {
        "minutes": ("number", 3),
        "calls": ("number", 0),
    }
    assert usage.columns["note"].type == "text"
    assert isinstance(plans, HistoryTable)
    assert (plans.valid_from, plans.valid_to) == ("valid_from", "valid_to")

    features = config.features
    assert set(features.measures) == {"usage", "usage_minutes", "usage_calls", "usage_roaming"}
    assert features.values["plans_contract_end"].aggregations == ["months_until"]
    assert features.values["plans_monthly_price"].aggregations == ["value", "changes"]
    assert list(features.attributes) == ["channel"]
    assert config.decisions.value.revenue == "plans_monthly_price"
    assert config.decisions.treatments is not None
    assert config.decisions.treatments.table == "treatments"


def test_it_says_where_it_guessed_and_what_it_left_out(write: Callable[[str, str], Path]) -> None:
    data = scaffold({"customers": write("customers.parquet", CUSTOMERS)})["data.yaml"]
    assert f"start: started_at  # {GUESSED}" in data
    assert "seems to tell who left: end_reason" in data
    assert "types that cannot be used): nested" in data


def test_customers_alone_from_csv_still_loads(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    query = """select i as id, date '2024-01-01' as signup_date,
        if(i = 1, date '2024-02-01', null) as churn_date, i as seats from range(9) t(i)"""
    files = scaffold({"people": write("people.csv", query)})
    config = loaded(tmp_path, files).config
    assert config.data.stays[0] == "people"
    assert config.data.stays[1].path == "people.csv"
    assert config.decisions.value.revenue == "tenure_months"
    assert "CHANGE THIS" in files["decisions.yaml"]


def test_awkward_column_names_survive(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    events = """select 'c1' as customer_id, now()::timestamp as "time", 1 as "no", 2 as "Due: total", 3 as "due total",
        4 as "x-y", 5 as "2024", 6 as "it's ""so\""""
    files = scaffold({"customers": write("c.parquet", CUSTOMERS), "bills": write("it's.parquet", events)})
    config = loaded(tmp_path, files).config
    assert list(config.data.tables["bills"].columns) == ["no", "Due: total", "due total", "x-y", "2024", "it's \"so"]
    assert {"bills_due_total", "bills_due_total_2"} <= set(config.features.measures)


def test_an_id_with_versions_but_no_availability_is_not_an_id(
    tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    query = "select 'c1' as customer_id, 1 as usage_id, timestamp '2024-01-01' as at from range(3)"
    files = scaffold({"customers": write("c.parquet", CUSTOMERS), "usage": write("u.parquet", query)})
    usage = loaded(tmp_path, files).config.data.tables["usage"]
    assert isinstance(usage, EventsTable)
    assert usage.id is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select 1 as a", "has no id column"),
        ("select 'x' as customer_id from range(2)", "more rows than different values of customer_id"),
        ("select 'x' as customer_id, now()::timestamp as started_at", "no time column for the end"),
        ("select 'x' as customer_id, '2024' as started_at, 'soon' as ended_at", "for the start or the end"),
    ],
)
def test_without_customers_it_says_what_it_looked_for(
    write: Callable[[str, str], Path], query: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        scaffold({"things": write("t.parquet", query)})
    assert "customer_id" in caught.value.fix
    assert "ended_at" in caught.value.fix


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select 'c1' as who, now()::timestamp as at", "no column with the customer's id; looked for customer_id"),
        ("select 'c1' as customer_id, 3 as n", "no time column"),
    ],
)
def test_other_tables_need_an_id_and_a_time(write: Callable[[str, str], Path], query: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        scaffold({"customers": write("c.parquet", CUSTOMERS), "usage": write("u.parquet", query)})


def test_names_files_and_contents_that_cannot_be_used_are_refused(
    tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    with pytest.raises(UsageError, match="cannot name a table"):
        scaffold({"My Customers": write("c.parquet", CUSTOMERS)})
    with pytest.raises(DataError, match=r"none\.parquet"):
        scaffold({"customers": tmp_path / "none.parquet"})
    (tmp_path / "bad.parquet").write_text("not parquet")
    with pytest.raises(DataError, match=r"bad\.parquet cannot be read"):
        scaffold({"customers": tmp_path / "bad.parquet"})
