"""Our side of benchmarks/online_store.py, in a process of its own, so that its peak of memory is its own.

    python _online_store.py FOLDER LOOKUPS

FOLDER holds features, scores and decisions as the verbs write them. The last line printed is JSON: seconds, bytes, GiB,
and milliseconds of look-ups.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from _api_world import CUTOFF, VERSION, customer_id
from _shared import peak_memory
from holdfast.artifacts.schema import FeatureSchema
from holdfast.stores.online import Reader, SqliteStore
from holdfast.stores.scores import read_decisions, read_features, read_scores

CHECKED = 200


def main() -> None:
    root, lookups = Path(sys.argv[1]), int(sys.argv[2])
    shutil.rmtree(root / "online", ignore_errors=True)
    store = SqliteStore(root / "online")
    began = time.perf_counter()
    scores = read_scores(root)  # from here on as pipelines.materialize does, less finding out who the champion is
    decisions = read_decisions(root, scores.cutoff)
    _, features, facts = read_features(root, scores.cutoff)
    writer = store.writer()
    name = writer.write(
        features, FeatureSchema.from_json(facts["schema"]), scores.table, decisions.table, bundle_sha256="",
        model_version=VERSION, cutoff=CUTOFF, bundle_dir=f"models/{VERSION}",
    )  # fmt: skip
    writer.switch(name)
    reader = store.reader()
    seconds = time.perf_counter() - began
    memory = peak_memory()
    asked = np.random.default_rng(4).integers(0, reader.meta.rows, lookups).tolist()
    names = reader.meta.schema.names
    for i in asked[:CHECKED]:
        row = reader.get(customer_id(i))
        if row is None or row.features != features.select(names).slice(i, 1).to_pylist()[0]:
            raise SystemExit(f"customer {i} is not served as it was written")
    size = sum(f.stat().st_size for f in (root / "online").iterdir())
    told = {"seconds": seconds, "bytes": size, "memory": memory, "ms": _timed(reader, asked)}
    print(json.dumps(told))


def _timed(reader: Reader, asked: list[int]) -> list[float]:
    """Milliseconds from an id to its 60 features by name, each."""
    times: list[float] = []
    for i in asked:
        customer = customer_id(i)
        began = time.perf_counter()
        row = reader.get(customer)
        found = row.features if row is not None else {}
        times.append((time.perf_counter() - began) * 1000)
        if not found:
            raise SystemExit(f"customer {customer} is missing")
    return times


if __name__ == "__main__":
    main()
