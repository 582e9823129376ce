"""The estimators there are, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from holdfast.errors import ConfigError, Problem, did_you_mean
from holdfast.models.estimator import Estimator, FittedModel
from holdfast.models.lightgbm_model import LightGBM, LightGBMModel
from holdfast.models.logistic import Logistic, LogisticModel
from holdfast.models.xgboost_model import XGBoost, XGBoostModel

ESTIMATORS: Final[dict[str, Callable[..., Estimator]]] = {e.name: e for e in (XGBoost, LightGBM, Logistic)}
FITTED: Final[dict[str, type[FittedModel]]] = {m.name: m for m in (XGBoostModel, LightGBMModel, LogisticModel)}


def make_estimator(name: str, params: Mapping[str, Any] | None = None) -> Estimator:
    """The estimator called ``name`` with ``params`` over its defaults.

    Raises
    ------
    ConfigError
        There is no such estimator or parameter, or a value has the wrong type.

    Examples
    --------
    >>> make_estimator("logistic", {"l2": 3})
    Logistic(l2=3.0)
    """
    if name not in ESTIMATORS:
        raise ConfigError(
            "no such estimator", [Problem("estimator", f"'{name}' is unknown", did_you_mean(name, ESTIMATORS))]
        )
    defaults: Any = ESTIMATORS[name]()
    known = {f.name: getattr(defaults, f.name) for f in dataclasses.fields(defaults)}
    problems, values = [], {}
    for key, value in (params or {}).items():
        where = f"{name}.{key}"
        if key not in known:
            problems.append(Problem(where, "is unknown", did_you_mean(key, known)))
        elif isinstance(value, bool) or not isinstance(value, int | type(known[key])):
            problems.append(Problem(where, f"is {value!r}, not a {type(known[key]).__name__}"))
        elif value < 0:
            problems.append(Problem(where, f"is {value!r}; it cannot be negative"))
        else:
            values[key] = type(known[key])(value)
    if problems:
        raise ConfigError(f"the parameters of {name} do not fit", problems)
    made: Estimator = dataclasses.replace(defaults, **values)
    return made


def params_of(estimator: Estimator) -> dict[str, Any]:
    """Every parameter of ``estimator`` by name, for the manifest."""
    settings: Any = estimator
    return dataclasses.asdict(settings)


def load_fitted(name: str, data: bytes) -> FittedModel:
    """Read the model file of the estimator called ``name``; StoreError if it is not one."""
    if name not in FITTED:
        raise ConfigError(
            "no such estimator", [Problem("estimator", f"'{name}' is unknown", did_you_mean(name, FITTED))]
        )
    return FITTED[name].from_bytes(data)
