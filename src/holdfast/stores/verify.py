"""Whether a dataset on disk is what its manifest says: every file's bytes, schema and counts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.artifacts.dataset import MANIFEST, CutoffCount, Dataset, snapshot_schema
from holdfast.artifacts.files import sha256_of
from holdfast.clock import iso
from holdfast.errors import Problem

log = logging.getLogger(__name__)

SHORT = 12
"""Digits of a sha256 that tell two apart to a person."""


def dataset_problems(dataset: Dataset) -> list[Problem]:
    """What is not as the manifest says, each file once. Files without a recorded hash are held to counts alone."""
    manifest = dataset.manifest
    found = [] if manifest.dataset_id == dataset.path.name else [_wrong_name(dataset)]
    for count in manifest.cutoffs:
        found += _part(dataset, count)
    known = {dataset.path / MANIFEST, *dataset.files()}
    others = (f for f in dataset.path.rglob("*") if f.is_file() and f not in known)
    strange = sorted(str(f.relative_to(dataset.path)) for f in others)
    if strange:
        what = "files that are not in the manifest"
        found.append(Problem(str(dataset.path), what, "Remove them.", count=len(strange), examples=tuple(strange)))
    return found


def damaged(dataset: Dataset, cutoff: datetime) -> bool:
    """Whether the bytes of a cutoff's file are not those that were written; where that is not recorded, not there."""
    (said,) = (c.sha256 for c in dataset.manifest.cutoffs if c.cutoff == cutoff)
    try:
        same = sha256_of(dataset.part(cutoff)) == said if said else dataset.part(cutoff).exists()
    except OSError:
        same = False
    if not same:
        log.warning("dataset %s, cutoff %s: its file was changed since", dataset.manifest.dataset_id, iso(cutoff))
    return not same


def _wrong_name(dataset: Dataset) -> Problem:
    return Problem(str(dataset.path / MANIFEST), f"it is the manifest of dataset {dataset.manifest.dataset_id}")


def _part(dataset: Dataset, count: CutoffCount) -> Iterator[Problem]:
    file = dataset.part(count.cutoff)
    where = str(file)
    try:
        digest = sha256_of(file)
        if count.sha256 and digest != count.sha256:
            was = f"sha256 {digest[:SHORT]}…, the manifest says {count.sha256[:SHORT]}…"
            yield Problem(where, f"its bytes are not those that were written ({was})")
            return
        with pq.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            table = opened.read(columns=["label", "state"]) if schema.equals(_schema(dataset)) else None
    except FileNotFoundError:
        yield Problem(where, "the file is missing")
        return
    except (OSError, pa.ArrowInvalid) as e:
        yield Problem(where, f"it cannot be read: {e}")
        return
    if table is None:
        yield Problem(where, "its columns are not the manifest's", examples=_other_columns(schema, _schema(dataset)))
        return
    found = {
        "snapshots": table.num_rows,
        "positives": pc.sum(table.column("label")).as_py() or 0,
        "states": dict(sorted(Counter(table.column("state").to_pylist()).items())),
    }
    said = {"snapshots": count.snapshots, "positives": count.positives, "states": dict(sorted(count.states.items()))}
    other = [f"{name} {found[name]}, the manifest says {said[name]}" for name in found if found[name] != said[name]]
    if other:
        yield Problem(where, "; ".join(other))


def _schema(dataset: Dataset) -> pa.Schema:
    return snapshot_schema(dataset.manifest.schema)


def _other_columns(one: pa.Schema, other: pa.Schema) -> tuple[str, ...]:
    differing = {str(f) for f in one} ^ {str(f) for f in other}
    return tuple(sorted(differing)) or ("their order",)
