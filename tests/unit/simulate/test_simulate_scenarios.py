"""Each switch does what it says from its month on, and nothing before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from simulated_company import Company, before

from holdfast.errors import UsageError
from holdfast.simulate import Scenario

MONTH, START = 6, "2022-07-01"
Build = Callable[..., Company]


def since(table: pa.Table, column: str, instant: str = START) -> pa.Table:
    return table.filter(pc.greater_equal(table.column(column), np.datetime64(instant, "us")))


def within(table: pa.Table, column: str, region: str, first: str, end: str) -> pa.Table:
    """The rows of a region in ``[first, end)``."""
    rows = before(since(table, column, first), column, end)
    return rows.filter(pc.equal(rows.column("region"), region))


def same_before(one: Company, two: Company, name: str, column: str, instant: str = START) -> bool:
    """Whether the tables agree, as sets of rows, on what has ``column`` before an instant."""
    a, b = (before(c.table(name), column, instant) for c in (one, two))
    order = [(n, "ascending") for n in a.column_names]
    return a.num_rows > 0 and a.sort_by(order).equals(b.sort_by(order))


def region_of(company: Company, name: str) -> pa.Table:
    return company.table(name).join(company.table("customers").select(["customer_id", "region"]), "customer_id")


def test_outage_collapses_usage_and_bursts_tickets_in_one_region(plain: Company, with_scenario: Build) -> None:
    hit = with_scenario(outage_month=MONTH, outage_region="east", outage_months=2)
    # a month's hazard rests on what stood before it: the outage's own month still has the old one
    assert same_before(plain, hit, "hazard", "month_start", "2022-07-02")
    assert not same_before(plain, hit, "hazard", "month_start", "2022-08-02")

    july, september, december = START, "2022-09-01", "2022-12-01"
    for region, first, end, usage_ratio, ticket_ratio in (
        ("east", july, september, 0.25, 5.0),
        ("west", july, september, 1.0, 1.0),
        ("east", september, december, 1.0, 1.0),
    ):
        data, opened = [], []
        for company in (hit, plain):
            usage, tickets = region_of(company, "usage"), region_of(company, "tickets")
            data.append(pc.mean(within(usage, "used_at", region, first, end).column("data_gb")).as_py())
            opened.append(within(tickets, "opened_at", region, first, end).num_rows)
        assert data[0] / data[1] == pytest.approx(usage_ratio, rel=0.1)
        assert opened[0] / opened[1] == pytest.approx(ticket_ratio, rel=0.25)


def test_competitor_raises_the_hazard_of_all(plain: Company, with_scenario: Build) -> None:
    hit = with_scenario(competitor_month=MONTH)
    assert same_before(plain, hit, "hazard", "month_start")
    at = np.datetime64(START, "us")
    first = [c.table("hazard").filter(pc.equal(c.table("hazard").column("month_start"), at)) for c in (hit, plain)]
    assert first[0].column("customer_id").equals(first[1].column("customer_id"))
    ratio = first[0].column("hazard").to_numpy() / first[1].column("hazard").to_numpy()
    assert (ratio > 1).all()
    # at most the factor of the voluntary part; ends for non-payment have other reasons
    assert ratio.max() <= np.exp(0.5) + 1e-3
    assert np.median(ratio) > 1.5
    assert hit.summary.churned > plain.summary.churned


def test_region_shift_changes_new_signups_only(plain: Company, with_scenario: Build) -> None:
    hit = with_scenario(region_shift_month=MONTH)
    assert same_before(plain, hit, "hazard", "month_start")
    new = since(hit.table("customers"), "signup_at").column("region").to_pylist()
    old = before(hit.table("customers"), "signup_at", START).column("region").to_pylist()
    assert new.count("central") / len(new) == pytest.approx(0.60, abs=0.08)
    assert old.count("central") / len(old) == pytest.approx(0.15, abs=0.04)


def test_unit_change_records_megabytes_and_nothing_else(plain: Company, with_scenario: Build) -> None:
    hit = with_scenario(unit_change_month=MONTH)
    for name in ("hazard", "customers", "tickets", "payments"):
        assert hit.table(name).equals(plain.table(name))
    megabytes, gigabytes = hit.column("usage", "data_gb"), plain.column("usage", "data_gb")
    changed = hit.column("usage", "used_at") >= np.datetime64(START)
    assert changed.any()
    assert np.array_equal(megabytes[~changed], gigabytes[~changed], equal_nan=True)
    assert np.allclose(megabytes[changed] / 1000, gigabytes[changed], atol=0.00501, equal_nan=True)


def test_stopped_feed_loses_tickets_and_nothing_else(plain: Company, with_scenario: Build) -> None:
    hit = with_scenario(stopped_feed_month=MONTH)
    for name in ("hazard", "customers", "usage", "payments"):
        assert hit.table(name).equals(plain.table(name))
    assert hit.table("tickets").equals(before(plain.table("tickets"), "available_at", START))


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"competitor_month": 12}, "Give a month from 0 to 11"),
        ({"outage_month": -1}, "outage_month is -1"),
        ({"outage_region": "nort"}, "did you mean 'north'"),
        ({"outage_months": 0}, "Give 1 or more"),
    ],
)
def test_impossible_scenario_is_refused(switches: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Scenario(**switches).check(months=12, regions=["north", "south"])
