"""Estimators are made by name; wrong names and values are said with the right ones."""

from __future__ import annotations

import pytest

from holdfast.config.parameters import PARAMETERS
from holdfast.errors import ConfigError
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


@pytest.mark.parametrize("call", [lambda: make_estimator("xgbost"), lambda: load_fitted("xgbost", b"")])
def test_an_unknown_name_is_said_with_the_closest(call):
    with pytest.raises(ConfigError, match="did you mean 'xgboost'"):
        call()
