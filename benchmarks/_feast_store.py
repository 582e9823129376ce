"""Feast's side of benchmarks/online_store.py, run by the Python of the peers' own environment.

    python _feast_store.py FEATURES.parquet FOLDER LOOKUPS

The Parquet file has customer_id, cutoff and the features. The last line printed is JSON: seconds of ``materialize``,
bytes of its online store, and milliseconds of look-ups through ``get_online_features`` and through its ``online_read``.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from _peers import feast_store

warnings.simplefilter("ignore")
CHECKED = 200


def main() -> None:
    file, folder, lookups = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    table = pd.read_parquet(file)
    names = [c for c in table.columns if c not in ("customer_id", "cutoff")]
    store, view = feast_store(file, folder, names, days=3650)
    at = table["cutoff"].iloc[0].tz_localize("UTC").to_pydatetime()
    began = time.perf_counter()
    store.materialize(at - timedelta(days=1), at + timedelta(days=1))
    seconds = time.perf_counter() - began
    ids = table["customer_id"].to_numpy()
    asked = np.random.default_rng(4).integers(0, len(ids), lookups).tolist()
    features = [f"snapshots:{n}" for n in names]

    def get(i: int) -> dict[str, Any]:
        return store.get_online_features(features=features, entity_rows=[{"customer_id": ids[i]}]).to_dict()

    online = SqliteOnlineStore()

    def read(i: int) -> Any:
        key = EntityKey(join_keys=["customer_id"], entity_values=[Value(string_val=ids[i])])
        return online.online_read(store.config, view, [key], names)

    truth = table[names].to_numpy()
    for i in asked[:CHECKED]:
        found = get(i)
        values = np.array([found[n][0] for n in names], dtype="float64").astype("float32")
        if not np.array_equal(values, truth[i], equal_nan=True):
            raise SystemExit(f"customer {i} is not served as it was written")
    size = (folder / "online.db").stat().st_size
    print(json.dumps({"seconds": seconds, "bytes": size, "ms": timed(get, asked), "read_ms": timed(read, asked)}))


def timed(work: Any, asked: list[int]) -> list[float]:
    """Milliseconds of each call."""
    times: list[float] = []
    for i in asked:
        began = time.perf_counter()
        work(i)
        times.append((time.perf_counter() - began) * 1000)
    return times


if __name__ == "__main__":
    main()
