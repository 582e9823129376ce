"""Purged walk-forward folds over cutoffs, and customer-grouped folds (DESIGN 3.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from holdfast.clock import Grid, iso
from holdfast.config.learning import Folds
from holdfast.errors import DataError, Problem


@dataclass(frozen=True)
class TimeFold:
    """Train on ``train`` cutoffs, measure on ``test`` cutoffs; every training label is known by the first test."""

    train: tuple[datetime, ...]
    test: tuple[datetime, ...]


@dataclass(frozen=True)
class TimeSplit:
    """Walk-forward validation folds and the final test, touched once."""

    folds: tuple[TimeFold, ...]
    final: TimeFold


def walk_forward(cutoffs: Sequence[tuple[datetime, datetime]], folds: Folds) -> TimeSplit:
    """Split matured cutoffs in time.

    Parameters
    ----------
    cutoffs : (cutoff, label_available_at) of every matured cutoff, ascending

    Returns
    -------
    TimeSplit
        For each test cutoff c, training cutoffs are those with ``label_available_at + embargo <= c`` (purged).
        The folds' validation cutoffs precede the final test, and are themselves purged against it.

    Raises
    ------
    DataError
        Too few matured cutoffs.
    """
    need = folds.test_cutoffs + 2
    if len(cutoffs) < need:
        raise _too_few(len(cutoffs), need)
    test = tuple(c for c, _ in cutoffs[-folds.test_cutoffs :])
    usable = [(c, known) for c, known in cutoffs if _over(known, test[0], folds)]  # these choose and calibrate
    found: list[TimeFold] = []
    for c, _ in usable[-folds.validation_cutoffs :]:
        train = purged(usable, c, folds)
        if train:
            found.append(TimeFold(train, (c,)))
    final = TimeFold(purged(cutoffs, test[0], folds), test)
    if not found or not final.train:
        raise _too_few(len(cutoffs), need)
    return TimeSplit(tuple(found), final)


def purged(cutoffs: Sequence[tuple[datetime, datetime]], test: datetime, folds: Folds) -> tuple[datetime, ...]:
    """Cutoffs whose labels were known (and the embargo over) by ``test``, the latest ``train_months`` of them."""
    oldest = datetime.min.replace(tzinfo=test.tzinfo)
    if folds.train_months is not None:
        oldest = Grid(test.day).step(test, -folds.train_months)
    return tuple(c for c, known in cutoffs if _over(known, test, folds) and c >= oldest)


def _over(known: datetime, test: datetime, folds: Folds) -> bool:
    """Whether a label was known, and the embargo over, by ``test``."""
    return known + timedelta(days=folds.embargo.days) <= Grid(test.day).step(test, -folds.embargo.months)


def everything_matured(cutoffs: Sequence[datetime], folds: Folds) -> tuple[datetime, ...]:
    """The cutoffs that a model which serves is fitted on: all matured ones, the latest ``train_months`` of them.

    Parameters
    ----------
    cutoffs : matured, ascending
    """
    if folds.train_months is None:
        return tuple(cutoffs)
    last = cutoffs[-1]
    oldest = Grid(last.day).step(last, -folds.train_months)
    return tuple(c for c in cutoffs if c > oldest)


def customer_folds(customer_ids: Sequence[str], groups: int, *, seed: int) -> npt.NDArray[np.int64]:
    """A fold number per row such that all rows of one customer share it.

    The number is a hash of seed and id, so it depends neither on order nor on who else is there.
    """
    unique = sorted(set(customer_ids))
    number = {c: int.from_bytes(hashlib.sha256(f"{seed}|{c}".encode()).digest()[:8], "big") % groups for c in unique}
    return np.fromiter((number[c] for c in customer_ids), dtype=np.int64, count=len(customer_ids))


def require_purged(split: TimeSplit, known: dict[datetime, datetime]) -> None:
    """Check that no training label was known only after its fold's first test cutoff.

    Raises
    ------
    DataError
        A fold is not purged; this is a defect of the split, never of the data.
    """
    for fold in (*split.folds, split.final):
        late = [c for c in fold.train if known[c] > min(fold.test)]
        if late:
            raise DataError("a split sees the future", [Problem(f"fold {iso(min(fold.test))}", f"{len(late)} cutoffs")])


def _too_few(have: int, need: int) -> DataError:
    return DataError(
        "too little matured history to train and test in time",
        [
            Problem(
                "data.cutoffs",
                f"{have} matured cutoffs, at least {need} are needed",
                "Bring more history, start cutoffs earlier, or lower training.folds.test_cutoffs.",
            )
        ],
    )
