"""Encoding never fails on data, keeps nulls apart, and leads contributions back to features."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import ConfigError, DataError, StoreError
from holdfast.models.encode import Encoder
from holdfast.models.registry import make_estimator

TWO = FeatureSchema(
    (FeatureSpec("amount", "number", "amount", "amount"), FeatureSpec("plan", "category", "plan", "plan"))
)


def two(amount, plan):
    return pa.table({"amount": pa.array(amount, pa.float32()), "plan": pa.array(plan, pa.string())})


def test_codes_are_sorted_levels_and_null_and_unseen_are_missing():
    encoder = Encoder.fit(two([1, None, 3], ["b", "a", None]), TWO, min_count=1)
    x = encoder.transform(two([None, 2.5, float("inf"), -1], ["a", "b", None, "zzz"]))
    assert x.dtype == np.float32
    assert np.array_equal(
        x, np.array([[np.nan, 0], [2.5, 1], [np.nan, np.nan], [-1, np.nan]], np.float32), equal_nan=True
    )
    assert encoder.categorical == (1,)
    assert encoder.names == ("amount", "plan")


def test_rare_levels_share_one_code_and_the_most_frequent_are_kept():
    plans = ["a"] * 30 + ["b"] * 20 + ["c"] * 5 + ["d"] * 5
    table = two(range(60), plans)
    x = Encoder.fit(table, TWO, min_count=20).transform(table)[:, 1]
    assert [x[0], x[30], x[50], x[55]] == [0, 1, 2, 2]
    x = Encoder.fit(table, TWO, min_count=1, max_levels=2).transform(table)[:, 1]
    assert [x[0], x[30], x[50], x[55]] == [0, 1, 1, 1]
    exactly = Encoder.fit(table, TWO, min_count=1, max_levels=4)
    assert exactly.levels["plan"].size == 4


def test_one_hot_for_few_levels():
    table = two(range(8), ["a", "b", "c", "a", "b", "c", None, None])
    encoder = Encoder.fit(table, TWO, min_count=2, one_hot_max=3)
    assert encoder.names == ("amount", "plan=a", "plan=b", "plan=c")
    assert encoder.categorical == ()
    assert encoder.source == (0, 1, 1, 1)
    x = encoder.transform(two([0, 0, 0], ["b", None, "never"]))
    assert x[0].tolist() == [0, 0, 1, 0]
    assert np.isnan(x[1:, 1:]).all()
    assert Encoder.fit(table, TWO, min_count=2, one_hot_max=2).categorical == (1,)


def test_where_training_had_no_nulls_the_middle_stands_for_one():
    table = two([7, 1, 5, 3], ["b", "a", "b", "b"])
    encoder = Encoder.fit(table, TWO, min_count=1)
    nothing = two([None, float("nan"), float("inf")], [None, "never", "a"])
    assert encoder.transform(nothing).tolist() == [[3, 1], [3, 1], [3, 0]]
    hot = Encoder.fit(table, TWO, min_count=1, one_hot_max=2)
    assert hot.transform(nothing).tolist() == [[3, 0, 1], [3, 0, 1], [3, 1, 0]]
    few = Encoder.fit(two([7, 1, None, 3], ["b", "a", "b", None]), TWO, min_count=2)
    assert few.transform(two([None], [None])).tolist() == [[3, 1]]
    rare = Encoder.fit(two(range(5), list("bbbac")), TWO, min_count=2)
    assert rare.transform(two([None], ["never"])).tolist() == [[2, 1]]  # the code that a and c share


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_what_training_never_saw_moves_nobody_to_an_end(name):
    """A booster alone sends a null it never saw to one side of every split."""
    rng = np.random.default_rng(0)
    amount, plan = rng.uniform(5, 10, 4000), rng.choice(list("abcdefghij"), 4000)
    risk = 1 / (1 + np.exp(-(amount - 7.5) - (plan < "d")))
    y = (rng.uniform(size=4000) < risk).astype(float)
    encoder = Encoder.fit(two(amount, plan), TWO)
    model = make_estimator(name, {"rounds": 40}).fit(
        encoder.transform(two(amount, plan)), y, seed=1, categorical=encoder.categorical
    )
    usual = np.median(amount)
    null, middle, low, high = (
        model.margin(encoder.transform(two([value] * 10, list("abcdefghij")))) for value in (None, usual, 5, 10)
    )
    assert np.all(np.abs(null - middle) < 0.2 * (high - low))
    plans = model.margin(encoder.transform(two([usual] * 12, [*"abcdefghij", "new", None])))
    assert plans[:10].min() <= plans[10] == plans[11] <= plans[:10].max()


def test_several_rare_levels_are_one_column_of_that_name():
    table = two(range(8), ["a"] * 4 + ["p", "q", "r", "s"])
    assert Encoder.fit(table, TWO, min_count=2, one_hot_max=5).names == ("amount", "plan=a", "plan=(rare)")


def test_contributions_lead_back_to_features():
    encoder = Encoder.fit(two(range(4), list("abca")), TWO, min_count=1, one_hot_max=9)
    assert encoder.collapse(np.array([[1.0, 2, 4, 8], [0, 1, 0, 1]])).tolist() == [[1, 14], [0, 2]]


def test_monotone_directions_go_by_name():
    encoder = Encoder.fit(two(range(4), list("abca")), TWO, min_count=1, one_hot_max=9)
    assert encoder.monotone({"amount": -1}) == (-1, 0, 0, 0)
    with pytest.raises(ConfigError, match="did you mean 'amount'"):
        encoder.monotone({"amuont": 1})
    with pytest.raises(ConfigError, match="no number feature"):
        encoder.monotone({"plan": 1})


def test_types_that_can_be_cast_are_and_the_rest_is_refused_by_name():
    encoder = Encoder.fit(two([1, 2], ["a", "b"]), TWO, min_count=1)
    table = pa.table({"plan": pa.array(["a", "b"]).dictionary_encode(), "amount": pa.array([1, 2], pa.int64())})
    assert encoder.transform(table).tolist() == [[1, 0], [2, 1]]
    with pytest.raises(DataError, match="'plan' is missing"):
        encoder.transform(table.drop_columns(["plan"]))
    with pytest.raises(DataError, match="'amount' is string"):
        encoder.transform(two([1, 2], ["a", "b"]).set_column(0, "amount", pa.array(["x", "y"])))


def test_columns_may_come_in_any_order_with_others_and_in_chunks():
    encoder = Encoder.fit(two([1, None], ["a", "b"]), TWO, min_count=1)
    table = pa.concat_tables([two([1], ["b"]), two([None], ["a"])]).append_column("z", pa.array([0, 0]))
    assert np.array_equal(
        encoder.transform(table.select(["z", "plan", "amount"])), [[1, 1], [np.nan, 0]], equal_nan=True
    )


def test_an_empty_column_and_an_empty_table():
    encoder = Encoder.fit(two([None, None], [None, None]), TWO)
    assert encoder.levels["plan"].size == 0
    assert np.isnan(encoder.transform(two([None], ["a"]))).all()
    assert encoder.transform(two([], [])).shape == (0, 2)


cells = st.one_of(st.none(), st.floats(-9, 9, width=32), st.just(float("inf")), st.just(float("-inf")))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, st.sampled_from([None, "a", "b", "c"])), min_size=1, max_size=40), st.data())
def test_rows_may_come_in_pieces_and_in_any_order(rows, data):
    """The same encoder and matrix as of one table, by a slow reading of what an encoder is."""
    amount, plan = (list(column) for column in zip(*rows, strict=True))
    table, n = two(amount, plan), len(rows)
    min_count = data.draw(st.integers(1, 4))
    order = np.array(data.draw(st.permutations(range(n))), dtype=np.int64)
    cuts = sorted(data.draw(st.sets(st.integers(1, n), max_size=4)) | {n})
    places = [order[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]

    def pieces(names):
        return [(at, table.select(names).take(pa.array(at))) for at in places]

    encoder, x = Encoder.fit_transform(pieces, n, TWO, min_count=min_count)
    assert encoder == Encoder.fit(table, TWO, min_count=min_count)
    assert np.array_equal(x, encoder.transform(table), equal_nan=True)
    assert np.array_equal(encoder.transform_pieces(pieces, n), x, equal_nan=True)

    known = sorted(v for v in amount if v is not None and np.isfinite(v))
    fill = known[(len(known) - 1) // 2] if known and n - len(known) < min_count else None
    assert encoder.fill == ({} if fill is None else {"amount": pytest.approx(fill)})
    shown = [v if v is not None and np.isfinite(v) else np.nan if fill is None else fill for v in amount]
    assert np.array_equal(x[:, 0], np.array(shown, dtype=np.float32), equal_nan=True)


texts = st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=1, max_size=30)


@settings(max_examples=80, deadline=None)
@given(texts, texts, st.integers(0, 5), st.integers(1, 4), st.integers(1, 6))
def test_any_text_round_trips_through_json(seen, later, one_hot_max, min_count, max_levels):
    table = two(range(len(seen)), seen)
    encoder = Encoder.fit(table, TWO, one_hot_max=one_hot_max, min_count=min_count, max_levels=max_levels)
    order = np.random.default_rng(0).permutation(len(seen))
    assert (
        Encoder.fit(
            table.take(pa.array(order)), TWO, one_hot_max=one_hot_max, min_count=min_count, max_levels=max_levels
        )
        == encoder
    )
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    rows = two(range(len(later)), later)
    x = encoder.transform(rows)
    assert np.array_equal(again.transform(rows), x, equal_nan=True)
    assert encoder.levels["plan"].size <= max_levels
    unknown = np.array([v not in set(seen) - {None} for v in later])
    missing = encoder.levels["plan"].missing
    if missing is None:
        assert np.isnan(x[unknown, 1:]).all()
        assert seen.count(None) >= min_count or not set(seen) - {None}
    else:
        hot = x[unknown, 1 + missing] == 1 if encoder.levels["plan"].one_hot else x[unknown, 1] == missing
        assert hot.all()
    assert not np.isnan(x[~unknown, 1:]).any()


@given(data=st.data(), one_hot_max=st.integers(0, 4))
def test_a_few_rows_without_a_table_are_encoded_to_the_same_bits(data, one_hot_max):
    plan = data.draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=30, max_size=30))
    amount = data.draw(st.lists(st.none() | st.floats(width=32), min_size=30, max_size=30))
    table = two(amount, plan)
    encoder = Encoder.fit(table, TWO, one_hot_max=one_hot_max, min_count=3)
    later = table.slice(data.draw(st.integers(0, 29)), data.draw(st.integers(1, 3)))
    words = {"plan": later.column("plan").combine_chunks()}
    found = encoder.encode(later.column("amount").to_numpy()[:, None], words)
    np.testing.assert_array_equal(found, encoder.transform(later))


def test_what_is_no_encoder_is_refused():
    with pytest.raises(StoreError, match="not an encoder"):
        Encoder.from_json({"format": "other"})
