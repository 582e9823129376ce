"""Walk-forward folds never see a label early; customer folds never split a customer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.clock import Grid, Span
from holdfast.config.learning import Folds
from holdfast.errors import DataError
from holdfast.snapshots.splits import (
    TimeFold,
    TimeSplit,
    customer_folds,
    everything_matured,
    purged,
    require_purged,
    walk_forward,
)

Known = list[tuple[datetime, datetime]]


def monthly(n: int, *, anchor: int = 1, horizon: int = 1, delay: int = 0) -> Known:
    grid, first = Grid(anchor), 2022 * 12
    return [(grid.at(first + i), grid.at(first + i + horizon) + timedelta(days=delay)) for i in range(n)]


def test_the_last_cutoffs_are_the_test_and_everything_before_is_purged() -> None:
    cutoffs = monthly(12, delay=7)
    split = walk_forward(cutoffs, Folds(test_cutoffs=2, validation_cutoffs=3))
    at = [c for c, _ in cutoffs]
    assert split.final.test == tuple(at[10:])
    # the label of cutoff 9 is known seven days after cutoff 10; that of cutoff 8 is known in time
    assert split.final.train == tuple(at[:9])
    assert [f.test for f in split.folds] == [(at[6],), (at[7],), (at[8],)]
    assert split.folds[-1].train == tuple(at[:7])


def test_without_delay_a_label_known_at_the_test_cutoff_itself_may_train() -> None:
    split = walk_forward(monthly(6), Folds(test_cutoffs=1))
    assert split.final.train[-1] == monthly(6)[4][0]


@given(
    n=st.integers(3, 40), anchors=st.sets(st.integers(1, 31), min_size=1, max_size=4), horizon=st.integers(1, 4),
    delay=st.integers(0, 60), test=st.integers(1, 5), validation=st.integers(1, 8), embargo=st.integers(0, 50),
    months=st.none() | st.integers(1, 24),
)  # fmt: skip
def test_no_training_label_is_known_after_its_test_cutoff(
    n: int, anchors: set[int], horizon: int, delay: int, test: int, validation: int, embargo: int, months: int | None
) -> None:
    cutoffs = sorted({c: k for a in anchors for c, k in monthly(n, anchor=a, horizon=horizon, delay=delay)}.items())
    folds = Folds(
        test_cutoffs=test, validation_cutoffs=validation, embargo=Span(days=embargo), train_months=months
    )  # fmt: skip
    try:
        split = walk_forward(cutoffs, folds)
    except DataError:
        return
    known = dict(cutoffs)
    for fold in (*split.folds, split.final):
        assert fold.train
        first = min(fold.test)
        assert max(known[c] for c in fold.train) + timedelta(days=embargo) <= first
        assert not set(fold.train) & set(fold.test)
        if months is not None:
            assert min(fold.train) >= first - timedelta(days=31 * months)
    for fold in split.folds:
        # what the model is chosen and calibrated by was itself known, and the embargo over, when the final test began
        assert max(known[c] for c in fold.test) + timedelta(days=embargo) <= min(split.final.test)
    require_purged(split, known)


def test_an_embargo_and_a_limit_of_months() -> None:
    cutoffs = monthly(24)
    test = cutoffs[-1][0]
    assert purged(cutoffs, test, Folds(embargo=Span(days=1)))[-1] == cutoffs[-3][0]
    assert purged(cutoffs, test, Folds(embargo=Span(months=2)))[-1] == cutoffs[-4][0]
    assert purged(cutoffs, test, Folds(train_months=3)) == tuple(c for c, _ in cutoffs[-4:-1])


def test_what_serves_is_fitted_on_all_matured_cutoffs_or_the_latest_months_of_them() -> None:
    cutoffs = [c for c, _ in monthly(6)]
    assert everything_matured(cutoffs, Folds()) == tuple(cutoffs)
    assert everything_matured(cutoffs, Folds(train_months=2)) == tuple(cutoffs[-2:])
    assert everything_matured(cutoffs, Folds(train_months=60)) == tuple(cutoffs)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_too_little_history_is_refused(n: int) -> None:
    with pytest.raises(DataError, match=f"{n} matured cutoffs, at least 5 are needed"):
        walk_forward(monthly(n), Folds(test_cutoffs=3))


def test_labels_that_mature_too_late_leave_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match="too little matured history"):
        walk_forward(monthly(6, horizon=6), Folds(test_cutoffs=1))


def test_a_split_that_sees_the_future_is_refused() -> None:
    (a, known), (b, _) = monthly(2, delay=1)
    fold = TimeFold((a,), (b,))
    with pytest.raises(DataError, match="a split sees the future"):
        require_purged(TimeSplit((), fold), {a: known})
    require_purged(TimeSplit((), fold), {a: datetime(2022, 2, 1, tzinfo=UTC)})


def test_customer_folds_depend_on_nothing_but_seed_and_id() -> None:
    ids = [f"c{i % 300}" for i in range(900)]
    folds = customer_folds(ids, 5, seed=7)
    by_id = dict(zip(ids, folds.tolist(), strict=True))
    assert all(by_id[i] == f for i, f in zip(ids, folds.tolist(), strict=True)), "one customer, one fold"
    shuffled = random.Random(1).sample(ids, 100)
    assert customer_folds(shuffled, 5, seed=7).tolist() == [by_id[i] for i in shuffled]
    assert customer_folds(ids, 5, seed=8).tolist() != folds.tolist()
    assert np.bincount(folds, minlength=5).min() > 100
