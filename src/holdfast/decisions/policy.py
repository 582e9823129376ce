"""Which actions are open to whom, and what each is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.config.business import DecisionsSection
from holdfast.decisions.effects import Effects
from holdfast.errors import ConfigError, Problem, did_you_mean

STATUSES = ("contact", "holdout", "over_budget", "no_action")
CONTACT, HOLDOUT, OVER_BUDGET, NOTHING = range(len(STATUSES))


@dataclass(frozen=True)
class Options:
    """Every (customer, action) pair.

    Attributes
    ----------
    names : (k,) actions in the order of the configuration
    eligible : (n, k) open to the customer by tier and ``when``
    worth : (n, k) pays: eligible, of positive expected value, with a positive effect on a positive lifetime value
    value : (n, k) expected value, ``p x CLV x retention - cost``; NaN where CLV is unknown
    retention, cost : (k,)
    notes : what looks wrong in the configuration, in words
    """

    names: tuple[str, ...]
    eligible: NDArray[np.bool_]
    worth: NDArray[np.bool_]
    value: NDArray[np.float64]
    retention: NDArray[np.float64]
    cost: NDArray[np.float64]
    notes: tuple[str, ...]

    def best(self, among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(n,) the action of greatest value among those marked, the cheaper of equals; -1 where none is."""
        by_cost = np.argsort(self.cost, kind="stable")
        value = np.where(among, self.value, -np.inf)[:, by_cost]
        found = by_cost[np.argmax(value, axis=1)]
        return np.asarray(np.where(among.any(axis=1), found, -1), dtype=np.int64)


def compute_options(
    probability: NDArray[np.float64],
    clv: NDArray[np.float64],
    tier: pa.ChunkedArray,
    features: pa.Table,
    effects: Effects,
    config: DecisionsSection,
) -> Options:
    """Eligibility and expected value of every action for every customer.

    An action whose measured effect is zero or negative is never worth it, nor is any action on a customer whose
    lifetime value is not positive: a harmful action on an unprofitable customer has a positive product, and
    driving customers away is not what this platform is for.

    Parameters
    ----------
    probability, clv : (n,) clv NaN where unknown
    tier : (n,) risk tiers
    features : n rows in the same order
    effects : by action; every configured action must be there

    Raises
    ------
    ConfigError
        An action's ``when`` names no category feature, or an action has no effect.
    """
    names = tuple(config.actions)
    _check(names, features, effects, config)
    eligible = open_by_features(features, config)
    notes: list[str] = []
    for j, (name, action) in enumerate(config.actions.items()):
        if action.tiers:
            eligible[:, j] &= _is_in(tier, action.tiers)
        for feature, values in action.when.items():
            seen = set(pc.unique(features.column(feature)).to_pylist())
            notes += [
                f"actions.{name}.when.{feature}: no customer has '{v}'; {did_you_mean(v, seen - {None})}"
                for v in values
                if v not in seen
            ]
    retention = np.array([effects[name].retention for name in names])
    cost = np.array([config.actions[name].cost for name in names])
    value = (probability * clv)[:, None] * retention - cost
    with np.errstate(invalid="ignore"):
        worth = eligible & (value > 0) & (clv > 0)[:, None] & (retention > 0)
    return Options(names, eligible, worth, value, retention, cost, tuple(notes))


def open_by_features(features: pa.Table, config: DecisionsSection) -> NDArray[np.bool_]:
    """(n, k) whether each action is open to the customer by its ``when``, whatever the tier."""
    found = np.ones((features.num_rows, len(config.actions)), dtype=np.bool_)
    for j, action in enumerate(config.actions.values()):
        for feature, values in action.when.items():
            found[:, j] &= _is_in(features.column(feature), values)
    return found


def _is_in(column: pa.ChunkedArray, values: list[str]) -> NDArray[np.bool_]:
    return np.asarray(pc.is_in(column, value_set=pa.array(values, pa.string())).to_numpy(), dtype=np.bool_)


def _check(names: tuple[str, ...], features: pa.Table, effects: Effects, config: DecisionsSection) -> None:
    problems = [
        Problem(f"decisions.actions.{name}", "no effect was given for it", did_you_mean(name, effects))
        for name in names
        if name not in effects
    ]
    categories = [f.name for f in features.schema if pa.types.is_string(f.type) and f.name != "customer_id"]
    for name, action in config.actions.items():
        for feature in action.when:
            where = f"decisions.actions.{name}.when.{feature}"
            if feature not in features.column_names:
                problems.append(Problem(where, "there is no such feature", did_you_mean(feature, categories)))
            elif feature not in categories:
                kind = features.schema.field(feature).type
                problems.append(Problem(where, f"it is {kind}, not a category", did_you_mean(feature, categories)))
    if problems:
        raise ConfigError("the actions do not fit the features", problems)
