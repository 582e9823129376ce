"""Leaks, planted the way leaky pipelines make them: by computing features, labels or folds with the wrong tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import audited_company as company
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.dataset import Dataset
from holdfast.audit.subject import cutoffs_of
from holdfast.features.compute import compute, window_lengths
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import open_sources
from holdfast.snapshots.calendar import cutoff_table
from holdfast.snapshots.population import training_population

Values = dict[tuple[str, datetime], Any]
Changes = Mapping[str, Callable[[Any], Any]]
MICROSECOND = timedelta(microseconds=1)


def computed(workspace: Workspace, dataset: Dataset, names: Sequence[str], changes: Changes) -> dict[str, Values]:
    """Features of every snapshot, computed from tables that were changed first."""
    data, features = workspace.config.data, workspace.config.features
    cutoffs = cutoffs_of(dataset, workspace.config)
    known = dataset.manifest.known_as_of
    with workspace.engine() as engine:
        tables = {n: s.table for n, s in open_sources(workspace, engine).tables.items()}
        at = engine.from_arrow(cutoff_table(cutoffs, window_lengths(features)), "at")
        people = training_population(tables, data, at, known_as_of=known, complete_through=known)
        people = engine.materialize(people, "people")
        leaky = {n: engine.materialize(changes[n](t), f"leaky_{i}") if n in changes else t
                 for i, (n, t) in enumerate(tables.items())}  # fmt: skip
        found, _ = compute(engine, people, at, leaky, data, features, grid=cutoffs[0].grid, known_as_of=known)
        table = engine.to_arrow(found)
    keys = list(zip(table.column("customer_id").to_pylist(), table.column("cutoff").to_pylist(), strict=True))
    return {name: dict(zip(keys, table.column(name).to_pylist(), strict=True)) for name in names}


def instant_included(table: Any) -> Any:
    """``<=`` where ``<`` belongs."""
    return table.mutate(
        event_time=table.event_time - ibis.interval(microseconds=1),
        available_at=table.available_at - ibis.interval(microseconds=1),
    )


def availability_ignored(table: Any) -> Any:
    """A row counts from when it happened; corrections are left alone."""
    versions = ibis.window(group_by="event_id", order_by="available_at")
    first = ibis.row_number().over(versions) == 0
    return table.mutate(available_at=first.ifelse(ibis.least(table.available_at, table.event_time), table.available_at))


def corrected_from_the_first(table: Any) -> Any:
    """The last version of a row, from when the first was known."""
    versions = ibis.window(group_by="event_id")
    latest = table.mutate(
        rank=ibis.row_number().over(ibis.window(group_by="event_id", order_by=ibis.desc("available_at"))),
        since=table.available_at.min().over(versions),
    )
    latest = latest.filter(latest["rank"] == 0)
    return latest.mutate(available_at=latest.since).drop("rank", "since")


def a_month_ahead(table: Any) -> Any:
    """The version that is valid a month later."""
    month = ibis.interval(days=31)
    return table.mutate(valid_from=table.valid_from - month, available_at=table.available_at - month)


def final_of_each(values: Values) -> Values:
    """Every customer's last value, at all their cutoffs."""
    last: dict[str, datetime] = {}
    for customer, at in values:
        last[customer] = max(last.get(customer, at), at)
    return {(customer, at): values[customer, last[customer]] for customer, at in values}


def total_of(table: Path, column: str) -> dict[str, float]:
    """Every customer's total of all time."""
    summed = company.read(table).group_by("customer_id").aggregate([(column, "sum")])
    totals = (summed.column(c).to_pylist() for c in ("customer_id", f"{column}_sum"))
    return {customer: float(total or 0.0) for customer, total in zip(*totals, strict=True)}


def leavers(dataset: Path) -> set[str]:
    """Customers with a label 1 at any cutoff."""
    table = company.labels(dataset)
    return set(table.filter(pc.equal(table.column("label"), 1)).column("customer_id").to_pylist())


def some(values: Values, honest: Values, share: float, seed: int = 1) -> Values:
    """A share of all snapshots gets its leaky value, of those where it differs."""
    differ = sorted(k for k in values if values[k] != honest.get(k))
    rng = np.random.default_rng(seed)
    n = min(len(differ), max(1, round(share * len(honest))))
    return {differ[i]: values[differ[i]] for i in rng.choice(len(differ), n, replace=False)}


def stored(dataset: Dataset, feature: str) -> Values:
    table = company.labels(dataset.path)
    keys = zip(table.column("customer_id").to_pylist(), table.column("cutoff").to_pylist(), strict=True)
    return dict(zip(keys, table.column(feature).to_pylist(), strict=True))


def add_feature(dataset: Path, name: str, values: Callable[[pa.Table], Any], kind: str = "number") -> None:
    """A column of the files and the manifest that no configuration declares."""
    company.rewrite_parts(
        dataset,
        lambda t: t.append_column(name, pa.array(values(t), pa.float32() if kind == "number" else pa.string())),
    )
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest["features"].append({**manifest["features"][0], "name": name, "kind": kind, "group": name, "source": ""})
    (dataset / "manifest.json").write_text(json.dumps(manifest))


def rate_by(dataset: Path, category: str) -> Callable[[pa.Table], list[float]]:
    """The share of churners of each category over all labelled rows of the dataset."""
    table = company.labels(dataset)
    table = table.filter(pc.is_valid(table.column("label")))
    grouped = table.select([category, "label"]).group_by(category).aggregate([("label", "mean")])
    rate = dict(zip(grouped.column(category).to_pylist(), grouped.column("label_mean").to_pylist(), strict=True))
    return lambda part: [rate[c] for c in part.column(category).to_pylist()]


def recount(dataset: Path) -> None:
    """Make the manifest say what the files hold."""
    file = dataset / "manifest.json"
    manifest = json.loads(file.read_text())
    table = company.labels(dataset)
    for cutoff in manifest["cutoffs"]:
        at = datetime.fromisoformat(cutoff["cutoff"])
        mine = table.filter(pc.equal(table.column("cutoff"), pa.scalar(at, pa.timestamp("us"))))
        cutoff["snapshots"] = mine.num_rows
        cutoff["positives"] = int(pc.sum(mine.column("label")).as_py() or 0)
        states = mine.column("state").value_counts().to_pylist()
        cutoff["states"] = {s["values"]: s["counts"] for s in states}
    file.write_text(json.dumps(manifest))


def keep(dataset: Path, wanted: Callable[[pa.Table], Any]) -> None:
    """Only some rows of every part."""
    company.rewrite_parts(dataset, lambda t: t.filter(pa.array(wanted(t))))
    recount(dataset)
