"""Every estimator runs this suite. What one cannot do is excluded by name, with its reason, in `EXCLUDED`."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit
from threadpoolctl import threadpool_limits

from holdfast.config.parameters import RANGES
from holdfast.errors import DataError, StoreError
from holdfast.evaluation.ranking import roc_auc
from holdfast.models import forest
from holdfast.models.estimator import MIN_ROWS
from holdfast.models.explain import explained
from holdfast.models.forest import Forest, TooDeep
from holdfast.models.registry import ESTIMATORS, FITTED, load_fitted, make_estimator
from holdfast.models.tree_shap import TOLERANCE

SMALL = {
    "xgboost": {"rounds": 25, "learning_rate": 0.2, "depth": 4},
    "lightgbm": {"rounds": 25, "learning_rate": 0.2, "depth": 4},
    "logistic": {},
    "rfm": {},
}
LEAVES_OF_ONE = {"xgboost": {"min_child_weight": 0.01}, "lightgbm": {"min_rows": 1}}
CATEGORY, CONSTANT, EMPTY, LEVELS = 3, 4, 5, 9
EXCLUDED = {
    ("rfm", "seed"): "nothing in it is random",
    ("rfm", "thresholds"): "it has no trees: its contributions are the points of bins",
    ("rfm", "fast contributions"): "it has one way to its contributions, so no other to fall back on",
    ("rfm", "unseen category"): "an unseen code is no known category: the same as missing, by design",
    ("logistic", "seed"): "nothing in it is random",
    ("logistic", "thresholds"): "it splits on nothing: its contributions are coefficients times values",
    ("logistic", "fast contributions"): "it has one way to its contributions, so no other to fall back on",
    ("logistic", "unseen category"): "an unseen code is no known category: the same as missing, by design",
}

pytestmark = pytest.mark.filterwarnings("error")


def estimator(name, **more):
    return make_estimator(name, SMALL[name] | more)


def skip_if_excluded(name, what):
    if (name, what) in EXCLUDED:
        pytest.skip(EXCLUDED[name, what])


def rows(n=1500, seed=0):
    """Numbers with gaps and float32 ties, a category in codes, a constant and an empty column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 7)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1], 1)
    x[:, 2] = rng.poisson(2, n)
    x[:, CATEGORY] = rng.integers(0, LEVELS, n)
    x[:, CONSTANT] = 7
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, EMPTY] = np.nan
    signal = np.nan_to_num(x[:, 0]) - np.nan_to_num(x[:, 1]) * (np.nan_to_num(x[:, 2]) > 1)
    signal += np.isin(x[:, CATEGORY], (1, 4, 7)) * 1.5 + np.isnan(x[:, 6]) * 0.8
    return x, (rng.random(n) < expit(signal - 1)).astype(float)


