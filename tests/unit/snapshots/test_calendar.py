"""Cutoffs, their label windows, and configurations that do not fit the data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.clock import Span
from holdfast.config.data import Cutoffs, Label
from holdfast.errors import ConfigError
from holdfast.snapshots.calendar import (
    Cutoff,
    cutoff_table,
    instants,
    latest_instant,
    require_matured,
    training_cutoffs,
)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


BEGINS, KNOWN = at(2024, 1, 1), at(2024, 12, 1)


def planned(cutoffs: Cutoffs, *, begins: datetime = BEGINS, known: datetime = KNOWN) -> list[Cutoff]:
    return training_cutoffs(cutoffs, Label(), begins=begins, longest_months=3, known_as_of=known)


def test_by_default_the_first_cutoff_has_a_full_window_and_the_last_is_known() -> None:
    found = [c.at for c in planned(Cutoffs(), begins=at(2024, 1, 2, 8), known=at(2024, 7, 1))]
    assert found == [at(2024, 5, 1), at(2024, 6, 1), at(2024, 7, 1)]


def test_several_anchor_days_share_a_clipped_month_end() -> None:
    found = planned(
        Cutoffs(anchor_days=(30, 31), first=at(2024, 2, 1), last=at(2024, 3, 31)), begins=at(2023, 1, 1)
    )  # fmt: skip
    assert [c.at for c in found] == [at(2024, 2, 29), at(2024, 3, 30), at(2024, 3, 31)]
    assert [c.grid.anchor_day for c in found] == [30, 30, 31], "a cutoff belongs to one grid"


@pytest.mark.parametrize("last", [at(2024, 6, 15), None])
def test_last_never_passes_what_is_known(last: datetime | None) -> None:
    found = planned(Cutoffs(last=last), known=at(2024, 6, 20))
    assert found[-1].at == at(2024, 6, 1)


def test_first_before_the_data_begins_is_refused_with_the_first_that_would_do() -> None:
    with pytest.raises(ConfigError, match=r"data\.cutoffs\.first: 2024-01-01 is not after.*default it is 2024-04-01"):
        planned(Cutoffs(first=at(2024, 1, 1)))


@pytest.mark.parametrize("begins", [at(1, 1, 2), at(9999, 12, 31)])
def test_data_that_begin_in_no_time_of_ours_need_a_first_cutoff(begins: datetime) -> None:
    with pytest.raises(
        ConfigError, match=rf"data\.cutoffs\.first: is needed: the data begin in the year {begins.year}"
    ):
        planned(Cutoffs(), begins=begins)
    assert planned(Cutoffs(first=at(2024, 2, 1)), begins=begins)[0].at == at(2024, 2, 1)


def test_no_cutoff_in_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="no cutoff lies between 2024-04-01 and 2024-03-05"):
        planned(Cutoffs(), known=at(2024, 3, 5))


def test_a_horizon_longer_than_the_history_is_refused() -> None:
    label = Label(horizon=Span(months=12), delay=Span(days=3))
    cutoffs = [Cutoff.of(at(2024, 4, 1), label, Cutoffs())]
    with pytest.raises(ConfigError, match=r"horizon: 12m is longer.*known only at 2025-04-04, the data end at 2024-12"):
        require_matured(cutoffs, label, at(2024, 12, 31), at(2024, 12, 1))
    require_matured(cutoffs, label, at(2025, 4, 4), at(2025, 4, 4))


def test_a_label_window_steps_the_grid_then_adds_the_lead() -> None:
    label = Label(lead=Span(days=10), horizon=Span(months=1), grace=Span(days=2), delay=Span(days=3))
    c = Cutoff.of(at(2024, 2, 29), label, Cutoffs(anchor_days=(31,)))
    assert (c.label_window.start, c.label_window.end) == (at(2024, 3, 10), at(2024, 4, 10))
    assert c.label_available_at == at(2024, 4, 15)
    assert c.matured(at(2024, 4, 15), at(2024, 4, 15))
    assert not c.matured(at(2024, 4, 15), at(2024, 4, 14))


@given(anchor=st.integers(1, 31), lead=st.integers(0, 40), hours=st.integers(0, 24 * 900))
def test_every_end_falls_in_exactly_one_label_window(anchor: int, lead: int, hours: int) -> None:
    label = Label(lead=Span(days=lead))
    found = training_cutoffs(
        Cutoffs(anchor_days=(anchor,)), label, begins=at(2021, 1, 1), longest_months=1, known_as_of=at(2026, 1, 1)
    )  # fmt: skip
    end = found[0].label_window.start + timedelta(hours=hours)
    assert sum(end in c.label_window for c in found) == 1


def test_the_cutoff_table_holds_window_starts_on_the_grid() -> None:
    table = cutoff_table([Cutoff.of(at(2024, 3, 31), Label(), Cutoffs(anchor_days=(31,)))], (1, 12)).to_pylist()
    assert table[0]["start_1m"] == datetime(2024, 2, 29)  # noqa: DTZ001
    assert table[0]["start_12m"] == datetime(2023, 3, 31)  # noqa: DTZ001
    assert table[0]["k"] == 2024 * 12 + 2


def test_weekly_cutoffs_fall_on_weekdays_and_their_months_step_from_their_own_day() -> None:
    weekly = Cutoffs(every="week", anchor_days=(1, 5))
    found = planned(weekly, begins=at(2024, 1, 2, 8), known=at(2024, 4, 20))
    assert [c.at for c in found] == [at(2024, 4, d) for d in (5, 8, 12, 15, 19)], "three months after the begin"
    assert {c.at.isoweekday() for c in found} == {1, 5}
    label = Label(horizon=Span(months=1))
    end_of_january = Cutoff.of(at(2024, 1, 31), label, Cutoffs(every="day"))
    assert end_of_january.grid.anchor_day == 31
    assert end_of_january.label_window.end == at(2024, 2, 29)


def test_daily_cutoffs_are_midnights() -> None:
    found = instants(Cutoffs(every="day"), at(2024, 2, 27, 5), at(2024, 3, 2))
    assert found == [at(2024, 2, 28), at(2024, 2, 29), at(2024, 3, 1), at(2024, 3, 2)]


@pytest.mark.parametrize(
    ("cutoffs", "latest"),
    [
        (Cutoffs(), at(2024, 3, 1)),
        (Cutoffs(anchor_days=(15, 31)), at(2024, 3, 15)),
        (Cutoffs(anchor_days=(31,)), at(2024, 2, 29)),
        (Cutoffs(every="week", anchor_days=(7,)), at(2024, 3, 24)),
        (Cutoffs(every="day"), at(2024, 3, 30)),
    ],
)
def test_the_latest_instant_of_a_calendar(cutoffs: Cutoffs, latest: datetime) -> None:
    assert latest_instant(cutoffs, at(2024, 3, 30, 11)) == latest
    assert latest_instant(cutoffs, latest) == latest


def test_a_lead_in_months_steps_the_grid_too() -> None:
    label = Label(lead=Span(months=1), horizon=Span(months=1))
    found = [Cutoff.of(at(2024, m, d), label, Cutoffs(anchor_days=(31,))) for m, d in ((1, 31), (2, 29), (3, 31))]
    windows = [(c.label_window.start, c.label_window.end) for c in found]
    assert windows == [(at(2024, 2, 29), at(2024, 3, 31)), (at(2024, 3, 31), at(2024, 4, 30)),
                       (at(2024, 4, 30), at(2024, 5, 31))]  # fmt: skip
    weeks = Cutoff.of(at(2024, 2, 26), Label(lead=Span(days=7), horizon=Span(days=14)), Cutoffs(every="week"))
    assert (weeks.label_window.start, weeks.label_window.end) == (at(2024, 3, 4), at(2024, 3, 18))
