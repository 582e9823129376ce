"""Reasons of many customers, beside XGBoost's own, LightGBM's own and the shap package's contributions, in one run.

    python benchmarks/shap.py [--rows 200000] [--peer-rows 20000] [--repeats 3] [--peers VENV] [--quick]

A model of 300 trees of depth 6 is fitted to 60 features for XGBoost and for LightGBM. Ours is timed from the feature
table to the column of reasons that scoring writes: encoding, margins, contributions, the check that they add up,
ranking and words; and cold, tables built anew, as a batch meets it. Of the peers only contributions are timed, from a
matrix in memory, with as many threads as they take by themselves, on fewer rows: their time is proportional to rows.
shap is run by the Python of an environment of its own, on the same model file (requirements-shap.txt). It hands
such models to the library, so its speed is the library's.

Each figure is the fastest of the repeats. Rows a second are to be at least 6 times the fastest peer's for the same
model, and no contribution further from the library's own than 1e-4.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from _shared import machine, peak_memory, peers_python
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.config.learning import ScoringSection
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Identity
from holdfast.models.encode import Encoder
from holdfast.models.reference import reference_of
from holdfast.models.registry import make_estimator
from holdfast.models.tree_shap import TOLERANCE
from holdfast.scoring.predictor import score_rows

HERE = Path(__file__).resolve().parent
FEATURES, GROUPS = 60, 20
FIT_ROWS = 50_000
ROUNDS, DEPTH = 300, 6
TIMES = 6.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--peer-rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="a virtual environment that has requirements-shap.txt")
    parser.add_argument("--quick", action="store_true", help="a small size that proves nothing")
    args = parser.parse_args()
    rows, peer_rows, repeats, rounds = args.rows, args.peer_rows, args.repeats, ROUNDS
    if args.quick:
        rows, peer_rows, repeats, rounds = 20_000, 1_000, 1, 50
    print(f"Reasons of {rows:,} customers: {rounds} trees of depth {DEPTH}, {FEATURES} features")
    print(machine())
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        python = peers_python(args.peers or Path(scratch) / "peers", "shap", make=args.peers is None)
        for name in ("xgboost", "lightgbm"):
            broken += measure(name, rows, peer_rows, repeats, rounds, python, Path(scratch))
    print(f"peak memory of this process {peak_memory():.2f} GiB")
    raise SystemExit(1 if broken and not args.quick else 0)


def measure(name: str, rows: int, peer_rows: int, repeats: int, rounds: int, python: Path, scratch: Path) -> list[str]:
    """One library: our rows a second, each peer's, and the claims that do not hold."""
    bundle = fitted(name, rounds)
    table = customers(rows, seed=1)
    config = ScoringSection()

    def ours() -> None:
        cold = Bundle.load(folder)  # nothing is built yet
        score_rows(cold, table, config, model_version="1")

    folder = scratch / name
    bundle.save(folder)
    mine = rows / fastest(repeats, ours)
    x = bundle.encoder.transform(table)
    few = np.ascontiguousarray(x[:peer_rows])
    native = bundle.model.native_contributions(few)
    peers = {f"{name}'s own": peer_rows / fastest(repeats, lambda: bundle.model.native_contributions(few))}
    np.save(scratch / "rows.npy", few)
    program = [
        str(python),
        "-P",
        str(HERE / "_shap_peer.py"),
        str(folder / bundle.model.filename),
        str(scratch / "rows.npy"),
    ]
    done = subprocess.run([*program, str(repeats)], check=True, stdout=subprocess.PIPE, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    peers[f"shap {told['version']}"] = peer_rows / min(told["seconds"])
    fast = bundle.model.contributions(x)
    off = float(np.abs(fast[:peer_rows] - native).max())
    gap = float(np.abs(fast.sum(axis=1) - bundle.model.margin(x)).max())
    best = max(peers.values())
    print(f"\n{name}, {bundle.model.rounds} trees")
    print(f"  holdfast           {mine:10,.0f} rows a second, with reasons, cold")
    for peer, speed in peers.items():
        print(f"  {peer:18} {speed:10,.0f} rows a second on {peer_rows:,} rows: {mine / speed:6.1f}x")
    claims = {
        f"{TIMES:g}x the fastest peer: {mine / best:.1f}x": mine >= TIMES * best,
        f"contributions within {TOLERANCE:g} of {name}'s own on {peer_rows:,} rows: {off:.2g}": off <= TOLERANCE,
        f"sum and margin within {TOLERANCE:g} on {rows:,} rows: {gap:.2g}": gap <= TOLERANCE,
    }
    for claim, holds in claims.items():
        print(f"  {claim}: {'holds' if holds else 'DOES NOT HOLD'}", flush=True)
    return [f"{name}: {claim}" for claim, holds in claims.items() if not holds]


def fastest(repeats: int, work: Callable[[], Any]) -> float:
    """The fewest seconds some work took."""
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def schema() -> FeatureSchema:
    return FeatureSchema(
        tuple(FeatureSpec(f"f{j}", "number", f"g{j % GROUPS}", f"measure {j % GROUPS}") for j in range(FEATURES))
    )


def customers(n: int, seed: int) -> pa.Table:
    """Feature rows: continuous, rounded and counted numbers, 3% of them unknown."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, FEATURES)).astype(np.float32)
    x[:, ::3] = np.round(x[:, ::3] * 4) / 4
    x[:, 1::6] = np.floor(np.abs(x[:, 1::6]) * 3)
    unknown = rng.random(x.shape) < 0.03
    keys = {
        "customer_id": pa.array([f"c{i}" for i in range(n)]),
        "cutoff": pa.repeat(pa.scalar(0, pa.timestamp("us")), n),
    }
    columns = {f"f{j}": pa.array(x[:, j], mask=unknown[:, j]) for j in range(FEATURES)}
    return pa.table({**keys, **columns})


def fitted(name: str, rounds: int) -> Bundle:
    """A bundle of one estimator, whose labels follow many of the features, so that trees are full."""
    table = customers(FIT_ROWS, seed=0)
    encoder = Encoder.fit(table, schema())
    x = encoder.transform(table)
    z = np.nan_to_num(x)
    rng = np.random.default_rng(2)
    weight = rng.normal(size=FEATURES) * np.exp(-np.arange(FEATURES) / 15) / 2
    margin = z @ weight + np.sin(2 * z[:, 0]) + z[:, 1] * z[:, 2] / 2 + z[:, 3] * z[:, 10] / 2 - 2
    y = (rng.random(FIT_ROWS) < 1 / (1 + np.exp(-margin))).astype(np.float64)
    model = make_estimator(name, {"rounds": rounds, "depth": DEPTH}).fit(x, y, seed=1, threads=2)
    provenance = Provenance("d", "c", "0", name, 1)
    return Bundle(encoder, model, Identity(), reference_of(table, schema()), {}, provenance)


if __name__ == "__main__":
    main()
