"""The churn definition."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from holdfast.clock import Span
from holdfast.config.base import Section, SpanField


class Label(Section):
    """What churn is and when it counts."""

    churn: Literal["contractual", "inactivity"] = "contractual"
    """``contractual``: the customer's end lies in the label window. ``inactivity``: no qualifying event in it."""
    horizon: SpanField | None = None
    """Length of the label window of contractual churn; 1m by default."""
    lead: SpanField = Span()
    grace: SpanField = Span()
    """Contractual: a customer who comes back within this time has not churned."""
    delay: SpanField = Span()
    """Label delay: how long after the window (and grace) the business waits for late news."""
    reasons: list[str] | None = None
    """Contractual: only ends with one of these in ``end_reason`` are churn; others are label 0."""
    events: str | None = None
    """Inactivity: the events table that shows a customer is active."""
    where: dict[str, list[str]] = Field(default_factory=dict)
    """Inactivity: only events whose column is one of the values qualify."""
    days: PositiveInt | None = None
    """Inactivity: churned is who has no qualifying event for this many days from the cutoff (and lead) on."""
    active_within: PositiveInt | None = None
    """Inactivity: the population is who has a qualifying event in this many days before the cutoff."""

    @model_validator(mode="after")
    def _spans(self) -> Label:
        of_inactivity = {"events": self.events, "days": self.days, "active_within": self.active_within}
        if self.churn == "inactivity":
            missing = [name for name, value in of_inactivity.items() if value is None]
            if missing:
                raise ValueError(f"churn: inactivity needs {', '.join(missing)}")
            if self.horizon is not None or not self.grace.is_zero or self.reasons is not None:
                raise ValueError("horizon, grace and reasons are for churn: contractual; inactivity has days")
        else:
            odd = [name for name, value in {**of_inactivity, "where": self.where or None}.items() if value is not None]
            if odd:
                raise ValueError(f"{', '.join(odd)} are for churn: inactivity")
            if self.horizon is not None and self.horizon.is_zero:
                raise ValueError("horizon must be longer than zero")
        for name in ("grace", "delay"):
            if getattr(self, name).months:
                raise ValueError(f"{name} is in days or weeks, not months")
        return self

    @property
    def window(self) -> Span:
        """Length of the label window."""
        if self.days is not None:
            return Span(days=self.days)
        return self.horizon or Span(months=1)
