"""Which rows and customers count at a cutoff, read once more from DESIGN section 3, in plain Python.

Slow on purpose: nothing here knows of buckets, frames, Ibis or the code it checks. Rows are dicts with canonical names
(`holdfast.sources.tables`), times are naive UTC datetimes, and numbers are whole units of their column's scale.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = Mapping[str, Sequence[Row]]

EARLIEST = datetime(1, 1, 1)  # noqa: DTZ001 (tables are zoneless)


def month_of(instant: datetime) -> int:
    """Months since year 0."""
    return instant.year * 12 + instant.month - 1


def grid(anchor: int, month: int) -> datetime:
    """The anchor day of a month, or its last day where it has no such day."""
    year, index = divmod(month, 12)
    return datetime(year, index + 1, min(anchor, calendar.monthrange(year, index + 1)[1]))  # noqa: DTZ001 (zoneless)


def days(start: datetime, end: datetime) -> Fraction:
    """Days between two instants, each cut to its whole second."""
    return Fraction(int((end.replace(microsecond=0) - start.replace(microsecond=0)).total_seconds()), 86400)


def believed(rows: Iterable[Row], keys: Sequence[str], cutoff: datetime) -> list[Row]:
    """Of each key the latest version available before the cutoff; rows with a null key stand for themselves."""
    latest: dict[tuple[Any, ...], Row] = {}
    alone: list[Row] = []
    for row in rows:
        if row["available_at"] >= cutoff:
            continue
        key = tuple(row[k] for k in keys)
        if not keys or None in key:
            alone.append(row)
        elif key not in latest or latest[key]["available_at"] < row["available_at"]:
            latest[key] = row
    return [*latest.values(), *alone]


def events_at(rows: Sequence[Row], cutoff: datetime) -> list[Row]:
    """The events, of all customers, that are usable at a cutoff."""
    return [r for r in believed(rows, ["event_id"], cutoff) if not r["deleted"] and r["event_time"] < cutoff]


def begins_at(rows: Sequence[Row], cutoff: datetime) -> datetime | None:
    """The midnight at which a source began, by what was known at a cutoff."""
    times = [r["event_time"] for r in rows if r["available_at"] < cutoff]
    return None if not times else min(times).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Churn:
    """What counts as churn: spans in days, reasons None for all; the rest is for inactivity."""

    lead: str = "0d"
    horizon: str = "1m"
    grace: int = 0
    delay: int = 0
    reasons: Sequence[str] | None = None
    active_within: int | None = None
    """Inactivity churn where given: ``horizon`` is then its days."""
    qualifies: Callable[[Row], bool] = lambda _: True


def label_window(cutoff: datetime, anchor: int, churn: Churn) -> tuple[datetime, datetime, datetime]:
    """Start and end of a cutoff's label window, and when its labels are known; months step the anchor's grid."""
    months = month_of(cutoff)
    days_ahead = 0
    ends: list[datetime] = []
    for span in (churn.lead, churn.horizon):
        n = int(span[:-1])
        months, days_ahead = (months + n, days_ahead) if span.endswith("m") else (months, days_ahead + n)
        ends.append(grid(anchor, months) + timedelta(days=days_ahead))
    return ends[0], ends[1], ends[1] + timedelta(days=churn.grace + churn.delay)


def end_known(stay: Row, at: datetime) -> datetime | None:
    """The end of a stay by what was known strictly before an instant; None while it is open for all one knows."""
    news = stay["end_available_at"]
    return stay["end"] if stay["end"] is not None and news is not None and news < at else None


def chain(stays: Sequence[tuple[Row, datetime | None]], cutoff: datetime, grace: int) -> list[Row]:
    """The stays, each with its end, that overlap or follow one another from the one that covers the cutoff on."""
    holding = [(s, e) for s, e in stays if s["start"] < cutoff and (e is None or cutoff <= e)]
    reach = [e for _, e in holding]
    while True:
        known = [e for e in reach if e is not None]
        limit = None if len(known) < len(reach) else max(known, default=EARLIEST)
        more = [
            (s, e)
            for s, e in stays
            if holding and (s, e) not in holding and (e is None or e > s["start"])
            and (limit is None or s["start"] <= limit + timedelta(days=grace)) and (e is None or e >= cutoff)
        ]  # fmt: skip
        if not more:
            return [s for s, _ in holding]
        holding += more
        reach += [e for _, e in more]


def is_scored(stays: Sequence[Row], cutoff: datetime, churn: Churn) -> bool:
    """Whether a customer with these stays is scored at a cutoff: what the business saw just before it.

    Some stay holds, and in its chain there is one that goes on: no end known, no notice given.
    """
    known = [(s, end_known(s, cutoff)) for s in stays if s["start_available_at"] < cutoff]
    return any(
        end_known(s, cutoff) is None and not (s["notice"] is not None and s["notice"] < cutoff)
        for s in chain(known, cutoff, churn.grace)
    )


def snapshot(
    stays: Sequence[Row], cutoff: datetime, anchor: int, churn: Churn, *,
    known_as_of: datetime, complete_through: datetime,
) -> tuple[str, int | None] | None:  # fmt: skip
    """State and label of a customer with these stays at a training cutoff, or why they are left out.

    None where they neither were a customer nor were thought to be one.
    """
    known = [(s, end_known(s, known_as_of)) for s in stays if s["start_available_at"] < known_as_of]
    held = chain(known, cutoff, churn.grace)
    scored = is_scored(stays, cutoff, churn)
    if not held:
        return ("ended_but_not_known", None) if scored else None
    if not scored:
        covering = [s for s, e in known if s["start"] < cutoff and (e is None or cutoff <= e)]
        was_known = any(s["start_available_at"] < cutoff for s in covering)
        return "notice" if was_known else "start_not_known", None
    opens, closes, known_by = label_window(cutoff, anchor, churn)
    ends = [end_known(s, known_as_of) for s in held]
    end = None if None in ends else max(e for e in ends if e is not None)
    if end is not None and end < opens:
        return "in_lead", None
    if known_by > min(known_as_of, complete_through):
        return "immature", None
    why = [s["end_reason"] for s, e in zip(held, ends, strict=True) if e == end]
    counts = churn.reasons is None or any(reason in churn.reasons for reason in why)
    return "matured", int(end is not None and opens <= end < closes and counts)


def start_known(stays: Sequence[Row], cutoff: datetime) -> datetime | None:
    """A customer's first start by what was known strictly before a cutoff."""
    return min((s["start"] for s in stays if s["start_available_at"] < cutoff and s["start"] < cutoff), default=None)


def is_active(events: Sequence[Row], cutoff: datetime, churn: Churn) -> bool:
    """Whether, of events usable at a cutoff (`events_at`), a qualifying one lies in the days before it."""
    assert churn.active_within is not None
    since = cutoff - timedelta(days=churn.active_within)
    return any(since <= e["event_time"] < cutoff and churn.qualifies(e) for e in events)


def inactivity(
    seen: Sequence[Row], in_the_end: Sequence[Row], cutoff: datetime, anchor: int, churn: Churn, *,
    known_as_of: datetime, complete_through: datetime,
) -> tuple[str, int | None] | None:  # fmt: skip
    """State and label by inactivity; of one customer ``seen`` are the events usable at the cutoff, and ``in_the_end``
    those of the versions that were the latest available before known_as_of, deleted ones aside."""
    if not is_active(seen, cutoff, churn):
        return ("activity_not_known", None) if is_active(in_the_end, cutoff, churn) else None
    opens, closes, known_by = label_window(cutoff, anchor, churn)
    if known_by > min(known_as_of, complete_through):
        return "immature", None
    return "matured", int(not any(opens <= e["event_time"] < closes and churn.qualifies(e) for e in in_the_end))
