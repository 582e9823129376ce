"""`holdfast train` beside bare xgboost.train on the same matrices, in one run: time and peak memory.

    python benchmarks/training.py [--customers 70700] [--repeats 3] [--quick]

One fixed fit: XGBoost with its parameters given, no search, on 1.5 million snapshots of 60 features (the company of
features_peers.py). To know what a model is worth, `holdfast train` must fit it more than once: on the one fold that is
asked for here, on what lies before the final test, and again on everything matured. The bare program makes the same
fits, of the same rows, parameters, seed and threads, from one float32 matrix that is in memory before its clock starts.

time    the whole process of `holdfast train`: starting Python, reading Parquet, folds, encoding, fits, calibration,
        metrics with intervals, reference, bundles, the gate, the model card and the ledger; over the seconds in which
        the bare program makes its quantised matrices and trains. At most 1.15.
memory  the most that each process ever held; the bare one's has its matrix. At most 1.15.

The leakage audit is of the dataset, and stands until that, its sources or the configuration change: it is made once,
before, and its own time and memory are printed.

Medians of alternating runs. Also printed, and no claim: the time over that of the last fit alone, and where time went.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from _shared import machine, peak_memory

LIMIT = 1.15
CUSTOMERS, ROUNDS, DEPTH = 70_700, 300, 6
QUICK_CUSTOMERS, QUICK_ROUNDS = 3_500, 10
FEATURES = 60
DAYS = 800
"""Of events: until the labels of the last cutoff are known."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a small size that proves nothing, once")
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        print(json.dumps(ROLES[args.role](args.root, args.customers, args.rounds)))
        return
    customers, rounds, repeats = args.customers, args.rounds, args.repeats
    if args.quick:
        customers, rounds, repeats = QUICK_CUSTOMERS, QUICK_ROUNDS, 1
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        made = run("prepare", root, customers, rounds)
        print(
            f"One fixed fit on {made['rows']:,} snapshots x {FEATURES} features: holdfast train and bare xgboost.train"
        )
        print(machine(), flush=True)
        audited = run("audit", root)
        runs = [(run("holdfast", root), run("bare", root)) for _ in range(repeats)]
    held = told(runs)
    print(f"the audit of the dataset, once and before: {audited['wall']:.2f} s, {audited['peak']:.2f} GiB")
    raise SystemExit(0 if held or args.quick else 1)


def told(runs: list[tuple[dict[str, Any], dict[str, Any]]]) -> bool:
    """Print the medians; whether both claims hold."""
    ours, bare = [r[0] for r in runs], [r[1] for r in runs]
    if ours[0]["fits"] != bare[0]["fits"]:
        raise SystemExit(f"not the same fits: {ours[0]['fits']} and {bare[0]['fits']}")
    seconds = statistics.median(r["wall"] for r in ours), statistics.median(sum(r["seconds"]) for r in bare)
    peaks = statistics.median(r["peak"] for r in ours), statistics.median(r["peak"] for r in bare)
    last = statistics.median(r["seconds"][-1] for r in bare)
    print(f"fits: {', '.join(f'{n:,} rows' for n in ours[0]['fits'])}; the median of {len(runs)}")
    ratios = {"time": seconds[0] / seconds[1], "memory": peaks[0] / peaks[1]}
    said = {
        "time": f"{seconds[0]:8.2f} s   bare {seconds[1]:8.2f} s",
        "memory": f"{peaks[0]:8.2f} GiB bare {peaks[1]:8.2f} GiB",
    }
    for name, ratio in ratios.items():
        verdict = "holds" if ratio <= LIMIT else "DOES NOT HOLD"
        print(f"  {name:7} holdfast {said[name]}   {ratio:.3f}x (at most {LIMIT}x: {verdict})")
    print(f"  over the last fit alone ({last:.2f} s): {seconds[0] / last:.2f}x")
    print("where time and memory went, one run:")
    for stage, took, peak in ours[-1]["stages"]:
        print(f"  {took:8.2f} s  {peak:6.2f} GiB at most so far   {stage}")
    return all(ratio <= LIMIT for ratio in ratios.values())


def run(role: str, root: Path, customers: int = 0, rounds: int = 0) -> dict[str, Any]:
    """A role in a process of its own, and how long that lived."""
    program = [sys.executable, __file__, "--role", role, "--root", str(root)]
    program += ["--customers", str(customers), "--rounds", str(rounds)]
    began = time.perf_counter()
    environment = {**os.environ, "HOLDFAST_HOME": str(root)}
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    wall = time.perf_counter() - began
    return {"wall": wall, **json.loads(done.stdout.splitlines()[-1])}


