"""Named wrong rules: how a leaky pipeline would see a customer's rows at a cutoff.

Each rule changes the rows (or the instant that counts as before), and the honest oracle then computes on them. A stored
value that differs from the honest one and equals that of a wrong rule names the leak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from holdfast.audit.opinion import Opinion, Values
from holdfast.audit.oracle_snapshots import Row
from holdfast.audit.rows import Story
from holdfast.clock import naive
from holdfast.config.data import DataSection, EventsTable, HistoryTable
from holdfast.snapshots.calendar import Cutoff

US, DAY = timedelta(microseconds=1), timedelta(days=1)

Change = Callable[[list[Row], datetime], list[Row]]

LATER_STATE, ALL_AT_ONCE = "later-state", "all-at-once"
"""The state at the next cutoff; availability ignored altogether, which is meant only where no single mistake fits."""


@dataclass(frozen=True)
class Asked:
    """A snapshot to explain: ``last`` is the customer's last cutoff in the dataset, ``next`` the one after this."""

    customer: str
    story: Story
    cutoff: Cutoff
    next: Cutoff | None
    last: Cutoff


def explanations(opinion: Opinion, data: DataSection, asked: Asked) -> Iterator[tuple[str, Values]]:
    """(name of the finding, what the wrong rule gives), the most specific rules first."""

    def on(change: Change, kinds: tuple[type, ...]) -> Values:
        return opinion.features(asked.customer, changed(data, asked, change, kinds), asked.cutoff)

    events, history, both = (EventsTable,), (HistoryTable,), (EventsTable, HistoryTable)
    yield "cutoff-instant-included", opinion.features(asked.customer, asked.story, asked.cutoff, microseconds=1)
    for change in (_instant_moved, _windows_closed_at_the_end, _same_day):
        yield "cutoff-instant-included", on(change, both)
    yield "late-event-used", on(_first_known_at_once, both)
    yield "correction-used-early", on(_last_version_first, both)
    yield "deletion-ignored", on(_without_tombstones, events)
    yield ALL_AT_ONCE, on(_all_known_at_once, both)
    yield ALL_AT_ONCE, on(lambda rows, c: _without_tombstones(_all_known_at_once(rows, c), c), events)
    yield "later-version-used", on(_planned_used, history)
    ends = (asked.cutoff.label_window.end, asked.cutoff.label_window.start, asked.cutoff.label_available_at)
    for later in dict.fromkeys((*(naive(e) for e in ends), naive(asked.cutoff.at) + DAY, None)):
        yield "later-version-used", on(_as_of(later), history)
    for later in dict.fromkeys(naive(e) for e in ends):
        yield "later-events-used", on(_events_until(later), events)
    if asked.next is not None:
        yield LATER_STATE, opinion.features(asked.customer, asked.story, asked.next)
    ahead = (asked.cutoff.label_window.end - asked.cutoff.at) // US
    yield LATER_STATE, opinion.features(asked.customer, asked.story, asked.cutoff, microseconds=ahead)
    if asked.last.at > asked.cutoff.at:
        yield "final-value-copied-back", opinion.features(asked.customer, asked.story, asked.last)
    yield "final-value-copied-back", on(_as_of(None), both)


def named(rule: str, kind: type) -> str:
    """The name of the finding for a feature of a table of some kind."""
    if rule == LATER_STATE:
        return "later-version-used" if kind is HistoryTable else "later-events-used"
    late = rule in (ALL_AT_ONCE, "late-event-used")
    return ("later-version-used" if kind is HistoryTable else "late-event-used") if late else rule


def changed(data: DataSection, asked: Asked, change: Change, kinds: tuple[type, ...]) -> Story:
    """The story as the rule sees it."""
    cutoff = naive(asked.cutoff.at)
    return {
        name: change(rows, cutoff) if isinstance(data.tables[name], kinds) else rows
        for name, rows in asked.story.items()
    }


def time_of(row: Mapping[str, Any]) -> str:
    """The column of when a row of an events or history table happened."""
    return "event_time" if "event_time" in row else "valid_from"


