"""Real exports are messy. They load, or are refused with the fix."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from declared import declared, loaded, write

from holdfast.config.data import DataSection
from holdfast.errors import DataError


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001


EVENTS: dict[str, Any] = {"kind": "events", "path": "e.csv", "key": "id", "id": "n", "time": "t"}
SUBSCRIPTIONS: dict[str, Any] = {
    "kind": "customers", "path": "s.csv", "key": "id", "id": "sub", "start": "a", "end": "b", "end_reason": "why",
    "notice": "told",
}  # fmt: skip


def test_subscriptions_overlap_follow_leave_gaps_come_back_and_have_no_length(tmp_path: Path) -> None:
    rows = [
        "1,x,2024-01-01,2024-03-01,price,2024-2-3 9:05", "1,y,2024-02-01,2024-04-01,,", "1,z,2024-06-01,,,",
        "1,w,2024-05-01,2024-05-01,mistake,", "2,x,2024-01-01,2024-02-01, moved ,",
        "2,x,2024-01-01,2024-02-01, moved ,",
    ]  # fmt: skip
    write(tmp_path, s="id,sub,a,b,why,told\n" + "\n".join(rows))
    sources, found = loaded(tmp_path, DataSection.model_validate({"tables": {"s": SUBSCRIPTIONS}}))
    assert [(r["customer_id"], r["subscription_id"], r["end_reason"]) for r in found["s"]] == [
        ("1", "w", "mistake"), ("1", "x", "price"), ("1", "y", None), ("1", "z", None), ("2", "x", "moved"),
    ]  # fmt: skip
    assert found["s"][1]["notice"] == naive(2024, 2, 3, 9, 5)
    assert sources.stays is sources.tables["s"]
    assert sources.tables["s"].notes == {"rows": 6, "exact_duplicates_dropped": 1, "warned": {}, "dropped": {}}


def test_one_subscription_twice_is_a_conflict(tmp_path: Path) -> None:
    rows = "1,x,2024-01-01,2024-03-01,,\n1,x,2024-01-01,2024-04-01,,\n2,x,2024-01-01,2024-02-01,,"
    write(tmp_path, s=f"id,sub,a,b,why,told\n{rows}\n")
    with pytest.raises(DataError, match=r"several rows for one 'sub' of a customer: 1 times \(for example '1'\)"):
        loaded(tmp_path, DataSection.model_validate({"tables": {"s": SUBSCRIPTIONS}}))


def test_other_customers_tables_hold_attributes_only(tmp_path: Path) -> None:
    write(tmp_path, a="cust,vip\n1,TRUE\n2,false\n7,False\n")
    attributes = {"kind": "customers", "path": "a.csv", "key": "cust", "columns": {"vip": {"type": "boolean"}}}
    sources, rows = loaded(tmp_path, declared(a=attributes))
    assert rows["a"] == [{"customer_id": c, "c_vip": v} for c, v in (("1", 1), ("2", 0), ("7", 0))]
    assert sources.tables["a"].notes["warned"] == {"foreign_key": 1}
    assert list(sources.tables) == ["customers", "a"]


def test_inactivity_needs_no_customers_table(tmp_path: Path) -> None:
    write(tmp_path, e="id,n,t\n1,a,2024-01-03\n", a="cust,x\n1,2\n")
    data = {
        "label": {"churn": "inactivity", "events": "e", "days": 90, "active_within": 180},
        "tables": {"e": EVENTS, "a": {"kind": "customers", "path": "a.csv", "key": "cust",
                                      "columns": {"x": {"type": "number"}}}},
    }  # fmt: skip
    sources, rows = loaded(tmp_path, DataSection.model_validate(data))
    assert sources.stays is None
    assert rows["a"] == [{"customer_id": "1", "c_x": 200}]
    assert sources.watermark.date().isoformat() == "2024-01-04"


def test_nobody_leaves_is_refused_only_where_leaving_is_churn(tmp_path: Path) -> None:
    write(tmp_path, c="id,start,end\n1,2024-01-01,\n", e="id,n,t\n1,a,2024-01-03\n")
    with pytest.raises(DataError, match="no customer ever ends"):
        loaded(tmp_path, declared(e=EVENTS))
    tables = declared(e=EVENTS).model_dump(exclude_unset=True)["tables"]
    label = {"churn": "inactivity", "events": "e", "days": 90, "active_within": 180}
    loaded(tmp_path, DataSection.model_validate({"tables": tables, "label": label}))


def test_cells_with_and_without_a_zone(tmp_path: Path) -> None:
    rows = "1,a,2024-03-01 10:00\n1,b,2024-03-01 10:00+02:00\n1,c,2024-03-01\n1,d,2024-03-01T10:00Z"
    write(tmp_path, e=f"id,n,t\n{rows}\n")
    with pytest.raises(DataError, match=r"'t': times with and without a zone \(mixed zones\): 1 of 4 rows have none "
                                        r"\(for example '2024-03-01 10:00'\)\. Write the zone into all"):  # fmt: skip
        loaded(tmp_path, declared(e=EVENTS))
    quiet = {"outside": "drop"}
    _, found = loaded(tmp_path, declared(e={**EVENTS, "timezone": "America/New_York", "checks": {"type": "warn"}}))
    times = {r["event_id"]: r["event_time"] for r in found["e"]}
    assert times == {
        "a": naive(2024, 3, 1, 15),
        "b": naive(2024, 3, 1, 8),
        "c": naive(2024, 3, 1),
        "d": naive(2024, 3, 1, 10),
    }
    write(tmp_path, c="id,start,end\n1,2024-01-01,\n2,2024-01-01,2024-02-01\n", e=f"id,n,t\n{rows}\n")
    sources, found = loaded(tmp_path, declared(e={**EVENTS, "checks": {"type": "drop", **quiet}}))
    assert [r["event_id"] for r in found["e"]] == ["b", "c", "d"]
    assert sources.tables["e"].notes["dropped"] == {"type": 1}


def test_a_cell_without_a_zone_in_a_column_that_may_be_null(tmp_path: Path) -> None:
    write(tmp_path, e="id,n,t,x\n1,a,2024-01-03,2024-03-01 10:00\n1,b,2024-01-03,2024-03-01 10:00Z\n")
    column = {"type": "time", "checks": {"type": "drop"}}
    sources, found = loaded(tmp_path, declared(e={**EVENTS, "columns": {"x": column}}))
    assert [r["c_x"] for r in found["e"]] == [None, naive(2024, 3, 1, 10)]
    assert sources.tables["e"].notes["dropped"] == {"type": 1}


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_times_without_a_zone_are_in_the_tables_and_dates_are_days(tmp_path: Path, format_: str) -> None:
    local = [naive(2024, 3, 1, 0, 30), naive(2024, 7, 1, 0, 30), naive(2024, 3, 31, 2, 30), naive(2024, 10, 27, 2, 30)]
    utc = [
        naive(2024, 2, 29, 23, 30),
        naive(2024, 6, 30, 22, 30),
        naive(2024, 3, 31, 1, 30),
        naive(2024, 10, 27, 1, 30),
    ]
    day = naive(2024, 3, 1).date()
    n = [str(i) for i in range(4)]
    if format_ == "parquet":
        zoned = pa.array(utc, pa.timestamp("us", "UTC"))
        write(tmp_path, e=pa.table({"id": ["1"] * 4, "n": n, "t": local, "d": [day] * 4, "z": zoned}))
    else:
        lines = [f"1,{i},{t},{day},{u}Z" for i, t, u in zip(n, local, utc, strict=True)]
        write(tmp_path, e="id,n,t,d,z\n" + "\n".join(lines))
    columns = {"d": {"type": "time"}, "z": {"type": "time"}}
    table = {**EVENTS, "path": f"e.{format_}", "timezone": "Europe/Berlin", "columns": columns}
    _, found = loaded(tmp_path, declared(e=table))
    assert [r["event_time"] for r in found["e"]] == utc
    assert [r["c_z"] for r in found["e"]] == utc
    assert {r["c_d"] for r in found["e"]} == {naive(2024, 3, 1)}


def test_a_file_that_vanishes_while_it_is_read(tmp_path: Path) -> None:
    """Listed, and gone when the engine opens it."""
    from holdfast.sources.tables import load_sources
    from holdfast.stores.engine import DuckDBEngine

    class Vanishing(DuckDBEngine):
        def materialize(self, expression: Any, name: str) -> Any:
            (tmp_path / "e.csv").unlink(missing_ok=True)
            return super().materialize(expression, name)

    write(tmp_path, e="id,n,t\n1,a,2024-01-03\n")
    with Vanishing(threads=1) as engine, pytest.raises(Exception, match=r"e\.csv") as caught:
        load_sources(engine, declared(e=EVENTS), tmp_path)
    assert type(caught.value).__module__ == "holdfast.errors"
