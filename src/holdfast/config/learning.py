"""training.yaml and scoring.yaml."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, SecretStr, field_validator, model_validator

from holdfast.clock import Span
from holdfast.config.base import Section, SpanField

EstimatorName = Literal["xgboost", "lightgbm", "logistic", "rfm"]
Imbalance = Literal["none", "balanced", "scale_pos_weight"]
Direction = Literal[-1, 1]
MLFLOW = ("sqlite:///", "postgresql+psycopg://", "http://", "https://")
"""How an address of MLflow begins."""


def _each(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class EstimatorConfig(Section):
    """One candidate estimator, or several that differ in how they weigh the classes."""

    params: dict[str, Any] = Field(default_factory=dict)
    """Named as in holdfast.models: rounds, learning_rate, depth, subsample, colsample, l1, l2, …"""
    search: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Search space for tuning: parameter -> [low, high]. Ends a factor above 10 apart are searched on a log scale."""
    features: list[str] = Field(default_factory=list)
    """The features it may use; empty: all that ``exclude`` leaves."""
    monotone: dict[str, Direction] = Field(default_factory=dict)
    """Number feature -> 1 (more of it never lowers the risk) or -1 (never raises it)."""
    imbalance: Annotated[tuple[Imbalance, ...], BeforeValidator(_each), Field(min_length=1)] = ("none",)
    """A way to weigh the classes while fitting, or a list to try each of: ``balanced`` gives both the same total,
    ``scale_pos_weight`` counts a churner as often as there are customers who stayed to one who left. Either takes the
    model's own probabilities far from the truth; they are calibrated back afterwards."""

    def spread(self) -> list[EstimatorConfig]:
        """One candidate for each way of weighing the classes."""
        return [self.model_copy(update={"imbalance": (way,)}) for way in dict.fromkeys(self.imbalance)]


class Tuning(Section):
    """A search for better parameters within the search spaces, by Optuna; one that is killed goes on where it was."""

    trials: Annotated[int, Field(ge=0)] = 0
    """Parameter settings tried for each candidate with a search space; 0: no tuning, the params as given."""
    seconds: PositiveInt = 600
    """Time for the search, over all candidates together, with the runs before it was killed. The params given are tried
    in full and count; what is fitted again once the search has ended does not. Only where it runs out may two runs
    differ, and not even those that find the journal of the first."""
    pruning: bool = True
    """Give up a setting that is behind the median of the earlier ones after as many folds."""


class Folds(Section):
    test_cutoffs: PositiveInt = 3
    """The last matured cutoffs: the final test, touched once."""
    validation_cutoffs: PositiveInt = 6
    """Walk-forward folds before the test, one cutoff each."""
    train_months: PositiveInt | None = None
    """Use at most this many months of snapshots before each fold; by default all."""
    embargo: SpanField = Span()
    """Extra time between the last training label and a test cutoff (purging is always on)."""
    groups: Annotated[int, Field(ge=2)] = 5
    """Customer-grouped folds, where history is reconstructed."""


class Promotion(Section):
    """The gate between challenger and champion."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.975
    """Of every one-sided bound that compares the two."""
    min_lift: float = 1.0
    """Every challenger must rank better than chance: the interval of its lift at 10% lies above this."""
    max_calibration_error: Annotated[float, Field(gt=0, le=1)] = 0.05
    """A challenger whose expected calibration error is above this is refused."""
    profit_margin: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The challenger may not earn less than the champion by more than this share of what perfect foresight would earn
    at the project's budget."""
    calibration_margin: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Its calibration error may not be larger than the champion's by more than this share of the churn rate."""
    latency_ms: Annotated[float, Field(gt=0)] = 50.0
    """95% of single customers must be predicted and explained within this; what the API adds is not in it."""


class Retention(Section):
    """How long bundles are kept. The ledger, metrics and cards of a version stay for good."""

    versions: PositiveInt = 20
    """As many of the newest keep theirs; of older ones, those that serve, challenge, or may be gone back to."""


class TrainingSection(Section):
    """Estimators, folds, tuning, calibration and the promotion gate."""

    estimators: dict[EstimatorName, EstimatorConfig] = Field(min_length=1)
    exclude: list[str] = Field(default_factory=list)
    """Features left out of the model (still in the dataset and in slices)."""
    folds: Folds = Folds()
    tuning: Tuning = Tuning()
    prior_shift: bool = True
    """Whether probabilities follow what the months add to the odds of churn, where that was right before."""
    bootstrap: Annotated[int, Field(ge=50, le=5000)] = 200
    """Replicates of the customer-clustered bootstrap."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7
    threads: Annotated[int, Field(ge=0)] = 0
    """0: as many as there are cores. Results do not depend on it."""
    slices: list[str] = Field(default_factory=list)
    """Features to report metrics by, numbers in bins, and in whose slices a challenger may not be worse; also ones in
    ``exclude``, such as a protected attribute."""
    promotion: Promotion = Promotion()
    retention: Retention = Retention()
    mlflow_uri: SecretStr | None = None
    """MLflow's database or server; by default SQLite in var/<project>/. Set HOLDFAST_MLFLOW_URI, never in YAML."""

    @field_validator("mlflow_uri")
    @classmethod
    def _known_address(cls, uri: SecretStr | None) -> SecretStr | None:
        if uri is not None and not uri.get_secret_value().startswith(MLFLOW):
            raise ValueError(f"must begin with one of {', '.join(MLFLOW)}")
        return uri

    @model_validator(mode="after")
    def _draws_reach_the_bound(self) -> TrainingSection:
        # the k-th of B draws is passed with probability k / (B + 1): beyond the first there is nothing to read
        tail = 1 - self.promotion.confidence
        if (self.bootstrap + 1) * tail < 1 - 1e-9:
            raise ValueError(
                f"promotion.confidence {self.promotion.confidence:g} is more than {self.bootstrap} draws of bootstrap "
                f"can tell: raise bootstrap to {math.ceil(1 / tail - 1e-9) - 1} or lower promotion.confidence"
            )
        return self


class Tier(Section):
    name: str
    at_least: Annotated[float, Field(ge=0, le=1)]


class ScoringSection(Section):
    """Risk tiers and reasons."""

    tiers: list[Tier] = Field(
        default_factory=lambda: [
            Tier(name="high", at_least=0.10),
            Tier(name="medium", at_least=0.04),
            Tier(name="low", at_least=0.0),
        ],
        min_length=1,
    )
    """From the highest threshold down; the last is at_least 0."""
    reasons: Annotated[int, Field(ge=1, le=10)] = 3

    @model_validator(mode="after")
    def _tiers_descend(self) -> ScoringSection:
        bounds = [t.at_least for t in self.tiers]
        if bounds != sorted(bounds, reverse=True) or len(set(bounds)) != len(bounds) or bounds[-1] != 0:
            raise ValueError("tiers must go from the highest at_least down to 0, without ties")
        if len({t.name for t in self.tiers}) != len(self.tiers):
            raise ValueError("tier names must differ")
        return self
