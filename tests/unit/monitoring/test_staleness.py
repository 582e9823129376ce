"""Staleness: what is usual for a table, what is not, and what gets no verdict."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from holdfast.artifacts.files import canonical_json
from holdfast.clock import Grid, Span, naive
from holdfast.config.business import StalenessThresholds
from holdfast.config.data import CustomersTable, EventsTable, HistoryTable
from holdfast.monitoring.staleness import MIN_ADVANCES, Feed, News, Reach, compute_reach, daily_news, feeds
from holdfast.stores.engine import DuckDBEngine

FEED = Feed("tickets", "tickets", "opened_at", "event_time", "available_at")
THRESHOLDS = StalenessThresholds()
START = datetime(2023, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def reach(news: list[News], cutoff: datetime, thresholds: StalenessThresholds = THRESHOLDS) -> Reach:
    return compute_reach(FEED, [n for n in news if n.day < cutoff], thresholds, cutoff=cutoff)


def daily(days: int, *, late: timedelta = timedelta(0), every: int = 1, start: datetime = START) -> list[News]:
    """At noon of every so manieth day an event, known ``late``."""
    noons = (start + k * DAY + timedelta(hours=12) for k in range(0, days, every))
    return [News((noon + late).replace(hour=0), noon) for noon in noons]


def on(*days: date) -> list[News]:
    return [News(at, at) for day in days for at in [datetime(day.year, day.month, day.day, tzinfo=UTC)]]


def stale_after(news: list[News], thresholds: StalenessThresholds = THRESHOLDS) -> int:
    """Whole days after the last that a feed which stops is stale, at midnights."""
    last = news[-1].day
    return next(k for k in range(1, 400) if reach(news, last + k * DAY, thresholds).stale)


def test_a_daily_feed_that_goes_on_is_never_stale_and_one_that_stops_is_soon() -> None:
    news = daily(400)
    assert {reach(news, START + k * DAY).stale for k in range(100, 401)} == {False}
    assert stale_after(news) == 4  # the floor of three days, counted from noon
    assert stale_after(news, StalenessThresholds(floor=Span(days=30))) == 31


def test_what_is_late_or_rare_is_given_its_own_time() -> None:
    week_late, weekly = daily(400, late=7 * DAY), daily(400, every=7)
    found = reach(week_late, week_late[-1].day + DAY)
    assert (found.usual_days, found.limit_days, found.stale) == (7.5, 15.0, False)
    assert stale_after(week_late) == 9  # 15 days from the last event, which was known on the eighth
    assert stale_after(weekly) == 14
    monthly = on(*(c.date() for c in Grid(1).between(START, START + 700 * DAY)))
    assert {reach(monthly, c + k * DAY).stale for c in Grid(1).between(START + 200 * DAY, START + 699 * DAY)
            for k in (0, 5, 27)} == {False}  # fmt: skip
    assert stale_after(monthly) == 63


def test_a_pause_that_the_last_year_had_is_usual() -> None:
    christmas = [n for n in daily(730) if (n.day.month, n.day.day) < (12, 20)]
    assert {reach(christmas, START + k * DAY).stale for k in range(380, 720)} == {False}
    assert reach(christmas, START + 361 * DAY).stale  # the first such pause is not known to be one


def test_a_feed_that_stopped_long_ago_is_judged_by_the_year_in_which_it_went_on() -> None:
    news = daily(500)
    for days in (30, 300, 900):
        found = reach(news, news[-1].day + days * DAY)
        assert found.stale
        assert found.usual_days == 0.5


@pytest.mark.parametrize(
    ("news", "said"),
    [
        ([], "no row of it was known before the cutoff"),
        (daily(60), "it has been fed for 59 days; 90 are needed for a verdict"),
        (on(date(2023, 1, 1), date(2023, 3, 1), date(2023, 6, 1)),
         f"it went forward on 2 days of its last year; {MIN_ADVANCES} are needed for a verdict"),
    ],
    ids=["nothing", "young", "rare"],
)  # fmt: skip
def test_without_knowing_what_is_usual_there_is_no_verdict(news: list[News], said: str) -> None:
    found = reach(news, START + 999 * DAY)
    assert (found.stale, found.usual_days, found.message) == (None, None, said)
    canonical_json(found.to_json())


def test_random_feeds_are_called_stale_as_rarely_as_stated() -> None:
    """Days on which rows come at random, about eight a year: 2 / ((n + 1)(n + 2)) is one in 45."""
    rng = np.random.default_rng(5)
    judged = alarms = 0
    for _ in range(1500):
        days = np.flatnonzero(rng.random(730) < 8 / 365)
        found = reach([News(START + int(d) * DAY, START + int(d) * DAY) for d in days], START + 730 * DAY)
        judged += found.stale is not None
        alarms += bool(found.stale)
    assert judged > 800
    assert 0 < alarms / judged < 0.05


def test_the_message_says_how_far_and_what_was_expected() -> None:
    found = reach(daily(200), START + 260 * DAY)
    assert found.message == (
        "opened_at reaches 2023-07-19T12:00:00Z, 60.5 days before the cutoff; in its last year it was never more than "
        "0.5 days behind, and up to 3.0 are expected"
    )
    assert canonical_json(found.to_json())


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(threads=1) as opened:
        yield opened


def test_news_are_of_rows_that_happened_and_were_known(engine: DuckDBEngine) -> None:
    def at(day: int, hour: int = 0) -> datetime:
        return naive(START + day * DAY + timedelta(hours=hour))

    stamp = pa.timestamp("us")
    columns = {
        "event_time": pa.array([at(0, 5), at(0, 9), at(1, 3), at(9, 0), None, at(2, 0)], stamp),
        "available_at": pa.array([at(0, 6), at(3, 0), at(1, 4), at(1, 0), at(1, 0), at(4, 0)], stamp),
    }
    table = engine.from_arrow(pa.table(columns), "rows")
    news = daily_news(engine, table, FEED, cutoff=START + 4 * DAY)
    assert [(n.day - START, n.newest - START) for n in news] == [
        (0 * DAY, timedelta(hours=5)),
        (1 * DAY, timedelta(days=1, hours=3)),  # the planned one of day 9 is no news on day 1
        (3 * DAY, timedelta(hours=9)),
    ]  # what is known at the cutoff itself is not
    assert [n.day - START for n in daily_news(engine, table, FEED, cutoff=START + 10 * DAY)][-2:] == [4 * DAY, 9 * DAY]


def test_what_is_watched_of_a_table() -> None:
    customers = CustomersTable(kind="customers", path="c", key="id", start="began", end="left")
    history = HistoryTable(kind="history", path="h", key="id", valid_from="since", columns={})
    events = EventsTable(kind="events", path="e", key="id", time="opened")
    found = [f for n, t in (("people", customers), ("plans", history), ("tickets", events)) for f in feeds(n, t)]
    assert [(f.name, f.table, f.column, f.happened, f.available) for f in found] == [
        ("people", "people", "began", "start", "start_available_at"),
        ("people.left", "people", "left", "end", "end_available_at"),
        ("plans", "plans", "since", "valid_from", "available_at"),
        ("tickets", "tickets", "opened", "event_time", "available_at"),
    ]
