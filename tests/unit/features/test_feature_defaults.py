"""A project that declares no features gets a good set from its columns; one that declares any gets those alone."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.config.data import DataSection
from holdfast.config.defaults import with_defaults
from holdfast.config.features import FeaturesSection
from holdfast.features.definitions import feature_schema

CUSTOMERS: dict[str, Any] = {
    "kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end",
    "columns": {
        "region": {"type": "category", "known_at": "start"}, "paperless": {"type": "boolean"},
        "born": {"type": "time", "known_at": "start"}, "name": {"type": "text", "known_at": "start"},
    },
}  # fmt: skip
PLANS: dict[str, Any] = {
    "kind": "history", "path": "p.csv", "key": "id", "valid_from": "from",
    "columns": {"price": {"type": "number"}, "ends": {"type": "time"}, "memo": {"type": "text"}},
}  # fmt: skip
ORDERS: dict[str, Any] = {
    "kind": "events", "path": "o.csv", "key": "id", "time": "time",
    "columns": {
        "amount": {"type": "number"}, "paid": {"type": "boolean"}, "shop": {"type": "category"},
        "channel": {"type": "category", "allowed": ["web", "phone"]}, "sent": {"type": "time"},
    },
}  # fmt: skip


def data(**tables: Any) -> DataSection:
    return DataSection.model_validate({"tables": {"customers": CUSTOMERS, **tables}})


def test_features_follow_from_the_columns() -> None:
    declared = data(plans=PLANS, orders=ORDERS)
    derived = with_defaults(declared, FeaturesSection.model_validate({"windows": ["3m"]}))
    assert feature_schema(declared, derived).names == [
        "tenure_months", "customers_region",
        "plans_price", "plans_price_changes_3m", "plans_price_days_since_change", "plans_months_until_ends",
        "orders_count_3m", "orders_recency_3m", "orders_mean_gap_3m", "orders_ratio_3m", "orders_trend_3m",
        "orders_amount_sum_3m", "orders_amount_mean_3m", "orders_amount_max_3m", "orders_amount_last_3m",
        "orders_amount_ratio_3m", "orders_amount_trend_3m", "orders_paid_count_3m", "orders_paid_share_3m",
        "orders_shop_n_unique_3m", "orders_channel_web_share_3m", "orders_channel_phone_share_3m",
        "orders_exposure_months",
    ]  # fmt: skip
    assert feature_schema(declared, derived).end_state == []


@pytest.mark.parametrize("window", ["1m", "30d"])
def test_short_windows_leave_out_what_needs_months(window: str) -> None:
    declared = data(orders=ORDERS)
    derived = with_defaults(declared, FeaturesSection.model_validate({"windows": [window]}))
    names = feature_schema(declared, derived).names
    assert f"orders_count_{window}" in names
    assert not [n for n in names if "trend" in n or "ratio" in n]


def test_what_is_declared_is_all_there_is() -> None:
    only = FeaturesSection.model_validate({"attributes": {"region": "region"}})
    assert with_defaults(data(orders=ORDERS), only) is only


def test_nothing_to_derive_from() -> None:
    declared = data()
    assert feature_schema(declared, with_defaults(declared, FeaturesSection())).names == [
        "tenure_months", "customers_region",
    ]  # fmt: skip
