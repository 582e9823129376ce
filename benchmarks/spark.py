"""The same build and scores on DuckDB and on a real Spark cluster: equal results, times, and where they would cross.

    python benchmarks/spark.py [--customers 2000 16000] [--months 24] [--cores 1]

Needs the extra ``spark`` and Java 17. Starts a standalone cluster on this machine (a master and two workers of
``--cores`` cores each, from pip's PySpark), simulates the built-in company at each size, trains one model on DuckDB,
and builds and scores on both engines. Datasets and features must be equal byte for byte, scores equal but for reasons
within 1e-6; the same on demo and CDNOW with 1, 2 and 4 threads. DuckDB may use as many cores as the cluster has. The
crossing is extrapolated from two sizes: fixed cost and cost per customer of each engine, and a cluster whose cost per
customer falls with its cores.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from _shared import machine
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.imports import import_dataset
from holdfast.pipelines.score import score
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import train
from holdfast.stores.spark_session import stop_spark

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
WORKER_MEMORY_GIB = 3
THREADS = (1, 2, 4)
REASONS_WITHIN = 1e-6
LARGER = (8, 32, 128, 512)
"""Cores of clusters that the crossing is estimated for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, nargs=2, default=(2000, 16_000))
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--cores", type=int, default=1, help="of each worker")
    parser.add_argument("--repeats", type=int, default=1)
    data = Path(os.environ.get("HOLDFAST_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--cdnow", type=Path, default=data / "cdnow" / "CDNOW_master.txt")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end the cluster as well
    print(f"build and score on DuckDB and on a standalone Spark cluster of {WORKERS} workers x {asked.cores} cores")
    print(machine())
    totals: dict[str, list[float]] = {"duckdb": [], "spark": []}
    with tempfile.TemporaryDirectory() as scratch, cluster(Path(scratch), asked.cores) as master:
        # the small projects first: they warm up the cluster's processes, which is no part of the job either
        small = ["data.simulate.customers=500", "data.simulate.months=24"]
        identical(Path(scratch) / "demo", "demo", simulate, small, master, asked)
        if asked.cdnow.exists():
            identical(
                Path(scratch) / "cdnow", "cdnow", lambda w: import_dataset(w, "cdnow", asked.cdnow), [], master, asked
            )
        else:
            print(f"cdnow: left out, there is no {asked.cdnow}")
        print(
            f"\n{'customers':>10}{'months':>8}{'snapshots':>11}   {'engine':12}{'build s':>9}{'score s':>9}  results",
            flush=True,
        )
        for n in asked.customers:
            times = compare(Path(scratch) / str(n), n, asked.months, master, asked)
            for engine, seconds in times.items():
                totals[engine].append(seconds)
        stop_spark()
    crossing(asked.customers, totals, WORKERS * asked.cores)


def compare(home: Path, n: int, months: int, master: str, asked: argparse.Namespace) -> dict[str, float]:
    """Seconds of build and score on each engine, of the built-in company; raises where the results differ."""
    sets = [f"data.simulate.customers={n}", f"data.simulate.months={months}"]
    open_one, other = engines(home, "demo", sets, master, asked)
    one = open_one(WORKERS * asked.cores)
    simulate(one)
    found: dict[str, float] = {}
    before: Any = None
    with other.engine():  # the application's start is no part of the job
        pass
    for engine, workspace in (("duckdb", one), ("spark", other)):
        built = [seconds(lambda w=workspace: build(w, force=True)) for _ in range(asked.repeats)]
        if engine == "duckdb":
            train(one)
        scored = [seconds(lambda w=workspace: score(w)) for _ in range(asked.repeats)]
        result = results(workspace)
        said = "" if before is None else same(before, result)
        before = before or result
        times = statistics.median(built), statistics.median(scored)
        print(
            f"{n:>10,}{months:>8}{result['snapshots']:>11,}   {engine:12}{times[0]:>9.1f}{times[1]:>9.1f}  {said}",
            flush=True,
        )
        found[engine] = sum(times)
    return found


def identical(home: Path, project: str, prepare: Any, sets: list[str], master: str, asked: argparse.Namespace) -> None:
    """Build and score a project on DuckDB with 1, 2 and 4 threads and on Spark; raises where the results differ."""
    open_one, other = engines(home, project, sets, master, asked)
    prepare(open_one(1))
    said = ""
    first: Any = None
    for workspace in (*(open_one(threads) for threads in THREADS), other):
        build(workspace, force=True)
        if first is None:
            train(workspace)
        score(workspace)
        result = results(workspace)
        first = first or result
        said = same(first, result)
    print(f"{project}: DuckDB with {', '.join(map(str, THREADS))} threads and Spark, {first['snapshots']:,} snapshots: "
          f"{said}", flush=True)  # fmt: skip


def engines(
    home: Path, project: str, sets: list[str], master: str, asked: argparse.Namespace
) -> tuple[Callable[[int], Workspace], Workspace]:
    """The same project on DuckDB with as many threads as asked, and on the cluster."""
    home.mkdir()
    (home / "conf").symlink_to(ROOT / "conf")
    whatever = ["training.promotion.min_lift=-1", "training.promotion.max_calibration_error=1", "training.bootstrap=50"]
    options = {"spark.executor.memory": f"{WORKER_MEMORY_GIB - 1}g", "spark.sql.shuffle.partitions": "4"}
    listed = ", ".join(f"{key}: {value}" for key, value in options.items())
    on_spark = ["data.engine.kind=spark", f"data.engine.master={master}", f"data.engine.options={{{listed}}}"]

    def open_(*more: str) -> Workspace:
        return open_workspace(project, root=home, sets=[*sets, *whatever, *more], environ={})

    return lambda threads: open_(f"training.threads={threads}"), open_(*on_spark)


def seconds(job: Any) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def results(workspace: Workspace) -> dict[str, Any]:
    """Of the latest dataset and scores: hashes of what must be equal, and the reasons."""
    dataset = build(workspace)
    files = [*dataset.path.rglob("*"), *(workspace.var / "features").rglob("*")]
    hashes = {
        str(f.relative_to(workspace.var)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()
    }
    table = pq.read_table(next((workspace.var / "scores").rglob("part-0.parquet")), partitioning=None)
    reasons = table.column("reasons").combine_chunks().flatten()
    contributions = np.asarray(reasons.field("contribution"))
    words = [reasons.field(i) for i in range(reasons.type.num_fields) if reasons.type.field(i).name != "contribution"]
    return {
        "snapshots": dataset.manifest.snapshots, "hashes": hashes, "scores": table.drop_columns(["reasons"]),
        "words": words, "contributions": contributions,
    }  # fmt: skip


def same(one: dict[str, Any], other: dict[str, Any]) -> str:
    assert one["hashes"] == other["hashes"], "datasets or features differ"
    assert one["scores"].equals(other["scores"]), "scores differ"
    assert all(a.equals(b) for a, b in zip(one["words"], other["words"], strict=True)), "reasons differ"
    largest = float(np.abs(one["contributions"] - other["contributions"]).max(initial=0.0))
    assert largest <= REASONS_WITHIN, f"a contribution differs by {largest}"
    return f"{len(one['hashes'])} files equal, scores equal, contributions within {largest:.0e}"


def crossing(sizes: Sequence[int], totals: dict[str, list[float]], cores: int) -> None:
    """Where a larger cluster would be as fast as DuckDB on this machine's cores."""
    lines = {engine: np.polyfit(sizes, times, 1) for engine, times in totals.items()}
    if min(slope for slope, _ in lines.values()) <= 0:
        raise SystemExit("no estimate: a larger company took less time; use larger sizes, on a quiet machine")
    for engine, (slope, fixed) in lines.items():
        print(f"{engine}: {fixed:.1f} s and {slope * 1000:.2f} s for each 1,000 customers, on {cores} cores")
    for more in LARGER:
        slope = lines["spark"][0] * cores / more
        gain = lines["duckdb"][0] - slope
        if gain <= 0:
            print(f"a cluster of {more} such cores: never as fast as DuckDB on {cores}")
            continue
        at = max(lines["spark"][1] - lines["duckdb"][1], 0.0) / gain
        print(
            f"a cluster of {more} such cores: as fast as DuckDB on {cores} from about {at:,.0f} customers on (estimate)"
        )


@contextmanager
def cluster(scratch: Path, cores: int) -> Iterator[str]:
    """A master and two workers, as pip's PySpark brings them; ended with the block."""
    import pyspark

    home = Path(pyspark.__file__).parent
    environ = {
        **os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
        "SPARK_NO_DAEMONIZE": "1",
    }  # fmt: skip
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    roles = [[f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(free_port())]]
    roles += [
        [f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--cores", str(cores), "--memory", f"{WORKER_MEMORY_GIB}g",
         "--webui-port", str(free_port()), "--work-dir", str(scratch / f"worker-{i}"), master]
        for i in range(WORKERS)
    ]  # fmt: skip
    with ExitStack() as stack:
        for i, role in enumerate(roles):
            log = stack.enter_context((scratch / f"cluster-{i}.log").open("w"))
            process = subprocess.Popen([str(home / "bin" / "spark-class"), *role], env=environ, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            if i == 0:
                wait_for(port)
        yield master


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(port: int, limit: float = 60) -> None:
    until = time.monotonic() + limit
    while time.monotonic() < until:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise SystemExit(f"no Spark master on port {port} within {limit:.0f} s")


if __name__ == "__main__":
    main()
