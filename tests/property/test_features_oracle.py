"""The fast feature path against the slow oracle, bit for bit, and what must not change a bit of it.

One Ibis build costs a second or two, whatever its size, so every example is a company of many customers; what fails
prints the whole story of one customer instead of shrinking.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import companies
import pyarrow as pa
import pytest
from companies import CUSTOMERS, DAY, EXAMPLES, FIRST_MONTH, LAST_MONTH, US, Chance
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from holdfast.audit import oracle_features
from holdfast.audit import oracle_snapshots as oracle
from holdfast.clock import Grid, Span, utc
from holdfast.config.data import Cutoffs, Label
from holdfast.config.features import FeaturesSection
from holdfast.features.compute import compute, window_lengths
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.population import scoring_population, training_population
from holdfast.stores.engine import DuckDBEngine

LARGE = 112
"""Customers of a company against the oracle: larger ones, fewer times, since compiling costs the same for each."""
ANCHORS = (1, 15, 29, 31)
DATA, FEATURES, FEW_FEATURES = companies.sections()
LABELS = (Label(), Label(lead=Span(days=10), horizon=Span(months=2), delay=Span(days=5)), Label(horizon=Span(days=30)))
QUIET = settings(
    max_examples=EXAMPLES * CUSTOMERS // LARGE, deadline=None, database=None, derandomize=True, print_blob=False,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
FEW = settings(QUIET, max_examples=2)

Values = dict[tuple[str, datetime], dict[str, Any]]


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(threads=2) as engine:
        yield engine


def cutoffs_of(anchor: int, label: Label = LABELS[0]) -> list[Cutoff]:
    calendar = Cutoffs(anchor_days=(anchor,))
    return [Cutoff.of(utc(oracle.grid(anchor, k)), label, calendar) for k in range(FIRST_MONTH, LAST_MONTH + 1)]


def computed(
    engine: DuckDBEngine, tables: Mapping[str, Any], cutoffs: Sequence[Cutoff], *, known_as_of: datetime,
    population: pa.Table | None = None, features: FeaturesSection = FEW_FEATURES,
) -> Values:  # fmt: skip
    """(customer, cutoff) -> features, of the scoring population or of the one given."""
    table = engine.from_arrow(cutoff_table(cutoffs, window_lengths(features)), "cutoffs")
    at_risk = (
        engine.materialize(scoring_population(tables, DATA, table), "population")
        if population is None
        else engine.from_arrow(population, "population")
    )
    found, schema = compute(
        engine, at_risk, table, tables, DATA, features, grid=cutoffs[0].grid, known_as_of=known_as_of
    )
    result = engine.to_arrow(found)
    assert result.column_names == ["customer_id", "cutoff", *schema.names]
    for spec in schema:
        assert result.schema.field(spec.name).type == spec.arrow_type, spec.name
    rows = result.to_pylist()
    values = {(r.pop("customer_id"), r.pop("cutoff")): r for r in rows}
    assert len(values) == len(rows), "a snapshot is repeated"
    return values


def assert_equal(found: Values, expected: Values, rows: Mapping[str, Sequence[oracle.Row]], why: str) -> None:
    """Bit for bit; the message tells one customer's whole story."""
    for customer, at in sorted(found.keys() ^ expected.keys()):
        side = "is missing" if (customer, at) in expected else "should not be there"
        pytest.fail(f"{why}: {customer} at {at} {side}\n{companies.story(rows, customer)}")
    for (customer, at), values in found.items():
        other = expected[customer, at]
        wrong = [f"  {n}: {values[n]!r}, expected {other[n]!r}" for n in values if values[n] != other[n]]
        if wrong or values.keys() != other.keys():
            lines = "\n".join(wrong) or f"  names differ: {sorted(values.keys() ^ other.keys())}"
            pytest.fail(f"{why}: {customer} at {at}\n{lines}\n{companies.story(rows, customer)}")


def told(rows: Mapping[str, Sequence[oracle.Row]], anchor: int, population: Iterable[tuple[str, datetime]]) -> Values:
    """What the oracle says of a population."""
    by_cutoff: dict[datetime, set[str]] = {}
    for customer, at in population:
        by_cutoff.setdefault(at, set()).add(customer)
    found: Values = {}
    for at, customers in by_cutoff.items():
        one = oracle_features.features(
            rows, companies.DATA, companies.WANTED, cutoff=at, anchor=anchor, customers=customers
        )  # fmt: skip
        found |= {(c, at): {n: oracle_features.float32(v) for n, v in values.items()} for c, values in one.items()}
    return found


