"""The parameters of every estimator, their types and ranges, so that a slip in training.yaml is found before it runs.

Kept here since this layer knows no library; a test holds it to the estimators in `holdfast.models`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from holdfast.errors import did_you_mean, shown

_MOST: Final = 1_000_000_000  # what a 32-bit whole number and a 32-bit float both hold
_TREES: Final[dict[str, tuple[float, float]]] = {
    "rounds": (1, 100_000),
    "learning_rate": (0.0001, 1.0),
    "depth": (1, 16),
    "min_gain": (0.0, _MOST),
    "subsample": (0.05, 1.0),  # of the 20 rows that a fit has at least, one is left
    "colsample": (0.01, 1.0),
    "l1": (0.0, _MOST),
    "l2": (0.0, _MOST),
    "max_bin": (2, 65_535),
}
RANGES: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "xgboost": {**_TREES, "min_child_weight": (0.0, _MOST)},
    "lightgbm": {**_TREES, "leaves": (0, 131_072), "min_rows": (1, _MOST)},
    "logistic": {"l2": (0.0, _MOST)},
    "rfm": {"bins": (1, 10_000), "smoothing": (0.0, _MOST)},
}
"""The least and the most of each parameter: what its library takes, and no word of it that means "no limit"."""
PARAMETERS: Final[dict[str, dict[str, type]]] = {
    name: {key: type(low) for key, (low, _) in ranges.items()} for name, ranges in RANGES.items()
}
"""The type of each parameter: that of its least value."""


def parameter_problems(estimator: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What is wrong with values of an estimator's parameters: the parameter, what, and the fix."""
    known = PARAMETERS[estimator]
    for name, value in params.items():
        if name not in known:
            yield name, "is unknown", did_you_mean(name, known)
            continue
        low, high = RANGES[estimator][name]
        if type(value) not in (int, known[name]):  # bool is an int to isinstance
            yield name, f"is {shown(value)}, not {'a whole number' if known[name] is int else 'a number'}", ""
        elif not low <= value <= high:
            yield name, f"is {shown(value)}; it must be from {low:g} to {high:,.10g}", ""


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
