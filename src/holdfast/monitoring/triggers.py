"""When to retrain, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from holdfast.clock import Grid, Span, iso, utc
from holdfast.config.business import Triggers
from holdfast.monitoring.drift import DriftReport
from holdfast.monitoring.performance import PerformanceReport

Kind = Literal["drifted_share", "score_psi", "log_loss_increase", "max_age"]

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class ModelAge:
    """How long ago the champion's last training cutoff was.

    Attributes
    ----------
    last_training_cutoff : the newest cutoff it learnt from
    as_of : the instant the age is counted to; monitoring never asks the wall clock
    """

    last_training_cutoff: datetime
    as_of: datetime

    @property
    def days(self) -> float:
        return (self.as_of - self.last_training_cutoff).total_seconds() / _SECONDS_PER_DAY

    def exceeds(self, limit: Span) -> bool:
        """Whether ``last_training_cutoff + limit`` is past; months step the calendar of the cutoff's own day."""
        midnight = utc(self.last_training_cutoff.date())
        rest = self.last_training_cutoff - midnight
        return self.as_of > Grid(midnight.day).shift(midnight, limit) + rest


@dataclass(frozen=True)
class Reason:
    """One trigger that fired. ``value`` is above ``threshold``; an age is in days, and its threshold as configured."""

    kind: Kind
    value: float
    threshold: float | str
    message: str


@dataclass(frozen=True)
class TriggerDecision:
    """Whether to retrain; ``notes`` say what could not be judged."""

    retrain: bool
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    drift: DriftReport | None,
    performance: PerformanceReport | None,
    age: ModelAge | None,
    triggers: Triggers,
    *,
    stale: Sequence[str] = (),
) -> TriggerDecision:
    """Retrain iff any trigger fires.

    The score trigger needs, beside its PSI, a change that is not chance; the log loss trigger needs the whole
    interval of the increase above the threshold. What could not be judged never fires, and is noted; so are the
    ``stale`` tables, since what drifts with a feed that stopped is the feed and not the customers.
    """
    reasons: list[Reason] = []
    notes: list[str] = [f"staleness: {name} is stale; mend its feed before retraining on it" for name in stale]
    _drift(drift, triggers, reasons, notes)
    _performance(performance, triggers, reasons, notes)
    if age is None:
        notes.append("age: the champion's last training cutoff is not known")
    elif age.exceeds(triggers.max_age):
        since = iso(age.last_training_cutoff)
        message = f"the last training cutoff, {since}, is {age.days:.0f} days old; more than {triggers.max_age}"
        reasons.append(Reason("max_age", age.days, str(triggers.max_age), message))
    return TriggerDecision(bool(reasons), tuple(reasons), tuple(notes))


def _drift(drift: DriftReport | None, triggers: Triggers, reasons: list[Reason], notes: list[str]) -> None:
    if drift is None:
        notes.append("drift: not measured")
        return
    share = drift.drifted_share
    if share is None:
        notes.append("drift: too few rows for a verdict on any feature")
    elif share > triggers.drifted_share:
        message = (
            f"{len(drift.drifted)} of {len(drift.judged)} features drifted ({share:.0%}); "
            f"more than {triggers.drifted_share:.0%}"
        )
        reasons.append(Reason("drifted_share", share, triggers.drifted_share, message))
    score = drift.score
    if score is None or score.p_adjusted is None:
        notes.append("score drift: " + ("no scores were compared" if score is None else "too few rows for a verdict"))
    elif score.psi > triggers.score_psi and score.p_adjusted < drift.thresholds.false_alarm:
        message = f"the score's PSI is {score.psi:.3f}, above {triggers.score_psi}; {score.change}"
        reasons.append(Reason("score_psi", score.psi, triggers.score_psi, message))


def _performance(
    performance: PerformanceReport | None, triggers: Triggers, reasons: list[Reason], notes: list[str]
) -> None:
    if performance is None:
        notes.append("performance: no scores have matured")
        return
    low = performance.increase_low
    if low is None or performance.increase is None:
        notes.append(f"performance: {performance.why_not}")
    elif low > triggers.log_loss_increase:
        message = (
            f"log loss {performance.log_loss:.4f} against {performance.test_log_loss:.4f} on the test: "
            f"{performance.increase:+.1%}, at least {low:+.1%} with {performance.confidence:.0%} confidence; "
            f"more than {triggers.log_loss_increase:.0%}"
        )
        reasons.append(Reason("log_loss_increase", low, triggers.log_loss_increase, message))
