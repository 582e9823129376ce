"""Are the probabilities right on cutoffs that the model has not seen, and what do class weights do to them?

    python benchmarks/calibration.py [--quick] [--demo 101 102 ...] [--cdnow 1998-01-01 ...]

Each company is trained with its shipped configuration through the public pipeline, in a temporary folder: the built-in
company with seeds that were not used while building Holdfast (its last three matured cutoffs are the test), and CDNOW,
where each cutoff of 1998 is predicted by a model of its own. On the test's snapshots:

- slope: of the logistic regression of the labels on the predicted log-odds; 1 is right, below it they are too extreme
- observed / expected: churners over the sum of the probabilities
- log loss, beside that of a base rate for everybody: the training months', and the test's own, which nobody could know

Three sets of probabilities: as shipped; the same without the correction for the months; and the same estimator with
churners weighted by (stayers / churners) while fitting (`scale_pos_weight`), its answers believed as they are.
Intervals are 95% and draw customers; means over seeds or cutoffs have the interval of a t distribution over them.

The built-in company's true hazards say what observed / expected would be without the luck of who happened to leave:
that is printed beside it, and no claim rests on it. This program reads the truth; nothing under src/ does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as pads
from scipy.special import expit
from scipy.stats import t as student

from _shared import machine
from holdfast.artifacts.dataset import Dataset
from holdfast.clock import iso, utc
from holdfast.evaluation.calibration import calibration_line, ece, log_loss
from holdfast.evaluation.intervals import replicate_counts
from holdfast.models.bundle import Bundle
from holdfast.models.registry import make_estimator
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.contest import evaluated_folder
from holdfast.pipelines.imports import import_dataset
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import fold_plan, train
from holdfast.training.rows import TrainingRows

ROOT = Path(__file__).resolve().parents[1]
FILE = "cdnow/CDNOW_master.txt"
SEEDS = (101, 102, 103, 104, 105)
CUTOFFS = ("1998-01-01", "1998-02-01", "1998-03-01", "1998-04-01")
QUICK_CUSTOMERS = 2500
SLOPE, RATIO = (0.9, 1.1), (0.95, 1.05)
SHIPPED, UNCORRECTED, WEIGHTED = "as shipped", "months not corrected", "weighted, not calibrated"
FEW = "training.bootstrap=50"  # the report's own intervals are not read: the model is the same
FAR_WORSE = 3.0
"""The weighted probabilities' log loss is at least so many times that of a base rate for everybody."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Probabilities of a test's snapshots, by who gives them, and what happened."""

    y: FloatArray
    customers: npt.NDArray[np.int64]
    p: dict[str, FloatArray]
    known_rate: float
    estimator: str
    corrected: bool
    hazard: FloatArray | None = None


def answers(workspace: Workspace, dataset: Dataset, *, truth: bool) -> Answers:
    """Train as shipped and predict the test."""
    report = train(workspace, dataset=dataset, serve=False)
    # the one that was measured: what serves is fitted again, on the test too
    bundle = Bundle.load(evaluated_folder(workspace.models / str(report.version)))
    rows = TrainingRows(dataset.read(), dataset.manifest.schema)
    final = fold_plan(workspace.config, dataset, rows).final
    table = rows.table.take(pa.array(final.test))
    tested = {iso(utc(t.astype(object))) for t in np.unique(rows.cutoffs[final.test])}
    if seen := tested & set(bundle.provenance.extra["trained_on"]):
        raise SystemExit(f"the model was trained on its test: {sorted(seen)}")
    margin = bundle.margin(table)
    shape = getattr(bundle.calibrator, "shape", bundle.calibrator)
    y = rows.y[final.train]
    estimator = make_estimator(bundle.provenance.estimator, bundle.provenance.params)
    weighted = estimator.fit(
        bundle.encoder.transform(rows.take(final.train)), y, seed=bundle.provenance.seed,
        weight=np.where(y == 1, (len(y) - y.sum()) / y.sum(), 1.0), categorical=bundle.encoder.categorical,
    )  # fmt: skip
    p = {
        SHIPPED: bundle.predict(table),
        UNCORRECTED: shape.probability(margin),
        WEIGHTED: expit(weighted.margin(bundle.encoder.transform(table))),
    }
    hazard = hazards(workspace, table) if truth else None
    corrected = bool(report.metrics["prior_shift"]["applied"])
    return Answers(
        rows.y[final.test], rows.customers[final.test], p, float(y.mean()), report.estimator, corrected, hazard
    )


def hazards(workspace: Workspace, table: pa.Table) -> FloatArray:
    """The true probability of each snapshot."""
    truth = pads.dataset(workspace.truth / "hazard").to_table(columns=["customer_id", "month_start", "hazard"])
    known = dict(zip(zip(truth["customer_id"].to_pylist(), truth["month_start"].to_pylist(), strict=True),
                     truth["hazard"].to_pylist(), strict=True))  # fmt: skip
    keys = zip(table["customer_id"].to_pylist(), table["cutoff"].to_pylist(), strict=True)
    return np.array([known[key] for key in keys], dtype=np.float64)


@contextmanager
def home(project: str, sets: Sequence[str], work: Path | None, name: str) -> Iterator[Workspace]:
    """A project in a folder of its own, temporary unless ``work`` is given."""
    with ExitStack() as stack:
        temporary = None if work else stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-"))
        root = Path(temporary) if temporary else Path(work or "") / name
        shutil.copytree(ROOT / "conf" / project, root / "conf" / project, dirs_exist_ok=True)
        yield open_workspace(project, root=root, sets=[*sets, FEW])


def demo(seed: int, customers: int | None, work: Path | None) -> Answers:
    sets = [f"data.simulate.seed={seed}", *([f"data.simulate.customers={customers}"] if customers else [])]
    with home("demo", sets, work, f"demo-{seed}") as workspace:
        simulate(workspace)
        return answers(workspace, build(workspace), truth=True)


def cdnow(cutoff: str, file: Path, work: Path | None) -> Answers:
    sets = [f"data.cutoffs.last={cutoff}", "training.folds.test_cutoffs=1"]
    with home("cdnow", sets, work, f"cdnow-{cutoff}") as workspace:
        import_dataset(workspace, "cdnow", file)
        return answers(workspace, build(workspace), truth=False)


def drawn(y: FloatArray, p: FloatArray, customers: npt.NDArray[np.int64], replicates: int) -> dict[str, FloatArray]:
    """Slope and observed / expected: the value, then its interval's ends."""
    code = np.unique(customers, return_inverse=True)[1]
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(int(code.max()) + 2))

    def once(at: npt.NDArray[np.int64]) -> tuple[float, float]:
        return calibration_line(y[at], p[at]).slope, float(y[at].sum() / p[at].sum())

    draws = []
    for counts in replicate_counts(int(code.max()) + 1, replicates, seed=0):
        times = counts.astype(np.int64)
        draws.append(once(np.repeat(order, np.repeat(times, np.diff(starts)))))
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    value = once(np.arange(len(y)))
    return {name: np.array([value[i], low[i], high[i]]) for i, name in enumerate(("slope", "ratio"))}


