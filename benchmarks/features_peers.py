"""Features from raw events, beside pandas, Feast's offline join and featuretools, in one run.

    python benchmarks/features_peers.py [--customers 20000] [--small 500] [--repeats 5] [--peers VENV]

One company: 24 monthly cutoffs, 10 events a customer a month, 60 features (sum, mean, std, min and max of four columns
over 3, 6 and 12 months). Holdfast runs the whole of ``holdfast build``: reading Parquet, checking the declared tables,
hashing, snapshots, labels, features, and writing the dataset. pandas only computes the features from events in
memory. Feast only joins features that are already computed. featuretools computes them on a size it can finish.
Each figure is the median of the repeats; each peer's limit is a ratio of times, theirs over ours on the same rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import duckdb

from _shared import machine, peak_memory
from holdfast.artifacts.dataset import Dataset
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build

HERE = Path(__file__).resolve().parent
MONTHS = 24
EVENTS_A_MONTH = 10
COLUMNS = ("a", "b", "c", "d")
LIMITS = {"pandas": 5.0, "feast": 5.0, "featuretools": 20.0}
TELLS = {
    "pandas": "a loop over cutoffs and windows, group by",
    "feast": "join of computed rows (offline store, dask engine)",
    "featuretools": "deep feature synthesis with cutoff times",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=500, help="customers for featuretools")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="a virtual environment that has requirements-peers.txt")
    args = parser.parse_args()
    print("60 features of monthly snapshots: Holdfast from raw events to a dataset on disk, beside three peers")
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        python = peers_python(args.peers or Path(scratch) / "peers", make=args.peers is None)
        for customers, peers in ((args.customers, ("pandas", "feast")), (args.small, ("featuretools",))):
            measure(Path(scratch) / str(customers), customers, peers, python, args.repeats)
    print(f"peak memory of this process {peak_memory():.2f} GiB")


def measure(root: Path, customers: int, peers: tuple[str, ...], python: Path, repeats: int) -> None:
    """One company: our time, then each peer's on the same rows."""
    workspace = company(root, customers)
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        dataset = build(workspace, force=True)
        seconds.append(time.perf_counter() - began)
    ours = statistics.median(seconds)
    events = customers * MONTHS * EVENTS_A_MONTH
    print(f"\n{customers:,} customers, {events:,} events, {dataset.manifest.snapshots:,} snapshots")
    print(f"  holdfast build  {ours:8.2f} s")
    joined(dataset, root / "features.parquet")
    for peer in peers:
        program = [str(python), str(HERE / "_peers.py"), peer, str(root), str(repeats)]
        done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        ratio, limit = statistics.median(told["seconds"]) / ours, LIMITS[peer]
        verdict = "holds" if ratio >= limit else "DOES NOT HOLD"
        print(
            f"  {peer:14}{statistics.median(told['seconds']):10.2f} s   {ratio:6.1f}x ours (at least {limit:g}x: "
            f"{verdict})   {TELLS[peer]}; {told['agrees']}"
        )


def joined(dataset: Dataset, file: Path) -> None:
    """All snapshots in one Parquet file: what Feast joins, and what the peers' values are checked against."""
    parts = f"read_parquet('{dataset.path}/*/*.parquet', hive_partitioning = false)"
    duckdb.sql(f"COPY (SELECT * FROM {parts}) TO '{file}' (FORMAT parquet)")


def company(root: Path, customers: int) -> Workspace:
    """A project folder with its tables; cells are drawn from hashes, so a size is always the same company."""
    conf, sources = root / "conf" / "peers", root / "var" / "peers" / "sources"
    conf.mkdir(parents=True)
    sources.mkdir(parents=True)
    duckdb.sql(
        f"""COPY (SELECT 'c' || i AS id, DATE '2021-06-01' + CAST(hash(i, 'start') % 200 AS INT) AS started,
        CASE WHEN hash(i, 'end') % 4 = 0 THEN DATE '2022-03-01' + CAST(hash(i, 'when') % 700 AS INT) END AS ended
        FROM range({customers}) t(i)) TO '{sources / "customers.parquet"}' (FORMAT parquet)"""
    )
    cells = ", ".join(f"(hash(n, '{c}') % 100000)::INT / 100.0 AS {c}" for c in COLUMNS)
    seconds = MONTHS * 30 * 86400
    duckdb.sql(
        f"""COPY (SELECT 'c' || (n % {customers}) AS id,
        TIMESTAMP '2022-01-01' + to_seconds((hash(n, 'at') % {seconds})::BIGINT) AS at, {cells}
        FROM range({customers * MONTHS * EVENTS_A_MONTH}) t(n)) TO '{sources / "events.parquet"}' (FORMAT parquet)"""
    )
    declared = "".join(f"      {c}: {{type: number, scale: 2}}\n" for c in COLUMNS)
    measured = "".join(
        f"  {c}: {{table: events, column: {c}, label: {c}, aggregations: [sum, mean, std, min, max]}}\n"
        for c in COLUMNS
    )
    files = {
        "data": "cutoffs: {first: 2022-02-01, last: 2024-01-01}\nknown_as_of: 2024-02-01\nlabel: {horizon: 1m}\n"
        "tables:\n  customers: {kind: customers, path: customers.parquet, key: id, start: started, end: ended}\n"
        f"  events:\n    kind: events\n    path: events.parquet\n    key: id\n    time: at\n    columns:\n{declared}",
        "features": f"windows: [3m, 6m, 12m]\ntenure: false\nmeasures:\n{measured}",
        "training": "estimators: {logistic: {}}\n",
        "decisions": "value: {revenue: a_mean_3m}\nactions: {call: {label: call, cost: 1, retention: 0.1}}\n",
    }
    for name in ("data", "features", "training", "scoring", "decisions", "monitoring", "serving"):
        (conf / f"{name}.yaml").write_text(files.get(name, "{}\n"))
    return open_workspace("peers", root=root)


def peers_python(folder: Path, *, make: bool) -> Path:
    """The Python of the peers' environment, made and filled where asked for: it shares nothing with ours."""
    python = folder / "bin" / "python"
    if make:
        venv.create(folder, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements-peers.txt")]
        subprocess.run(install, check=True, stdout=sys.stderr)
    return python


if __name__ == "__main__":
    main()