def prepare(root: Path, customers: int, rounds: int) -> dict[str, Any]:
    """The company, its dataset, and the matrix of all its matured snapshots as the bare program reads it."""
    from features_peers import company
    from holdfast.pipelines.build import build

    workspace = company(root, customers, days=DAYS)
    params = f"rounds: {rounds}, depth: {DEPTH}"
    folds = "folds: {validation_cutoffs: 1, test_cutoffs: 1}"
    text = f"estimators: {{xgboost: {{params: {{{params}}}}}}}\n{folds}\nprior_shift: false\n"
    (root / "conf" / "peers" / "training.yaml").write_text(text)
    dataset = build(workspace)
    table = dataset.read()
    x = np.column_stack([table.column(name).to_numpy() for name in dataset.manifest.schema.names])
    np.save(root / "x.npy", x.astype(np.float32, copy=False))
    np.save(root / "y.npy", table.column("label").to_numpy())
    return {"rows": len(x)}


def audit(root: Path, *_: int) -> dict[str, Any]:
    """The leakage audit as the gate wants it, by itself: it stands until dataset, sources or configuration change."""
    from holdfast.audit.subject import GATE
    from holdfast.pipelines.audit import audit
    from holdfast.pipelines.bootstrap import open_workspace

    found = audit(open_workspace("peers", root=root), effort=GATE)
    if not found.clean:
        raise SystemExit(f"the audit found something: {'; '.join(found.reasons())}")
    return {"peak": peak_memory()}


def holdfast(root: Path, *_: int) -> dict[str, Any]:
    """`holdfast train`, noting the rows of each fit and when each stage began."""
    from holdfast.cli.entry import main  # first: it leaves out what libraries would import for nothing
    from holdfast.models import xgboost_model
    from holdfast.pipelines import train as verb

    fits: list[int] = []
    stages: list[tuple[str, float, float]] = []
    fitting = 0.0
    library = xgboost_model.XGBoost.fit

    def noted(
        self: Any, x: Any, y: Any, *, seed: int, weight: Any, categorical: Any, monotone: Any, threads: int
    ) -> Any:
        nonlocal fitting
        fits.append(len(x))
        began = time.perf_counter()
        x = [x]  # nothing here may keep the matrix that the caller gave up
        model = library(
            self, x.pop(), y, seed=seed, weight=weight, categorical=categorical, monotone=monotone, threads=threads
        )
        fitting += time.perf_counter() - began
        return model

    def noted_progress(stage: str) -> None:
        stages.append((stage, time.perf_counter(), peak_memory()))

    def train(*args: Any, progress: Callable[[str], None], **given: Any) -> Any:
        def both(stage: str) -> None:
            noted_progress(stage)
            progress(stage)

        return plain(*args, progress=both, **given)

    plain, verb.train = verb.train, train
    xgboost_model.XGBoost.fit = noted  # type: ignore[method-assign]
    noted_progress("reading")
    with redirect_stdout(sys.stderr):
        code = main(["train", "--project", "peers"])
    noted_progress("done")
    if code not in (0, 3):  # the gate refuses a model of noise
        raise SystemExit(f"holdfast train ended with {code}")
    took = [(a[0], b[1] - a[1], b[2]) for a, b in pairwise(stages)]
    bundle = sorted((root / "var" / "peers" / "models").glob("*/manifest.json"))[-1]
    (root / "params.json").write_text(json.dumps({"params": json.loads(bundle.read_text())["params"], "fits": fits}))
    return {
        "peak": peak_memory(),
        "fits": fits,
        "stages": [*took, ("of these, within the fits", fitting, peak_memory())],
    }


def bare(root: Path, *_: int) -> dict[str, Any]:
    """The same fits by the library alone. Snapshots are in order of cutoffs: what a fit is given comes first."""
    import xgboost as xgb

    from holdfast.config.learning import TrainingSection

    told = json.loads((root / "params.json").read_text())
    p = told["params"]
    params = {
        "objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist", "eta": p["learning_rate"],
        "max_depth": p["depth"], "min_child_weight": p["min_child_weight"], "gamma": p["min_gain"],
        "subsample": p["subsample"], "colsample_bytree": p["colsample"], "alpha": p["l1"], "lambda": p["l2"],
        "max_bin": p["max_bin"], "seed": TrainingSection.model_fields["seed"].default, "verbosity": 0,
    }  # fmt: skip
    x, y = np.load(root / "x.npy"), np.load(root / "y.npy").astype(np.float64)
    seconds: list[float] = []
    for rows in told["fits"]:
        began = time.perf_counter()
        data = xgb.QuantileDMatrix(x[:rows], y[:rows], max_bin=p["max_bin"])
        xgb.train(params, data, p["rounds"])
        del data
        seconds.append(time.perf_counter() - began)
    return {"peak": peak_memory(), "fits": told["fits"], "seconds": seconds}


ROLES = {"prepare": prepare, "audit": audit, "holdfast": holdfast, "bare": bare}

if __name__ == "__main__":
    main()
