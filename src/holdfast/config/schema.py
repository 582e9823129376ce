"""The whole configuration of a project: one section per YAML file."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from holdfast.config.base import Section
from holdfast.config.business import DecisionsSection, MonitoringSection, ServingSection
from holdfast.config.data import CustomersTable, DataSection, EventsTable, HistoryTable
from holdfast.config.expression import Expression
from holdfast.config.features import FeaturesSection
from holdfast.config.learning import ScoringSection, TrainingSection
from holdfast.config.parameters import parameter_problems, search_problems
from holdfast.errors import did_you_mean

SECTIONS = ("data", "features", "training", "scoring", "decisions", "monitoring", "serving")


class Config(Section):
    """One project's configuration."""

    data: DataSection
    features: FeaturesSection
    training: TrainingSection
    scoring: ScoringSection
    decisions: DecisionsSection
    monitoring: MonitoringSection
    serving: ServingSection

    def problems(self) -> list[str]:
        """References between sections that lead nowhere, each as ``key.path: what; did you mean``."""
        return [
            *_estimator_problems(self),
            *_measure_problems(self),
            *_value_problems(self),
            *_attribute_problems(self),
            *_decision_problems(self),
        ]

    def hash(self, *sections: str) -> str:
        """A sha256 of the named sections (all by default), independent of file layout and order.

        The engine is no part of it: results do not depend on where they are computed. Nor is what becomes of a
        version later: where MLflow is told of it, and how long its bundle is kept.
        """
        text = json.dumps(self.hashed(*sections), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def hashed(self, *sections: str) -> dict[str, Any]:
        """What `hash` is the hash of, as plain JSON."""
        exclude = {"data": {"engine"}, "training": {"mlflow_uri", "retention"}}
        return self.model_dump(mode="json", include=set(sections or SECTIONS), exclude=exclude)


def _estimator_problems(config: Config) -> list[str]:
    return [
        f"training.estimators.{name}.{key}.{parameter}: {what}" + (f"; {fix}" if fix else "")
        for name, estimator in config.training.estimators.items()
        for key, problems in (
            ("params", parameter_problems(name, estimator.params)),
            ("search", search_problems(name, estimator.search)),
        )
        for parameter, what, fix in problems
    ]


def _measure_problems(config: Config) -> list[str]:
    tables = config.data.tables
    events = {n: t for n, t in tables.items() if isinstance(t, EventsTable)}
    problems: list[str] = []
    for name, measure in config.features.measures.items():
        at = f"features.measures.{name}"
        table = events.get(measure.table)
        if table is None:
            problems.append(f"{at}.table: no events table '{measure.table}'; {did_you_mean(measure.table, events)}")
            continue
        if measure.column is not None:
            column = table.columns.get(measure.column)
            if column is None:
                problems.append(
                    f"{at}.column: '{measure.column}' is not declared in data.tables.{measure.table}.columns; "
                    + did_you_mean(measure.column, table.columns)
                )
            elif column.type not in ("number", "boolean") and (
                column.type == "time" or set(measure.aggregations) != {"n_unique"}
            ):
                problems.append(f"{at}.column: '{measure.column}' is a {column.type}, not a number")
        if measure.expression is not None:
            try:
                Expression.parse(measure.expression, table.columns)
            except ValueError as e:
                problems.append(f"{at}.expression: {e}")
        problems += [
            f"{at}.{key}: '{c}' is not declared in data.tables.{measure.table}.columns; "
            + did_you_mean(c, table.columns)
            for key, columns in (("where", measure.where), ("by", measure.by))
            for c in columns
            if c not in table.columns
        ]
    return problems


def _value_problems(config: Config) -> list[str]:
    histories = {n: t for n, t in config.data.tables.items() if isinstance(t, HistoryTable)}
    problems: list[str] = []
    for name, value in config.features.values.items():
        at = f"features.values.{name}"
        table = histories.get(value.table)
        if table is None:
            problems.append(f"{at}.table: no history table '{value.table}'; {did_you_mean(value.table, histories)}")
            continue
        column = table.columns.get(value.column)
        if column is None:
            problems.append(
                f"{at}.column: '{value.column}' is not declared in data.tables.{value.table}.columns; "
                + did_you_mean(value.column, table.columns)
            )
        elif ("months_until" in value.aggregations) != (column.type == "time"):
            problems.append(f"{at}: months_until goes with a time column, and only with one")
    return problems


def _attribute_problems(config: Config) -> list[str]:
    tables = {n: t for n, t in config.data.tables.items() if isinstance(t, CustomersTable)}
    columns = [c for t in tables.values() for c in t.columns]
    return [
        f"features.attributes: '{a}' is not a column of {', '.join(tables) or 'a customers table (there is none)'}; "
        + did_you_mean(a, columns)
        for a in config.features.attributes
        if config.data.attribute(a) is None
    ]


def _decision_problems(config: Config) -> list[str]:
    problems: list[str] = []
    tiers = {t.name for t in config.scoring.tiers}
    for name, action in config.decisions.actions.items():
        problems += [
            f"decisions.actions.{name}.tiers: no tier '{t}'; {did_you_mean(t, tiers)}"
            for t in action.tiers
            if t not in tiers
        ]
    treatments = config.decisions.treatments
    if treatments is not None:
        table = config.data.tables.get(treatments.table)
        if not isinstance(table, EventsTable):
            events = [n for n, t in config.data.tables.items() if isinstance(t, EventsTable)]
            problems.append(
                f"decisions.treatments.table: no events table '{treatments.table}'; "
                + did_you_mean(treatments.table, events)
            )
        else:
            problems += [
                f"decisions.treatments: '{c}' is not declared in data.tables.{treatments.table}.columns; "
                + did_you_mean(c, table.columns)
                for c in (treatments.offer, treatments.arm, treatments.propensity)
                if c not in table.columns
            ]
    return problems
