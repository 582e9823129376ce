"""What every table holds: types, scales, ids, and events only while a customer."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from simulated_company import Company

from holdfast.simulate.tables import EVENT_TIMES, SCHEMAS, TRUTH_SCHEMAS

EPOCH = np.datetime64("2022-01-01", "us")


@pytest.mark.parametrize("name", [*SCHEMAS, *TRUTH_SCHEMAS])
def test_schema_is_as_declared(company: Company, name: str) -> None:
    table = company.table(name)
    assert table.schema.equals((SCHEMAS | TRUTH_SCHEMAS)[name])
    assert table.num_rows > 0
    if name in SCHEMAS:
        assert company.summary.rows[name] == table.num_rows


def test_customers_are_numbered_once(company: Company) -> None:
    ids = company.table("customers").column("customer_id").to_pylist()
    assert ids == [f"C{i:07d}" for i in range(1, 6001)]


@pytest.mark.parametrize(
    ("table", "column", "decimals"),
    [
        ("usage", "minutes", 1),
        ("usage", "data_gb", 2),
        ("invoices", "amount", 2),
        ("invoices", "late_fee", 2),
        ("payments", "amount", 2),
        ("plans", "monthly_price", 2),
        ("treatments", "cost", 2),
        ("treatments", "propensity", 2),
    ],
)
def test_measures_are_exact_at_their_scale(company: Company, table: str, column: str, decimals: int) -> None:
    values = company.table(table).column(column).drop_null()
    assert values.equals(pc.round(values, ndigits=decimals))
    assert pc.min(values).as_py() >= 0


@pytest.mark.parametrize("name", EVENT_TIMES)
def test_nothing_is_known_before_it_happens(company: Company, name: str) -> None:
    happened = company.column(name, EVENT_TIMES[name])
    known = company.column(name, "available_at")
    assert (known >= happened).all()
    assert (known < np.datetime64(company.summary.extract_at)).all()


@pytest.mark.parametrize("name", EVENT_TIMES)
def test_events_lie_between_signup_and_end(company: Company, name: str) -> None:
    lives = company.table("customers").select(["customer_id", "signup_at", "ended_at"])
    joined = company.table(name).join(lives, "customer_id")
    happened = joined.column(EVENT_TIMES[name]).to_numpy()
    ended = joined.column("ended_at").to_numpy()
    assert joined.num_rows == company.table(name).num_rows
    assert (happened > np.maximum(joined.column("signup_at").to_numpy(), EPOCH)).all()
    assert (np.isnat(ended) | (happened <= ended)).all()
    assert (happened < np.datetime64(company.summary.covers_until)).all()


def test_usage_has_one_row_for_each_week(company: Company) -> None:
    usage = company.table("usage").group_by(["customer_id", "used_at"]).aggregate([("usage_id", "count_distinct")])
    assert set(usage.column("usage_id_count_distinct").to_pylist()) == {1}
    since = (usage.column("used_at").to_numpy() - EPOCH) / np.timedelta64(7, "D")
    assert (since == np.rint(since)).all()
    # a customer of all 30 months misses no week of the 913 days
    lives = company.table("customers")
    whole = lives.filter(pc.and_(pc.is_null(lives.column("ended_at")), pc.less(lives.column("signup_at"), EPOCH)))
    weeks = (
        usage.group_by("customer_id")
        .aggregate([("used_at", "count")])
        .join(whole.select(["customer_id"]), "customer_id", join_type="inner")
    )
    assert set(weeks.column("used_at_count").to_pylist()) == {913 // 7}


def test_payments_belong_to_invoices(company: Company) -> None:
    payments, invoices = company.table("payments"), company.table("invoices")
    assert pc.all(pc.is_in(payments.column("invoice_id"), value_set=invoices.column("invoice_id"))).as_py()
    status = np.array(payments.column("status").to_pylist())
    days_late = payments.column("days_late").to_numpy(zero_copy_only=False)
    assert np.isnan(days_late[status == "failed"]).all()
    assert (days_late[status == "paid"] == 0).all()
    assert (days_late[status == "late"] >= 1).all()
    assert (payments.column("amount").to_numpy()[status == "failed"] == 0).all()


def test_ends_and_signups_are_known_after_they_happen(company: Company) -> None:
    signed, known = company.column("customers", "signup_at"), company.column("customers", "signup_known_at")
    assert (known >= signed).all()
    ended, end_known = company.column("customers", "ended_at"), company.column("customers", "end_known_at")
    left = ~np.isnat(ended)
    assert (np.isnat(end_known) == ~left).all()
    assert (end_known[left] >= ended[left]).all()
    reasons = company.table("customers").column("end_reason")
    assert (np.array([r is not None for r in reasons.to_pylist()]) == left).all()
    assert set(reasons.drop_null().to_pylist()) == {"voluntary", "involuntary"}


def test_ends_fall_on_all_days_of_the_month(company: Company) -> None:
    ended = company.column("customers", "ended_at")
    ended = ended[~np.isnat(ended)]
    days = (ended.astype("datetime64[D]") - ended.astype("datetime64[M]").astype("datetime64[D]")).astype(int)
    assert set(days) == set(range(31))
    assert abs(days.mean() - 14.7) < 1.0


def test_half_were_there_before_history(company: Company) -> None:
    early = company.column("customers", "signup_at") < EPOCH
    assert 0.47 < early.mean() < 0.53
    tenure = (EPOCH - company.column("customers", "signup_at")[early]) / np.timedelta64(365, "D")
    assert tenure.min() > 0
    assert 4 < tenure.max() <= 6.01


def test_end_state_columns_look_back_from_the_end(company: Company) -> None:
    left = ~np.isnat(company.column("customers", "ended_at"))
    autopay = np.array(company.table("customers").column("autopay").to_pylist())
    assert autopay[left].mean() < autopay[~left].mean() - 0.15
