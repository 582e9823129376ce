"""Whether a batch is fit to be scored: nulls, categories and values never seen, its size, and stale tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.errors import MAX_EXAMPLES, shown
from holdfast.monitoring.reference import column_of
from holdfast.monitoring.staleness import Reach

Severity = Literal["warning", "error"]

MAX_NULL_INCREASE = 0.10  # of all rows
MAX_UNSEEN_SHARE = 0.01
MAX_OUT_OF_RANGE_SHARE = 0.01
MAX_ROW_CHANGE = 0.5  # fewer than half or more than one and a half times the rows expected


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a batch: ``error`` where its scores should not be used as they are."""

    severity: Severity
    where: str
    what: str


@dataclass(frozen=True)
class FeatureQuality:
    """One feature of a batch. Shares are of the rows (nulls) or of the known values (the others).

    Attributes
    ----------
    unseen_share : of categories that training never saw; None for a number, or where training saw too many to name
    out_of_range_share : of numbers outside training's least and greatest; None for a category
    """

    name: str
    null_share: float
    reference_null_share: float
    unseen_share: float | None
    unseen: tuple[str, ...]
    out_of_range_share: float | None


@dataclass(frozen=True)
class QualityReport:
    """The quality of one batch."""

    rows: int
    expected_rows: int | None
    tables: tuple[Reach, ...]
    features: tuple[FeatureQuality, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(f.severity != "error" for f in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tables": [t.to_json() for t in self.tables], "ok": self.ok}

    @property
    def stale(self) -> list[Reach]:
        """The tables that are further behind than they usually are."""
        return [t for t in self.tables if t.stale]


def check_quality(
    table: pa.Table,
    reference: Mapping[str, Any],
    *,
    expected_rows: int | None = None,
    tables: Sequence[Reach] = (),
) -> QualityReport:
    """Compare a batch with the reference of `holdfast.monitoring.reference.reference_histograms`.

    Parameters
    ----------
    table : the batch's feature rows
    expected_rows : about how many there should be, for example those of the previous batch
    tables : how far the source tables reach that the batch was made of

    Raises
    ------
    DataError
        A feature of the reference is not in the table.
    """
    features = tuple(
        _feature(name, column_of(table, name, "the batch"), of) for name, of in reference["features"].items()
    )
    findings = [f for feature in features for f in _feature_findings(feature)]
    return QualityReport(
        rows=len(table),
        expected_rows=expected_rows,
        tables=tuple(tables),
        features=features,
        findings=(*_batch_findings(len(table), expected_rows), *_table_findings(tables), *findings),
    )


def _feature(name: str, column: pa.ChunkedArray, of: Mapping[str, Any]) -> FeatureQuality:
    before = sum(of["counts"]) + of.get("other", 0) + of["null"]
    known = column.drop_null()
    unseen_share: float | None = None
    out_of_range: float | None = None
    unseen: tuple[str, ...] = ()
    if of["kind"] == "number":
        values = np.asarray(known.cast(pa.float64()).to_numpy(), dtype=np.float64)
        values = values[~np.isnan(values)]
        count = len(values)
        if count and of["min"] is not None:
            out_of_range = float(np.mean((values < of["min"]) | (values > of["max"])))
    else:
        count = len(known)
        if count and not of["other"]:
            known = known.cast(pa.string())
            new = known.filter(pc.invert(pc.is_in(known, value_set=pa.array(of["categories"], pa.string()))))
            unseen_share = len(new) / count
            unseen = tuple(sorted(pc.unique(new).to_pylist())[:MAX_EXAMPLES])
    return FeatureQuality(
        name,
        null_share=1.0 - count / len(column) if len(column) else 0.0,
        reference_null_share=of["null"] / before if before else 0.0,
        unseen_share=unseen_share,
        unseen=unseen,
        out_of_range_share=out_of_range,
    )


def _feature_findings(f: FeatureQuality) -> list[Finding]:
    found = []
    if f.null_share == 1.0 and f.reference_null_share < 1.0:
        found.append(Finding("error", f.name, f"is always null; in training {f.reference_null_share:.1%} was"))
    elif f.null_share - f.reference_null_share > MAX_NULL_INCREASE:
        found.append(Finding("warning", f.name, f"{f.null_share:.1%} null; in training {f.reference_null_share:.1%}"))
    if f.unseen_share is not None and f.unseen_share > MAX_UNSEEN_SHARE:
        examples = ", ".join(shown(value) for value in f.unseen)
        found.append(
            Finding("warning", f.name, f"{f.unseen_share:.1%} are categories never seen in training: {examples}")
        )
    if f.out_of_range_share is not None and f.out_of_range_share > MAX_OUT_OF_RANGE_SHARE:
        found.append(Finding("warning", f.name, f"{f.out_of_range_share:.1%} lie outside the range seen in training"))
    return found


def _batch_findings(rows: int, expected: int | None) -> list[Finding]:
    if not rows:
        return [Finding("error", "batch", "has no rows")]
    if expected and abs(rows - expected) > MAX_ROW_CHANGE * expected:
        return [Finding("error", "batch", f"has {rows:,} rows where about {expected:,} were expected")]
    return []


def _table_findings(tables: Sequence[Reach]) -> list[Finding]:
    return [Finding("warning", f"table '{t.name}'", f"is stale: {t.message}") for t in tables if t.stale]
