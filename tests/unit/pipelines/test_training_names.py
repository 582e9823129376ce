"""What training.yaml names of the features must exist, and be of the right kind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.config.learning import EstimatorConfig, TrainingSection
from holdfast.pipelines.train import _estimator_problems

SCHEMA = FeatureSchema(
    (
        *(FeatureSpec(n, "number", n, n) for n in ("orders_recency", "orders_count", "dollars_sum")),
        FeatureSpec("plan", "category", "plan", "plan"),
    )
)
DATASET = SimpleNamespace(manifest=SimpleNamespace(schema=SCHEMA))


def said(exclude=(), **estimator):
    training = TrainingSection(estimators={"rfm": EstimatorConfig(**estimator)}, exclude=list(exclude))
    return [str(p) for p in _estimator_problems(SimpleNamespace(training=training), DATASET)]


def test_what_exists_is_fine():
    assert said() == said(features=["orders_recency", "plan"], monotone={"orders_recency": 1}) == []
    assert said(monotone={"dollars_sum": -1}) == []


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (
            {"features": ["plan", "order_count"]},
            "training.estimators.rfm.features.1: there is no feature 'order_count' to train on. did you mean "
            "'orders_count'?",
        ),
        (
            {"features": ["plan"], "exclude": ["plan"]},
            "training.estimators.rfm.features.0: there is no feature 'plan' to train on. choose from: dollars_sum, "
            "orders_count, orders_recency",
        ),
        (
            {"monotone": {"orders_recencie": 1}},
            "training.estimators.rfm.monotone.orders_recencie: rfm has no feature 'orders_recencie' to train on. did "
            "you mean 'orders_recency'?",
        ),
        (
            {"monotone": {"dollars_sum": 1}, "features": ["orders_count"]},
            "training.estimators.rfm.monotone.dollars_sum: rfm has no feature 'dollars_sum' to train on. choose from: "
            "orders_count",
        ),
        (
            {"monotone": {"plan": 1}},
            "training.estimators.rfm.monotone.plan: is a category: it has no order. choose from: dollars_sum, "
            "orders_count, orders_recency",
        ),
    ],
)  # fmt: skip
def test_what_does_not_is_said_with_its_key(estimator, words):
    assert said(**estimator) == [words]