@pytest.fixture(scope="module", params=sorted(ESTIMATORS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(name):
    x, y = rows()
    return estimator(name).fit(x, y, seed=7, categorical=[CATEGORY])


def test_every_estimator_has_a_model_and_small_settings_and_exclusions_are_real():
    assert set(ESTIMATORS) == set(FITTED) == set(SMALL)
    assert all(name in ESTIMATORS and reason for (name, _), reason in EXCLUDED.items())
    source = Path(__file__).read_text(encoding="utf-8")
    for _, what in EXCLUDED:
        # named once in the table and once where it is used
        assert source.count(f'"{what}")') >= 2, f"the exclusion '{what}' is no longer used"


def test_it_learns_what_is_there(fitted):
    x, y = rows(seed=1)
    assert roc_auc(y, fitted.margin(x)) > 0.72


def test_margins_are_finite_float64_and_alike_alone_and_among_many(fitted):
    x, _ = rows()
    margin = fitted.margin(x)
    assert margin.dtype == np.float64
    assert np.isfinite(margin).all()
    assert np.array_equal([fitted.margin(x[i : i + 1])[0] for i in range(50)], margin[:50])
    assert fitted.margin(x[:0]).shape == (0,)
    assert fitted.contributions(x[:0]).shape == (0, 8)


def test_a_saved_model_gives_the_same_margins_and_bytes(fitted, name, tmp_path):
    x, _ = rows()
    fitted.save(tmp_path / fitted.filename)
    again = type(fitted).load(tmp_path / fitted.filename)
    assert np.array_equal(again.margin(x), fitted.margin(x))
    assert again.dump() == fitted.dump()
    assert (again.n_features, again.rounds) == (7, fitted.rounds)
    assert np.array_equal(load_fitted(name, fitted.dump()).margin(x), fitted.margin(x))


def test_what_is_no_model_file_is_refused(fitted, tmp_path):
    with pytest.raises(StoreError, match="not a"):
        type(fitted).from_bytes(b'{"a": 1}')
    with pytest.raises(StoreError, match="cannot read"):
        type(fitted).load(tmp_path / "none")


def test_the_file_is_text(fitted):
    text = fitted.dump().decode()
    if fitted.filename.endswith(".json"):
        json.loads(text)


def test_contributions_add_up_to_the_margin(fitted):
    x, _ = rows(seed=2)
    parts = explained(fitted, x)
    assert parts.shape == (len(x), 8)
    assert np.abs(parts.sum(axis=1) - fitted.margin(x)).max() < TOLERANCE
    assert len(set(parts[:, -1])) == 1


def test_the_fast_contributions_are_the_librarys_own(fitted, monkeypatch):
    x, _ = rows(seed=3)
    x[:40, CATEGORY] = np.arange(40) % (LEVELS + 2)  # codes the fit never saw, too
    monkeypatch.setattr(type(fitted), "native_rows", 0, raising=False)
    assert np.abs(fitted.contributions(x) - fitted.native_contributions(x)).max() < 1e-5


def test_the_fast_contributions_are_exact_at_every_threshold(name):
    """Values one float32 step around each threshold, and the threshold itself."""
    skip_if_excluded(name, "thresholds")
    x, y = rows()
    model = estimator(name).fit(x, y, seed=7)
    edges = {(s.feature, s.threshold) for tree in model.forest()._trees for s in splits_of(tree)}
    assert len(edges) > 50
    probes = []
    for feature, threshold in sorted(edges):
        for value in (np.nextafter(threshold, -np.inf), threshold, np.nextafter(threshold, np.inf)):
            row = x[len(probes) % len(x)].copy()
            row[feature] = value
            probes.append(row)
    probes = np.array(probes, dtype=np.float32)
    fast = model.forest().contributions(probes)
    assert np.abs(fast - model.native_contributions(probes)[:, :-1]).max() < 1e-5


def splits_of(node):
    if hasattr(node, "below"):
        return [node.split, *splits_of(node.below[0]), *splits_of(node.below[1])]
    return list(node.splits)


def test_trees_too_deep_for_tables_are_left_to_the_library(name, monkeypatch):
    skip_if_excluded(name, "fast contributions")
    x, y = rows(1500)
    model = make_estimator(name, {"rounds": 2, "depth": 10, **LEAVES_OF_ONE[name]}).fit(x, y, seed=7)
    monkeypatch.setattr(type(model), "native_rows", 0)
    with pytest.raises(TooDeep):
        model.forest()
    assert np.array_equal(model.contributions(x), model.native_contributions(x))


def test_fast_contributions_do_not_depend_on_the_rows_beside_them(name, monkeypatch):
    skip_if_excluded(name, "fast contributions")
    x, y = rows(1000)
    model = estimator(name).fit(x, y, seed=7, categorical=[CATEGORY])
    whole = model.forest().contributions(x)
    monkeypatch.setattr(forest, "CHUNK_ROWS", 64)
    assert np.array_equal(model.forest().contributions(x), whole)


def test_wrong_fast_contributions_are_replaced_by_the_librarys(name, monkeypatch):
    skip_if_excluded(name, "fast contributions")
    x, y = rows(600)
    model = estimator(name).fit(x, y, seed=7)
    monkeypatch.setattr(type(model), "native_rows", 0)
    native, right = model.native_contributions(x), Forest.contributions
    monkeypatch.setattr(Forest, "contributions", lambda self, x: right(self, x) + 1)
    assert np.array_equal(model.contributions(x), native)

    def one_wrong(self, x):
        out = right(self, x)
        out[17] += 1
        return out

    monkeypatch.setattr(Forest, "contributions", one_wrong)
    assert np.abs(model.contributions(x) - native).max() < 1e-5


def test_two_fits_are_the_same_bytes_and_another_seed_is_not(name):
    x, y = rows()
    first = estimator(name).fit(x, y, seed=7, categorical=[CATEGORY])
    assert estimator(name).fit(x, y, seed=7, categorical=[CATEGORY]).dump() == first.dump()
    skip_if_excluded(name, "seed")
    assert estimator(name).fit(x, y, seed=8, categorical=[CATEGORY]).dump() != first.dump()


def test_the_number_of_threads_does_not_matter(name):
    x, y = rows(3000)
    with threadpool_limits(limits=2):
        first = estimator(name).fit(x, y, seed=7, categorical=[CATEGORY])
    with threadpool_limits(limits=1):
        assert estimator(name).fit(x, y, seed=7, categorical=[CATEGORY]).dump() == first.dump()
    for threads in (2, 3):
        made = estimator(name).fit(x, y, seed=7, categorical=[CATEGORY], threads=threads)
        assert made.dump() == first.dump()


def test_fits_at_the_same_time_are_the_fits_one_by_one(name):
    """And so are the answers, whatever number of threads each is given."""
    x, y = rows(3000)

    def fit(seed):
        model = estimator(name).fit(x, y, seed=seed, categorical=[CATEGORY], threads=1 + seed % 3)
        return model.dump(), model.margin(x).tolist(), model.margin(x[:5]).tolist()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fit, range(6))) == [fit(seed) for seed in range(6)]


