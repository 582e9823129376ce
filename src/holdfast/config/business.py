"""decisions.yaml, monitoring.yaml and serving.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, SecretStr, model_validator

from holdfast.clock import Span
from holdfast.config.base import Section, SpanField


class Value(Section):
    """Customer lifetime value: discounted expected margin over a horizon."""

    revenue: str
    """The feature that holds a customer's revenue per month, for example ``plans_monthly_price``."""
    margin: Annotated[float, Field(gt=0, le=1)] = 0.6
    annual_discount: Annotated[float, Field(ge=0, lt=1)] = 0.10
    horizon_months: Annotated[int, Field(ge=1, le=120)] = 24


class Action(Section):
    """Something the business can do to keep a customer."""

    label: str
    cost: Annotated[float, Field(ge=0)]
    """Money spent per contacted customer."""
    retention: Annotated[float, Field(ge=0, le=1)]
    """Assumed share of would-be churners kept, used only where no randomised treatments are measured."""
    when: dict[str, list[str]] = Field(default_factory=dict)
    """Eligibility: category feature -> values."""
    tiers: list[str] = Field(default_factory=list)
    """Eligibility: risk tiers; empty means all."""


class Treatments(Section):
    """The table of randomised treatments that effects are measured from."""

    table: str
    offer: str
    """Column: which action was offered (or withheld)."""
    arm: str
    treated: str = "offer"
    """Value of the arm column for the treated."""
    propensity: str
    """Column: the probability of being treated."""
    min_treated: PositiveInt = 100
    """Fewer treated than this in an action: the assumed retention is used, and said."""
    window: SpanField = Span(months=3)
    """Time after assignment in which a churn counts."""


class Segments(Section):
    value_quantiles: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default=[0.5, 0.8])
    names: list[str] = Field(default=["standard", "valued", "top"])

    @model_validator(mode="after")
    def _names_fit(self) -> Segments:
        if len(self.names) != len(self.value_quantiles) + 1:
            raise ValueError("segments need one more name than value_quantiles")
        if self.value_quantiles != sorted(set(self.value_quantiles)):
            raise ValueError("value_quantiles must ascend without ties")
        if len(set(self.names)) != len(self.names) or "unknown" in self.names:
            raise ValueError("segment names must differ, and 'unknown' is kept for customers without a value")
        return self


class DecisionsSection(Section):
    """Value, actions, budget and the holdout."""

    currency: str = "USD"
    value: Value
    actions: dict[str, Action] = Field(min_length=1)
    treatments: Treatments | None = None
    budget: Annotated[float, Field(ge=0)] | None = None
    """Money to spend per decision run; null is no limit."""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the customers chosen for an action who are randomly left alone, to measure the effect."""
    holdout_seed: str = "holdout-1"
    segments: Segments = Segments()

    @model_validator(mode="after")
    def _none_is_no_action(self) -> DecisionsSection:
        if "none" in self.actions:
            raise ValueError("an action cannot be called 'none': it stands for no action")
        return self


class DriftThresholds(Section):
    psi: Annotated[float, Field(gt=0)] = 0.2
    kl: Annotated[float, Field(gt=0)] = 0.1
    bins: Annotated[int, Field(ge=2, le=100)] = 10
    min_rows: PositiveInt = 200
    """Fewer rows than this: no verdict, and said."""
    false_alarm: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """A feature drifted if its PSI or KL is above the threshold and it is not chance: where nothing drifted, the
    probability of any alarm in a report is at most this."""


class StalenessThresholds(Section):
    """When a source table is further behind than it usually is."""

    floor: SpanField = Span(days=3)
    """A table that is behind by no more than this is never stale."""
    factor: Annotated[float, Field(ge=1)] = 2.0
    """It is stale if it is behind by more than this many times the most it was behind in its last year."""

    @model_validator(mode="after")
    def _floor_days(self) -> StalenessThresholds:
        if self.floor.months:
            raise ValueError("floor is in days or weeks, not months")
        return self


class Triggers(Section):
    """When to retrain."""

    drifted_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Retrain if more than this share of the features drifted."""
    score_psi: Annotated[float, Field(gt=0)] = 0.2
    log_loss_increase: Annotated[float, Field(gt=0)] = 0.1
    """Retrain if matured log loss exceeds the test's by this share, interval included."""
    max_age: SpanField = Span(months=6)
    """Retrain if the champion's last training cutoff is older than this."""


class MonitoringSection(Section):
    """Thresholds of drift and staleness, and retraining triggers."""

    drift: DriftThresholds = DriftThresholds()
    staleness: StalenessThresholds = StalenessThresholds()
    triggers: Triggers = Triggers()


class RateLimit(Section):
    """How often one API key may ask: so many requests in so many seconds, all of them at once if it likes."""

    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 3000
    seconds: Annotated[float, Field(ge=0.1, le=86_400)] = 10.0


class ServingSection(Section):
    """The API."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    ttl: SpanField = Span(days=45)
    """A row whose cutoff is older than this is stale."""
    stale: Literal["return", "refuse"] = "return"
    max_batch: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_body_bytes: PositiveInt = 4_000_000
    require_keys: bool = False
    """Ask for a key on the loopback address too: where a proxy on this machine passes on what others send."""
    rate_limit: RateLimit | None = RateLimit()
    """Of each key, in each worker process or, where the online store is on Redis, in all; a batch is one request. Null
    is no limit. Requests without a key, which only the loopback address takes, are not limited."""
    store: Literal["sqlite", "redis"] = "sqlite"
    """Where the online store lies: SQLite files in var/<project>/online, or a Redis server (HOLDFAST_REDIS_URL)."""
    redis_url: SecretStr | None = None
    """Redis server, redis://host:port/database. Set HOLDFAST_REDIS_URL, never in YAML."""
    database_url: SecretStr | None = None
    """State database; by default SQLite in var/<project>/. Set HOLDFAST_DATABASE_URL, never in YAML."""

    @model_validator(mode="after")
    def _ttl_days(self) -> ServingSection:
        if self.ttl.months or self.ttl.is_zero:
            raise ValueError("ttl is in days or weeks, at least 1d")
        return self