def chance_of(seed: int, anchor: int) -> Chance:
    chance = Chance(seed)
    chance.anchor = anchor
    return chance


@pytest.mark.slow
@QUIET
@given(seed=st.integers(0, 2**32), anchor=st.sampled_from(ANCHORS), late=st.integers(0, 40), label=st.integers(0, 2))
def test_fast_path_equals_the_oracle(engine: DuckDBEngine, seed: int, anchor: int, late: int, label: int) -> None:
    """Every feature of a training build; its population is test_population_oracle's."""
    chance = chance_of(seed, anchor)
    rows = companies.company(chance, LARGE)
    cutoffs = cutoffs_of(anchor, LABELS[label])
    known_as_of = oracle.grid(anchor, LAST_MONTH) + late * DAY
    tables = companies.load(engine, rows)
    table = engine.from_arrow(cutoff_table(cutoffs), "cutoffs")
    at_risk = engine.to_arrow(
        training_population(tables, DATA, table, known_as_of=utc(known_as_of), complete_through=utc(known_as_of))
    )
    said = [(r["customer_id"], r["cutoff"]) for r in at_risk.select(["customer_id", "cutoff"]).to_pylist()]
    values = computed(engine, tables, cutoffs, known_as_of=utc(known_as_of), population=at_risk, features=FEATURES)
    assert_equal(values, told(rows, anchor, said), rows, f"seed {seed}, anchor {anchor}")


@pytest.mark.slow
@FEW
@given(seed=st.integers(0, 2**32), anchor=st.sampled_from(ANCHORS))
def test_one_cutoff_alone_gives_the_training_bits(engine: DuckDBEngine, seed: int, anchor: int) -> None:
    """Training/serving parity: the scoring run of that day saw no row that came later, and gives the same bits."""
    chance = chance_of(seed, anchor)
    rows = companies.company(chance, CUSTOMERS)
    cutoffs = cutoffs_of(anchor)
    trained = computed(engine, companies.load(engine, rows), cutoffs, known_as_of=cutoffs[-1].at + 40 * DAY)
    one = chance.choice(cutoffs)
    at = one.at.replace(tzinfo=None)
    tables = companies.load(engine, known_before(rows, at))
    served = computed(engine, tables, [one], known_as_of=one.at)
    expected = {key: v for key, v in trained.items() if key[1] == at}
    assert served
    assert_equal(served, expected, rows, f"seed {seed}, anchor {anchor}")
    scored = {c["customer_id"] for c in rows["customers"] if oracle.is_scored([c], at, oracle.Churn())}
    assert {customer for customer, _ in served} == scored


def known_before(rows: Mapping[str, Sequence[oracle.Row]], at: datetime) -> dict[str, list[oracle.Row]]:
    """The extract that was made at an instant: no later row, no later end or closing."""
    kept: dict[str, list[oracle.Row]] = {}
    for name, table in rows.items():
        known = "start_available_at" if name == "customers" else "available_at"
        closing = {"customers": ("end", "end_available_at"), "plans": ("valid_to", "closed_available_at")}.get(name, ())
        if name == "extras":  # attributes alone, without any time
            kept[name] = list(table)
            continue
        kept[name] = [
            {**r, **dict.fromkeys(closing)} if closing and (r[closing[1]] is None or r[closing[1]] >= at) else r
            for r in table
            if r[known] < at
        ]
    return kept


