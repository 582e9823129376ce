"""Each wrong rule on one customer's rows, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.audit.metamorphic import single, unusable
from holdfast.audit.report import Finding, plain
from holdfast.audit.splits import FoldRecord, SplitRecord, judge
from holdfast.audit.wrong_rules import (
    _all_known_at_once,
    _as_of,
    _first_known_at_once,
    _instant_moved,
    _last_version_first,
    _planned_used,
    _same_day,
    named,
)
from holdfast.config.data import EventsTable, HistoryTable

CUT = datetime(2024, 3, 1)  # noqa: DTZ001
DAY, US = timedelta(days=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("rule", "of_history", "of_events"),
    [
        ("late-event-used", "later-version-used", "late-event-used"),
        ("all-at-once", "later-version-used", "late-event-used"),
        ("later-state", "later-version-used", "later-events-used"),
        ("correction-used-early", "correction-used-early", "correction-used-early"),
    ],
)
def test_a_mistake_is_called_after_the_kind_of_table(rule, of_history, of_events):
    assert named(rule, HistoryTable) == of_history
    assert named(rule, EventsTable) == of_events


def event(at: datetime, known: datetime, key: str | None = "e", cell: int = 1) -> dict[str, Any]:
    return {
        "customer_id": "a", "event_id": key, "event_time": at, "available_at": known, "deleted": 0, "c_x": cell,
    }  # fmt: skip


def version(since: datetime, known: datetime, cell: str) -> dict[str, Any]:
    return {
        "customer_id": "a", "valid_from": since, "valid_to": None, "available_at": known, "closed_available_at": None,
        "c_x": cell,
    }  # fmt: skip


def counts(rows: list[dict[str, Any]]) -> list[Any]:
    """The cells that count before the cutoff."""
    return [r["c_x"] for r in rows if r["available_at"] < CUT and r.get("event_time", r.get("valid_from")) < CUT]


def test_the_instant_moves_before_the_cutoff():
    rows = [event(CUT, CUT, cell=1), event(CUT + US, CUT + US, "f", cell=2)]
    assert counts(rows) == []
    assert counts(_instant_moved(rows, CUT)) == [1]
    assert counts(_same_day([*rows, event(CUT + DAY, CUT + DAY, "g", 3)], CUT)) == [1, 2]


def test_late_and_corrected_rows_count_at_once():
    late = event(CUT - DAY, CUT + DAY, cell=1)
    first, second = event(CUT - 9 * DAY, CUT - 8 * DAY, "f", 2), event(CUT - 9 * DAY, CUT + 8 * DAY, "f", 3)
    rows = [late, second, first]
    assert counts(rows) == [2]
    assert counts(_first_known_at_once(rows, CUT)) == [1, 2]
    assert counts(_last_version_first(rows, CUT)) == [3]
    assert sorted(counts(_all_known_at_once(rows, CUT))) == [1, 3]


def test_later_versions_count():
    rows = [
        version(CUT - 90 * DAY, CUT - 90 * DAY, "old"), version(CUT + DAY, CUT - DAY, "planned"),
        version(CUT + 20 * DAY, CUT + 20 * DAY, "new"),
    ]  # fmt: skip
    assert counts(rows) == ["old"]
    assert counts(_planned_used(rows, CUT)) == ["old", "planned"]
    assert sorted(counts(_as_of(CUT + 2 * DAY)(rows, CUT))) == ["old", "planned"]
    later = _as_of(None)(rows, CUT)
    assert max(later, key=lambda r: r["valid_from"])["c_x"] == "new"
    assert all(r["valid_from"] < CUT for r in later)


def test_a_known_version_of_a_later_event_is_usable_if_it_replaces_another():
    future = event(CUT + DAY, CUT - DAY)
    assert unusable(future, CUT, single([future]))
    assert not unusable(future, CUT, single([future, event(CUT - DAY, CUT - 2 * DAY)]))
    assert unusable(event(CUT - DAY, CUT), CUT, set())
    assert unusable(version(CUT, CUT - DAY, "planned"), CUT, set())
    assert not unusable(version(CUT - DAY, CUT - DAY, "now"), CUT, set())


MONTHS = [datetime(2024, m, 1, tzinfo=UTC) for m in range(1, 7)]
KNOWN = {c: c + timedelta(days=31) for c in MONTHS}


def record(train: list[int], test: list[int], *, timed: bool = True, customers: int = 0) -> SplitRecord:
    fold = FoldRecord("f", tuple(MONTHS[i] for i in train), tuple(MONTHS[i] for i in test), customers, 0)
    return SplitRecord(3, timed, (fold,), True)


@pytest.mark.parametrize(
    ("history", "split", "names"),
    [
        ("recorded", record([0, 1], [3]), []),
        ("recorded", record([0, 1, 2], [3]), []),
        ("recorded", record([0, 1, 2], [2, 3]), ["row-wise-split", "purge-missing"]),
        ("recorded", record([0, 4], [3]), ["purge-missing"]),
        ("recorded", record([0, 1, 3], [3]), ["row-wise-split"]),
        ("recorded", record([0, 1], [0, 1], timed=False), ["row-wise-split"]),
        ("reconstructed", record([0, 1], [0, 1], timed=False), []),
        ("reconstructed", record([0, 1], [0, 1], timed=False, customers=7), ["row-wise-split"]),
        ("reconstructed", record([0, 1], [3]), ["reconstructed-time-split"]),
        ("recorded", record([0, 1], [5]), ["immature-label-filled"]),
    ],
)
def test_folds_are_judged(history, split, names):
    found = judge(split, history, KNOWN, MONTHS[:5])
    assert sorted(f.name for f in found) == sorted(names)
    assert all(f.where == "version 3" for f in found)


def test_evidence_is_bounded_and_plain():
    rows = tuple({"cutoff": CUT, "value": float("nan"), "n": i} for i in range(9))
    found = Finding("value-differs", "values", "high", "x", "what", "fix", evidence=rows)
    assert len(found.evidence) == 5
    assert found.evidence[0] == {"cutoff": "2024-03-01", "value": "nan", "n": 0}
    assert plain(0.1 + 0.2) == 0.3
