"""A dataset: the snapshots of one build, as Parquet partitioned by cutoff, with a manifest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import Every, iso, naive, parse_instant
from holdfast.errors import NotFoundError, StoreError
from holdfast.types import DatasetId, History

if TYPE_CHECKING:
    import pyarrow.dataset as ds

MANIFEST = "manifest.json"
KEYS = ("customer_id", "cutoff")
LABEL_COLUMNS = ("label", "state", "label_available_at")


@dataclass(frozen=True)
class CutoffCount:
    """Snapshots of one cutoff.

    Attributes
    ----------
    cutoff : the instant
    label_available_at : when the labels of this cutoff are known
    snapshots, positives : counts; positives among the matured only
    states : snapshots by state (matured, immature, in_lead)
    excluded : who is not among the snapshots, by reason (`holdfast.snapshots.population.EXCLUDED`)
    other_reason : matured snapshots of customers who left in the label window for a reason that is no churn
    sha256 : of the cutoff's file; empty in datasets that were written before it was recorded
    """

    cutoff: datetime
    label_available_at: datetime
    snapshots: int
    positives: int
    states: dict[str, int]
    excluded: dict[str, int] = field(default_factory=dict)
    other_reason: int = 0
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "cutoff": iso(self.cutoff), "label_available_at": iso(self.label_available_at)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CutoffCount:
        times = {name: parse_instant(data[name]) for name in ("cutoff", "label_available_at")}
        return cls(**{**data, **times})


@dataclass(frozen=True)
class DatasetManifest:
    """What a dataset is, of which rows, and what of it must be said aloud. No wall clock."""

    dataset_id: DatasetId
    project: str
    known_as_of: datetime
    complete_through: datetime
    history: History
    reconstructed_why: str
    anchor_days: tuple[int, ...]
    label: dict[str, str]
    schema: FeatureSchema
    cutoffs: tuple[CutoffCount, ...]
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per table: rows, rows known, hash, and notes (versions, duplicates, dropped)."""
    notes: dict[str, Any] = field(default_factory=dict)
    every: Every = "month"
    basis: dict[str, str] = field(default_factory=dict)
    """What the features rest on: a later build can tell which of them still hold (`holdfast.pipelines.reuse`)."""
    config: dict[str, Any] = field(default_factory=dict)
    """The configuration that is part of the id; empty in datasets that were written before it was recorded."""

    @property
    def snapshots(self) -> int:
        return sum(c.snapshots for c in self.cutoffs)

    @property
    def matured(self) -> int:
        return sum(c.states.get("matured", 0) for c in self.cutoffs)

    @property
    def positives(self) -> int:
        return sum(c.positives for c in self.cutoffs)

    def matured_cutoffs(self) -> list[datetime]:
        """Cutoffs with matured snapshots, ascending."""
        return [c.cutoff for c in self.cutoffs if c.states.get("matured", 0)]

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset_id": self.dataset_id,
            "project": self.project,
            "known_as_of": iso(self.known_as_of),
            "complete_through": iso(self.complete_through),
            "history": self.history,
            "reconstructed_why": self.reconstructed_why,
            "anchor_days": list(self.anchor_days),
            "every": self.every,
            "label": self.label,
            "snapshots": self.snapshots,
            "matured": self.matured,
            "positives": self.positives,
            "end_state": self.schema.end_state,
            "cutoffs": [c.to_json() for c in self.cutoffs],
            "sources": self.sources,
            "notes": self.notes,
            "basis": self.basis,
            "config": self.config,
            "features": self.schema.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DatasetManifest:
        return cls(
            dataset_id=DatasetId(data["dataset_id"]),
            project=data["project"],
            known_as_of=parse_instant(data["known_as_of"]),
            complete_through=parse_instant(data["complete_through"]),
            history=data["history"],
            reconstructed_why=data["reconstructed_why"],
            anchor_days=tuple(data["anchor_days"]),
            every=data["every"],
            label=data["label"],
            schema=FeatureSchema.from_json(data["features"]),
            cutoffs=tuple(CutoffCount.from_json(c) for c in data["cutoffs"]),
            sources=data["sources"],
            notes=data["notes"],
            basis=data.get("basis", {}),
            config=data.get("config", {}),
        )


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk: ``manifest.json`` and ``cutoff=YYYY-MM-DD/part-0.parquet``."""

    path: Path
    manifest: DatasetManifest

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Open a dataset folder.

        Raises
        ------
        NotFoundError
            There is no manifest in ``path``.
        StoreError
            The manifest cannot be read.
        """
        file = path / MANIFEST
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            return cls(path, DatasetManifest.from_json(data))
        except FileNotFoundError as e:
            raise NotFoundError(f"no dataset at {path}", fix="Run: holdfast build") from e
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as e:
            raise StoreError(f"{file} is not a dataset manifest: {e}", fix="Run: holdfast build --force") from e

    def part(self, cutoff: datetime) -> Path:
        """The Parquet file of a cutoff."""
        return self.path / f"cutoff={iso(cutoff)}" / "part-0.parquet"

    def files(self, cutoffs: Sequence[datetime] | None = None) -> list[Path]:
        """The Parquet files of the given cutoffs (all by default), for any engine that reads such."""
        wanted = [c.cutoff for c in self.manifest.cutoffs] if cutoffs is None else cutoffs
        return [self.part(cutoff) for cutoff in wanted]

    def scan(self, cutoffs: Sequence[datetime] | None = None) -> ds.Dataset:
        """The snapshots of the given cutoffs (all by default), whatever their state, as a lazy PyArrow dataset.

        Nothing is read before it is asked for, and then only the columns and row groups that are: DuckDB, Polars and
        pandas take it as it is (docs/how-to/read-datasets-elsewhere.md).

        Raises
        ------
        NotFoundError
            The dataset has no file of a cutoff.
        """
        import pyarrow.dataset as ds  # most verbs never need it

        files = self.files(cutoffs)
        for file in files:
            if not file.exists():
                raise self._missing(file)
        return ds.dataset([str(f) for f in files], schema=snapshot_schema(self.manifest.schema), format="parquet")

    def _missing(self, file: Path) -> NotFoundError:
        cutoff = file.parent.name.removeprefix("cutoff=")
        return NotFoundError(f"dataset {self.manifest.dataset_id} has no cutoff {cutoff} ({file})")

    def read(
        self,
        cutoffs: Sequence[datetime] | None = None,
        *,
        columns: Sequence[str] | None = None,
        state: str | None = "matured",
    ) -> pa.Table:
        """Snapshots of the given cutoffs (all by default) in cutoff, customer order.

        Columns are customer_id, cutoff, label (int8, null unless matured), state, label_available_at and the
        features; ``columns`` selects features. ``state`` keeps one state; None keeps all.
        """
        names = self.manifest.schema.names if columns is None else list(columns)
        keep = [*KEYS, *LABEL_COLUMNS, *names]
        parts: list[pa.Table] = []
        for file in self.files(cutoffs):
            if not file.exists():
                raise self._missing(file)
            part = pq.ParquetFile(file).read(columns=keep)
            if state is not None:
                kept = pc.fill_null(pc.equal(part.column("state"), state), False)
                part = part if pc.all(kept).as_py() else part.filter(kept)  # most parts need no copy
            parts.append(part)
        if not parts:
            raise NotFoundError(f"dataset {self.manifest.dataset_id} has no cutoffs")
        return pa.concat_tables(parts)


def snapshot_schema(schema: FeatureSchema) -> pa.Schema:
    """The Arrow schema of a part file."""
    return pa.schema(
        [
            ("customer_id", pa.string()),
            ("cutoff", pa.timestamp("us")),
            ("label", pa.int8()),
            ("state", pa.string()),
            ("label_available_at", pa.timestamp("us")),
            *((f.name, f.arrow_type) for f in schema),
        ]
    )


def cutoff_scalar(cutoff: datetime) -> pa.Scalar:
    """A cutoff as tables hold it."""
    return pa.scalar(naive(cutoff), pa.timestamp("us"))
