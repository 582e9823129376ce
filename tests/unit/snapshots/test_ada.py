"""The worked example of DESIGN section 1, and what is known when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from holdfast.clock import Span, naive, utc
from holdfast.config.data import Cutoffs, DataSection, Label
from holdfast.config.features import FeaturesSection
from holdfast.features.compute import compute, window_lengths
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.population import counts, everyone, scoring_population, training_population
from holdfast.stores.engine import DuckDBEngine

STAMP = pa.timestamp("us")
LATER = datetime(2024, 6, 1, tzinfo=UTC)


def day(text: str | None) -> datetime | None:
    return None if text is None else naive(utc(datetime.fromisoformat(text)))


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(threads=1) as engine:
        yield engine


def customers(engine: DuckDBEngine, *rows: tuple[str | None, ...]) -> Any:
    """Rows of id, start, end and, where they differ, when the end and the start became known."""
    return stays(
        engine,
        *(
            {
                "customer_id": who, "start": start, "end": end, "end_available_at": known[0] if known else end,
                "start_available_at": known[1] if len(known) > 1 else start,
            }
            for who, start, end, *known in rows
        ),
    )  # fmt: skip


def stays(engine: DuckDBEngine, *rows: dict[str, str | None]) -> Any:
    """Canonical stays; what is not said is null, but a start or an end is known when it happens."""
    columns = ("customer_id", "start", "start_available_at", "end", "end_available_at", "end_reason", "notice")
    text = ("customer_id", "end_reason")
    told = [{"start_available_at": r["start"], "end_available_at": r.get("end"), **r} for r in rows]
    arrays = {
        c: pa.array([r.get(c) if c in text else day(r.get(c)) for r in told], pa.string() if c in text else STAMP)
        for c in columns
    }
    return engine.from_arrow(pa.table(arrays), "customers")


def section(label: Label | None = None, *, several: bool = False) -> DataSection:
    table = {"kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end", "end_reason": "why"}
    if several:
        table["id"] = "contract"
    return DataSection.model_validate({"label": label or Label(), "tables": {"customers": table}})


def cutoffs(*days: str, label: Label | None = None) -> list[Cutoff]:
    return [Cutoff.of(utc(datetime.fromisoformat(d)), label or Label(), Cutoffs()) for d in days]


def training(
    engine: DuckDBEngine, table: Any, planned: list[Cutoff], known: datetime = LATER, complete: datetime | None = None,
    data: DataSection | None = None,
) -> dict[tuple[str, str], tuple[str, int | None]]:  # fmt: skip
    at = engine.from_arrow(cutoff_table(planned), "cutoffs")
    population = training_population(
        {"customers": table}, data or section(), at, known_as_of=known, complete_through=complete or known
    )
    rows = engine.to_arrow(population).to_pylist()
    return {(r["customer_id"], r["cutoff"].date().isoformat()): (r["state"], r["label"]) for r in rows}


def scored(engine: DuckDBEngine, table: Any, *days: str, data: DataSection | None = None) -> set[tuple[str, str]]:
    at = engine.from_arrow(cutoff_table(cutoffs(*days)), "cutoffs")
    rows = engine.to_arrow(scoring_population({"customers": table}, data or section(), at)).to_pylist()
    return {(r["customer_id"], r["cutoff"].date().isoformat()) for r in rows}


def left_out(engine: DuckDBEngine, table: Any, *days: str, data: DataSection | None = None) -> dict[str, set[str]]:
    """Why -> the cutoffs at which somebody is left out of training."""
    at = engine.from_arrow(cutoff_table(cutoffs(*days)), "cutoffs")
    judged = everyone({"customers": table}, data or section(), at, known_as_of=LATER, complete_through=LATER)
    found: dict[str, set[str]] = {}
    for r in engine.to_arrow(judged).to_pylist():
        if r["state"] not in ("matured", "immature", "in_lead"):
            found.setdefault(r["state"], set()).add(r["cutoff"].date().isoformat())
    return found


MONTHS = ("2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01")


def test_ada_is_at_risk_twice_and_leaves_once(engine: DuckDBEngine) -> None:
    ada = customers(engine, ("ada", "2024-01-10", "2024-03-20"))
    assert training(engine, ada, cutoffs(*MONTHS)) == {
        ("ada", "2024-02-01"): ("matured", 0),
        ("ada", "2024-03-01"): ("matured", 1),
    }


def test_an_end_at_the_cutoff_instant_is_of_the_window_that_begins(engine: DuckDBEngine) -> None:
    ada = customers(engine, ("ada", "2024-01-10", "2024-03-01"))
    found = training(engine, ada, cutoffs(*MONTHS))
    assert found == {("ada", "2024-02-01"): ("matured", 0), ("ada", "2024-03-01"): ("matured", 1)}


def test_a_start_at_the_cutoff_instant_is_not_at_risk_yet(engine: DuckDBEngine) -> None:
    new = customers(engine, ("new", "2024-02-01", None))
    assert ("new", "2024-02-01") not in training(engine, new, cutoffs(*MONTHS))
    assert scored(engine, new, "2024-02-01", "2024-03-01") == {("new", "2024-03-01")}


def test_ada_has_one_ticket_the_one_at_the_cutoff_is_not_known(engine: DuckDBEngine) -> None:
    data = DataSection.model_validate(
        {
            "tables": {
                "customers": {"kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end"},
                "tickets": {"kind": "events", "path": "t.csv", "key": "id", "time": "opened_at"},
            }
        }
    )
    features = FeaturesSection.model_validate(
        {
            "windows": ["3m"],
            "measures": {"tickets": {"table": "tickets", "label": "tickets", "aggregations": ["count", "recency"]}},
        }
    )
    ada = customers(engine, ("ada", "2024-01-10", "2024-03-20"))
    times = [day("2024-02-20"), day("2024-03-01")]
    tickets = engine.from_arrow(
        pa.table(
            {
                "customer_id": ["ada", "ada"],
                "event_id": pa.nulls(2, pa.string()),
                "event_time": pa.array(times, STAMP),
                "available_at": pa.array(times, STAMP),
                "deleted": pa.array([0, 0], pa.int64()),
            }
        ),
        "tickets",
    )
    planned = cutoffs("2024-02-01", "2024-03-01")
    at = engine.from_arrow(cutoff_table(planned, window_lengths(features)), "cutoffs")
    population = engine.materialize(
        training_population({"customers": ada}, data, at, known_as_of=LATER, complete_through=LATER), "population"
    )
    found, _ = compute(
        engine, population, at, {"customers": ada, "tickets": tickets}, data, features,
        grid=planned[0].grid, known_as_of=LATER,
    )  # fmt: skip
    assert engine.to_arrow(found.order_by("cutoff").drop("customer_id", "cutoff")).to_pylist() == [
        # no ticket of anybody was known yet: unknown, not zero
        {"tenure_months": 0.0, "tickets_count_3m": None, "tickets_recency_3m": None, "tickets_exposure_months": 0.0},
        # the source begins on 02-20, so no month is covered in full
        {"tenure_months": 1.0, "tickets_count_3m": 1.0, "tickets_recency_3m": 10.0, "tickets_exposure_months": 0.0},
    ]


def test_an_end_known_late_is_a_label_in_training_and_unseen_in_scoring(engine: DuckDBEngine) -> None:
    late = customers(engine, ("late", "2023-01-01", "2024-02-10", "2024-04-15"))
    assert training(engine, late, cutoffs(*MONTHS)) == {
        ("late", "2024-01-01"): ("matured", 0),
        ("late", "2024-02-01"): ("matured", 1),
    }
    assert scored(engine, late, *MONTHS) == {("late", m) for m in MONTHS[:4]}, "until the news of 04-15"
    assert left_out(engine, late, *MONTHS) == {"ended_but_not_known": {"2024-03-01", "2024-04-01"}}


def test_news_at_known_as_of_is_not_known(engine: DuckDBEngine) -> None:
    late = customers(engine, ("late", "2023-01-01", "2024-02-10", "2024-04-15"))
    found = training(engine, late, cutoffs("2024-02-01", "2024-03-01"), known=datetime(2024, 4, 15, tzinfo=UTC))
    assert found == {("late", "2024-02-01"): ("matured", 0), ("late", "2024-03-01"): ("matured", 0)}


@pytest.mark.parametrize("known", ["2024-02-01", "2024-01-31T23:59:59"])
def test_a_notice_known_before_the_cutoff_leaves_the_population(engine: DuckDBEngine, known: str) -> None:
    gone = customers(engine, ("gone", "2023-01-01", "2024-03-20", known))
    found = training(engine, gone, cutoffs(*MONTHS))
    at_cutoff = known == "2024-02-01"
    assert (("gone", "2024-02-01") in found) == at_cutoff, "known at the instant itself is not known before it"
    assert ("gone", "2024-03-01") not in found
    assert scored(engine, gone, *MONTHS) == {(who, at) for who, at in found}


def test_news_without_an_end_says_nothing(engine: DuckDBEngine) -> None:
    """A column that says when a row was last touched is full for everybody."""
    here = customers(engine, ("here", "2023-01-01", None, "2023-06-01"))
    assert training(engine, here, cutoffs("2024-02-01")) == {("here", "2024-02-01"): ("matured", 0)}
    assert scored(engine, here, "2024-02-01") == {("here", "2024-02-01")}


def test_a_start_known_late_is_neither_trained_on_nor_scored(engine: DuckDBEngine) -> None:
    back = customers(engine, ("back", "2024-01-10", None, None, "2024-02-15"))
    assert min(at for _, at in training(engine, back, cutoffs(*MONTHS))) == "2024-03-01"
    assert scored(engine, back, "2024-02-01", "2024-03-01") == {("back", "2024-03-01")}
    assert left_out(engine, back, *MONTHS) == {"start_not_known": {"2024-02-01"}}
    unknown = training(engine, back, cutoffs(*MONTHS), known=datetime(2024, 2, 15, tzinfo=UTC))
    assert unknown == {}


@pytest.mark.parametrize(("notice", "stays_until"), [("2024-02-01", "2024-02-01"), ("2024-01-31", "2024-01-01")])
def test_from_the_notice_on_nobody_is_scored_or_trained_on(engine: DuckDBEngine, notice: str, stays_until: str) -> None:
    """The end itself comes, and becomes known, months later; a notice at the cutoff instant is not known yet."""
    row = {"customer_id": "bo", "start": "2023-01-01", "end": "2024-04-20", "notice": notice}
    bo = stays(engine, row)
    for several in (False, True):
        data = section(several=several)
        found = training(engine, bo, cutoffs(*MONTHS), data=data)
        assert max(at for _, at in found) == stays_until
        assert scored(engine, bo, *MONTHS, data=data) == set(found)
        left = {m for m in MONTHS[:4] if m > stays_until}
        assert left_out(engine, bo, *MONTHS, data=data) == {"notice": left}


def test_only_the_reasons_asked_for_are_churn(engine: DuckDBEngine) -> None:
    rows = [
        {"customer_id": why, "start": "2023-01-01", "end": "2024-02-10", "end_reason": why}
        for why in ("price", "moved", "died")
    ]
    table = stays(engine, *rows, {"customer_id": "none", "start": "2023-01-01", "end": "2024-02-10"})
    label = Label(reasons=["price", "moved"])
    for several in (False, True):
        found = training(engine, table, cutoffs("2024-02-01"), data=section(label, several=several))
        assert {who: label for (who, _), (_, label) in found.items()} == {"price": 1, "moved": 1, "died": 0, "none": 0}
    at = engine.from_arrow(cutoff_table(cutoffs("2024-02-01")), "cutoffs")
    judged = everyone({"customers": table}, section(label), at, known_as_of=LATER, complete_through=LATER)
    counted = engine.to_arrow(counts(judged)).to_pylist()
    assert [(c["snapshots"], c["positives"], c["other_reason"]) for c in counted] == [(4, 2, 2)]


def test_an_end_inside_the_lead_is_neither_trained_on_nor_hidden_from_scoring(engine: DuckDBEngine) -> None:
    label = Label(lead=Span(days=10))
    table = customers(
        engine,
        ("first", "2023-01-01", "2024-02-10T23:59:59"),
        ("second", "2023-01-01", "2024-02-11"),
        ("third", "2023-01-01", "2024-03-10T23:59:59"),
        ("fourth", "2023-01-01", "2024-03-11"),
    )
    assert training(engine, table, cutoffs("2024-02-01", label=label)) == {
        ("first", "2024-02-01"): ("in_lead", None),
        ("second", "2024-02-01"): ("matured", 1),
        ("third", "2024-02-01"): ("matured", 1),
        ("fourth", "2024-02-01"): ("matured", 0),
    }
    assert len(scored(engine, table, "2024-02-01")) == 4


@pytest.mark.parametrize(
    ("known", "complete", "state"),
    [
        ("2024-03-11", "2024-03-11", "matured"),
        ("2024-03-10", "2024-03-11", "immature"),
        ("2024-03-11", "2024-03-10", "immature"),
    ],
)
def test_a_label_matures_with_its_window_grace_and_delay(
    engine: DuckDBEngine, known: str, complete: str, state: str
) -> None:
    """Window to 03-01, three days of grace, seven of delay; whatever the label would be."""
    label = Label(grace=Span(days=3), delay=Span(days=7))
    table = customers(engine, ("stays", "2023-01-01", None), ("leaves", "2023-01-01", "2024-02-05"))
    found = training(
        engine, table, cutoffs("2024-02-01", label=label),
        utc(datetime.fromisoformat(known)), utc(datetime.fromisoformat(complete)),
    )  # fmt: skip
    assert {s for s, _ in found.values()} == {state}
    assert (found["leaves", "2024-02-01"][1], found["stays", "2024-02-01"][1]) == (
        (1, 0) if state == "matured" else (None, None)
    )


def test_counts_by_cutoff_and_state(engine: DuckDBEngine) -> None:
    table = customers(engine, ("a", "2023-01-01", "2024-02-05"), ("b", "2023-01-01", None), ("c", "2023-01-01", None))
    planned = cutoffs("2024-02-01", "2024-05-01")
    at = engine.from_arrow(cutoff_table(planned), "cutoffs")
    known = datetime(2024, 5, 2, tzinfo=UTC)
    judged = everyone({"customers": table}, section(), at, known_as_of=known, complete_through=known)
    rows = engine.to_arrow(counts(judged).order_by("cutoff")).to_pylist()
    assert [(r["state"], r["snapshots"], r["positives"]) for r in rows] == [("matured", 3, 1), ("immature", 2, 0)]
