"""What benchmarks/features_peers.py times, run by the Python of the peers' own environment.

    python _peers.py pandas|feast|featuretools FOLDER REPEATS

FOLDER holds the company's tables and features.parquet, Holdfast's result. The last line printed is JSON: the seconds of
each repeat, and how many of the peer's values agree with Holdfast's (relative difference up to 1e-4).
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
COLUMNS = ["a", "b", "c", "d"]
AGGREGATIONS = ["sum", "mean", "std", "min", "max"]
WINDOWS = (3, 6, 12)


def straightforward(folder: Path) -> tuple[Callable[[], pd.DataFrame], str]:
    """For each cutoff and window: filter, group, join."""
    sources = folder / "var" / "peers" / "sources"
    events = pd.read_parquet(sources / "events.parquet").sort_values("at")
    pairs = _pairs(folder)

    def run() -> pd.DataFrame:
        parts = []
        for cutoff, mine in pairs.groupby("cutoff"):
            part = mine
            for w in WINDOWS:
                inside = events[(events["at"] >= cutoff - pd.DateOffset(months=w)) & (events["at"] < cutoff)]
                found = inside.groupby("id")[COLUMNS].agg(AGGREGATIONS)
                found.columns = [f"{c}_{a}_{w}m" for c, a in found.columns]
                part = part.merge(found, left_on="customer_id", right_index=True, how="left")
            parts.append(part)
        whole = pd.concat(parts)
        sums = [c for c in whole.columns if "_sum_" in c]
        return whole.fillna(dict.fromkeys(sums, 0.0))

    return run, ""


def feast_store(file: Path, folder: Path, names: list[str], *, days: int) -> tuple[Any, Any]:
    """A Feast store in a folder, of the features in a Parquet file, valid for so many days, and its view."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float32

    source = FileSource(path=str(file), timestamp_field="cutoff")
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="snapshots", entities=[customer], ttl=timedelta(days=days), source=source,
        schema=[Field(name=n, dtype=Float32) for n in names],
    )  # fmt: skip
    config = RepoConfig(
        project="peers", registry=str(folder / "registry.db"), provider="local", offline_store={"type": "dask"},
        online_store={"type": "sqlite", "path": str(folder / "online.db")}, entity_key_serialization_version=3,
    )  # fmt: skip
    store = FeatureStore(config=config)
    store.apply([customer, view])
    return store, view


def feast_join(folder: Path) -> tuple[Callable[[], pd.DataFrame], str]:
    """Feast's point-in-time join of rows that Holdfast computed."""
    names = _names(folder)
    store, _ = feast_store(folder / "features.parquet", folder, names, days=31)
    asked = _pairs(folder).rename(columns={"cutoff": "event_timestamp"})
    asked["event_timestamp"] = asked["event_timestamp"].dt.tz_localize("UTC")

    def run() -> pd.DataFrame:
        found = store.get_historical_features(entity_df=asked, features=[f"snapshots:{n}" for n in names]).to_df()
        found["cutoff"] = pd.to_datetime(found["event_timestamp"]).dt.tz_localize(None)
        return found

    return run, ""


def synthesis(folder: Path) -> tuple[Callable[[], pd.DataFrame], str]:
    """Deep feature synthesis, one run per window."""
    import featuretools as ft

    sources = folder / "var" / "peers" / "sources"
    events = pd.read_parquet(sources / "events.parquet").rename(columns={"id": "customer_id"})
    events["event"] = np.arange(len(events))
    pairs = _pairs(folder)
    customers = pd.DataFrame({"customer_id": pairs["customer_id"].unique()})
    events = events[events["customer_id"].isin(customers["customer_id"])]
    company = ft.EntitySet("company")
    company.add_dataframe(dataframe_name="customers", dataframe=customers, index="customer_id")
    company.add_dataframe(dataframe_name="events", dataframe=events, index="event", time_index="at")
    company.add_relationship("customers", "customer_id", "events", "customer_id")
    asked = pairs.rename(columns={"cutoff": "time"})[["customer_id", "time"]]

    def run() -> pd.DataFrame:
        whole: Any = None
        for w in WINDOWS:
            found, _ = ft.dfs(
                entityset=company, target_dataframe_name="customers", cutoff_time=asked, agg_primitives=AGGREGATIONS,
                trans_primitives=[], max_depth=1, cutoff_time_in_index=True, include_cutoff_time=False,
                training_window=ft.Timedelta(w, "mo"),
            )  # fmt: skip
            found.columns = [_ours(c, w) for c in found.columns]
            whole = found if whole is None else whole.join(found)
        return whole.reset_index().rename(columns={"time": "cutoff"})

    return run, "its training window is open at its start, so a row there may differ"


def _ours(name: str, w: int) -> str:
    """``SUM(events.a)`` -> ``a_sum_3m``."""
    aggregation, _, rest = name.partition("(")
    return f"{rest.rstrip(')').rpartition('.')[2]}_{aggregation.lower()}_{w}m"


def _pairs(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "features.parquet", columns=["customer_id", "cutoff"])


def _names(folder: Path) -> list[str]:
    return [f"{c}_{a}_{w}m" for c in COLUMNS for a in AGGREGATIONS for w in WINDOWS]


def agreement(folder: Path, found: pd.DataFrame) -> str:
    """How many of the 60 features of every snapshot are Holdfast's."""
    names = _names(folder)
    ours = pd.read_parquet(folder / "features.parquet").set_index(["customer_id", "cutoff"])[names]
    theirs = found.set_index(["customer_id", "cutoff"])[names].reindex(ours.index)
    a, b = ours.to_numpy("float64"), theirs.to_numpy("float64")
    same = np.isclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
    return f"{same.mean():.4%} of its values are ours"


def main() -> None:
    peer, folder, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    run, note = {"pandas": straightforward, "feast": feast_join, "featuretools": synthesis}[peer](folder)
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - began)
    agrees = agreement(folder, found) + (f" ({note})" if note else "")
    print(json.dumps({"seconds": seconds, "agrees": agrees}))


if __name__ == "__main__":
    main()
