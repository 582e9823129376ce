"""What a build takes over from an earlier dataset: the features of cutoffs that nothing since then could change.

Features at a cutoff are a function of the configuration and of the rows and cells that were known before it (the
leakage audit and tests/property hold them to it). So an earlier dataset's features still hold at every cutoff up to
an instant where all that was known is, by the hash that also makes a dataset's id, what it was: not a row or cell
more, less or other. What may have changed is who is in the population, by what is known now of starts and ends, and
the labels. Those are always computed anew; a cutoff with a customer that the earlier dataset lacks is not taken over.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis

from holdfast.artifacts.dataset import LABEL_COLUMNS, Dataset, snapshot_schema
from holdfast.artifacts.engine import Engine
from holdfast.artifacts.schema import FeatureSchema
from holdfast.artifacts.versions import instant
from holdfast.clock import iso, parse_instant, utc
from holdfast.config.schema import Config
from holdfast.features.definitions import FEATURES_VERSION
from holdfast.snapshots.calendar import Cutoff
from holdfast.stores.offline import datasets
from holdfast.stores.verify import damaged

log = logging.getLogger(__name__)

KEYS = ["customer_id", "cutoff"]
OF_TIME: Any = {"known_as_of": True, "complete_through": True, "cutoffs": {"first", "last"}, "engine": True}
"""What of data.yaml says which cutoffs there are and what is known, and nothing of what a feature is."""


@dataclass(frozen=True)
class Earlier:
    """A dataset of the same configuration, and the instant up to which it may still hold."""

    dataset: Dataset
    until: datetime

    def holds(self, basis: Mapping[str, str]) -> bool:
        """Whether what was known at `until` is what it was."""
        return self.dataset.manifest.basis == dict(basis)


def meaning(config: Config) -> str:
    """A hash of all in the configuration that features depend on."""
    said = {
        "data": config.data.model_dump(mode="json", exclude=OF_TIME),
        "features": config.features.model_dump(mode="json"),
        "features_version": FEATURES_VERSION,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def basis(config: Config, until: datetime, known: Mapping[str, Any]) -> dict[str, str]:
    """What a manifest says of it: the meaning of features, and all that was known at the last cutoff."""
    hashed = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return {"meaning": meaning(config), "until": iso(until), "known": hashed}


def earlier(root: Path, config: Config, cutoffs: Sequence[Cutoff], known_as_of: datetime) -> Earlier | None:
    """The dataset of the same meaning with most of the cutoffs, if any has some; its basis is yet to be compared.

    Parameters
    ----------
    root : var/<project>
    """
    wanted, same = {c.at for c in cutoffs}, meaning(config)
    found: list[tuple[int, str, Earlier]] = []
    for dataset in datasets(root):
        manifest = dataset.manifest
        if manifest.basis.get("meaning") == same and (until := parse_instant(manifest.basis["until"])) <= known_as_of:
            shared = len(wanted & {c.cutoff for c in manifest.cutoffs})
            found.append((shared, manifest.dataset_id, Earlier(dataset, until)))
    best = max(found, key=lambda f: f[:2], default=None)
    return best[2] if best is not None and best[0] else None


def take_over(
    engine: Engine, before: Earlier, population: Any, cutoffs: Sequence[Cutoff], schema: FeatureSchema, number: int
) -> dict[datetime, Any]:
    """The snapshots of every cutoff that the earlier dataset has the features of.

    Parameters
    ----------
    population : the training population, as known now
    number : tells the tables of one build apart

    Returns
    -------
    dict
        By cutoff, of those whose file is as it was written: the file, where labels and all are what they were; else an
        expression of the new labels with the old features.
    """
    had = {c.cutoff: c.snapshots for c in before.dataset.manifest.cutoffs}
    mine = [c.at for c in cutoffs if c.at in had and not damaged(before.dataset, c.at)]
    if not mine:
        return {}
    old = engine.read([before.dataset.part(at) for at in mine], f"earlier_{number}", text=False)
    old = old.mutate(cutoff=old.cutoff.cast("timestamp(6)"))  # engines also read it from the folder's name, as a date
    labels = population.select(*KEYS, *LABEL_COLUMNS)
    both = labels.filter(labels.cutoff.isin([instant(at) for at in mine]))
    both = both.left_join(old.select(*KEYS, *LABEL_COLUMNS).mutate(there=ibis.literal(True)), KEYS)
    equal = [both[c].identical_to(both[f"{c}_right"]) for c in LABEL_COLUMNS]
    same = both.there.notnull() & equal[0] & equal[1] & equal[2]
    counts = both.group_by("cutoff").aggregate(
        rows=both.count(), there=both.there.count(), same=same.sum()
    )  # fmt: skip
    features = old.select(*KEYS, *schema.names)
    found: dict[datetime, Any] = {}
    for row in engine.to_arrow(counts).to_pylist():
        at, rows = utc(row["cutoff"]), int(row["rows"])
        if row["there"] != rows:
            continue
        if row["same"] == rows == had[at]:
            found[at] = before.dataset.part(at)
        else:
            joined = labels.filter(labels.cutoff == instant(at)).inner_join(features, KEYS)
            found[at] = joined.select(*snapshot_schema(schema).names)
    log.info("%d of %d cutoffs taken over from dataset %s", len(found), len(cutoffs), before.dataset.path.name)
    return found
