"""A small business: three actions, and scores and features to decide on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from holdfast.config.business import DecisionsSection


@pytest.fixture
def section() -> Callable[..., DecisionsSection]:
    def build(**changes: Any) -> DecisionsSection:
        base: dict[str, Any] = {
            "value": {"revenue": "price", "margin": 0.5, "annual_discount": 0.1, "horizon_months": 12},
            "actions": {
                "email": {"label": "Email", "cost": 0.25, "retention": 0.04},
                "call": {"label": "Call", "cost": 12.0, "retention": 0.3, "tiers": ["high", "medium"]},
                "discount": {"label": "Discount", "cost": 40.0, "retention": 0.5, "when": {"plan": ["basic", "plus"]}},
            },
            "holdout": 0.1,
        }
        return DecisionsSection.model_validate({**base, **changes})

    return build


@pytest.fixture
def customers() -> Callable[[int, int], tuple[pa.Table, pa.Table]]:
    """Scores and features of n customers; a few have unknown or negative revenue."""

    def build(n: int, seed: int) -> tuple[pa.Table, pa.Table]:
        rng = np.random.default_rng(seed)
        ids = [f"c{i:05d}" for i in range(n)]
        p = rng.beta(1.0, 9.0, n)
        price = rng.gamma(2.0, 30.0, n).astype(np.float32)
        price[rng.random(n) < 0.05] *= -1
        scores = pa.table(
            {
                "customer_id": ids,
                "probability": p,
                "tier": pa.array(np.where(p > 0.1, "high", np.where(p > 0.04, "medium", "low"))),
            }
        )
        features = pa.table(
            {
                "customer_id": ids,
                "price": pa.array(price, mask=rng.random(n) < 0.05),
                "plan": pa.array(rng.choice(["basic", "plus", "max"], n), mask=rng.random(n) < 0.05),
            }
        )
        return scores, features

    return build
