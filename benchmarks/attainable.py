"""How much of what can be known does the champion know?

    python benchmarks/attainable.py [--quick]

The built-in company is simulated, so two limits that no real company shows can be measured. On the same snapshots,
the last matured cutoffs, which the champion has not seen:

- the true hazard: what a forecaster would say who knew every cause, also the frailty that no table shows
- the observable optimum: what is left when the tables are all there is, but data are plenty. It is approached from
  below by a model of the same features, fitted on another company of the same constants with ``--scale`` times as many
  customers, at the champion's training cutoffs, with as many trees as customers held out of *that* company ask for

Share reached is ``(AUC - 0.5) / (AUC of the optimum - 0.5)``. Intervals are 95% and draw customers, the same ones for
every column, so that the share's interval is of the ratio and not of two numbers apart.

Who of a few thousand customers left in three months is mostly luck. So everything is measured twice: on the labels as
they fell, and on the expected labels, where each snapshot counts as a churner with the weight of its true hazard and as
a stayer with the rest. The second has the same limit and no luck of the draw in it.

This program reads the truth; nothing under src/ does.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as pads

from _shared import machine, peak_memory
from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso
from holdfast.evaluation.intervals import replicate_counts
from holdfast.evaluation.weighting import METRICS, Presort
from holdfast.models.encode import Encoder
from holdfast.models.estimator import FittedModel, Validation
from holdfast.models.registry import make_estimator
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.run import run
from holdfast.pipelines.serving_model import Champion, champion
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import fold_plan
from holdfast.training.candidates import ONE_HOT_MAX
from holdfast.training.rows import TrainingRows

REPOSITORY = Path(__file__).resolve().parent.parent
QUICK_SCALE = 4
HELD_OUT = 0.1
"""Share of the larger company's customers on whom early stopping looks."""
SETTINGS = {"rounds": 1500, "learning_rate": 0.08, "depth": 4, "min_rows": 400, "subsample": 0.8, "colsample": 0.5,
            "early_stopping": 50}  # fmt: skip
"""LightGBM for the larger company: larger leaves than the demo's, and as many rounds as early stopping keeps."""
SHOWN = {"roc_auc": "ROC-AUC", "average_precision": "average precision"}
CHAMPION, OPTIMUM, TRUTH = "champion", "observable optimum", "true hazard"

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Snapshots:
    """The test: labels, true hazards and customers, and the rows to score."""

    table: pa.Table
    y: FloatArray
    hazard: FloatArray
    customers: npt.NDArray[np.int64]
    cutoffs: list[str]


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f}-{self.high:.4f})"


def say(text: str, began: float) -> None:
    """Progress goes to stderr: stdout is the report and nothing else."""
    print(f"{time.perf_counter() - began:7.1f} s  {text}", file=sys.stderr, flush=True)


def test_snapshots(workspace: Workspace, best: Champion) -> tuple[Snapshots, list[str]]:
    """The last matured cutoffs with their hazards, and the champion's training cutoffs."""
    dataset = Dataset.open(workspace.datasets / best.dataset_id)
    rows = TrainingRows(dataset.read(), dataset.manifest.schema)
    test = fold_plan(workspace.config, dataset, rows).final.test
    trained = list(best.bundle.provenance.extra["trained_on"])
    table = rows.table.take(pa.array(test))
    cutoffs = sorted({iso(c) for c in table.column("cutoff").to_pylist()})
    if set(cutoffs) & set(trained):
        raise SystemExit(f"the champion was trained on {sorted(set(cutoffs) & set(trained))}; train it again")
    truth = pads.dataset(workspace.truth / "hazard").to_table(columns=["customer_id", "month_start", "hazard"])
    known = dict(zip(zip(truth["customer_id"].to_pylist(), truth["month_start"].to_pylist(), strict=True),
                     truth["hazard"].to_pylist(), strict=True))  # fmt: skip
    keys = zip(table["customer_id"].to_pylist(), table["cutoff"].to_pylist(), strict=True)
    hazard = np.array([known[key] for key in keys], dtype=np.float64)
    return Snapshots(table, rows.y[test], hazard, rows.customers[test], cutoffs), trained


def larger_company(root: Path, home: Path, project: str, scale: int, seed: int, began: float) -> Workspace:
    """Simulate and build ``scale`` times the company under another seed: the same constants, other customers."""
    small = open_workspace(project, root=root).config.data.simulate
    assert small is not None
    if seed == small.seed:
        raise SystemExit(f"--seed {seed} is the company's own: the larger one would hold the same customers")
    shutil.copytree(root / "conf" / project, home / "conf" / project, dirs_exist_ok=True)
    sets = [f"data.simulate.customers={scale * small.customers}", f"data.simulate.seed={seed}"]
    workspace = open_workspace(project, root=home, sets=sets)
    say(f"simulating {scale * small.customers:,} customers", began)
    simulate(workspace)
    say("building its snapshots", began)
    build(workspace)
    return workspace


