"""Several stays to a customer: chains, gaps, grace, notices and comings back, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from test_ada import LATER, cutoffs, left_out, scored, section, stays, training

from holdfast.clock import Span, utc
from holdfast.config.data import Label
from holdfast.snapshots.calendar import cutoff_table
from holdfast.snapshots.outcomes import churned
from holdfast.snapshots.population import training_population
from holdfast.stores.engine import DuckDBEngine

MONTHS = tuple(f"2024-{m:02}-01" for m in range(1, 7))
GRACE = Label(grace=Span(days=10))


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(threads=1) as engine:
        yield engine


def labels(engine: DuckDBEngine, *spans: tuple[str, str | None], label: Label | None = None) -> dict[str, int | None]:
    """Cutoff -> label of one customer with these stays; cutoffs where there is no snapshot are not there."""
    table = stays(engine, *({"customer_id": "bo", "start": start, "end": end} for start, end in spans))
    found = training(engine, table, cutoffs(*MONTHS, label=label), data=section(label, several=True))
    return {at: label for (_, at), (_, label) in found.items()}


def test_overlapping_and_consecutive_stays_are_one(engine: DuckDBEngine) -> None:
    found = labels(engine, ("2023-06-01", "2024-02-10"), ("2024-02-10", "2024-03-15"), ("2024-01-20", "2024-04-05"))
    assert found == {"2024-01-01": 0, "2024-02-01": 0, "2024-03-01": 0, "2024-04-01": 1}


@pytest.mark.parametrize(("back", "joined"), [("2024-02-20", True), ("2024-02-20T00:00:00.000001", False)])
def test_a_gap_as_long_as_the_grace_is_no_churn(engine: DuckDBEngine, back: str, joined: bool) -> None:
    found = labels(engine, ("2023-06-01", "2024-02-10"), (back, None), label=GRACE)
    assert found == {"2024-01-01": 0, "2024-02-01": 0 if joined else 1, "2024-03-01": 0, "2024-04-01": 0,
                     "2024-05-01": None, "2024-06-01": None}  # fmt: skip


def test_inside_a_gap_nobody_is_at_risk_however_short_it_is(engine: DuckDBEngine) -> None:
    found = labels(engine, ("2023-06-01", "2024-01-31"), ("2024-02-02", None), label=GRACE)
    assert "2024-02-01" not in found
    assert found["2024-01-01"] == 0


def test_who_comes_back_later_churned_and_may_churn_again(engine: DuckDBEngine) -> None:
    found = labels(engine, ("2023-06-01", "2024-01-15"), ("2024-02-20", "2024-03-10"), ("2024-03-25", "2024-05-02"))
    assert found == {"2024-01-01": 1, "2024-03-01": 1, "2024-04-01": 0, "2024-05-01": 1}


def test_a_stay_without_length_covers_nothing_and_bridges_no_gap(engine: DuckDBEngine) -> None:
    found = labels(
        engine, ("2023-06-01", "2024-02-10"), ("2024-02-18", "2024-02-18"), ("2024-02-26", None), label=GRACE
    )
    assert found["2024-02-01"] == 1
    assert labels(engine, ("2024-02-01", "2024-02-01")) == {}


def test_a_planned_end_that_was_known_is_a_notice_unless_a_stay_follows(engine: DuckDBEngine) -> None:
    """A term of a year, its end told on 01-10; the renewal was signed on 02-15."""
    term = {"customer_id": "bo", "start": "2023-04-01", "end": "2024-04-01", "end_available_at": "2024-01-10"}
    renewal = {"customer_id": "bo", "start": "2024-04-01", "end": None, "start_available_at": "2024-02-15"}
    data = section(several=True)
    both = stays(engine, term, renewal)
    assert scored(engine, both, *MONTHS, data=data) == {("bo", m) for m in MONTHS if m != "2024-02-01"}
    assert left_out(engine, both, *MONTHS, data=data) == {"notice": {"2024-02-01"}}
    assert set(training(engine, both, cutoffs(*MONTHS), data=data).values()) == {("matured", 0), ("immature", None)}
    ending = {**renewal, "end": "2024-06-20", "end_available_at": "2024-03-10"}
    known = scored(engine, stays(engine, term, ending), *MONTHS, data=data)
    assert {m for _, m in known} == {"2024-01-01", "2024-03-01"}, "the end of the whole chain is known from 03-10 on"


def test_a_planned_stay_without_length_is_no_continuation(engine: DuckDBEngine) -> None:
    """All of it is known on 02-01: a term to 04-01, a day later taken back, and a new one from 04-16 on."""
    known = {"customer_id": "bo", "start_available_at": "2024-01-10", "end_available_at": "2024-01-10"}
    table = stays(
        engine,
        {**known, "start": "2023-04-01", "end": "2024-04-01"}, {**known, "start": "2024-04-08", "end": "2024-04-08"},
        {**known, "start": "2024-04-16", "end": None},
    )  # fmt: skip
    data = section(GRACE, several=True)
    assert {m for _, m in scored(engine, table, *MONTHS, data=data)} == {"2024-05-01", "2024-06-01"}


def test_without_an_availability_a_planned_end_is_no_notice(engine: DuckDBEngine) -> None:
    """Prepaid months: every end is known when it comes, and the customer is at risk until then."""
    table = stays(
        engine,
        *({"customer_id": "bo", "start": f"2024-0{m}-10", "end": f"2024-0{m + 1}-10"} for m in range(1, 4)),
    )
    data = section(several=True)
    assert {m: label for (_, m), (_, label) in training(engine, table, cutoffs(*MONTHS), data=data).items()} == {
        "2024-02-01": 0, "2024-03-01": 0, "2024-04-01": 1,
    }  # fmt: skip
    assert {m for _, m in scored(engine, table, *MONTHS, data=data)} == {"2024-02-01", "2024-03-01", "2024-04-01"}


def test_one_stay_gives_the_same_with_and_without_an_id(engine: DuckDBEngine) -> None:
    rows = [
        {"customer_id": f"c{i}", "start": "2023-06-01", "end": end, "end_available_at": known, "notice": notice}
        for i, (end, known, notice) in enumerate(
            [(None, None, None), ("2024-02-01", "2024-02-01", None), ("2024-03-05", "2024-02-20", None),
             ("2024-01-20", "2024-04-07", None), (None, None, "2024-02-29"), ("2024-05-05", None, None)]
        )
    ]  # fmt: skip
    table = stays(engine, *rows)
    one, many = section(), section(several=True)
    assert training(engine, table, cutoffs(*MONTHS), data=one) == training(engine, table, cutoffs(*MONTHS), data=many)
    assert scored(engine, table, *MONTHS, data=one) == scored(engine, table, *MONTHS, data=many)
    assert left_out(engine, table, *MONTHS, data=one) == left_out(engine, table, *MONTHS, data=many)


def test_the_start_is_the_first_that_was_known_before_the_cutoff(engine: DuckDBEngine) -> None:
    """Two old contracts, one of which the business heard of in March."""
    rows = [
        {"customer_id": "bo", "start": "2023-01-01", "start_available_at": "2024-03-05", "end": "2023-06-01"},
        {"customer_id": "bo", "start": "2023-09-01", "end": None},
    ]
    at = engine.from_arrow(cutoff_table(cutoffs("2024-03-01", "2024-04-01")), "cutoffs")
    population = training_population(
        {"customers": stays(engine, *rows)}, section(several=True), at, known_as_of=LATER, complete_through=LATER
    )
    starts = {r["cutoff"].month: r["start"].date().isoformat() for r in engine.to_arrow(population).to_pylist()}
    assert starts == {3: "2023-09-01", 4: "2023-01-01"}


def test_who_churned_after_an_instant_of_their_own(engine: DuckDBEngine) -> None:
    import pyarrow as pa

    table = stays(
        engine,
        {"customer_id": "gone", "start": "2023-01-01", "end": "2024-02-10"},
        {"customer_id": "back", "start": "2023-01-01", "end": "2024-02-10"},
        {"customer_id": "back", "start": "2024-02-15", "end": None},
        {"customer_id": "later", "start": "2023-01-01", "end": "2024-03-01"},
    )
    stamp = pa.timestamp("us")
    who = ["gone", "back", "later", "nobody"]
    moments = engine.from_arrow(
        pa.table({
            "customer_id": who,
            "at": pa.array([datetime(2024, 2, 1)] * 4, stamp),  # noqa: DTZ001
            "until": pa.array([datetime(2024, 3, 1)] * 4, stamp),  # noqa: DTZ001
            "offer": ["a", "b", "c", "d"],
        }),
        "moments",
    )  # fmt: skip
    found = churned(
        {"customers": table}, section(GRACE, several=True), moments, known_as_of=utc(datetime(2024, 6, 1, tzinfo=UTC))
    )
    rows = engine.to_arrow(found.order_by("offer")).to_pylist()
    assert [(r["customer_id"], r["churned"]) for r in rows] == [("gone", True), ("back", False), ("later", False)]
