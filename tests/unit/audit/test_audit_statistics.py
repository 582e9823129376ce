"""The statistical checks: what they find, and that what is merely predictive passes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holdfast.audit.company import Company, StartColumn
from holdfast.audit.copied import copied_back, grows, total_of_cells
from holdfast.audit.encoded import judged
from holdfast.audit.end_state import LASTED, _tied, overwritten
from holdfast.audit.identity import is_time
from holdfast.audit.suspicion import rank, spearman

DAYS = 1000
START = np.datetime64("2021-01-01", "us")
DAY = np.timedelta64(1, "D")


def company(n: int, seed: int, *, predicts: float = 0.0) -> tuple[Company, np.ndarray]:
    """Customers who start evenly over time and leave at a rate that a level fixed at the start may multiply."""
    rng = np.random.default_rng(seed)
    level = rng.random(n) < 0.4
    begins = rng.random(n) * DAYS
    life = rng.exponential(700 / np.exp(predicts * level))
    left = begins + life < DAYS
    start = START + (begins * 86400e6).astype("timedelta64[us]")
    until = START + (np.minimum(begins + life, DAYS) * 86400e6).astype("timedelta64[us]")
    months = (until - start) / DAY / 30
    totals = {"rows of invoices": (np.floor(months), np.floor(months)), "tenure": (months, months)}
    return Company([f"C{i}" for i in range(n)], start, left, until, (), totals), level


def column(codes: np.ndarray, number: np.ndarray | None = None) -> StartColumn:
    return StartColumn("segment", "customers.segment", codes.astype(np.int64), ["b", "a", None, "x"], number, False)


@pytest.mark.parametrize("seed", range(5))
def test_a_column_written_for_half_of_the_leavers_is_found(seed):
    people, level = company(4000, seed)
    rng = np.random.default_rng(seed)
    written = level & ~(people.left & (rng.random(4000) < 0.55))
    found = overwritten(people, column(written), slopes=True)
    assert found is not None
    assert found.name == "updated-at-churn"
    assert 0 < len(found.evidence) <= 5


@pytest.mark.parametrize("predicts", [0.0, 0.7, 1.2, -1.5])
@pytest.mark.parametrize("seed", range(8))
def test_a_level_that_predicts_strongly_is_no_leak(predicts, seed):
    people, level = company(4000, seed, predicts=predicts)
    assert overwritten(people, column(level), slopes=True) is None


def test_a_level_that_only_leavers_have_is_found_among_few():
    people, _ = company(400, 1)
    codes = np.where(people.left & (np.arange(400) % 2 == 0), 1, 0)
    found = overwritten(people, column(codes), slopes=False)
    assert found is not None
    assert "'a'" in found.what


def test_a_first_row_that_only_those_have_who_left_at_once_is_no_leak():
    """A first payment that failed; written at the end of longer stays, it is one."""
    people, _ = company(4000, 1)
    stayed = people.until - people.start
    soon = people.left & (stayed < 90 * DAY)
    assert overwritten(people, column(soon), slopes=False, lasted=LASTED) is None
    assert overwritten(people, column(people.left), slopes=False, lasted=LASTED) is not None


def test_a_level_of_old_starters_alone_is_no_leak():
    """Nearly all of the oldest have left by now, whatever they bought."""
    people, _ = company(4000, 2)
    oldest = people.start < START + 150 * DAY
    assert overwritten(people, column(oldest), slopes=True) is None


def test_a_final_total_is_found_in_any_unit_and_a_price_is_not():
    people, _ = company(1000, 3)
    rng = np.random.default_rng(3)
    total = people.totals["rows of invoices"][0]
    prices = 20 + 80 * rng.random(1000)
    people.totals["invoices.amount in all"] = (total * prices, total)
    noisy = total * prices * (1 + 0.02 * rng.standard_normal(1000))
    assert copied_back(people, column(total, noisy)) == ("invoices.amount in all", pytest.approx(1, abs=0.01))
    in_cents = copied_back(people, column(total, total * prices * 100))
    assert in_cents is not None
    assert in_cents[1] == pytest.approx(100)
    assert copied_back(people, column(total, prices)) is None
    assert copied_back(people, column(total, rng.permutation(total * prices))) is None


def test_cells_that_hold_a_total_of_all_time_are_told_from_another_unit():
    """A window's sum replaced by the customer's total; and the same sum in cents, which is no leak."""
    people, _ = company(1000, 3)
    rng = np.random.default_rng(3)
    months = people.totals["rows of invoices"][0]
    prices = 20 + 80 * rng.random(1000)
    people.totals["invoices.amount in all"] = (months * prices, months)
    window = np.minimum(months, 12) * prices
    some = rng.choice(1000, 100, replace=False)
    ids = [people.ids[i] for i in some]
    total = (months * prices * (1 + 0.03 * rng.standard_normal(1000)))[some]
    assert total_of_cells(people, ids, total, window[some]) == ("invoices.amount in all", pytest.approx(1, abs=0.02))
    assert total_of_cells(people, ids, window[some] * 100, window[some]) is None
    assert total_of_cells(people, ids, rng.permutation(total), window[some]) is None
    assert total_of_cells(people, [], np.zeros(0), np.zeros(0)) is None


def test_a_number_that_grows_with_the_whole_stay_was_written_at_the_end():
    people, _ = company(2000, 5)
    rng = np.random.default_rng(5)
    days = (people.until - people.start) / DAY
    assert grows(people, column(days, days * (0.4 + 1.2 * rng.random(2000)))) is not None


@pytest.mark.parametrize("seed", range(5))
def test_a_number_that_follows_the_start_or_predicts_the_stay_is_no_leak(seed):
    people, level = company(2000, seed, predicts=2.5)
    rng = np.random.default_rng(seed)
    since = (people.start - START) / DAY
    noise = rng.standard_normal(2000)
    assert grows(people, column(level, -since)) is None  # prices that fall from year to year
    assert grows(people, column(level, noise - level)) is None
    assert grows(people, column(level, -since / 100 - 2.0 * level + noise)) is None


@pytest.mark.parametrize("seed", range(10))
def test_a_column_of_the_extract_is_tied_to_churn_and_one_by_the_dice_is_not(seed):
    people, level = company(4000, seed)
    assert _tied(people, column(np.random.default_rng(seed).integers(0, 3, 4000))) > 1e-4
    assert _tied(people, column(level & ~people.left)) < 1e-4


def labels(seed: int, levels: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    level = rng.integers(0, levels, n)
    rates = 0.01 + 0.05 * rng.random(levels)
    return level, rates, (rng.random(n) < rates[level]).astype(float)


@pytest.mark.parametrize("levels", [2, 3, 5, 40])
@pytest.mark.parametrize("smoothing", [0, 10])
def test_a_category_encoded_by_all_rows_is_found(levels, smoothing):
    level, _, y = labels(1, levels)
    n = np.bincount(level)
    encoded = (np.bincount(level, weights=y) + smoothing * y.mean()) / (n + smoothing)
    assert judged(encoded[level].astype(np.float32), y) is not None


def test_weights_of_evidence_and_leave_one_out_are_found():
    level, _, y = labels(2, 5)
    n, k = np.bincount(level), np.bincount(level, weights=y)
    rate, base = k / n, y.mean()
    woe = np.log(rate / (1 - rate)) - np.log(base / (1 - base))
    assert judged(woe[level], y) is not None
    assert judged(-woe[level], y) is not None
    assert judged((k[level] - y) / (n[level] - 1), y) is not None


@pytest.mark.parametrize("seed", range(20))
def test_a_calibrated_score_fitted_elsewhere_is_no_leak(seed):
    """The true rates themselves: as good as a score can be, and off by the noise of these rows."""
    level, rates, y = labels(seed, 5)
    assert judged(rates[level], y) is None
    assert judged(level.astype(float), y) is None


def test_ranks_share_ties():
    assert rank(np.array([3.0, 1.0, 3.0])).tolist() == [2.5, 1.0, 2.5]
    assert spearman(np.array([1.0, 2.0, 4.0]), np.array([1.0, 8.0, 9.0])) == pytest.approx(1)
    assert spearman(np.array([1.0, 1.0]), np.array([1.0, 2.0])) == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2024-03-01", "2023-01-31T10:00:00"], True),
        (["12345678", "north"], False),
        ([1.7e9, 1.6e9 + 5], True),
        ([1.7e12, 1.69e12], True),
        ([20240301.0, 20231231.0], True),
        ([20241301.0, 20239999.0], False),
        ([12.5, 1000.0], False),
        ([], False),
    ],
)
def test_what_reads_as_time(values, expected):
    assert is_time(pa.array(values, pa.string() if values and isinstance(values[0], str) else pa.float64())) is expected
