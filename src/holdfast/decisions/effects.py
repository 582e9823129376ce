"""What each action does, measured from randomised treatments; assumed, and said so, where it cannot be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.config.business import Action, DecisionsSection, Treatments
from holdfast.decisions.experiment import Measured, Trial, compute_measured, compute_mismatch
from holdfast.errors import DataError, Problem, did_you_mean

TREATMENT_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("assigned_at", pa.timestamp("us")),
        ("offer", pa.string()),  # the action that was offered or, to the control, withheld
        ("treated", pa.bool_()),
        ("propensity", pa.float64()),  # probability of being treated, set before the draw
        ("churned", pa.bool_()),  # within the window after assigned_at; null where not matured
        ("matured", pa.bool_()),  # by assigned_at and the window alone, never by what happened
    ]
)

CONFIDENCE = 0.95
MIN_CHURNED_CONTROL = 10  # a ratio over fewer events than this is mostly noise, and biased
MISMATCH_P = 0.001  # assignments this unlikely under the stated propensities were not drawn by them


@dataclass(frozen=True)
class Effect:
    """The share of would-be churners an action keeps, and how it is known.

    Attributes
    ----------
    retention : 1 - churn rate treated / churn rate control; below 0 the action drives customers away
    low, high : interval of ``confidence``; None where assumed
    source : ``measured`` or ``assumed``
    why : in words, for the manifest
    """

    action: str
    retention: float
    low: float | None
    high: float | None
    source: Literal["measured", "assumed"]
    why: str
    confidence: float = CONFIDENCE
    measured: Measured | None = None

    @property
    def distinguishable(self) -> bool | None:
        """Whether the interval leaves out zero; None where the effect is assumed."""
        return None if self.low is None or self.high is None else not self.low <= 0.0 <= self.high

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "distinguishable": self.distinguishable}


Effects = dict[str, Effect]


def compute_effects(
    treatments: pa.Table | None, config: DecisionsSection, *, confidence: float = CONFIDENCE
) -> Effects:
    """The effect of every configured action.

    Parameters
    ----------
    treatments : rows of `TREATMENT_SCHEMA`, or None where nothing was randomised. Rows that have not matured,
        offers that are no configured action, and rows whose propensity is 0, 1 or null (nobody could have been
        in the other arm) are not used; the counts are in `Effect.why`
    config : actions with their assumed retention, and ``treatments.min_treated``
    confidence : of the interval

    Notes
    -----
    Decisions use the point estimate, not a cautious bound: it is the one that makes the expected total right. Taking
    the best of several noisy estimates still flatters the winner; the interval of the total in the manifest of a
    decision run shows how much that can matter. The relative effect over the treatments' window is carried over
    to the label horizon and to every level of risk; only an experiment at those levels could say otherwise.

    Raises
    ------
    DataError
        Columns are missing, a propensity lies outside [0, 1], or a matured row has no outcome.
    """
    if treatments is None:
        return {name: _assumed(name, action, "no randomised treatments") for name, action in config.actions.items()}
    table = _checked(treatments)
    minimum = config.treatments.min_treated if config.treatments else Treatments.model_fields["min_treated"].default
    return {
        name: _effect(name, action, table.filter(pc.equal(table.column("offer"), name)), minimum, confidence)
        for name, action in config.actions.items()
    }


def _effect(name: str, action: Action, rows: pa.Table, min_treated: int, confidence: float) -> Effect:
    trial, left_out = _trial(rows)
    note = f" ({left_out})" if left_out else ""
    n_treated = int(trial.treated.sum())
    if n_treated < min_treated:
        return _assumed(name, action, f"{n_treated} treated, fewer than {min_treated}{note}")
    churned_control = int(trial.churned[~trial.treated].sum())
    if churned_control < MIN_CHURNED_CONTROL:
        return _assumed(name, action, f"{churned_control} churned untreated, fewer than {MIN_CHURNED_CONTROL}{note}")
    mismatch = compute_mismatch(trial)
    if mismatch < MISMATCH_P:
        share, stated = trial.treated.mean(), trial.propensity.mean()
        return _assumed(
            name,
            action,
            f"the treatments do not look randomised as stated: {share:.1%} were treated where the propensities say "
            f"{stated:.1%} (p = {mismatch:.1g}){note}",
        )
    m = compute_measured(trial, confidence)
    why = (
        f"measured on {m.n_treated:,} treated ({m.rate_treated:.1%} churned) and {m.n_control:,} left alone "
        f"({m.rate_control:.1%}): keeps {m.retention:.1%} of would-be churners, "
        f"{confidence:.0%} interval {m.low:.1%} to {m.high:.1%}{note}"
    )
    if m.low <= 0.0 <= m.high:
        why += "; not distinguishable from zero"
    return Effect(name, m.retention, m.low, m.high, "measured", why, confidence, m)


def _assumed(name: str, action: Action, because: str) -> Effect:
    return Effect(name, action.retention, None, None, "assumed", f"assumed {action.retention:.1%}: {because}")


def _trial(rows: pa.Table) -> tuple[Trial, str]:
    """The usable rows as arrays, and in words what was left out."""
    matured = rows.filter(rows.column("matured"))
    propensity = pc.fill_null(matured.column("propensity"), 0.0)
    usable = matured.filter(pc.and_(pc.greater(propensity, 0.0), pc.less(propensity, 1.0)))
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (len(rows) - len(matured), "not matured"),
            (len(matured) - len(usable), "not randomised"),
        )
        if count
    ]
    customer = usable.column("customer_id").combine_chunks().dictionary_encode().indices
    trial = Trial(
        customer=np.asarray(customer, dtype=np.int64),
        treated=_bools(usable.column("treated")),
        propensity=np.asarray(usable.column("propensity"), dtype=np.float64),
        churned=_bools(usable.column("churned")),
    )
    return trial, ", ".join(parts) + (" left out" if parts else "")


def _bools(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(column.to_numpy(), dtype=np.bool_)


def _checked(table: pa.Table) -> pa.Table:
    where = "treatments"
    missing = [name for name in TREATMENT_SCHEMA.names if name not in table.column_names]
    if missing:
        extra = set(table.column_names) - set(TREATMENT_SCHEMA.names)
        raise DataError(
            "effects cannot be measured",
            [Problem(where, f"column '{name}' is missing", did_you_mean(name, extra)) for name in missing],
        )
    table = table.select(TREATMENT_SCHEMA.names).cast(TREATMENT_SCHEMA)
    propensity = table.column("propensity")
    bad = pc.fill_null(pc.or_(pc.less(propensity, 0.0), pc.greater(propensity, 1.0)), False)
    bad = pc.or_(bad, pc.fill_null(pc.is_nan(propensity), False))
    problems = []
    if pc.any(bad).as_py():
        examples = tuple(propensity.filter(bad).slice(0, 3).to_pylist())
        problems.append(Problem(where, "a propensity lies outside 0 to 1", examples=examples))
    problems += [
        Problem(where, f"'{name}' is null in {table.column(name).null_count} rows")
        for name in ("customer_id", "treated", "matured")
        if table.column(name).null_count
    ]
    unknown = pc.and_(pc.fill_null(table.column("matured"), False), pc.is_null(table.column("churned")))
    if pc.any(unknown).as_py():
        problems.append(Problem(where, "a matured row has no outcome", "Give churned, or matured = false."))
    if problems:
        raise DataError("effects cannot be measured", problems)
    return table
