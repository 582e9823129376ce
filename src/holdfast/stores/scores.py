"""Scores and decisions on disk: ``scores/cutoff=YYYY-MM-DD/part-0.parquet`` beside a manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.artifacts.batches import DECISION_SCHEMA, SCORE_SCHEMA, DecisionBatch, ScoreBatch
from holdfast.artifacts.dataset import KEYS, MANIFEST
from holdfast.artifacts.engine import Engine, Part
from holdfast.artifacts.files import settle, sha256_of, write_json, writing_folder
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso, parse_instant
from holdfast.errors import NotFoundError, NotReadyError, StoreError
from holdfast.stores.parts import in_order, write_parquet

SCORES = "scores"
DECISIONS = "decisions"
FEATURES = "features"
PART = "part-0.parquet"
BATCH = 65_536

MADE_OF = "made_of"
"""In a manifest: the sha256 of the Parquet file that the rows were made of; see `check_made_of`."""

_PREFIX = "cutoff="
_SOURCES = {SCORES: FEATURES, DECISIONS: SCORES}
_VERBS = {SCORES: "Run: holdfast score", FEATURES: "Run: holdfast score", DECISIONS: "Run: holdfast decide"}


def write_scores(root: Path, engine: Engine, cutoff: datetime, rows: Any, manifest: dict[str, Any]) -> Path:
    """Write the scores of a cutoff, in place of any before; the engine writes the rows where they are.

    Parameters
    ----------
    root : var/<project>
    rows : an expression of SCORE_SCHEMA

    Raises
    ------
    DataError
        The rows lack a column, are of another cutoff or repeat a customer.
    StoreError
        The disk is full or not writable; what was there is as it was.
    """
    return _write_rows(root, SCORES, engine, cutoff, rows, SCORE_SCHEMA, manifest)


def read_scores(root: Path, cutoff: datetime | None = None) -> ScoreBatch:
    """The scores of a cutoff; by default of the latest.

    Raises
    ------
    NotReadyError
        There are none at all.
    NotFoundError
        There are none of that cutoff.
    StoreError
        They cannot be read.
    """
    return ScoreBatch(*_read(root, SCORES, cutoff))


def score_cutoffs(root: Path) -> list[datetime]:
    """Cutoffs that have scores, ascending."""
    return _cutoffs(root / SCORES)


@dataclass(frozen=True)
class ScoredRows:
    """What a cutoff's file holds, to read some at a time.

    Attributes
    ----------
    kind : SCORES, DECISIONS or FEATURES
    """

    kind: str
    cutoff: datetime
    file: Path
    schema: pa.Schema
    manifest: dict[str, Any]

    @property
    def rows(self) -> int:
        """How many there are; StoreError if that cannot be read."""
        with _reading(self.file, self.kind):
            return int(pq.read_metadata(self.file).num_rows)

    def batches(self) -> Iterator[pa.Table]:
        """The rows in customer_id order, `BATCH` at a time; StoreError if they cannot be read."""
        with _reading(self.file, self.kind), pq.ParquetFile(self.file) as opened:
            for batch in opened.iter_batches(BATCH):
                yield pa.Table.from_batches([batch])


def scored_rows(root: Path, kind: str, cutoff: datetime | None = None) -> ScoredRows:
    """What there is of a cutoff, not read yet; as `read_scores`."""
    known = _cutoffs(root / kind)
    if not known:
        raise NotReadyError(f"no {kind} in {root / kind}", fix=_VERBS[kind])
    cutoff = known[-1] if cutoff is None else cutoff
    if cutoff not in known:
        raise NotFoundError(
            f"no {kind} of cutoff {iso(cutoff)} in {root / kind}; the latest is {iso(known[-1])}", fix=_VERBS[kind]
        )
    folder = root / kind / f"{_PREFIX}{iso(cutoff)}"
    with _reading(folder, kind):
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return ScoredRows(kind, cutoff, folder / PART, pq.read_schema(folder / PART), manifest)


def write_decisions(root: Path, batch: DecisionBatch) -> Path:
    """Write the decisions of a cutoff; as `write_scores`."""
    return _write(root, DECISIONS, batch.cutoff, batch.table, DECISION_SCHEMA, batch.manifest)


def read_decisions(root: Path, cutoff: datetime | None = None) -> DecisionBatch:
    """The decisions of a cutoff, by default of the latest; as `read_scores`."""
    return DecisionBatch(*_read(root, DECISIONS, cutoff))


def write_features(
    root: Path, engine: Engine, cutoff: datetime, rows: Any, schema: FeatureSchema
) -> Path:  # fmt: skip
    """Write the features that a cutoff was scored on; as `write_scores`. Columns: customer_id, cutoff, features."""
    arrow = pa.schema([*(SCORE_SCHEMA.field(key) for key in KEYS), *((f.name, f.arrow_type) for f in schema)])
    manifest = {"cutoff": iso(cutoff), "schema": schema.to_json()}
    return _write_rows(root, FEATURES, engine, cutoff, rows, arrow, manifest)


def read_features(root: Path, cutoff: datetime | None = None) -> tuple[datetime, pa.Table, dict[str, Any]]:
    """The features of a scored cutoff, by default of the latest; as `read_scores`."""
    return _read(root, FEATURES, cutoff)


def decision_cutoffs(root: Path) -> list[datetime]:
    """Cutoffs that have decisions, ascending."""
    return _cutoffs(root / DECISIONS)


def _write_rows(
    root: Path, kind: str, engine: Engine, cutoff: datetime, rows: Any, schema: pa.Schema, manifest: dict[str, Any]
) -> Path:
    path = root / kind / f"{_PREFIX}{iso(cutoff)}"
    with writing_folder(path) as folder:
        engine.write_parts([Part(folder / PART, cutoff, rows)], schema)
        write_json(folder / MANIFEST, manifest | _made_of(root, kind, cutoff))
    return path


def _write(
    root: Path, kind: str, cutoff: datetime, table: pa.Table, schema: pa.Schema, manifest: dict[str, Any]
) -> Path:
    path = root / kind / f"{_PREFIX}{iso(cutoff)}"
    ordered = in_order(table, schema, cutoff, f"{kind}, cutoff {iso(cutoff)}")
    with writing_folder(path) as folder:
        write_parquet(folder / PART, ordered)
        write_json(folder / MANIFEST, manifest | _made_of(root, kind, cutoff))
    return path


def check_made_of(root: Path, kind: str, cutoff: datetime) -> None:
    """Scores must be of the features that are there, decisions of the scores: of two runs, rows of both are not mixed.

    Raises
    ------
    NotReadyError
        They are of others: a run was cut off between writing the two, or one verb ran again and the other did not.
    NotFoundError, StoreError
        As `read_scores`.
    """
    rows = scored_rows(root, kind, cutoff)
    with _reading(rows.file, kind):
        same = _made_of(root, kind, cutoff).get(MADE_OF) == rows.manifest.get(MADE_OF)
    if not same:
        raise NotReadyError(
            f"the {kind} of {iso(cutoff)} were not made of the {_SOURCES[kind]} that are there now",
            fix=f"{_VERBS[kind]} --cutoff {iso(cutoff)}",
        )


def _made_of(root: Path, kind: str, cutoff: datetime) -> dict[str, str]:
    source = _SOURCES.get(kind)
    file = root / str(source) / f"{_PREFIX}{iso(cutoff)}" / PART
    return {MADE_OF: sha256_of(file)} if source is not None and file.exists() else {}


def _read(root: Path, kind: str, cutoff: datetime | None) -> tuple[datetime, pa.Table, dict[str, Any]]:
    found = scored_rows(root, kind, cutoff)
    with _reading(found.file, kind):
        return found.cutoff, pq.ParquetFile(found.file).read(), found.manifest


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as e:
        raise StoreError(f"cannot read {path}: {e}", fix=_VERBS[kind]) from e


def _cutoffs(folder: Path) -> list[datetime]:
    """Cutoffs with a folder of their own; anything else there is left alone."""
    with suppress(OSError):  # who may not write here sees what is there
        settle(folder)
    found: list[datetime] = []
    for path in folder.glob(f"{_PREFIX}*"):
        try:
            found.append(parse_instant(path.name.removeprefix(_PREFIX)))
        except ValueError:
            continue
    return sorted(found)
