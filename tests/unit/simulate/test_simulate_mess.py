"""Mess comes as declared: late, corrected and repeated rows, nulls and a category that first appears late."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from simulated_company import Company

from holdfast.simulate.params import load_params
from holdfast.simulate.tables import EVENT_TIMES

RULES = load_params().mess.rules
DAY = np.timedelta64(1, "D")


def near(found: int, share: float, of: int) -> bool:
    """Whether a count is within 4.5 standard deviations of its share."""
    return bool(abs(found - share * of) <= 4.5 * np.sqrt(of * share * (1 - share)))


def once(table: pa.Table) -> pa.Table:
    """The table without exact repetitions."""
    filled = table.group_by(table.column_names, use_threads=False).aggregate([])
    return filled.select(table.column_names)


@pytest.mark.parametrize("name", EVENT_TIMES)
def test_rows_are_late_corrected_and_repeated_as_declared(company: Company, name: str) -> None:
    table, rule = company.table(name), RULES[name]
    key = table.column_names[0]
    single = once(table)
    ids = pc.count_distinct(single.column(key)).as_py()
    assert near(table.num_rows - single.num_rows, rule.duplicated, ids)
    assert near(single.num_rows - ids, rule.corrected, ids)
    delay = single.column("available_at").to_numpy() - single.column(EVENT_TIMES[name]).to_numpy()
    assert near((delay >= DAY).sum(), rule.late + rule.corrected, ids)
    assert (delay[delay < DAY] <= np.timedelta64(900, "s")).all()


@pytest.mark.parametrize(("name", "column"), [("usage", "minutes"), ("invoices", "amount"), ("tickets", "severity")])
def test_corrections_come_later_with_another_value(company: Company, name: str, column: str) -> None:
    single = once(company.table(name))
    key = single.column_names[0]
    counts = single.group_by(key).aggregate([(key, "count")])
    twice = counts.filter(pc.equal(counts.column(f"{key}_count"), 2)).column(key)
    assert pc.max(counts.column(f"{key}_count")).as_py() == 2
    rows = single.filter(pc.is_in(single.column(key), value_set=twice))
    rows = rows.sort_by([(key, "ascending"), ("available_at", "ascending")])
    first, second = rows.take(list(range(0, rows.num_rows, 2))), rows.take(list(range(1, rows.num_rows, 2)))
    assert rows.num_rows > 20
    assert pc.all(pc.less(first.column("available_at"), second.column("available_at"))).as_py()
    assert pc.all(pc.not_equal(first.column(column), second.column(column))).as_py()
    for other in set(single.column_names) - {column, "available_at"}:
        assert first.column(other).equals(second.column(other))


@pytest.mark.parametrize(
    ("name", "column"), [("usage", "minutes"), ("usage", "data_gb"), ("usage", "calls"), ("tickets", "severity")]
)
def test_measures_are_sometimes_unknown(company: Company, name: str, column: str) -> None:
    table = company.table(name)
    assert near(table.column(column).null_count, load_params().mess.nulls[column], table.num_rows)


def test_a_category_first_appears_late(company: Company) -> None:
    tickets = company.table("tickets")
    new = tickets.filter(pc.equal(tickets.column("category"), "esim"))
    assert new.num_rows > 50
    # 0.75 of 30 months: from month 23 on
    assert pc.min(new.column("opened_at")).as_py().isoformat() >= "2023-12-01"
    assert set(tickets.column("category").to_pylist()) == {"network", "billing", "device", "cancel_inquiry", "esim"}


def test_ends_for_non_payment_are_known_days_later(company: Company) -> None:
    table = company.table("customers")
    delay = table.column("end_known_at").to_numpy() - table.column("ended_at").to_numpy()
    reason = np.array(table.column("end_reason").to_pylist())
    assert delay[reason == "involuntary"].mean() > DAY
    assert delay[reason == "voluntary"].max() <= np.timedelta64(900, "s")
