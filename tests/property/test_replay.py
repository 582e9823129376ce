"""A dataset of what was known on a day is the same, byte for byte, however the tables grow afterwards."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from companies import DAY, EVENT_TABLES, EXAMPLES, US, Chance, company
from company_files import bytes_of, fresh, written
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from holdfast.artifacts.dataset import Dataset
from holdfast.audit import oracle_snapshots as oracle
from holdfast.clock import utc
from holdfast.errors import DataError
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.build import build

Rows = dict[str, list[oracle.Row]]


def grown(chance: Chance, rows: Rows, now: datetime) -> Rows:
    """The tables as they are later: whatever is new became available at ``now`` or after it."""
    more: Rows = {name: [dict(r) for r in table] for name, table in rows.items()}
    noise = company(chance, 12, prefix="new")
    for name in ("customers", "plans", *EVENT_TABLES):
        column = "start_available_at" if name == "customers" else "available_at"
        taken: set[datetime] = set()  # no two versions become available at one instant
        for row in noise[name]:
            known = later(chance, max(row[column], now))
            while known in taken:
                known += US
            taken.add(known)
            late = {**row, column: known}
            if name == "plans":
                late |= {"valid_to": None, "closed_available_at": None}
            if "delay" in own_time(name):
                late |= {"event_time": max(row["event_time"], now), "available_at": max(row["event_time"], now)}
            more[name].append(late)
    more["extras"] += noise["extras"]
    # corrections, deletions and moves of what was there
    old = [r for r in rows["Usage-2"] if r["event_id"]]
    for row in chance.sample(old, min(20, len(old))):
        change: dict[str, Any] = chance.choice([{"c_minutes": 1}, {"deleted": 1}, {"customer_id": "new1"}])
        latest = max(r["available_at"] for r in more["Usage-2"] if r["event_id"] == row["event_id"])
        more["Usage-2"].append({**row, **change, "available_at": max(latest + US, now)})
    for row in more["customers"]:  # ends and notices that nobody knew of
        if row["end"] is None and chance.maybe(0.5):
            row["end"] = max(row["start"], chance.instant())
            row["end_available_at"] = later(chance, max(now, row["end"]))
            row["end_reason"] = "price"
        if row["notice"] is None and chance.maybe(0.3):
            row["notice"] = max(now, row["start"])
    for row in rows["plans"]:
        if row["customer_id"] in ("c1", "c2"):
            latest = max(r["available_at"] for r in more["plans"] if r["customer_id"] == row["customer_id"])
            more["plans"].append({**row, "c_price": 1, "available_at": max(latest + US, now)})
    return {name: chance.sample(table, len(table)) for name, table in more.items()}


def own_time(name: str) -> str:
    """``delay`` where a table's rows are known at their own time, or some days after it."""
    return "" if name in ("customers", "plans", "Usage-2") else "delay"


def later(chance: Chance, instant: datetime) -> datetime:
    return instant + chance.choice([timedelta(0), US, DAY, 100 * DAY])


def learned_from(workspace: Workspace, known_as_of: datetime) -> Dataset:
    """The dataset of a company that somebody has left; others are refused, and are no example."""
    try:
        return build(workspace, known_as_of=known_as_of)
    except DataError as e:
        assume("there is nothing to learn" not in str(e))
        raise


FEW = settings(
    max_examples=max(2, EXAMPLES // 4), deadline=None, database=None, derandomize=True, print_blob=False,
    phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


@pytest.mark.slow
@FEW
@given(seed=st.integers(0, 2**32), days=st.integers(0, 60))
def test_a_replay_gives_the_same_id_and_the_same_bytes(seed: int, days: int) -> None:
    chance = Chance(seed)
    rows = fresh(seed)
    now = oracle.grid(1, 2024 * 12 + 2) + days * DAY
    with tempfile.TemporaryDirectory() as folder:
        then = learned_from(written(Path(folder) / "then", rows), utc(now))
        again = build(written(Path(folder) / "now", grown(chance, rows, now)), known_as_of=utc(now))
        assert again.manifest.dataset_id == then.manifest.dataset_id, f"seed {seed}, {days} days"
        assert bytes_of(again) == bytes_of(then), f"seed {seed}, {days} days"


@pytest.mark.slow
@FEW
@given(seed=st.integers(0, 2**32), days=st.integers(0, 30), rewritten=st.booleans())
def test_what_is_taken_over_from_an_earlier_dataset_is_what_would_be_computed(
    seed: int, days: int, rewritten: bool
) -> None:
    """A month later: with the dataset of then at hand or without it, the same bytes; unless the past was rewritten."""
    chance = Chance(seed)
    rows = fresh(seed)
    then = oracle.grid(1, 2024 * 12 + 1) + days * DAY
    now = utc(oracle.grid(1, 2024 * 12 + 3) + days * DAY)
    more = grown(chance, rows, then)
    if rewritten:  # a row from before the first cutoff that nobody had heard of
        old = min(rows["Usage-2"], key=lambda r: r["available_at"])
        more["Usage-2"].append({**old, "event_id": "found", "available_at": old["available_at"] + US})
    sets = ["data.cutoffs.last=null"]
    with tempfile.TemporaryDirectory() as folder:
        first = learned_from(written(Path(folder) / "growing", rows, sets), utc(then))
        with told("holdfast.pipelines.reuse") as messages:
            second = build(written(Path(folder) / "growing", more, sets), known_as_of=now)
        alone = build(written(Path(folder) / "fresh", more, sets), known_as_of=now)
        assert bytes_of(second) == bytes_of(alone), f"seed {seed}, {days} days"
        assert len(second.manifest.cutoffs) > len(first.manifest.cutoffs)
        taken = [m for m in messages if "taken over" in m and not m.startswith("0 ")]
        assert bool(taken) != rewritten, messages


@contextmanager
def told(logger: str) -> Iterator[list[str]]:
    """What a logger says meanwhile."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger(logger)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield messages
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