@pytest.mark.slow
@FEW
@given(seed=st.integers(0, 2**32), anchor=st.sampled_from(ANCHORS))
def test_unusable_rows_change_no_bit(engine: DuckDBEngine, seed: int, anchor: int) -> None:
    """At a cutoff in the middle: rows known later, or of later events, are added, scrambled and deleted."""
    chance = chance_of(seed, anchor)
    rows = companies.company(chance, CUSTOMERS)
    cutoffs = cutoffs_of(anchor)
    now = cutoffs[-1].at + 40 * DAY
    middle = cutoffs[len(cutoffs) // 2].at.replace(tzinfo=None)
    before = computed(engine, companies.load(engine, rows), cutoffs, known_as_of=now)
    changed = {name: list(table) for name, table in known_before(rows, middle).items()}
    changed["customers"] = rows["customers"]
    noise = companies.company(chance, CUSTOMERS)
    for name in ("plans", *companies.EVENT_TABLES):
        changed[name] += [unusable(chance, r, middle) for r in noise[name] if r["available_at"] > middle - 60 * DAY]
    changed["Usage-2"] += [  # an event that lies ahead, known already
        {**r, "event_id": f"new/{i}", "event_time": max(r["event_time"], middle)}
        for i, r in enumerate(noise["Usage-2"])
    ]
    # nothing of what begins a source may come from later: a row much older than all others arrives
    oldest = {**noise["Usage-2"][0], "event_id": "oldest", "event_time": middle - 3000 * DAY, "available_at": middle}
    changed["Usage-2"] += [oldest, {**oldest, "event_id": "older", "available_at": middle + 300 * DAY}]
    after = computed(engine, companies.load(engine, changed), cutoffs, known_as_of=now)

    def upto(values: Values) -> Values:
        return {key: v for key, v in values.items() if key[1] <= middle}

    assert_equal(upto(after), upto(before), changed, f"seed {seed}, anchor {anchor}")
    assert after != before, "the noise never reached the later cutoffs: this test tests nothing"


def unusable(chance: Chance, row: oracle.Row, cutoff: datetime) -> oracle.Row:
    """The row with other content, known at the cutoff or later."""
    known = max(row["available_at"], cutoff + chance.choice([0 * US, US, DAY, 40 * DAY]))
    cells = {k: chance.choice([None, 1, 10**6]) for k in row if k in ("c_minutes", "c_spent", "c_severity", "c_price")}
    return {**row, "available_at": known, **cells}


@pytest.mark.slow
@FEW
@given(seed=st.integers(0, 2**32))
def test_threads_and_row_order_change_no_bit(engine: DuckDBEngine, seed: int) -> None:
    chance = chance_of(seed, 1)
    rows = companies.company(chance, 4 * CUSTOMERS)
    cutoffs = cutoffs_of(1)
    first = computed(engine, companies.load(engine, rows), cutoffs, known_as_of=cutoffs[-1].at)
    shuffled = {name: random.Random(seed).sample(list(table), len(table)) for name, table in rows.items()}
    with DuckDBEngine(threads=1) as single:
        second = computed(single, companies.load(single, shuffled), cutoffs, known_as_of=cutoffs[-1].at)
    assert_equal(second, first, rows, f"seed {seed}")


def test_an_empty_population_has_no_features(engine: DuckDBEngine) -> None:
    rows = companies.company(chance_of(1, 1), 3)
    nobody = {**rows, "customers": [{**r, "start": datetime(2030, 1, 1)} for r in rows["customers"]]}  # noqa: DTZ001
    assert computed(engine, companies.load(engine, nobody), cutoffs_of(1), known_as_of=utc(datetime(2031, 1, 1))) == {}  # noqa: DTZ001


def test_a_source_without_any_row_yet_covers_nothing(engine: DuckDBEngine) -> None:
    """Null is unknown and zero is none: before its first row a source knows nothing, not even zero."""
    rows = companies.company(chance_of(2, 1), 5)
    at = cutoffs_of(1)[3:4]
    late = timedelta(days=4000)
    for name in companies.EVENT_TABLES:
        rows[name] = [{**r, "available_at": r["available_at"] + late} for r in rows[name]]
    values = computed(engine, companies.load(engine, rows), at, known_as_of=at[0].at)
    assert values
    for found in values.values():
        assert found["tickets_count_3m"] is None
        assert found["paid_sum_3m"] is None
        assert found["Usage-2_exposure_months"] == found["tickets_exposure_months"] == 0.0


@pytest.mark.parametrize("anchor", [29, 30, 31])
def test_oracle_grid_agrees_with_the_clock(anchor: int) -> None:
    for k in range(FIRST_MONTH, LAST_MONTH):
        assert utc(oracle.grid(anchor, k)) == Grid(anchor).at(k)