def fit_larger(workspace: Workspace, trained: list[str], began: float) -> tuple[Encoder, FittedModel, int]:
    """Fit on the champion's training cutoffs, one cutoff in memory as a table at a time."""
    dataset = build(workspace)
    counts = {c.cutoff: c.states["matured"] for c in dataset.manifest.cutoffs if iso(c.cutoff) in set(trained)}
    schema = dataset.manifest.schema.without(workspace.config.training.exclude)
    categories = FeatureSchema(tuple(f for f in schema if f.kind == "category"))
    words = dataset.read(list(counts), columns=categories.names)
    encoder = Encoder(schema, Encoder.fit(words, categories, one_hot_max=ONE_HOT_MAX).levels)
    n = sum(counts.values())
    x, y = np.empty((n, encoder.n_columns), dtype=np.float32), np.empty(n)
    at = 0
    for cutoff in counts:
        part = dataset.read([cutoff])
        rows = slice(at, at + part.num_rows)
        x[rows], y[rows] = encoder.transform(part), part["label"].to_numpy()
        at += part.num_rows
    ids = words["customer_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    held = np.random.default_rng(0).random(int(ids.max()) + 1)[ids] < HELD_OUT
    say(f"fitting on {n:,} snapshots, {int(y.sum()):,} churners", began)
    valid = Validation(x[held], y[held])
    x, y = x[~held], y[~held]
    model = make_estimator("lightgbm", SETTINGS).fit(x, y, seed=7, categorical=encoder.categorical, valid=valid)
    return encoder, model, n


def measured(
    scores: Mapping[str, FloatArray], test: Snapshots, *, expected: bool, replicates: int
) -> dict[tuple[str, str], Interval]:
    """Metrics by (metric, who), and the share of the optimum reached by (``share``, who).

    A draw of customers is a weighting of the rows. With ``expected``, every row is there twice: as a churner with the
    weight of its hazard, and as a stayer with the rest.
    """
    n = len(test.y)
    y = np.repeat([1.0, 0.0], n) if expected else test.y
    base = np.concatenate([test.hazard, 1 - test.hazard]) if expected else np.ones(n)
    code = np.unique(test.customers, return_inverse=True)[1]
    code = np.tile(code, 2) if expected else code
    ranked = {who: Presort(y, np.tile(p, 2) if expected else p) for who, p in scores.items()}

    def once(counts: FloatArray) -> dict[tuple[str, str], float]:
        weight = base * counts[code]
        found: dict[tuple[str, str], float] = {}
        for who, presort in ranked.items():
            weighting = presort.weigh(weight)
            found |= {(metric, who): METRICS[metric](weighting) for metric in SHOWN}
        for who in scores:
            found["share", who] = (found["roc_auc", who] - 0.5) / (found["roc_auc", OPTIMUM] - 0.5)
        return found

    clusters = int(code.max()) + 1
    value = once(np.ones(clusters))
    draws = [once(counts) for counts in replicate_counts(clusters, replicates, seed=0)]
    bounds = {key: np.quantile([d[key] for d in draws], [0.025, 0.975]) for key in value}
    return {key: Interval(v, *(float(b) for b in bounds[key])) for key, v in value.items()}


def report(scores: Mapping[str, FloatArray], test: Snapshots, head: list[str], replicates: int) -> str:
    lines = [*head, ""]
    for expected, title in ((False, "on the labels as they fell"), (True, "on the expected labels (true hazards)")):
        found = measured(scores, test, expected=expected, replicates=replicates)
        lines += [title, f"  {'':20}{'ROC-AUC':26}{'average precision':26}{'share of the optimum':24}"]
        lines += [
            f"  {who:20}{found['roc_auc', who]!s:26}{found['average_precision', who]!s:26}{found['share', who]!s}"
            for who in scores
        ]
        lines.append("")
    return "\n".join(line.rstrip() for line in lines)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--project", default="demo")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the folder that holds conf/ and var/")
    parser.add_argument("--scale", type=int, default=20, help="how many times as many customers")
    parser.add_argument("--quick", action="store_true", help=f"scale {QUICK_SCALE}")
    parser.add_argument("--seed", type=int, default=1007, help="of the larger company; never the demo's")
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--work", type=Path, help="keep the larger company here, and use it again")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "results" / "attainable.txt")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    scale = QUICK_SCALE if options.quick else options.scale
    began = time.perf_counter()
    with ExitStack() as stack:

        def temporary() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-")))

        root = options.root.resolve()
        workspace = open_workspace(options.project, root=root)
        if workspace.config.data.simulate is None:
            raise SystemExit(f"{options.project} is not simulated: there is no truth to compare with")
        if workspace.state.champion(workspace.name) is None or not simulate_is_there(workspace):
            say("no champion yet: running the pipeline in a temporary folder", began)
            root = temporary()
            shutil.copytree(options.root / "conf" / options.project, root / "conf" / options.project)
            workspace = open_workspace(options.project, root=root)
            run(workspace, "train")
        best = champion(workspace)
        test, trained = test_snapshots(workspace, best)
        home = options.work.resolve() if options.work else temporary()
        larger = larger_company(root, home, options.project, scale, options.seed, began)
        encoder, model, rows = fit_larger(larger, trained, began)
        scores = {
            CHAMPION: best.bundle.predict(test.table),
            OPTIMUM: model.margin(encoder.transform(test.table)),
            TRUTH: test.hazard,
        }
        say("measuring, with intervals", began)
        estimator, sha = best.bundle.provenance.estimator, best.bundle.sha256[:12]
        head = [
            f"What the champion of {options.project} knows of what can be known",
            machine(),
            "",
            f"champion: version {best.version}, {estimator}, bundle {sha}, {len(trained)} training cutoffs",
            f"optimum: LightGBM of {model.rounds} trees, {scale} times the customers (seed {options.seed}), {rows:,} "
            "snapshots of the same cutoffs",
            f"test: {', '.join(test.cutoffs)}; {len(test.y):,} snapshots, {int(test.y.sum())} churners "
            f"(expected by the true hazard: {test.hazard.sum():.1f})",
            f"intervals: 95%, {options.replicates} draws of customers",
        ]
        text = report(scores, test, head, options.replicates)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
        print(text, end="")
        say(f"done; at most {peak_memory():.1f} GiB", began)


def simulate_is_there(workspace: Workspace) -> bool:
    """Whether the truth beside the sources is there at all."""
    return (workspace.truth / "hazard").is_dir()


if __name__ == "__main__":
    main()
