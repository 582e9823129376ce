"""Features worked out by hand: ties, distinct values, gaps, shares, expressions, days, delays, and null beside zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from holdfast.clock import Grid, utc
from holdfast.config.data import DataSection
from holdfast.config.features import FeaturesSection
from holdfast.errors import ConfigError
from holdfast.features.compute import compute, window_lengths
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.stores.engine import DuckDBEngine

TIME, INT, TEXT = pa.timestamp("us"), pa.int64(), pa.string()
AT = datetime(2024, 4, 1, tzinfo=UTC)
ORDERS: dict[str, Any] = {
    "kind": "events", "path": "o", "key": "id", "time": "time",
    "columns": {
        "amount": {"type": "number", "scale": 2}, "refund": {"type": "number", "scale": 1},
        "shop": {"type": "category"}, "paid": {"type": "boolean"},
    },
}  # fmt: skip
ROWS = [  # customer, time, amount, refund, shop, paid
    ("ada", "2024-01-10", 1000, 0, "web", 1),
    ("ada", "2024-03-01", 500, 5, "web", 0),
    ("ada", "2024-03-31T12:00", -300, None, "shop", 1),
    ("ada", "2024-03-31T12:00", 700, 10, None, None),
    ("ada", "2024-04-01", 9900, 0, "fax", 1),  # at the cutoff: not known
    ("bob", "2024-02-29", None, 0, "web", 1),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(threads=1) as engine:
        yield engine


def orders(rows: Sequence[tuple[Any, ...]] = ROWS, *, delay_days: int = 0) -> pa.Table:
    times = [utc(datetime.fromisoformat(r[1])).replace(tzinfo=None) for r in rows]
    known = [time + timedelta(days=delay_days) for time in times]
    return pa.table(
        {
            "customer_id": pa.array([r[0] for r in rows], TEXT), "event_id": pa.nulls(len(rows), TEXT),
            "event_time": pa.array(times, TIME), "available_at": pa.array(known, TIME),
            "deleted": pa.array([0] * len(rows), INT), "c_amount": pa.array([r[2] for r in rows], INT),
            "c_refund": pa.array([r[3] for r in rows], INT), "c_shop": pa.array([r[4] for r in rows], TEXT),
            "c_paid": pa.array([r[5] for r in rows], INT),
        }
    )  # fmt: skip


def features_of(
    engine: DuckDBEngine, measure: Mapping[str, Any], *, tables: Mapping[str, Any] | None = None,
    attributes: Mapping[str, str] | None = None, rows: pa.Table | None = None, cutoffs: Sequence[datetime] = (AT,),
    **events: Any,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """customer -> features of one measure ``m`` at the last cutoff; churn is inactivity, and no table has starts."""
    label = {"churn": "inactivity", "events": "orders", "days": 30, "active_within": 90}
    data = DataSection.model_validate(
        {"label": label, "tables": {"orders": {**ORDERS, **events}, **(tables or {})}, "cutoffs": {"every": "month"}}
    )
    features = FeaturesSection.model_validate(
        {
            "windows": ["3m"], "tenure": False, "attributes": attributes or {},
            "measures": {"m": {"table": "orders", "label": "m", **measure}},
        }
    )  # fmt: skip
    planned = [Cutoff.of(at, data.label, data.cutoffs) for at in cutoffs]
    at = engine.from_arrow(cutoff_table(planned, window_lengths(features)), "cutoffs")
    who = [(c, p) for c in ("ada", "bob", "cy") for p in planned]
    population = pa.table(
        {
            "customer_id": pa.array([c for c, _ in who], TEXT),
            "cutoff": pa.array([p.at.replace(tzinfo=None) for _, p in who], TIME),
            "k": pa.array([p.grid.index(p.at) for _, p in who], INT),
            "start": pa.array([datetime(2024, 1, 10)] * len(who), TIME),  # noqa: DTZ001
        }
    )
    canonical = {"orders": engine.from_arrow(orders() if rows is None else rows, "orders")}
    for name in tables or {}:
        towns = pa.table({"customer_id": pa.array(["ada"], TEXT), "c_town": pa.array(["Ulm"], TEXT)})
        canonical[name] = engine.from_arrow(towns, name)
    found, _ = compute(
        engine, engine.from_arrow(population, "population"), at, canonical, data, features,
        grid=Grid(1), known_as_of=datetime(2025, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    last = max(cutoffs).replace(tzinfo=None)
    rows_found = [r for r in engine.to_arrow(found).to_pylist() if r.pop("cutoff") == last]
    return {r.pop("customer_id"): r for r in rows_found}


def test_zero_is_none_and_null_is_unknown(engine: DuckDBEngine) -> None:
    aggregations = ["count", "sum", "n_unique", "mean", "std", "min", "max", "first", "last", "recency", "mean_gap"]
    found = features_of(engine, {"column": "amount", "aggregations": aggregations})
    zero = {"m_count_3m": 0, "m_sum_3m": 0, "m_n_unique_3m": 0}
    unknown = dict.fromkeys(f"m_{a}_3m" for a in aggregations if f"m_{a}_3m" not in zero)
    assert found["cy"] == {**zero, **unknown, "orders_exposure_months": 2}
    assert found["bob"] == {**zero, **unknown, "m_count_3m": 1, "m_recency_3m": 32, "orders_exposure_months": 2}


def test_first_and_last_by_time_then_value(engine: DuckDBEngine) -> None:
    found = features_of(
        engine, {"column": "amount", "aggregations": ["first", "last", "n_unique"], "windows": ["3m", "1d"]}
    )
    assert found["ada"] == {
        "m_first_3m": 10, "m_last_3m": 7, "m_n_unique_3m": 4, "m_first_1d": -3, "m_last_1d": 7, "m_n_unique_1d": 2,
        "orders_exposure_months": 2,
    }  # fmt: skip


def test_windows_in_days_are_half_open(engine: DuckDBEngine) -> None:
    found = features_of(engine, {"aggregations": ["count", "mean_gap"], "windows": ["31d", "30d", "2w"]})
    assert [found["ada"][f"m_count_{w}"] for w in ("14d", "30d", "31d")] == [2, 2, 3]
    assert [found["ada"][f"m_mean_gap_{w}"] for w in ("14d", "30d", "31d")] == [0, 0, 15.25]


def test_by_names_a_feature_for_each_value(engine: DuckDBEngine) -> None:
    found = features_of(
        engine,
        {"by": {"shop": ["web", "Fax+", "shop"]}, "where": {"paid": ["true"]}, "aggregations": ["share", "count"]},
    )
    assert found["ada"] == {
        "m_web_share_3m": 0.5, "m_shop_share_3m": 0.5, "m_fax_share_3m": 0, "m_web_count_3m": 1, "m_shop_count_3m": 1,
        "m_fax_count_3m": 0, "orders_exposure_months": 2,
    }  # fmt: skip
    assert found["cy"]["m_web_share_3m"] is None


def test_expressions_are_exact_and_unknown_where_a_part_is(engine: DuckDBEngine) -> None:
    found = features_of(
        engine, {"expression": "amount - 1.5 * refund * paid", "aggregations": ["sum", "min"], "windows": ["3m", "32d"]}
    )
    assert found["ada"]["m_sum_3m"] == 15  # 10 - 0, 5 - 0 and two that are not known
    assert found["ada"]["m_min_32d"] == 5


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (0, {"m_count_3m": 4, "m_last_3m": 7, "m_n_unique_3m": 4, "orders_exposure_months": 2}),
        (1, {"m_count_3m": 2, "m_last_3m": 5, "m_n_unique_3m": 2, "orders_exposure_months": 2}),
        (31, {"m_count_3m": 1, "m_last_3m": 10, "m_n_unique_3m": 1, "orders_exposure_months": 2}),
        # nothing of the source is known yet: that is not zero
        (90, {"m_count_3m": None, "m_last_3m": None, "m_n_unique_3m": None, "orders_exposure_months": 0}),
    ],
)
def test_a_delay_hides_the_latest_rows(engine: DuckDBEngine, delay: int, expected: dict[str, Any], many: bool) -> None:
    """Both ways: buckets read by each pair, and frames over a spine where there are many cutoffs."""
    found = features_of(
        engine, {"column": "amount", "aggregations": ["count", "last", "n_unique"]},
        rows=orders(delay_days=delay), delay=f"{delay}d",
        cutoffs=[Grid(1).step(AT, -n) for n in range(8 if many else 1)],
    )  # fmt: skip
    assert found["ada"] == expected


def test_attributes_come_from_any_customers_table(engine: DuckDBEngine) -> None:
    towns = {"kind": "customers", "path": "t", "key": "id", "columns": {"town": {"type": "category"}}}
    found = features_of(
        engine, {"aggregations": ["count"]}, tables={"towns": towns}, attributes={"towns.town": "town"}
    )  # fmt: skip
    assert [found[c]["towns_town"] for c in ("ada", "bob", "cy")] == ["Ulm", None, None]


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ({"aggregations": ["trend"], "windows": ["1m", "90d"]}, "trend needs a window of two months or more"),
        ({"aggregations": ["count"], "by": {"shop": ["a b", "a-b"]}}, "2 features would be called 'm_a_b_count_3m'"),
        (
            {"aggregations": ["sum"], "expression": "amount / 2"},
            r"features\.measures\.m\.expression: 'amount / 2' is not",
        ),
        ({"aggregations": ["count"], "by": {"paid": ["perhaps"]}}, r"features\.measures\.m\.by\.paid: .* neither true"),
    ],
)
def test_what_cannot_be_computed_is_refused(engine: DuckDBEngine, measure: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        features_of(engine, measure)
