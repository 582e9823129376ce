"""Inactivity churn by hand: who is active, who comes back, and what was known of it when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from test_ada import LATER, STAMP, cutoffs, day, stays

from holdfast.config.data import DataSection
from holdfast.errors import ConfigError
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.outcomes import churned
from holdfast.snapshots.population import everyone, scoring_population
from holdfast.stores.engine import DuckDBEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(threads=1) as engine:
        yield engine


def section(**label: Any) -> DataSection:
    told = {"churn": "inactivity", "events": "orders", "days": 30, "active_within": 60, **label}
    orders = {
        "kind": "events", "path": "o.csv", "key": "customer", "id": "order", "time": "at", "available_at": "known",
        "deleted": "gone", "columns": {"dollars": {"type": "number"}, "kind": {"type": "category"}},
    }  # fmt: skip
    customers = {"kind": "customers", "path": "c.csv", "key": "customer", "start": "start", "end": "end"}
    return DataSection.model_validate({"label": told, "tables": {"orders": orders, "customers": customers}})


def without_stays(data: DataSection) -> DataSection:
    return data.model_copy(update={"tables": {"orders": data.tables["orders"]}})


def orders(engine: DuckDBEngine, *rows: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> Any:
    """Rows of customer, time, and what is special: known, id, deleted, kind."""
    columns: dict[str, list[Any]] = {}
    for n, (who, at, *rest) in enumerate(rows):
        more: dict[str, Any] = rest[0] if rest else {}
        row = {
            "customer_id": who, "event_id": more.get("id", f"o{n}"), "event_time": day(at),
            "available_at": day(more.get("known", at)), "deleted": more.get("deleted", 0), "c_kind": more.get("kind"),
        }  # fmt: skip
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    types = [pa.string(), pa.string(), STAMP, STAMP, pa.int64(), pa.string()]
    return engine.from_arrow(
        pa.table({n: pa.array(v, t) for (n, v), t in zip(columns.items(), types, strict=True)}), "orders"
    )


def judged(
    engine: DuckDBEngine, table: Any, *days: str, data: DataSection | None = None
) -> dict[tuple[str, str], tuple[str, int | None]]:
    """Everybody by state and label; and that scoring holds just those whom training holds, with the same start."""
    data = without_stays(data or section())
    planned = [Cutoff.of(c.at, data.label, data.cutoffs) for c in cutoffs(*days)]
    at = engine.from_arrow(cutoff_table(planned), "cutoffs")
    rows = engine.to_arrow(
        everyone({"orders": table}, data, at, known_as_of=LATER, complete_through=LATER)
    ).to_pylist()  # fmt: skip
    scored = engine.to_arrow(scoring_population({"orders": table}, data, at)).to_pylist()
    held = [r for r in rows if r["state"] != "activity_not_known"]
    assert sorted((r["customer_id"], r["cutoff"], r["start"]) for r in scored) == sorted(
        (r["customer_id"], r["cutoff"], r["start"]) for r in held
    )
    return {(r["customer_id"], r["cutoff"].date().isoformat()): (r["state"], r["label"]) for r in rows}


def test_active_before_the_cutoff_and_silent_after_it(engine: DuckDBEngine) -> None:
    """Windows are [c - 60d, c) and [c, c + 30d): an order at the cutoff instant is a return, not activity."""
    table = orders(
        engine,
        ("first", "2024-01-01"), ("too old", "2023-12-31T23:59:59"), ("at", "2024-03-01"),
        ("back", "2024-02-29T23:59:59"), ("back", "2024-03-30T23:59:59"),
        ("late", "2024-02-01"), ("late", "2024-03-31"),
        ("instant", "2024-02-01"), ("instant", "2024-03-01"),
    )  # fmt: skip
    assert judged(engine, table, "2024-03-01") == {
        ("first", "2024-03-01"): ("matured", 1),
        ("back", "2024-03-01"): ("matured", 0),
        ("late", "2024-03-01"): ("matured", 1),
        ("instant", "2024-03-01"): ("matured", 0),
    }


def test_the_lead_moves_the_window(engine: DuckDBEngine) -> None:
    table = orders(
        engine, ("soon", "2024-02-01"), ("soon", "2024-03-08"), ("later", "2024-02-01"), ("later", "2024-04-06")
    )
    found = judged(engine, table, "2024-03-01", data=section(lead="1w"))
    assert found == {("soon", "2024-03-01"): ("matured", 0), ("later", "2024-03-01"): ("matured", 0)}
    assert judged(engine, table, "2024-03-01", data=section(lead="8d"))["soon", "2024-03-01"] == ("matured", 1)


def test_an_order_known_late_makes_nobody_active_and_still_is_a_return(engine: DuckDBEngine) -> None:
    table = orders(
        engine,
        ("ann", "2024-02-20", {"known": "2024-03-01"}),
        ("bo", "2024-02-20"), ("bo", "2024-03-10", {"known": "2024-05-20"}),
    )  # fmt: skip
    assert judged(engine, table, "2024-03-01", "2024-04-01") == {
        ("ann", "2024-03-01"): ("activity_not_known", None),
        ("bo", "2024-03-01"): ("matured", 0),
        ("ann", "2024-04-01"): ("matured", 1),
        ("bo", "2024-04-01"): ("matured", 1),
    }


def test_a_deleted_or_moved_order_counts_until_that_was_known(engine: DuckDBEngine) -> None:
    table = orders(
        engine,
        ("ann", "2024-02-20", {"id": "x"}), ("ann", "2024-02-20", {"id": "x", "known": "2024-03-05", "deleted": 1}),
        ("bo", "2024-02-20", {"id": "y"}), ("cy", "2024-02-20", {"id": "y", "known": "2024-03-05"}),
    )  # fmt: skip
    assert judged(engine, table, "2024-03-01", "2024-04-01") == {
        ("ann", "2024-03-01"): ("matured", 1),
        ("bo", "2024-03-01"): ("matured", 1),
        ("cy", "2024-03-01"): ("activity_not_known", None),
        ("cy", "2024-04-01"): ("matured", 1),
    }


def test_only_qualifying_orders_show_activity(engine: DuckDBEngine) -> None:
    table = orders(
        engine,
        ("ann", "2024-02-20", {"kind": "visit"}), ("bo", "2024-02-20", {"kind": "order"}),
        ("bo", "2024-03-10", {"kind": "visit"}), ("bo", "2023-06-01", {"kind": "visit"}),
    )  # fmt: skip
    assert judged(engine, table, "2024-03-01", data=section(where={"kind": ["order"]})) == {
        ("bo", "2024-03-01"): ("matured", 1)
    }


def test_a_word_that_is_no_value_of_its_column_is_refused(engine: DuckDBEngine) -> None:
    with pytest.raises(ConfigError, match=r"data\.label\.where\.dollars.*'lots' is not a number"):
        judged(engine, orders(engine, ("ann", "2024-02-20")), "2024-03-01", data=section(where={"dollars": ["lots"]}))


def test_the_start_is_the_stays_or_else_the_first_order_of_any_sort(engine: DuckDBEngine) -> None:
    data = section(where={"kind": ["order"]})
    bought = orders(
        engine,
        *((who, "2024-02-20", {"kind": "order"}) for who in ("ann", "bo", "cy")),
        *((who, "2023-05-01", {"kind": "visit"}) for who in ("ann", "bo", "cy")),
        ("ann", "2023-01-01", {"kind": "visit", "known": "2024-03-10"}),
    )
    contracts = stays(
        engine,
        {"customer_id": "bo", "start": "2022-07-01", "end": "2023-07-01"},
        {"customer_id": "cy", "start": "2022-07-01", "start_available_at": "2024-03-01", "end": None},
    )
    at = engine.from_arrow(cutoff_table(cutoffs("2024-03-01", "2024-04-01")), "cutoffs")
    rows = engine.to_arrow(scoring_population({"orders": bought, "customers": contracts}, data, at)).to_pylist()
    starts = {(r["customer_id"], r["cutoff"].month): r["start"].date().isoformat() for r in rows}
    assert starts == {
        ("ann", 3): "2023-05-01", ("bo", 3): "2022-07-01", ("cy", 3): "2023-05-01",
        ("ann", 4): "2023-01-01", ("bo", 4): "2022-07-01", ("cy", 4): "2022-07-01",
    }  # fmt: skip


def test_who_was_silent_after_an_instant_of_their_own(engine: DuckDBEngine) -> None:
    bought = orders(engine, ("ann", "2024-02-20"), ("ann", "2024-03-30"), ("bo", "2024-02-20"), ("cy", "2024-04-01"))
    moments = engine.from_arrow(
        pa.table({
            "customer_id": ["ann", "bo", "cy"],
            "at": pa.array([datetime(2024, 3, 1)] * 3, STAMP),  # noqa: DTZ001
            "until": pa.array([datetime(2024, 4, 1)] * 3, STAMP),  # noqa: DTZ001
        }),
        "moments",
    )  # fmt: skip
    found = churned({"orders": bought}, without_stays(section()), moments, known_as_of=LATER)
    rows = engine.to_arrow(found.order_by("customer_id")).to_pylist()
    assert [r["churned"] for r in rows] == [False, True, True]
