"""What is audited: one dataset with the tables, the configuration and the recorded splits it stands on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.dataset import KEYS, LABEL_COLUMNS, Dataset
from holdfast.artifacts.engine import Engine
from holdfast.audit.splits import SplitRecord
from holdfast.clock import naive
from holdfast.config.schema import Config
from holdfast.snapshots.calendar import Cutoff

SHARES = 1 << 16


@dataclass(frozen=True)
class Effort:
    """How much is looked at.

    Attributes
    ----------
    pairs : snapshots that the slow oracle recomputes
    cutoffs : cutoffs whose features are computed again on the engine; 0 is all of them
    grids : of these, cutoffs of at most so many monthly grids, each of which is a computation of its own
    metamorphic : cutoffs at which unusable rows are deleted, scrambled and duplicated; 0 leaves that out
    snapshots : of a larger dataset, the snapshots of a share of the customers are read
    """

    pairs: int = 300
    cutoffs: int = 0
    grids: int = 4
    metamorphic: int = 3
    snapshots: int = 400_000

    def covers(self, other: Effort) -> bool:
        """Whether it looks at no less than another."""
        fewer = self.cutoffs and (not other.cutoffs or self.cutoffs < other.cutoffs)
        mine, theirs = ((e.pairs, e.grids, e.metamorphic, e.snapshots) for e in (self, other))
        return not fewer and all(m >= t for m, t in zip(mine, theirs, strict=True))


FULL = Effort()
GATE = Effort(pairs=120, cutoffs=4, grids=1, metamorphic=0, snapshots=150_000)
"""Before promotion: of fewer customers, and values on a smaller sample; else all that is looked at in full."""


@dataclass(frozen=True)
class Subject:
    """One dataset and all it stands on.

    Attributes
    ----------
    tables : canonical tables by name
    cutoffs : the manifest's, with label windows from the configuration
    stored : (n,) snapshots as they lie in the offline store, all states, in (cutoff, customer_id) order
    kept : the customers read; None for all of them
    splits : what trained bundles record of their folds, by version
    changed : tables whose rows known then are others now
    """

    config: Config
    engine: Engine
    tables: Mapping[str, Any]
    dataset: Dataset
    cutoffs: tuple[Cutoff, ...]
    stored: pa.Table
    kept: frozenset[str] | None
    splits: tuple[SplitRecord, ...]
    changed: tuple[str, ...]
    watermark: datetime
    effort: Effort
    seed: int
    progress: Callable[[str], None]

    @property
    def known_as_of(self) -> datetime:
        return self.dataset.manifest.known_as_of

    @property
    def complete_through(self) -> datetime:
        return min(self.dataset.manifest.known_as_of, self.dataset.manifest.complete_through)

    def rng(self, salt: str) -> np.random.Generator:
        """Random numbers of the seed; each use has its own."""
        return np.random.default_rng([self.seed, zlib.crc32(salt.encode())])

    def only_kept(self, table: Any) -> Any:
        """The rows of an engine table that are of the customers read."""
        if self.kept is None:
            return table
        ids = pa.table({"customer_id": pa.array(sorted(self.kept), pa.string())})
        return table.semi_join(self.engine.from_arrow(ids, "audit_kept"), "customer_id")

    def matured(self) -> pa.Table:
        """The stored snapshots that have a label."""
        return self.stored.filter(pc.is_valid(self.stored.column("label")))


def cutoffs_of(dataset: Dataset, config: Config) -> tuple[Cutoff, ...]:
    """The cutoffs of a dataset, their label windows from the configuration."""
    data = config.data
    return tuple(Cutoff.of(c.cutoff, data.label, data.cutoffs) for c in dataset.manifest.cutoffs)


def read_stored(dataset: Dataset, most: int) -> tuple[pa.Table, frozenset[str] | None]:
    """The snapshots of a dataset; where there are more than ``most``, those of a share of the customers (by hash)."""
    share = min(1.0, most / max(dataset.manifest.snapshots, 1))
    names = [*KEYS, *LABEL_COLUMNS, *dataset.manifest.schema.names]
    if share == 1.0:
        return dataset.read(state=None).select(names), None
    kept: dict[str, bool] = {}
    parts: list[pa.Table] = []
    for count in dataset.manifest.cutoffs:
        part = dataset.read([count.cutoff], state=None).select(names)
        ids = part.column("customer_id").to_pylist()
        for customer in ids:
            if customer not in kept:
                kept[customer] = zlib.crc32(customer.encode()) % SHARES < share * SHARES
        parts.append(part.filter(pa.array([kept[c] for c in ids])))
    return pa.concat_tables(parts), frozenset(c for c, keep in kept.items() if keep)


def times(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """(n,) datetime64[us]; null is NaT."""
    return np.asarray(column.to_numpy(), dtype="datetime64[us]")


def moment(value: datetime) -> Any:
    """An instant as datetime64[us]."""
    return np.datetime64(naive(value), "us")
