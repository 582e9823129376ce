"""The API under load, beside MLflow's own scoring server and a bare FastAPI route, in one run.

    python benchmarks/api.py [--work FOLDER] [--customers 1000000] [--seconds 60] [--rate 300]

A SQLite online store of a million customers with 60 features, reasons and decisions, and the bundle that scored them,
are made once and kept in --work. Each server is one process with one worker; the load comes from a process of its own
on the same machine, over 16 kept connections:

times       requests are due at a fixed rate, and their time counts from when they were due, whatever the server did
            with those before them. The rate is --rate, or half of what the server can do where that is less
a second    every connection sends its next request when it has its answer

The bare route answers with constant bytes, as many as a customer's answer has: no API in FastAPI and uvicorn is faster.
MLflow (``mlflow models serve``, from an environment of its own) has the same trees and gets the same rows.

To hold: p95 under 20 ms at 300 requests a second for reads, single scores and explanations; reads at least 40% of the
bare route's throughput; single scoring at least 5 times MLflow's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from _api_load import write_requests
from _api_servers import get, post, serving
from _api_world import customer_id, made, rows_of, save_for_mlflow
from _shared import machine, peers_python

HERE = Path(__file__).resolve().parent
CONNECTIONS = 16
BATCH = 1_000
P95_MS, BARE_SHARE, MLFLOW_TIMES = 20.0, 0.4, 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="kept between runs; by default a folder that is removed after")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=300, help="requests a second")
    parser.add_argument("--peers", type=Path, help="a virtual environment that has requirements-mlflow.txt")
    args = parser.parse_args()
    print(f"The API under load: {args.customers:,} customers, 60 features, {args.seconds:g} s a measurement")
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = args.work or Path(scratch) / "work"
        bundle = made(root, args.customers)
        python = peers_python(args.peers or Path(scratch) / "peers", "mlflow", make=args.peers is None)
        save_for_mlflow(bundle, root / "mlflow", python)
        rows = rows_of(bundle, 2_000, seed=5)
        claims = measure(root, Path(scratch), python, rows, args.customers, args.seconds, args.rate)
    print()
    for claim, holds in claims.items():
        print(f"{claim}: {'holds' if holds else 'DOES NOT HOLD'}")
    raise SystemExit(0 if all(claims.values()) else 1)


def measure(
    root: Path, scratch: Path, python: Path, rows: list[dict[str, Any]], customers: int, seconds: float, rate: float
) -> dict[str, bool]:
    """Every server under every load; what is claimed, and whether it holds."""
    rng = np.random.default_rng(4)
    ids = [customer_id(int(i)) for i in rng.integers(0, customers, 20_000)]
    answer = scratch / "answer.json"

    def under(port: int, name: str, requests: list[bytes]) -> dict[str, float]:
        return loaded(port, name, requests, scratch, seconds, rate)

    print(f"\n{'':34}{'rate':>7}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'a second':>10}{'bytes':>9}")
    batches = range(0, len(ids), BATCH)
    with serving("holdfast", Path(sys.executable), root, scratch / "holdfast.log") as port:
        answer.write_bytes(get(port, f"/v1/customers/{ids[0]}"))
        reads = under(port, "customer reads", [request(f"/v1/customers/{i}") for i in ids])
        scores = under(port, "single scoring", [request("/v1/scores", {"rows": [row]}) for row in rows])
        whys = under(port, "scoring with explanation", [request("/v1/explanations", {"rows": [row]}) for row in rows])
        under(port, "1,000 ids", [request("/v1/scores", {"customer_ids": ids[i : i + BATCH]}) for i in batches])
        many = [request("/v1/scores", {"rows": rows[i : i + BATCH]}) for i in range(0, len(rows), BATCH)]
        under(port, "1,000 rows", many)
    with serving("bare", Path(sys.executable), answer, scratch / "bare.log") as port:
        bare = under(port, "bare FastAPI route", [request(f"/v1/customers/{i}") for i in ids])
    with serving("mlflow", python, root / "mlflow", scratch / "mlflow.log") as port:
        asked = [{"dataframe_split": {"columns": list(r), "data": [list(r.values())]}} for r in rows]
        post(port, "/invocations", asked[0])
        theirs = under(port, "MLflow's server, single scoring", [request("/invocations", body) for body in asked])
        split = [{"dataframe_split": {"columns": list(rows[0]), "data": [list(r.values()) for r in rows[:BATCH]]}}]
        under(port, "MLflow's server, 1,000 rows", [request("/invocations", body) for body in split])
    at_rate = {"customer reads": reads, "single scoring": scores, "scoring with explanation": whys}
    share, times = reads["a_second"] / bare["a_second"], scores["a_second"] / theirs["a_second"]
    return {
        **{
            f"{name}: p95 under {P95_MS:g} ms at {rate:g} a second: {told['p95']:.1f} ms at {told['rate']:.0f}": (
                told["p95"] < P95_MS and told["rate"] == rate
            )
            for name, told in at_rate.items()
        },
        f"customer reads, at least {BARE_SHARE:.0%} of the bare route: {share:.0%}": share >= BARE_SHARE,
        f"single scoring, at least {MLFLOW_TIMES:g}x MLflow's server: {times:.1f}x": times >= MLFLOW_TIMES,
    }


def loaded(port: int, name: str, requests: list[bytes], scratch: Path, seconds: float, rate: float) -> dict[str, float]:
    """One load on one server, printed as a line: the most it can do first, then times at a rate."""
    file = scratch / "requests.bin"
    write_requests(file, requests)

    def run(*more: str) -> dict[str, float]:
        program = [sys.executable, str(HERE / "_api_load.py"), str(port), str(file), str(CONNECTIONS), str(seconds)]
        done = subprocess.run([*program, *more], check=True, stdout=subprocess.PIPE, text=True)
        told: dict[str, float] = json.loads(done.stdout)
        if told["failed"]:
            raise SystemExit(f"{name}: {told['failed']:.0f} answers were not 200")
        return told

    most = run()["a_second"]
    offered = min(rate, most / 2)
    told = run(str(offered))
    print(
        f"{name:34}{offered:7.1f}{told['p50']:9.2f}{told['p95']:9.2f}{told['p99']:9.2f}{most:10,.1f}"
        f"{told['bytes']:9,.0f}",
        flush=True,
    )
    return {**told, "a_second": most, "rate": offered}


def request(path: str, body: object = None) -> bytes:
    """A whole HTTP/1.1 request."""
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    data = json.dumps(body).encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


if __name__ == "__main__":
    main()