def _instant_moved(rows: list[Row], cutoff: datetime) -> list[Row]:
    """Rows of the instant itself count, whenever they were available."""
    return [
        {**r, time_of(r): cutoff - US, "available_at": min(r["available_at"], cutoff - US)}
        if r[time_of(r)] == cutoff
        else r
        for r in rows
    ]  # fmt: skip


def _windows_closed_at_the_end(rows: list[Row], cutoff: datetime) -> list[Row]:
    """Windows are (cutoff - w, cutoff]."""
    return [{**r, time_of(r): r[time_of(r)] - US, "available_at": r["available_at"] - US} for r in rows]


def _same_day(rows: list[Row], cutoff: datetime) -> list[Row]:
    """Dates are compared, so the cutoff's whole day counts."""
    return [
        {**r, time_of(r): cutoff - US, "available_at": min(r["available_at"], cutoff - US)}
        if cutoff <= r[time_of(r)] < cutoff + DAY
        else r
        for r in rows
    ]  # fmt: skip


def _first_known_at_once(rows: list[Row], cutoff: datetime) -> list[Row]:
    """A row counts from when it happened; corrections from when they were known."""
    found: list[Row] = []
    for versions in _versions(rows):
        first = versions[0]
        found += [{**first, "available_at": min(first["available_at"], first[time_of(first)])}, *versions[1:]]
    return found


def _last_version_first(rows: list[Row], cutoff: datetime) -> list[Row]:
    """Of every row the last version counts, from when the first was known."""
    return [{**versions[-1], "available_at": versions[0]["available_at"]} for versions in _versions(rows)]


def _all_known_at_once(rows: list[Row], cutoff: datetime) -> list[Row]:
    """Availability is ignored: the last version of every row counts from when it happened."""
    found = [versions[-1] for versions in _versions(rows)]
    return [{**r, "available_at": min(r["available_at"], r[time_of(r)])} for r in found]


def _without_tombstones(rows: list[Row], cutoff: datetime) -> list[Row]:
    return [r for r in rows if not r["deleted"]]


def _planned_used(rows: list[Row], cutoff: datetime) -> list[Row]:
    """Versions known before the cutoff count, although they begin later."""
    return _pulled(rows, cutoff, lambda r: r["available_at"] < cutoff and r["valid_from"] >= cutoff)


def _as_of(later: datetime | None) -> Change:
    """The state at a later instant (the end of all, without one)."""
    return lambda rows, cutoff: _pulled(
        rows, cutoff, lambda r: later is None or (r["available_at"] < later and r[time_of(r)] < later)
    )


def _events_until(later: datetime) -> Change:
    """Windows that reach past the cutoff."""
    return lambda rows, cutoff: _pulled(rows, cutoff, lambda r: cutoff <= r[time_of(r)] < later)


def _pulled(rows: list[Row], cutoff: datetime, counts: Callable[[Row], bool]) -> list[Row]:
    """Rows that count come before the cutoff, in their order."""
    pulled = sorted((r for r in rows if counts(r)), key=lambda r: (r[time_of(r)], r["available_at"]))
    others = [r for r in rows if not counts(r)]
    found: list[Row] = []
    for i, row in enumerate(pulled):
        before = cutoff - (len(pulled) - i) * US
        moved = {**row, "available_at": min(row["available_at"], before)}
        if row[time_of(row)] >= cutoff:
            moved[time_of(row)] = before
        if row.get("closed_available_at") is not None and row["closed_available_at"] >= cutoff:
            moved["closed_available_at"] = None
        found.append(moved)
    return [*others, *found]


def _versions(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows by what they are versions of, each in the order they became known."""
    groups: dict[Any, list[Row]] = {}
    for number, row in enumerate(rows):
        key: Any = row["event_id"] if "event_id" in row else (row["customer_id"], row["valid_from"])
        groups.setdefault(("alone", number) if key is None else key, []).append(row)
    for versions in groups.values():
        yield sorted(versions, key=lambda r: r["available_at"])
