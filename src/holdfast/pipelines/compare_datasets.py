"""``holdfast datasets compare``: what differs between two datasets, from the configuration down to the bytes."""

from __future__ import annotations

import filecmp
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from holdfast.artifacts.dataset import CutoffCount, Dataset, DatasetManifest
from holdfast.clock import iso
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.datasets import base_rate
from holdfast.stores.offline import find_dataset

Pair = list[Any]


def compare_datasets(workspace: Workspace, first: str, second: str) -> dict[str, Any]:
    """Two datasets side by side; each pair is of the first and the second, None where one has no such thing.

    Parameters
    ----------
    first, second : ids, or how they begin

    Returns
    -------
    dict
        ``config`` is None where a dataset was written before configuration was recorded.

    Raises
    ------
    UsageError, StoreError
        There is no such dataset, or it cannot be read.
    """
    one, other = (find_dataset(workspace.var, word) for word in (first, second))
    a, b = one.manifest, other.manifest
    return {
        "datasets": [a.dataset_id, b.dataset_id],
        "known_as_of": [iso(a.known_as_of), iso(b.known_as_of)],
        "complete_through": [iso(a.complete_through), iso(b.complete_through)],
        "config": _differing(flat(a.config), flat(b.config)) if a.config and b.config else None,
        "sources": [
            {"table": name, "rows_known": [_of(a, name, "rows_known"), _of(b, name, "rows_known")],
             "same": _of(a, name, "hash") == _of(b, name, "hash")}
            for name in sorted(a.sources | b.sources)
        ],
        "features": _features(a, b),
        "cutoffs": _cutoffs(one, other),
    }  # fmt: skip


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings by dotted key; lists are values."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Pair]:
    return {k: [one.get(k), other.get(k)] for k in sorted({*one, *other}) if one.get(k) != other.get(k)}


def _of(manifest: DatasetManifest, table: str, what: str) -> Any:
    return manifest.sources.get(table, {}).get(what)


def _features(a: DatasetManifest, b: DatasetManifest) -> dict[str, Any]:
    one, other = ({f.name: asdict(f) for f in m.schema} for m in (a, b))
    return {
        "added": [name for name in other if name not in one],
        "removed": [name for name in one if name not in other],
        "changed": {n: _differing(one[n], other[n]) for n in one if n in other and one[n] != other[n]},
    }


def _cutoffs(one: Dataset, other: Dataset) -> list[dict[str, Any]]:
    counts = [{c.cutoff: c for c in d.manifest.cutoffs} for d in (one, other)]
    return [
        {
            "cutoff": iso(at),
            **{what: [_count(c.get(at), what) for c in counts] for what in ("snapshots", "matured", "positives")},
            "base_rate": [base_rate(c[at]) if at in c else None for c in counts],
            "identical": _same_bytes(one.part(at), other.part(at)),
        }
        for at in sorted(counts[0].keys() | counts[1].keys())
    ]


def _count(count: CutoffCount | None, what: str) -> int | None:
    if count is None:
        return None
    found: int = count.states.get("matured", 0) if what == "matured" else getattr(count, what)
    return found


def _same_bytes(one: Path, other: Path) -> bool:
    """Whether both files are there and hold the same; a file that two datasets share is not read."""
    if not (one.exists() and other.exists()):
        return False
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)
