"""Who is at risk, in which state and with which label: the fast path against the slow oracle, for every churn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import companies
import pyarrow as pa
import pytest
from companies import CUSTOMERS, DAY, EXAMPLES, FIRST_MONTH, GRACE_DAYS, LAST_MONTH, Chance
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from holdfast.audit import oracle_snapshots as oracle
from holdfast.clock import utc
from holdfast.config.data import DataSection
from holdfast.snapshots.calendar import Cutoff, cutoff_table, instants
from holdfast.snapshots.population import everyone, scoring_population, training_population
from holdfast.stores.engine import DuckDBEngine

QUIET = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, print_blob=False, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
ONE = {"kind": "customers", "path": "c.csv", "key": "customer", "start": "start", "end": "end", "end_reason": "why"}
SEVERAL = {**ONE, "id": "contract"}
USAGE = {**companies.DATA["tables"]["Usage-2"]}
LABELS: tuple[dict[str, Any], ...] = (
    {"horizon": "1m"},
    {"horizon": "2m", "lead": "10d", "grace": f"{GRACE_DAYS}d", "delay": "5d"},
    {"horizon": "30d", "lead": "1m", "grace": f"{GRACE_DAYS}d", "reasons": ["price"]},
    {"horizon": "2w", "reasons": ["price", "moved"]},
)
INACTIVE: tuple[dict[str, Any], ...] = (
    {"days": 30, "active_within": 60},
    {"days": 45, "active_within": 31, "lead": "2w", "delay": "3d", "where": {"kind": ["call", "it's"]}},
)
CALENDARS: tuple[dict[str, Any], ...] = (
    {"anchor_days": [1]},
    {"anchor_days": [29, 31]},
    {"anchor_days": [31]},
    {"every": "week", "anchor_days": [1, 4]},
    {"every": "day"},
)
Found = dict[tuple[str, datetime], tuple[Any, ...]]


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(threads=2) as engine:
        yield engine


class World:
    """A company, its calendar and what is known, from one seed."""

    def __init__(self, seed: int, calendar: int, label: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
        self.chance = Chance(seed)
        self.data = DataSection.model_validate({"cutoffs": CALENDARS[calendar], "label": label, "tables": tables})
        self.chance.anchor = CALENDARS[calendar].get("anchor_days", [1])[-1] if calendar < 3 else 1
        first = self.chance.randint(FIRST_MONTH, LAST_MONTH - 2)
        months = 1 if calendar > 2 else LAST_MONTH - FIRST_MONTH
        last = utc(oracle.grid(31, first + months if calendar > 2 else LAST_MONTH))
        found = instants(self.data.cutoffs, utc(oracle.grid(1, first if calendar > 2 else FIRST_MONTH)), last)
        self.cutoffs = [Cutoff.of(c, self.data.label, self.data.cutoffs) for c in found]
        self.known = last.replace(tzinfo=None) + self.chance.randint(0, 40) * DAY
        self.complete = self.known - self.chance.choice([0, 0, 20]) * DAY

    @property
    def churn(self) -> oracle.Churn:
        """The label, read once more."""
        label = self.data.label
        wanted = set(label.where.get("kind", []))
        return oracle.Churn(
            str(label.lead), str(label.window), label.grace.days, label.delay.days, label.reasons, label.active_within,
            lambda row: not wanted or row["c_kind"] in wanted,
        )  # fmt: skip

    def table(self, engine: DuckDBEngine) -> Any:
        return engine.from_arrow(cutoff_table(self.cutoffs), "cutoffs")

    def judged(self, engine: DuckDBEngine, tables: Mapping[str, Any]) -> Found:
        """(customer, cutoff) -> state, label, label_available_at and start of everyone."""
        how = {"known_as_of": utc(self.known), "complete_through": utc(self.complete)}
        rows = engine.to_arrow(everyone(tables, self.data, self.table(engine), **how)).to_pylist()
        found = {(r["customer_id"], r["cutoff"]): (r["state"], r["label"], r["label_available_at"]) for r in rows}
        assert len(found) == len(rows), "a snapshot is repeated"
        return found

    def starts(self, engine: DuckDBEngine, tables: Mapping[str, Any]) -> tuple[Found, Found]:
        """(customer, cutoff) -> start, of training and of scoring."""
        how = {"known_as_of": utc(self.known), "complete_through": utc(self.complete)}
        both = (
            training_population(tables, self.data, self.table(engine), **how),
            scoring_population(tables, self.data, self.table(engine)),
        )
        found = [engine.to_arrow(t).to_pylist() for t in both]
        trained, scored = ({(r["customer_id"], r["cutoff"]): (r["start"],) for r in rows} for rows in found)
        assert len(scored) == len(found[1]), "a customer is scored twice"
        return trained, scored


def anchor_of(cutoff: Cutoff) -> int:
    return cutoff.grid.anchor_day


def assert_same(found: Found, expected: Found, stories: Mapping[str, Sequence[oracle.Row]]) -> None:
    for key in sorted(found.keys() | expected.keys()):
        story = "\n".join(f"  {row}" for row in stories.get(key[0], ()))
        assert found.get(key) == expected.get(key), f"{key}\n{story}"


@pytest.mark.slow
@QUIET
@given(seed=st.integers(0, 2**32), calendar=st.sampled_from(range(len(CALENDARS))), label=st.sampled_from(LABELS),
       several=st.booleans())  # fmt: skip
def test_contractual_churn(
    engine: DuckDBEngine, seed: int, calendar: int, label: dict[str, Any], several: bool
) -> None:
    world = World(seed, calendar, label, {"stays": SEVERAL if several else ONE})
    chance = world.chance
    stories = {f"c{i}": companies.stays(chance, f"c{i}") for i in range(CUSTOMERS)}
    if not several:
        stories = {who: stays[:1] for who, stays in stories.items()}
    rows = [row for stays in stories.values() for row in stays]
    arrow = pa.table({c: pa.array([r[c] for r in rows], kind) for c, kind in companies.STAYS.items()})
    tables = {"stays": engine.from_arrow(arrow, "stays")}

    expected: Found = {}
    trained: Found = {}
    scored: Found = {}
    for c in world.cutoffs:
        at = c.at.replace(tzinfo=None)
        known_by = oracle.label_window(at, anchor_of(c), world.churn)[2]
        for who, stays in stories.items():
            one = oracle.snapshot(
                stays, at, anchor_of(c), world.churn, known_as_of=world.known, complete_through=world.complete
            )  # fmt: skip
            start = (oracle.start_known(stays, at),)
            if one is not None:
                expected[who, at] = (*one, known_by)
                if one[0] in ("matured", "immature", "in_lead"):
                    trained[who, at] = start
            if oracle.is_scored(stays, at, world.churn):
                scored[who, at] = start
    assert_same(world.judged(engine, tables), expected, stories)
    found = world.starts(engine, tables)
    assert_same(found[0], trained, stories)
    assert_same(found[1], scored, stories)


@pytest.mark.slow
@QUIET
@given(seed=st.integers(0, 2**32), calendar=st.sampled_from(range(len(CALENDARS))), label=st.sampled_from(INACTIVE),
       contracts=st.booleans())  # fmt: skip
def test_inactivity_churn(
    engine: DuckDBEngine, seed: int, calendar: int, label: dict[str, Any], contracts: bool
) -> None:
    said = {"churn": "inactivity", "events": "Usage-2", **label}
    world = World(seed, calendar, said, {"Usage-2": USAGE, **({"stays": SEVERAL} if contracts else {})})
    rows = companies.company(world.chance, CUSTOMERS)
    who = [r["customer_id"] for r in rows["customers"]]
    stays = {c: companies.stays(world.chance, c) if contracts else [] for c in (*who, "nobody")}
    flat = [row for one in stays.values() for row in one]
    arrow = pa.table({c: pa.array([r[c] for r in flat], kind) for c, kind in companies.STAYS.items()})
    tables = {"Usage-2": companies.load(engine, rows)["Usage-2"], "stays": engine.from_arrow(arrow, "stays")}

    events = rows["Usage-2"]
    in_the_end = [r for r in oracle.believed(events, ["event_id"], world.known) if not r["deleted"]]
    expected: Found = {}
    scored: Found = {}
    for c in world.cutoffs:
        at = c.at.replace(tzinfo=None)
        known_by = oracle.label_window(at, anchor_of(c), world.churn)[2]
        usable = by_customer(oracle.events_at(events, at))
        final = by_customer(in_the_end)
        for customer in stays:
            one = oracle.inactivity(
                usable.get(customer, []), final.get(customer, []), at, anchor_of(c), world.churn,
                known_as_of=world.known, complete_through=world.complete,
            )  # fmt: skip
            if one is not None:
                expected[customer, at] = (*one, known_by)
            if one is not None and one[0] != "activity_not_known":
                first = min(r["event_time"] for r in usable[customer])
                scored[customer, at] = (oracle.start_known(stays[customer], at) or first,)
    stories = by_customer([*events, *flat])
    assert_same(world.judged(engine, tables), expected, stories)
    for found in world.starts(engine, tables):
        assert_same(found, scored, stories)


def by_customer(rows: Sequence[oracle.Row]) -> dict[str, list[oracle.Row]]:
    found: dict[str, list[oracle.Row]] = {}
    for row in rows:
        found.setdefault(row["customer_id"], []).append(row)
    return found
