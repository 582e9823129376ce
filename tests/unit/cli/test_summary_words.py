"""How candidates and searches are called in the run's summary."""

from __future__ import annotations

import pytest

from holdfast.cli.render.summary import _searched


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"imbalance": "none", "stopped_by": "trials", "trials": 30}, "xgboost 30 trials"),
        ({"imbalance": "none", "stopped_by": "trials", "trials": 1}, "xgboost 1 trial"),
        (
            {"imbalance": "balanced", "stopped_by": "seconds", "trials": 7},
            "xgboost (balanced) 7 trials, then its time was up",
        ),
    ],
)  # fmt: skip
def test_a_search_says_how_far_it_came(found, words):
    assert _searched({"estimator": "xgboost", **found}) == words
