"""How far each source table reaches at a cutoff, and whether it is further behind than it usually is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.clock import iso, naive, utc
from holdfast.config.business import StalenessThresholds
from holdfast.config.data import CustomersTable, HistoryTable, Table

LOOK_BACK = timedelta(days=365)  # one of everything that recurs within a year: weekends, holidays, quarter ends
MIN_LIFE = timedelta(days=90)
MIN_ADVANCES = 6
"""A younger table, or one that went forward on fewer days of its last year, gets no verdict: what is usual for it is
not known yet. A monthly one is judged after half a year."""

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Feed:
    """One time column of a source table, which goes forward while the table is fed.

    Attributes
    ----------
    name : in messages and alerts: the table, or ``table.column`` for a further column of the same table
    table, column : the table's declared name, and the column's in the source
    happened, available : the canonical columns (`holdfast.sources.tables`): when, and from when it was known
    """

    name: str
    table: str
    column: str
    happened: str
    available: str


@dataclass(frozen=True)
class News:
    """What one day brought: of the rows that became usable on ``day`` (a midnight UTC), the newest time."""

    day: datetime
    newest: datetime


@dataclass(frozen=True)
class Reach:
    """How far one feed reaches at a cutoff.

    Attributes
    ----------
    begins : the first day that brought anything; None where nothing was known at the cutoff
    through : the newest time known at the cutoff
    behind_days : from there to the cutoff
    usual_days : the most it was behind on any midnight in the year up to its newest day; None without a verdict
    limit_days : further behind than this is stale
    stale : None where there is no verdict; ``why_not`` says why
    """

    name: str
    table: str
    column: str
    begins: datetime | None
    through: datetime | None
    behind_days: float | None
    usual_days: float | None
    limit_days: float | None
    stale: bool | None
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        times = {"begins": self.begins, "through": self.through}
        return {**asdict(self), **{name: None if at is None else iso(at) for name, at in times.items()}}

    @property
    def message(self) -> str:
        """How far it reaches, and what was expected."""
        if self.through is None or self.usual_days is None:
            return self.why_not
        return (
            f"{self.column} reaches {iso(self.through.replace(microsecond=0))}, {self.behind_days:.1f} days before the "
            f"cutoff; in its last year it was never more than {self.usual_days:.1f} days behind, and up to "
            f"{self.limit_days:.1f} are expected"
        )


def feeds(name: str, config: Table) -> list[Feed]:
    """What of a table goes forward with time: starts and ends of customers, versions, or events.

    Starts and ends are watched apart: a table that still brings new customers may have stopped to say who left.
    """
    if isinstance(config, CustomersTable):
        found = [Feed(name, name, config.start, "start", "start_available_at")] if config.start else []
        ends = f"{name}.{config.end}"
        return [*found, Feed(ends, name, config.end, "end", "end_available_at")] if config.end else found
    if isinstance(config, HistoryTable):
        return [Feed(name, name, config.valid_from, "valid_from", "available_at")]
    return [Feed(name, name, config.time, "event_time", "available_at")]


def daily_news(engine: Engine, table: Any, feed: Feed, *, cutoff: datetime) -> list[News]:
    """What each day brought before the cutoff, ascending; days that brought nothing are not there.

    A row is usable from the later of when it happened and when it was known: planned ones are no news yet.

    Parameters
    ----------
    table : the canonical table
    cutoff : rows that happened, or were known, at or after it do not exist
    """
    rows = table.select(happened=table[feed.happened], available=table[feed.available])
    rows = rows.filter(rows.happened.notnull() & rows.available.notnull())
    rows = rows.mutate(usable=ibis.greatest(rows.happened, rows.available))
    rows = rows.filter(rows.usable < ibis.literal(naive(cutoff)).cast("timestamp(6)"))
    by_day = rows.group_by(day=rows.usable.truncate("D")).aggregate(newest=rows.happened.max())
    found = engine.to_arrow(by_day.order_by("day")).to_pylist()
    return [News(utc(row["day"]), utc(row["newest"])) for row in found]


def compute_reach(feed: Feed, news: Sequence[News], thresholds: StalenessThresholds, *, cutoff: datetime) -> Reach:
    """Whether a feed is further behind its cutoff than ``factor`` times the most it ever was, and than the floor.

    How far it was behind is asked at every midnight of the year before its newest day, so a feed that stopped long
    ago is still judged by the year in which it went on. Late rows, weekends and monthly batches are all in it.

    For rows that come at random, `n` days on which the feed went forward and a factor of 2, the probability that a
    feed which goes on is called stale is about ``2 / ((n + 1)(n + 2))``: 1 in 28 for the fewest judged, 1 in 70,000
    for a daily one.

    Parameters
    ----------
    news : see `daily_news`
    """
    if not news:
        why_not = "no row of it was known before the cutoff"
        return Reach(feed.name, feed.table, feed.column, None, None, None, None, None, None, why_not)
    through, since, most, advances = news[0].newest, news[-1].day - LOOK_BACK, timedelta(0), 0
    for today in news[1:]:
        if today.day > since:
            most = max(most, today.day - through)
            advances += today.newest > through
        through = max(through, today.newest)
    behind = cutoff - through
    found = (feed.name, feed.table, feed.column, news[0].day, through, _days(behind))
    life = news[-1].day - news[0].day
    if life < MIN_LIFE:
        why_not = f"it has been fed for {life.days} days; {MIN_LIFE.days} are needed for a verdict"
        return Reach(*found, None, None, None, why_not)
    if advances < MIN_ADVANCES:
        why_not = f"it went forward on {advances} days of its last year; {MIN_ADVANCES} are needed for a verdict"
        return Reach(*found, None, None, None, why_not)
    limit = max(timedelta(days=thresholds.floor.days), most * thresholds.factor)
    return Reach(*found, _days(most), _days(limit), behind > limit)


def _days(span: timedelta) -> float:
    return span.total_seconds() / _SECONDS_PER_DAY