def test_one_model_answers_many_threads(fitted):
    x, _ = rows()
    margin, parts = fitted.margin(x), fitted.native_contributions(x[:40])

    def ask(i):
        return fitted.margin(x[i : i + 1])[0], fitted.contributions(x[i : i + 1])[0]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(40)))
    assert [a[0] for a in answers] == margin[:40].tolist()
    assert np.array_equal([a[1] for a in answers], parts)


def test_a_model_prepared_for_single_rows_answers_as_before(fitted):
    x, _ = rows(seed=4)
    x[:40, CATEGORY] = np.arange(40) % (LEVELS + 2)  # codes the fit never saw, too
    prepared = type(fitted).from_bytes(fitted.dump())
    prepared.prepare_for_single_rows()
    assert prepared.quick_alone
    assert [prepared.margin(x[i : i + 1])[0] for i in range(200)] == fitted.margin(x[:200]).tolist()
    parts = np.concatenate([prepared.contributions(x[i : i + 1]) for i in range(200)])
    assert np.abs(parts - fitted.native_contributions(x[:200])).max() < 1e-5


def test_weights_count_as_repeats_would(name):
    x, y = rows(400)
    weight = np.where(y == 1, 5.0, 1.0)
    plain = estimator(name).fit(x, y, seed=1, categorical=[CATEGORY])
    heavy = estimator(name).fit(x, y, seed=1, categorical=[CATEGORY], weight=weight)
    assert heavy.margin(x).mean() > plain.margin(x).mean() + 0.5


def test_missing_values_in_any_place_are_answered(fitted):
    x, _ = rows(50)
    assert np.isfinite(fitted.margin(np.full_like(x, np.nan))).all()
    for j in range(x.shape[1]):
        gap = x.copy()
        gap[:, j] = np.nan
        assert np.isfinite(fitted.margin(gap)).all()
        assert np.abs(fitted.contributions(gap).sum(axis=1) - fitted.margin(gap)).max() < TOLERANCE


def test_a_category_never_seen_is_answered(fitted, name):
    x, _ = rows(50)
    unseen, missing = x.copy(), x.copy()
    unseen[:, CATEGORY] = LEVELS + 3
    missing[:, CATEGORY] = np.nan
    assert np.isfinite(fitted.margin(unseen)).all()
    if (name, "unseen category") in EXCLUDED:
        assert np.array_equal(fitted.margin(unseen), fitted.margin(missing))


def test_constant_and_empty_columns_say_nothing(name):
    rng = np.random.default_rng(0)
    x = np.column_stack([np.full(200, 3.0), np.full(200, np.nan), np.full(200, 2.0)]).astype(np.float32)
    y = (rng.random(200) < 0.3).astype(float)
    model = estimator(name).fit(x, y, seed=0, categorical=[2])
    assert len(set(model.margin(x))) == 1
    assert expit(model.margin(x)[0]) == pytest.approx(y.mean(), abs=0.01)
    assert np.abs(model.contributions(x)[:, :-1]).max() < 1e-6


