"""Local times, against Python's own zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.sources.zones import FIRST, LAST, local_to_utc
from holdfast.stores.engine import DuckDBEngine

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
EDGE = timedelta(days=1)


def later_reading(local: datetime, zone: ZoneInfo) -> datetime:
    return max(local.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1))


def near_changes(zone: ZoneInfo) -> list[datetime]:
    """Local half hours around every change of the clocks in ten years, and one of each week."""
    found: set[datetime] = set()
    at = datetime(2016, 1, 1, tzinfo=UTC)
    while at < datetime(2026, 1, 1, tzinfo=UTC):
        following = at + EDGE
        local = at.astimezone(zone).replace(tzinfo=None)
        if at.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            found |= {local + timedelta(minutes=m) for m in range(-120, 26 * 60, 15)}
        elif at.isocalendar().weekday == 1:
            found.add(local)
        at = following
    return sorted(found)


def converted(times: list[datetime], zone: str) -> list[datetime]:
    with DuckDBEngine(threads=1) as engine:
        table = engine.from_arrow(pa.table({"i": range(len(times)), "t": pa.array(times, pa.timestamp("us"))}), "local")
        found = engine.to_arrow(table.select("i", u=local_to_utc(table.t, zone)).order_by("i"))
    return list(found.column("u").to_pylist())


@pytest.mark.parametrize("name", ZONES)
def test_the_later_reading_counts_whenever_the_clocks_change(name: str) -> None:
    times = near_changes(ZoneInfo(name))
    assert converted(times, name) == [later_reading(t, ZoneInfo(name)) for t in times]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.datetimes((FIRST + EDGE).replace(tzinfo=None), (LAST - EDGE).replace(tzinfo=None)), min_size=1, max_size=50
    ),
    st.sampled_from(ZONES),
)
def test_any_local_time(times: list[datetime], name: str) -> None:
    assert converted(times, name) == [later_reading(t, ZoneInfo(name)) for t in times]


def test_a_local_time_there_twice_and_one_not_there() -> None:
    twice, never = datetime(2024, 10, 27, 2, 30), datetime(2024, 3, 31, 2, 30)  # noqa: DTZ001
    assert converted([twice, never], "Europe/Berlin") == [
        datetime(2024, 10, 27, 1, 30), datetime(2024, 3, 31, 1, 30),  # noqa: DTZ001
    ]  # fmt: skip
