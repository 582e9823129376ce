"""Which features, and whether the score, are no longer distributed as in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.config.business import DriftThresholds
from holdfast.monitoring.divergence import adjusted, compute_chance, kl, psi
from holdfast.monitoring.reference import SCORE, bin_names, column_of, compute_counts, reference_counts

What = Literal["values", "nulls", "score"]
Verdict = Literal["stable", "drifted", "no verdict"]


@dataclass(frozen=True)
class DriftRow:
    """One comparison.

    Attributes
    ----------
    name, what : the feature and its known values or its nulls; or the score
    psi, kl : divergence of the current batch from the reference
    psi_expected, psi_critical : what chance alone gives on average, and with probability ``false_alarm`` or less
    p, p_adjusted : of chance, alone and among all rows of the report; None without a verdict
    rows, reference_rows : compared
    change : the bin that changed most, in words
    """

    name: str
    what: What
    psi: float
    kl: float
    psi_expected: float
    psi_critical: float
    p: float | None
    p_adjusted: float | None
    rows: int
    reference_rows: int
    verdict: Verdict
    change: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class DriftReport:
    """All comparisons of one batch with the reference."""

    rows: tuple[DriftRow, ...]
    thresholds: DriftThresholds

    @property
    def score(self) -> DriftRow | None:
        """The score's row, if scores were compared."""
        return next((r for r in self.rows if r.what == "score"), None)

    @property
    def drifted(self) -> list[str]:
        """Features whose values or nulls drifted."""
        return list(dict.fromkeys(r.name for r in self.rows if r.verdict == "drifted" and r.what != "score"))

    @property
    def judged(self) -> list[str]:
        """Features with a verdict."""
        return list(dict.fromkeys(r.name for r in self.rows if r.verdict != "no verdict" and r.what != "score"))

    @property
    def drifted_share(self) -> float | None:
        """Drifted among the judged features; None where none could be judged."""
        return len(self.drifted) / len(self.judged) if self.judged else None

    def to_json(self) -> dict[str, Any]:
        return {
            "thresholds": self.thresholds.model_dump(mode="json"),
            "drifted": self.drifted,
            "judged": len(self.judged),
            "drifted_share": self.drifted_share,
            "rows": [r.to_json() for r in self.rows],
        }


def compute_drift(
    table: pa.Table,
    reference: Mapping[str, Any],
    thresholds: DriftThresholds,
    *,
    scores: NDArray[np.float64] | None = None,
) -> DriftReport:
    """Compare a batch with the reference of `reference_histograms`.

    A row drifted iff it is far (PSI or KL above its threshold) *and* not by chance (adjusted p below ``false_alarm``).
    Size alone would alarm on small batches, whose PSI is large by chance; chance alone would alarm on large ones,
    where every trifle is significant. Known values and nulls are compared apart: a feature half of which went
    missing has not changed its values.

    Rows of one customer at several cutoffs are not independent, so the reference counts as no more rows than it
    has customers: with that, alarms are rarer than stated, not more frequent.

    Parameters
    ----------
    table : m current rows, one per customer, with the reference's features
    scores : (m,) current predictions

    Raises
    ------
    DataError
        A feature of the reference is not in the table.
    """
    found: list[DriftRow] = []
    independent = min(1.0, reference["customers"] / max(reference["rows"], 1))
    for name, of in reference["features"].items():
        counts, nulls = compute_counts(column_of(table, name, "the batch"), of)
        known, known_before = int(counts.sum()), reference_counts(of)
        found.append(_row(name, "values", counts, known_before, bin_names(of), thresholds, independent))
        if nulls or of["null"]:
            before = np.array([known_before.sum(), of["null"]])
            found.append(
                _row(name, "nulls", np.array([known, nulls]), before, ["known", "null"], thresholds, independent)
            )
    if scores is not None and reference["score"] is not None:
        of = reference["score"]
        counts, _ = compute_counts(pa.chunked_array([pa.array(scores)]), of)
        found.append(_row(SCORE, "score", counts, reference_counts(of), bin_names(of), thresholds, independent))
    return DriftReport(tuple(_with_verdicts(found, thresholds)), thresholds)


def _row(
    name: str,
    what: What,
    current: NDArray[np.int64],
    reference: NDArray[np.int64],
    names: list[str],
    thresholds: DriftThresholds,
    independent: float,
) -> DriftRow:
    m, n = int(current.sum()), int(reference.sum())
    if m == 0 or n == 0:
        return DriftRow(name, what, 0.0, 0.0, 0.0, 0.0, None, None, m, n, "no verdict", "nothing to compare")
    size = max(n * independent, 1.0)
    chance = compute_chance(current, reference, thresholds.false_alarm, reference_size=size)
    return DriftRow(
        name,
        what,
        psi(current, reference),
        kl(current, reference),
        chance.psi_expected,
        chance.psi_critical,
        chance.p if min(m, size) >= thresholds.min_rows else None,
        None,
        m,
        n,
        "no verdict",
        _change(current / m, reference / n, names),
    )


def _with_verdicts(rows: list[DriftRow], thresholds: DriftThresholds) -> list[DriftRow]:
    judged = [i for i, row in enumerate(rows) if row.p is not None]
    adjusted_p = adjusted(np.array([rows[i].p for i in judged], dtype=np.float64))
    out = list(rows)
    for i, p in zip(judged, adjusted_p.tolist(), strict=True):
        far = rows[i].psi > thresholds.psi or rows[i].kl > thresholds.kl
        verdict: Verdict = "drifted" if far and p < thresholds.false_alarm else "stable"
        out[i] = replace(rows[i], p_adjusted=p, verdict=verdict)
    return out


def _change(current: NDArray[np.float64], reference: NDArray[np.float64], names: list[str]) -> str:
    at = int(np.argmax(np.abs(current - reference)))
    return f"{names[at]}: {reference[at]:.1%} -> {current[at]:.1%}"
