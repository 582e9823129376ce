"""The holdout is random over customers, and the same every day."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from holdfast.decisions.holdout import compute_draws, compute_holdout

IDS = [f"customer-{i}" for i in range(20_000)]


def test_the_share_is_within_binomial_bounds_and_the_draws_are_uniform() -> None:
    for seed in ("holdout-1", "holdout-2"):
        low, high = binom.interval(0.9999, len(IDS), 0.1)
        assert low <= compute_holdout(IDS, 0.1, seed).sum() <= high
        assert kstest(compute_draws(IDS, seed), "uniform").pvalue > 1e-3


def test_the_draw_is_pinned() -> None:
    """A change of this number would reshuffle every running experiment."""
    assert compute_draws(["ada"], "holdout-1").tolist() == [0.2486568444365047]


def test_seeds_are_unrelated() -> None:
    r = np.corrcoef(compute_draws(IDS, "a"), compute_draws(IDS, "b"))[0, 1]
    assert abs(r) < 4 / np.sqrt(len(IDS))


@given(ids=st.lists(st.text(max_size=8), unique=True, max_size=20), seed=st.text(max_size=8), data=st.data())
def test_it_depends_on_the_customer_alone(ids: list[str], seed: str, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(ids))
    now = dict(zip(ids, compute_holdout(ids, 0.4, seed), strict=True))
    later = dict(zip(shuffled, compute_holdout(shuffled, 0.4, seed), strict=True))
    assert now == later
    wider = compute_holdout(ids, 0.6, seed)
    assert all(w for w, held in zip(wider, now.values(), strict=True) if held)


def test_no_holdout() -> None:
    assert not compute_holdout(IDS[:10], 0.0, "s").any()
