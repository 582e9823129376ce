"""Estimators are made by name; wrong names and values are said with the right ones."""

from __future__ import annotations

import pytest

from holdfast.config.parameters import PARAMETERS, RANGES
from holdfast.errors import ConfigError, StoreError
from holdfast.models.registry import ESTIMATORS, load_fitted, make_estimator, params_of
from holdfast.models.xgboost_model import XGBoost


def test_parameters_go_over_defaults():
    made = make_estimator("xgboost", {"depth": 3, "learning_rate": 1})
    assert made == XGBoost(depth=3, learning_rate=1.0)
    assert params_of(made)["depth"] == 3
    assert set(ESTIMATORS) == {"xgboost", "lightgbm", "logistic", "rfm"}


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        make_estimator("xgboost", {"dpeth": 3, "rounds": 1.5, "l2": -1, "l1": True})
    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "did you mean 'depth'?" in text
    assert "is 1.5, not a whole number" in text


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_the_configuration_knows_every_parameter_and_its_type(name):
    made = make_estimator(name)
    assert {key: type(value) for key, value in params_of(made).items()} == PARAMETERS[name]


def test_how_many_threads_worked_is_no_parameter():
    assert all("threads" not in params_of(make_estimator(name)) for name in ESTIMATORS)


def test_a_type_is_that_of_both_ends_of_its_range_or_wider():
    for name, ranges in RANGES.items():
        for key, (low, high) in ranges.items():
            assert PARAMETERS[name][key] is type(low)
            assert type(high) in (int, type(low)), (name, key)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("xgboost", {"subsample": 2}),
        ("xgboost", {"max_bin": 1}),
        ("xgboost", {"rounds": 0}),
        ("xgboost", {"depth": 0}),
        ("xgboost", {"learning_rate": 0}),
        ("lightgbm", {"depth": 0}),
        ("lightgbm", {"depth": 20}),
        ("lightgbm", {"leaves": 200_000}),
        ("lightgbm", {"subsample": 0}),
        ("lightgbm", {"colsample": 1.5}),
        ("logistic", {"l2": float("nan")}),
        ("rfm", {"bins": 0}),
    ],
)
def test_what_no_library_takes_or_means_no_limit_is_out_of_range(name, params):
    (key,) = params
    low, high = RANGES[name][key]
    with pytest.raises(ConfigError) as caught:
        make_estimator(name, params)
    (problem,) = caught.value.problems
    assert problem.where == f"{name}.{key}"
    assert problem.what == f"is {params[key]}; it must be from {low:g} to {high:,.10g}"


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_an_estimator_can_be_made_again_from_its_parameters(name):
    made = make_estimator(name)
    assert make_estimator(name, params_of(made)) == made


def test_an_unknown_name_is_said_with_the_closest():
    with pytest.raises(ConfigError, match="did you mean 'xgboost'"):
        make_estimator("xgbost")


def test_a_model_of_an_unknown_estimator_is_no_slip_in_the_configuration():
    with pytest.raises(StoreError, match="unknown estimator, 'catboost'"):
        load_fitted("catboost", b"")