def told(values: FloatArray) -> str:
    return f"{values[0]:.3f} ({values[1]:.3f} to {values[2]:.3f})"


def mean_of(values: Sequence[float]) -> FloatArray:
    """The mean and its interval over runs."""
    v = np.asarray(values)
    half = student.ppf(0.975, len(v) - 1) * v.std(ddof=1) / np.sqrt(len(v)) if len(v) > 1 else np.nan
    return np.array([v.mean(), v.mean() - half, v.mean() + half])


def report(title: str, runs: dict[str, Answers], replicates: int) -> list[str]:
    """Print a table and return the claims that do not hold."""
    print(f"\n{title}")
    head = f"  {'':12}{'':26}{'slope':26}{'observed / expected':26}{'ECE':8}{'log loss':10}{'of known rate':15}"
    print(f"{head}{'of own rate':13}{'by true hazard':14}".rstrip())
    found: dict[str, list[tuple[float, ...]]] = {}
    for name, run in runs.items():
        own = np.full(len(run.y), run.y.mean())
        base = log_loss(run.y, np.full(len(run.y), run.known_rate)), log_loss(run.y, own)
        for who, p in run.p.items():
            at = drawn(run.y, p, run.customers, replicates)
            loss = log_loss(run.y, p)
            by_truth = np.nan if run.hazard is None else float(run.hazard.sum() / p.sum())
            found.setdefault(who, []).append((at["slope"][0], at["ratio"][0], ece(run.y, p), loss, *base, by_truth))
            label = f"{name:12}" if who == SHIPPED else " " * 12
            shown = "" if run.hazard is None else f"{by_truth:.3f}"
            print(
                f"  {label}{who:26}{told(at['slope']):26}{told(at['ratio']):26}{ece(run.y, p):<8.4f}{loss:<10.5f}"
                f"{base[0]:<15.5f}{base[1]:<13.5f}{shown:14}".rstrip(), flush=True,
            )  # fmt: skip
    failed = []
    for who, rows in found.items():
        slope, ratio, gap, loss, known, own, by_truth = (mean_of(column) for column in zip(*rows, strict=True))
        label = f"{'mean':12}" if who == SHIPPED else " " * 12
        shown = "" if np.isnan(by_truth[0]) else told(by_truth)
        print(
            f"  {label}{who:26}{told(slope):26}{told(ratio):26}{gap[0]:<8.4f}{loss[0]:<10.5f}{known[0]:<15.5f}"
            f"{own[0]:<13.5f}{shown}".rstrip()
        )  # fmt: skip
        if who == SHIPPED:
            failed += [f"{title}: slope"] if not SLOPE[0] <= slope[0] <= SLOPE[1] else []
            failed += [f"{title}: observed / expected"] if not RATIO[0] <= ratio[0] <= RATIO[1] else []
            failed += [f"{title}: log loss"] if not all(r[3] < min(r[4], r[5]) for r in rows) else []
        if who == WEIGHTED and title.startswith("demo") and not loss[0] > FAR_WORSE * known[0]:
            failed.append(f"{title}: weighted is not far worse")
    models = ", ".join(
        f"{name} {r.estimator}{' (months corrected)' if r.corrected else ''}" for name, r in runs.items()
    )
    print(f"  models: {models}")
    return failed


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("HOLDFAST_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--quick", action="store_true", help=f"two seeds of {QUICK_CUSTOMERS:,} customers, no verdict")
    parser.add_argument("--demo", type=int, nargs="*", default=SEEDS, help="seeds of the built-in company")
    parser.add_argument("--cdnow", nargs="*", default=CUTOFFS, help="test cutoffs of CDNOW")
    parser.add_argument("--file", type=Path, default=data / FILE)
    parser.add_argument("--work", type=Path, help="keep the companies here, and use them again")
    parser.add_argument("--replicates", type=int, default=500)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    print("Calibration on unseen cutoffs, with the shipped configurations")
    print(machine())
    failed: list[str] = []
    seeds, cutoffs = (options.demo[:2], options.cdnow[:1]) if options.quick else (options.demo, options.cdnow)
    if seeds:
        runs = {}
        for seed in seeds:
            print(f"demo, seed {seed}", file=sys.stderr, flush=True)
            runs[f"seed {seed}"] = demo(seed, QUICK_CUSTOMERS if options.quick else None, options.work)
        failed += report("demo", runs, options.replicates)
    if cutoffs:
        runs = {}
        for cutoff in cutoffs:
            print(f"CDNOW, {cutoff}", file=sys.stderr, flush=True)
            runs[cutoff] = cdnow(cutoff, options.file, options.work)
        failed += report("CDNOW", runs, options.replicates)
    if options.quick:
        print("\na quick run claims nothing")
        return
    print(f"\nnot as it should be: {'; '.join(failed)}" if failed else "\nall as they should be")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
