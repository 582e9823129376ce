"""The estimators there are, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from holdfast.config.parameters import PARAMETERS, parameter_problems
from holdfast.errors import ConfigError, Problem, StoreError, did_you_mean
from holdfast.models.estimator import Estimator, FittedModel
from holdfast.models.lightgbm_model import LightGBM, LightGBMModel
from holdfast.models.logistic import Logistic, LogisticModel
from holdfast.models.rfm import RFM, RFMModel
from holdfast.models.xgboost_model import XGBoost, XGBoostModel

ESTIMATORS: Final[dict[str, Callable[..., Estimator]]] = {e.name: e for e in (XGBoost, LightGBM, Logistic, RFM)}
FITTED: Final[dict[str, type[FittedModel]]] = {
    m.name: m for m in (XGBoostModel, LightGBMModel, LogisticModel, RFMModel)
}


def make_estimator(name: str, params: Mapping[str, Any] | None = None) -> Estimator:
    """The estimator called ``name`` with ``params`` over its defaults.

    Raises
    ------
    ConfigError
        There is no such estimator or parameter, or a value has the wrong type or is out of range.

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
    given = dict(params or {})
    problems = [Problem(f"{name}.{key}", what, fix) for key, what, fix in parameter_problems(name, given)]
    if problems:
        raise ConfigError(f"the parameters of {name} do not fit", problems)
    values = {key: PARAMETERS[name][key](value) for key, value in given.items()}
    made: Estimator = dataclasses.replace(defaults, **values)
    return made


def params_of(estimator: Estimator) -> dict[str, Any]:
    """Every parameter of ``estimator`` by name, for the manifest."""
    settings: Any = estimator
    return dataclasses.asdict(settings)


def load_fitted(name: str, data: bytes) -> FittedModel:
    """Read the model file of the estimator called ``name``; StoreError if it is not one, or there is none such."""
    if name not in FITTED:
        raise StoreError(
            f"this model is of an unknown estimator, '{name}'; this version of holdfast reads {', '.join(FITTED)}",
            fix="Read it with the version of holdfast that wrote it, or train the model again",
        )
    return FITTED[name].from_bytes(data)
