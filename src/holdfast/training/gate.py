"""The promotion gate: may the challenger serve? Named checks, each with its figures, whichever way it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Any

import numpy.typing as npt

from holdfast.config.learning import Promotion
from holdfast.evaluation.campaign import Campaign, campaign_profit
from holdfast.evaluation.intervals import Difference, Evaluation, paired_difference
from holdfast.evaluation.worse import worse_in_slices
from holdfast.training.rows import FloatArray, IntArray

MOST_SLICES_NAMED = 3


@dataclass(frozen=True)
class Check:
    """One question that the gate asks.

    Attributes
    ----------
    name : ``ranks``, ``calibrated``, ``better``, ``profit``, ``calibration``, ``slices``, ``audit``, ``golden`` or
        ``latency``
    said : the answer in one sentence, with the figure and the limit
    evidence : the figures, as JSON
    """

    name: str
    passed: bool
    said: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "passed": self.passed, "said": self.said, "evidence": dict(self.evidence)}


@dataclass(frozen=True)
class Verdict:
    """What the gate says: yes if every check does."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """One sentence per check that said no."""
        return [f"{check.name}: {check.said}" for check in self.checks if not check.passed]

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "reasons": self.reasons, "checks": [check.to_json() for check in self.checks]}


@dataclass(frozen=True)
class Contest:
    """Two models' predictions of the same matured snapshots, which neither was trained on.

    Attributes
    ----------
    y, challenger, champion : (n,) labels and probabilities
    customers : (n,) codes
    campaign : what contacting them costs and brings
    slices : (n,) values of each column in which the challenger may not be worse
    against : who the champion was here, in words
    """

    y: FloatArray
    challenger: FloatArray
    champion: FloatArray
    customers: IntArray
    campaign: Campaign
    slices: Mapping[str, npt.NDArray[Any]]
    against: str


def worth_having(evaluation: Evaluation, ece: float, config: Promotion) -> list[Check]:
    """A challenger on its own: does it rank better than chance, and do its probabilities mean what they say?

    Parameters
    ----------
    evaluation : of snapshots that it has not seen
    ece : its expected calibration error there
    """
    lift = evaluation["lift_at_10"]
    if isnan(lift.value):
        said = "nobody, or everybody, left among the unseen snapshots: the ranking cannot be measured"
    else:
        said = f"lift at 10% is {lift.value:.2f}, 95% interval from {lift.low:.2f}; it must be over {config.min_lift:g}"
    error = f"expected calibration error is {ece:.4f}; at most {config.max_calibration_error:g} is allowed"
    return [
        Check("ranks", lift.low > config.min_lift, said, {"lift_at_10": lift.to_json()}),
        Check("calibrated", ece <= config.max_calibration_error, error, {"ece": ece}),
    ]


def incomparable(why: str) -> Check:
    """Nothing can be said of which is better, and so the champion stays."""
    fix = "look at both cards, then: holdfast models promote VERSION --force --why …"
    return Check("better", False, f"{why}, so the two cannot be compared; {fix}")


def against_champion(contest: Contest, config: Promotion, *, replicates: int, seed: int) -> list[Check]:
    """The challenger beside the champion: better in log loss, and not materially worse in anything that matters.

    Every bound is one-sided at ``config.confidence``, from a paired bootstrap that draws customers. ``better`` asks for
    superiority; ``profit`` and ``calibration`` for non-inferiority: worse by the margin must be ruled out. ``slices``
    asks that no slice be shown to be worse, with Holm's correction over all slices.
    """
    where = f"on {len(contest.y):,} snapshots that neither was trained on, with {int(contest.y.sum()):,} churners"

    def difference(metric: str) -> Difference:
        return paired_difference(
            contest.y, contest.challenger, contest.champion, contest.customers, metric=metric, replicates=replicates,
            seed=seed, confidence=config.confidence, campaign=contest.campaign,
        )  # fmt: skip

    loss = difference("log_loss")
    better = Check(
        "better",
        loss.upper < 0,
        f"log loss differs from that of {contest.against} by {loss.value:+.5f} {where}; the upper bound "
        f"{loss.upper:+.5f} at {config.confidence:.1%} confidence must be below zero",
        {"difference": loss.to_json(), "n": len(contest.y), "against": contest.against},
    )
    return [
        better,
        _profit(contest, config, difference("profit")),
        _calibration(contest, config, difference("calibration_error")),
        _slices(contest, config, replicates, seed),
    ]


def _profit(contest: Contest, config: Promotion, gap: Difference) -> Check:
    # of the champion's own profit, a share would be anything where that is near zero
    perfect = campaign_profit(contest.y, contest.y, contest.campaign)
    allowed = config.profit_margin * perfect
    said = (
        f"profit at the project's budget differs by {gap.value:+.4g} per customer (perfect foresight would earn "
        f"{perfect:.4g}); the lower bound {gap.lower:+.4g} must not be below {-allowed:.4g}"
    )
    evidence = {"difference": gap.to_json(), "perfect": perfect, "margin": allowed}
    return Check("profit", gap.lower >= -allowed, said, evidence)


def _calibration(contest: Contest, config: Promotion, gap: Difference) -> Check:
    allowed = config.calibration_margin * float(contest.y.mean())
    said = (
        f"calibration error differs by {gap.value:+.5f}; the upper bound {gap.upper:+.5f} must not be above "
        f"{allowed:.5f}"
    )
    return Check("calibration", gap.upper <= allowed, said, {"difference": gap.to_json(), "margin": allowed})


def _slices(contest: Contest, config: Promotion, replicates: int, seed: int) -> Check:
    if not contest.slices:
        return Check("slices", True, "no slice is listed (training.slices)")
    worse = worse_in_slices(
        contest.y, contest.challenger, contest.champion, contest.slices, contest.customers,
        confidence=config.confidence, replicates=replicates, seed=seed,
    )  # fmt: skip
    columns = ", ".join(contest.slices)
    if not worse:
        return Check("slices", True, f"no slice of {columns} is shown to be worse")
    named = "; ".join(str(w) for w in worse[:MOST_SLICES_NAMED])
    said = f"{len(worse)} slices of {columns} are worse than with the champion ({named})"
    return Check("slices", False, said, {"worse": [w.to_json() for w in worse]})
