"""The parameters of every estimator and their types, so that a slip in training.yaml is found before anything runs.

Kept here since this layer knows no library; a test holds it to the estimators in `holdfast.models`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from holdfast.errors import did_you_mean, shown

_TREES: Final[dict[str, type]] = {
    "rounds": int,
    "learning_rate": float,
    "depth": int,
    "min_gain": float,
    "subsample": float,
    "colsample": float,
    "l1": float,
    "l2": float,
    "max_bin": int,
    "early_stopping": int,
}
PARAMETERS: Final[dict[str, dict[str, type]]] = {
    "xgboost": {**_TREES, "min_child_weight": float},
    "lightgbm": {**_TREES, "leaves": int, "min_rows": int},
    "logistic": {"l2": float},
    "rfm": {"bins": int, "smoothing": float},
}


def parameter_problems(estimator: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What is wrong with values of an estimator's parameters: the parameter, what, and the fix."""
    known = PARAMETERS[estimator]
    for name, value in params.items():
        if name not in known:
            yield name, "is unknown", did_you_mean(name, known)
        elif type(value) not in (int, known[name]):  # bool is an int to isinstance
            yield name, f"is {shown(value)}, not {'a whole number' if known[name] is int else 'a number'}", ""
        elif not 0 <= value < math.inf:
            yield name, f"is {shown(value)}; it cannot be negative, and must be finite", ""


def search_problems(estimator: str, search: Mapping[str, tuple[float, float]]) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a search space, as :func:`parameter_problems` says it."""
    for name, (low, high) in search.items():
        # pydantic has made 50.0 of YAML's 50
        ends = [int(end) if end.is_integer() else end for end in (low, high)]
        wrong = [found for end in ends for found in parameter_problems(estimator, {name: end})]
        if wrong:
            yield wrong[0]
        elif not low < high:
            yield name, f"goes from {low:g} to {high:g}", "Write the lower end first."
