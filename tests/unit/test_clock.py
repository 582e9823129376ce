"""UTC time and the cutoff grid."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.clock import Grid, Interval, Span, grid_of, iso, naive, parse_instant, utc

anchor_days = st.integers(1, 31)
indices = st.integers(1900 * 12, 2200 * 12)
steps = st.integers(-600, 600)
zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001 - its bounds are


@given(instants)
def test_naive_and_utc_are_inverse_doors(instant: datetime) -> None:
    assert utc(naive(instant)) == instant
    assert utc(instant).tzinfo is UTC
    assert naive(instant).tzinfo is None


@given(instants)
def test_iso_reads_back(instant: datetime) -> None:
    assert parse_instant(iso(instant)) == instant


def test_a_date_is_its_midnight_and_is_written_short() -> None:
    assert utc(date(2024, 3, 1)) == datetime(2024, 3, 1, tzinfo=UTC)
    assert iso(utc(date(2024, 3, 1))) == "2024-03-01"
    assert iso(datetime(2024, 3, 1, 9, 30, tzinfo=UTC)) == "2024-03-01T09:30:00Z"
    assert parse_instant(" 2024-03-01T11:30:00+02:00 ") == datetime(2024, 3, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-02-30", "2024-13-01"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(text)


@given(st.integers(0, 500), st.sampled_from("dwm"))
def test_a_span_reads_back(n: int, unit: str) -> None:
    span = Span.parse(f" {n}{unit} ")
    assert Span.parse(str(span)) == span
    assert span.is_zero == (n == 0)
    assert span.days == {"d": n, "w": 7 * n, "m": 0}[unit]


@pytest.mark.parametrize("text", ["", "3", "m", "-1m", "1.5m", "3 months", "1y", "1m 2d"])
def test_what_is_no_span_is_refused_with_the_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="write days, weeks or months as 30d, 2w or 3m"):
        Span.parse(text)


def test_an_interval_is_half_open() -> None:
    start, end = utc(date(2024, 3, 1)), utc(date(2024, 4, 1))
    assert start in Interval(start, end)
    assert end not in Interval(start, end)
    assert end - timedelta(microseconds=1) in Interval(start, end)
    assert start not in Interval(start, start)


@given(anchor_days, indices)
def test_the_grid_is_the_anchor_day_or_the_month_end(day: int, index: int) -> None:
    instant = Grid(day).at(index)
    assert instant.day == day or (instant + timedelta(days=1)).day == 1
    assert instant.day <= day
    assert Grid(day).index(instant) == index


@given(anchor_days, indices)
def test_grid_months_neither_overlap_nor_leave_gaps(day: int, index: int) -> None:
    grid = Grid(day)
    windows = [Interval(grid.at(k), grid.at(k + 1)) for k in range(index, index + 12)]
    assert all(a.end == b.start and a.start < a.end for a, b in pairwise(windows))
    middle = grid.at(index) + timedelta(days=200)
    assert sum(middle in w for w in windows) == 1


@given(anchor_days, indices, steps, steps)
def test_steps_add_up_even_over_clipped_month_ends(day: int, index: int, a: int, b: int) -> None:
    grid = Grid(day)
    start = grid.at(index)
    assert grid.step(grid.step(start, a), b) == grid.step(start, a + b)
    assert grid.step(grid.step(start, a), -a) == start


@given(anchor_days, indices, st.integers(0, 40))
def test_between_finds_every_grid_instant_and_no_other(day: int, index: int, n: int) -> None:
    grid = Grid(day)
    first, last = grid.at(index), grid.at(index + n)
    assert grid.between(first, last) == [grid.at(index + k) for k in range(n + 1)]
    # A microsecond inside, both ends fall away.
    tick = timedelta(microseconds=1)
    assert grid.between(first + tick, last - tick) == [grid.at(index + k) for k in range(1, n)]
    assert grid.between(last + tick, last) == []


def test_shifting_steps_months_and_adds_days() -> None:
    start = utc(date(2024, 1, 31))
    assert Grid(31).shift(start, Span(months=1)) == utc(date(2024, 2, 29))
    assert Grid(31).shift(start, Span(days=30)) == utc(date(2024, 3, 1))
    assert Grid(31).step(utc(date(2024, 2, 29)), 1) == utc(date(2024, 3, 31))


def test_an_instant_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="2024-03-02 is not on the monthly grid of day 1"):
        Grid(1).index(utc(date(2024, 3, 2)))


@given(anchor_days, indices)
def test_a_cutoff_is_on_the_grid_of_its_anchor_day(day: int, index: int) -> None:
    cutoff = Grid(day).at(index)
    assert grid_of(cutoff, (day,)) == Grid(day)
    assert grid_of(cutoff, ()) == Grid(cutoff.day)


def test_the_first_anchor_day_that_fits_wins_and_only_midnights_do() -> None:
    assert grid_of(utc(date(2024, 2, 29)), (15, 30, 31)) == Grid(30)
    with pytest.raises(ValueError, match="not a midnight"):
        grid_of(datetime(2024, 3, 1, 0, 0, 1, tzinfo=UTC), (1,))