@pytest.mark.parametrize("n", [MIN_ROWS, 400])
def test_both_ends_of_every_range_can_be_fitted(name, n):
    """So no trial of a search ends in the library's own error. Rounds alone would take too long at the upper end."""
    x, y = rows(n)
    y[:4] = 0, 1, 0, 1
    few = {"rounds": 2} if "rounds" in RANGES[name] else {}
    for key, ends in RANGES[name].items():
        for end in ends[:1] if key == "rounds" else ends:
            model = make_estimator(name, few | {key: end}).fit(x, y, seed=2**31 - 1, categorical=[CATEGORY])
            assert np.isfinite(model.margin(x)).all(), (key, end)
            assert (model.rounds > 0) == bool(few)


def test_a_monotone_column_never_moves_the_margin_the_wrong_way(name):
    x, y = rows()
    model = estimator(name).fit(x, y, seed=1, categorical=[CATEGORY], monotone=[-1, 0, 1, 0, 0, 0, 0])
    base = np.repeat(x[:30], 21, axis=0)
    for column, sign in ((0, -1), (2, 1)):
        grid = base.copy()
        grid[:, column] = np.tile(np.linspace(-4, 8, 21), 30)
        assert (sign * np.diff(model.margin(grid).reshape(30, 21), axis=1)).min() >= -1e-6


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), direction=st.sampled_from([-1, 1]), column=st.integers(0, 2))
def test_predictions_are_monotone_in_a_constrained_column(name, seed, direction, column):
    """Whatever the truth, which here turns round half-way; the other columns are held at any row's values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    x[:, 3] = rng.integers(0, 5, 300)
    x[rng.random((300, 4)) < 0.1] = np.nan
    y = (rng.random(300) < expit(2 * np.nan_to_num(np.abs(x[:, column])) - np.nan_to_num(x[:, 3]) / 2)).astype(float)
    monotone = [direction if j == column else 0 for j in range(4)]
    model = estimator(name).fit(x, y, seed=seed, categorical=[3], monotone=monotone)
    grid = np.repeat(x[:20], 31, axis=0)
    grid[:, column] = np.tile(np.linspace(-4, 4, 31), 20)
    assert (direction * np.diff(model.margin(grid).reshape(20, 31), axis=1)).min() >= -1e-6


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_is_refused(name, label):
    x, _ = rows(100)
    with pytest.raises(DataError, match=r"0 (churners|customers who stayed) among 100 rows"):
        estimator(name).fit(x, np.full(100, label), seed=0)


def test_all_that_is_wrong_is_said_at_once(name):
    x, y = rows(MIN_ROWS - 1)
    with pytest.raises(DataError) as caught:
        estimator(name).fit(x, y * 2, seed=0, weight=-y, categorical=[99], monotone=[1])
    where = {p.where for p in caught.value.problems}
    assert where == {"y", "weight", "categorical", "monotone", "training rows"}
    with pytest.raises(DataError, match="no feature column"):
        estimator(name).fit(x[:, :0], y, seed=0)
    with pytest.raises(DataError, match="shape is"):
        estimator(name).fit(x, y[:-1], seed=0)


def test_a_matrix_of_another_width_is_refused(fitted):
    with pytest.raises(DataError, match=r"not \(n, 7\)"):
        fitted.margin(np.zeros((2, 3), dtype=np.float32))


def test_settings_are_frozen(name):
    settings_ = estimator(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings_, dataclasses.fields(settings_)[0].name, 1)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000), n=st.integers(MIN_ROWS, 300), f=st.integers(1, 5), gaps=st.sampled_from([0, 0.5, 0.95])
)
def test_any_small_table_fits_explains_and_comes_back(name, seed, n, f, gaps):
    rng = np.random.default_rng(seed)
    x = rng.choice([-1e30, -2.5, 0.0, 1.0, 3.0, 1e-40, 7e8], (n, f)).astype(np.float32)
    x[:, 0] = rng.integers(0, 12, n)
    x[rng.random((n, f)) < gaps] = np.nan
    y = (rng.random(n) < 0.4).astype(float)
    y[:4] = 0, 1, 0, 1
    model = estimator(name).fit(x, y, seed=seed, categorical=[0])
    margin = model.margin(x)
    assert np.isfinite(margin).all()
    assert np.array_equal(load_fitted(name, model.dump()).margin(x), margin)
    native = model.native_contributions(x)
    assert np.abs(native.sum(axis=1) - margin).max() < TOLERANCE
    if (name, "thresholds") not in EXCLUDED:
        assert np.abs(model.forest().contributions(x) - native[:, :-1]).max() < 1e-5
    model.prepare_for_single_rows()
    assert [model.margin(x[i : i + 1])[0] for i in range(n)] == margin.tolist()
