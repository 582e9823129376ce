"""Asks the gate all that can be asked of a bundle: its figures, the champion, the audit, the disk, the clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from holdfast.artifacts.dataset import Dataset
from holdfast.audit.splits import SplitRecord
from holdfast.errors import NotFoundError, StoreError
from holdfast.models.bundle import Bundle
from holdfast.models.latency import single_row_seconds
from holdfast.pipelines.audit import refusals
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.contest import contest
from holdfast.stores.state_tables import VersionRow
from holdfast.training.gate import Check, Verdict, against_champion, incomparable, worth_having
from holdfast.training.rows import TrainingRows
from holdfast.training.trainer import Trained

ROWS_SCORED_AGAIN = 1000


def judge(
    workspace: Workspace,
    champion: VersionRow | None,
    dataset: Dataset,
    rows: TrainingRows,
    trained: Trained,
    path: Path,
) -> Verdict:
    """The gate's verdict on a version.

    Parameters
    ----------
    champion : the version to beat; None where there is none, and for the champion itself
    path : where its bundle was saved
    """
    training = workspace.config.training
    config = training.promotion
    checks = worth_having(trained.measured.evaluation, trained.metrics["test"]["ece"], config)
    if champion is not None:
        found = contest(workspace, champion, rows, trained)
        if isinstance(found, str):
            checks.append(incomparable(found))
        else:
            checks += against_champion(found, config, replicates=training.bootstrap, seed=training.seed)
    leaks = refusals(workspace, dataset, [SplitRecord.of(trained.bundle.metrics)])
    checks.append(Check("audit", not leaks, "; ".join(leaks) or "the leakage audit found nothing"))
    return Verdict((*checks, _golden(path, trained.bundle, rows), _latency(trained.bundle, config.latency_ms)))


def _golden(path: Path, bundle: Bundle, rows: TrainingRows) -> Check:
    """Read from disk it must answer its golden sample, and real snapshots to the bit."""
    some = rows.take(np.arange(0, len(rows), max(1, len(rows) // ROWS_SCORED_AGAIN), dtype=np.int64))
    try:
        read = Bundle.load(path)
    except (NotFoundError, StoreError) as e:
        return Check("golden", False, f"the saved bundle cannot be used: {e}")
    same = np.array_equal(read.predict(some), bundle.predict(some))
    exactly = "to the bit" if same else "otherwise than before it was saved"
    return Check("golden", same, f"from disk it answers its golden sample, and {len(some):,} snapshots {exactly}")


def _latency(bundle: Bundle, limit_ms: float) -> Check:
    p95 = float(np.quantile(single_row_seconds(bundle), 0.95)) * 1000
    said = f"one customer with reasons takes at most {limit_ms:g} ms (95th percentile)"  # the same on every run
    if p95 > limit_ms:
        said = f"one customer with reasons takes {p95:.2f} ms (95th percentile); at most {limit_ms:g} ms is allowed"
    return Check("latency", p95 <= limit_ms, said, {"p95_ms": round(p95, 3)})
