"""All that a model card shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.evaluation.arrays import FloatArray

Body = Mapping[str, Any]


@dataclass(frozen=True)
class CardData:
    """All that a card shows. Equal data gives equal cards: there is no wall clock in one.

    Attributes
    ----------
    project : its name
    manifest, metrics : of the bundle, as JSON
    dataset : the dataset's manifest, as JSON
    features : the columns that the model reads
    importance : measures with ``label``, ``share`` of the mean absolute contribution and, where known, its ``low``
        and ``high``; largest first
    y, p : (n,) labels and probabilities of the snapshots that ``metrics["test"]`` measures
    effects : of the features that move scores most, as `holdfast.models.dependence.Effect` has them: in bins, so that
        nobody's row is on a card
    profit : (k, 2) share of customers contacted, 0 to 1, and profit per customer of the base; None where no campaign
        is described
    currency : of the profit
    version : None in a bundle, which does not know its number
    verdict : the gate's, as JSON; None in a bundle, which is judged after it is made
    """

    project: str
    manifest: Body
    metrics: Body
    dataset: Body
    features: Sequence[str]
    importance: Sequence[Body]
    y: FloatArray
    p: FloatArray
    effects: Sequence[Body] = ()
    profit: FloatArray | None = None
    currency: str = ""
    version: int | None = None
    verdict: Body | None = None

    @property
    def title(self) -> str:
        return f"{self.project}: model" + ("" if self.version is None else f" version {self.version}")

    @property
    def reconstructed(self) -> bool:
        return bool(self.dataset["history"] == "reconstructed")

    @property
    def timed(self) -> bool:
        """Whether the figures are those of later cutoffs, rather than of other customers."""
        return bool(self.metrics["folds"]["kind"].startswith("purged"))
