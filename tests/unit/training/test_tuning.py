"""Tuning: the same trials for the same seed, within the budget, and never worse than the params given."""

from __future__ import annotations

import numpy as np
import pytest
from training_world import SCHEMA, training_rows, walking

from holdfast.config.learning import EstimatorConfig, Tuning
from holdfast.training import tuning
from holdfast.training.candidates import EncodedFolds, out_of_fold

CONFIG = EstimatorConfig(params={"rounds": 5}, search={"rounds": (2, 40), "learning_rate": (0.01, 0.5), "l2": (1, 5)})


@pytest.fixture
def folds():
    return EncodedFolds(training_rows(), SCHEMA, walking())


@pytest.fixture
def counted(monkeypatch):
    """The parameters of every candidate that tuning asked for; they are fitted all the same."""
    asked = []

    def counting(folds, name, config, **rest):
        asked.append(dict(config.params))
        return out_of_fold(folds, name, config, **rest)

    monkeypatch.setattr(tuning, "out_of_fold", counting)
    return asked


def test_the_trials_depend_on_the_seed_alone(folds, counted):
    first = tuning.tuned(folds, "lightgbm", CONFIG, Tuning(trials=4), seed=3, threads=1)
    asked = list(counted)
    counted.clear()
    again = tuning.tuned(folds, "lightgbm", CONFIG, Tuning(trials=4), seed=3, threads=2)
    assert counted == asked
    assert len(asked) == 1 + 4
    np.testing.assert_array_equal(first.margin, again.margin)
    counted.clear()
    tuning.tuned(folds, "lightgbm", CONFIG, Tuning(trials=4), seed=4, threads=1)
    assert counted[1:] != asked[1:]


def test_values_are_of_the_parameters_type_and_within_the_range(folds, counted):
    found = tuning.tuned(folds, "lightgbm", CONFIG, Tuning(trials=5), seed=3, threads=1)
    for params in counted[1:]:
        assert isinstance(params["rounds"], int)
        assert isinstance(params["l2"], float)
        assert 2 <= params["rounds"] <= 40
        assert 0.01 <= params["learning_rate"] <= 0.5
    assert dict(found.config.params) in counted
    assert found.log_loss <= out_of_fold(folds, "lightgbm", CONFIG, seed=3, threads=1).log_loss


@pytest.mark.parametrize(("trials", "search"), [(0, CONFIG.search), (3, {})])
def test_without_trials_or_a_search_space_the_params_stand(folds, counted, trials, search):
    config = CONFIG.model_copy(update={"search": search})
    assert tuning.tuned(folds, "lightgbm", config, Tuning(trials=trials), seed=3, threads=1).config.params == {
        "rounds": 5
    }
    assert len(counted) == 1


def test_a_run_out_of_time_stops_early(folds, counted):
    spent = Tuning.model_construct(trials=50, seconds=0.01)
    tuning.tuned(folds, "lightgbm", CONFIG, spent, seed=3, threads=1)
    assert 2 <= len(counted) < 51
