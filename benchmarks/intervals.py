"""Do the 95% intervals of a model's figures cover their true values in 93 to 97 of a hundred companies?

    python benchmarks/intervals.py [--quick]

The model is fixed: the champion of the built-in company. So is the macro path, the calendar and all that befalls every
customer alike. What an interval must allow for is which customers the company happens to have, and who of them
happened to leave. So each redraw is another company:

- ``--scale`` times the company is simulated under another seed, with the simulator's `leave` switched off for the test
  months: it gives every customer's snapshots, and true hazards, at every test cutoff *as if nobody left*. A
  hazard rests on what stood before its month, and whether someone leaves is the last thing drawn of it, so
  this is what each would have looked like had they stayed
- as many customers as the champion's own test has are drawn from them, with replacement: independent draws from
  a known population, so that no correction for a finite one is needed. Each leaves by their own hazard, month
  by month, and has no snapshot after that. A customer drawn twice lives twice, and counts as two
- `holdfast.evaluation.intervals.evaluate` is given what the redraw shows, and nothing else, with as many
  replicates as the project is configured with: the interval that ``holdfast train`` reports

The true value is that of infinitely many such customers: the metric over all snapshots of the large company, each
weighted by the chance that its customer is still there, and by its hazard as a churner and by the rest as
a stayer. It is computed, not simulated. A metric whose mean over companies of this size is not its value in the
limit (average precision, profit at a budget) is held to the latter: bias counts against the interval.

Profit is that of the project's own campaign as training measures it: its budget per customer, its actions with the
assumed retention, and lifetime values held fixed. This program reads the truth; nothing under src/ does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

import holdfast.simulate.chunk
from _redraws import FloatArray, IntArray, Paths, covered, intervals
from _shared import machine, peak_memory
from holdfast.artifacts.dataset import Dataset
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso, parse_instant
from holdfast.evaluation.calibration import wilson
from holdfast.evaluation.campaign import Campaign
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.campaign import campaign_of
from holdfast.pipelines.serving_model import Champion, champion
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import fold_plan, train
from holdfast.simulate.arrays import Bools
from holdfast.simulate.stay import Stay
from holdfast.training.rows import TrainingRows

REPOSITORY = Path(__file__).resolve().parent.parent
LEAST, MOST = 0.93, 0.97
LABELS = {"roc_auc": "ROC-AUC", "average_precision": "average precision", "log_loss": "log loss", "profit": "profit"}


def say(text: str, began: float) -> None:
    """Progress goes to stderr: stdout is the report and nothing else."""
    print(f"{time.perf_counter() - began:7.1f} s  {text}", file=sys.stderr, flush=True)


def fixed_model(root: Path, project: str) -> tuple[Workspace, Champion, list[str], int]:
    """A champion, the cutoff before its test and those of it, and how many customers it was tested on."""
    workspace = open_workspace(project, root=root)
    if workspace.state.champion(workspace.name) is None:
        simulate(workspace)
        train(workspace, dataset=build(workspace), serve=False)
    best = champion(workspace)
    dataset = Dataset.open(workspace.datasets / best.dataset_id)
    rows = TrainingRows(dataset.read(), dataset.manifest.schema)
    test = fold_plan(workspace.config, dataset, rows).final.test
    tested = {iso(c) for c in np.unique(rows.cutoffs[test]).astype(object)}
    known = sorted(iso(c.cutoff) for c in dataset.manifest.cutoffs)
    cutoffs = [known[known.index(min(tested)) - 1], *sorted(tested)]
    return workspace, best, cutoffs, len(np.unique(rows.customers[test]))


def larger_company(root: Path, project: str, cutoffs: list[str], scale: int, seed: int) -> Workspace:
    """``scale`` times the company, in which nobody leaves from the first test cutoff, ``cutoffs[1]``, on."""
    given = open_workspace(project, root=root).config.data.simulate
    assert given is not None
    if seed == given.seed:
        raise SystemExit(f"--seed {seed} is the company's own: the model would have seen some of its customers")
    sets = [f"data.simulate.customers={scale * given.customers}", f"data.simulate.seed={seed}",
            f"data.cutoffs.first={cutoffs[0]}"]  # a dataset in which nobody leaves at all is not built  # fmt: skip
    workspace = open_workspace(project, root=root, sets=sets)
    first = parse_instant(cutoffs[1]).timestamp()
    really = holdfast.simulate.chunk.leave

    def leave(stay: Stay, *rest: Any) -> Bools:
        return really(stay, *rest) if stay.start < first else np.zeros_like(stay.at_risk)

    with mock.patch.object(holdfast.simulate.chunk, "leave", leave):
        simulate(workspace)
    return workspace


def paths_of(workspace: Workspace, best: Champion, cutoffs: list[str], scale: int) -> Paths:
    """The larger company's snapshots at the test cutoffs with what the model says of them and what is true."""
    dataset = build(workspace)
    tested = [parse_instant(c) for c in cutoffs[1:]]
    table = dataset.read(tested)
    at = [iso(c) for c in table.column("cutoff").to_pylist()]
    if sorted(set(at)) != cutoffs[1:] or any(table.column("label").to_pylist()):
        raise SystemExit(f"snapshots of {', '.join(cutoffs[1:])} in which nobody leaves were to be built")
    p = best.bundle.predict(table)
    truth = pads.dataset(workspace.truth / "hazard").to_table(
        columns=["customer_id", "month_start", "hazard"],
        filter=pads.field("month_start") >= pa.scalar(tested[0]).cast(pa.timestamp("us")),
    )
    known = dict(zip(zip(truth["customer_id"].to_pylist(), truth["month_start"].to_pylist(), strict=True),
                     truth["hazard"].to_pylist(), strict=True))  # fmt: skip
    keys = zip(table["customer_id"].to_pylist(), table["cutoff"].to_pylist(), strict=True)
    hazard = np.array([known[key] for key in keys])
    who = np.unique(table["customer_id"].to_pylist(), return_inverse=True)[1]
    shape = (int(who.max()) + 1, len(tested))
    place = who * len(tested) + np.searchsorted(cutoffs[1:], at)
    offers = campaign(workspace, table, dataset.manifest.schema, hazard, place, shape, scale)
    return Paths(spread(p, place, shape), spread(hazard, place, shape), offers)


def spread(values: FloatArray, place: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Values of snapshots as customers x cutoffs, NaN where there is none."""
    out = np.full(shape[0] * shape[1], np.nan)
    out[place] = values
    return out.reshape(shape)


def campaign(
    workspace: Workspace, table: pa.Table, schema: FeatureSchema, hazard: FloatArray, place: IntArray,
    shape: tuple[int, int], scale: int,
) -> Campaign:  # fmt: skip
    """The project's own, as training measures it, with the expected churn in place of labels."""
    expected = table.set_column(table.column_names.index("label"), "label", pa.array(hazard))
    given = campaign_of(workspace.config, TrainingRows(expected, schema), np.arange(len(hazard)))
    eligible = np.zeros((shape[0] * shape[1], len(given.cost)), dtype=np.bool_)
    eligible[place] = given.eligible
    return replace(
        given,
        value=spread(given.value, place, shape).ravel(),
        eligible=eligible,
        budget=None if given.budget is None else given.budget * scale,  # the same budget, for so many more customers
    )


def report(found: Mapping[str, FloatArray], truth: Mapping[str, float]) -> tuple[str, bool]:
    """The table, and whether every coverage is as claimed."""
    lines = [
        f"{'':19}{'true value':>11}{'mean of the estimates':>23}{'their sd':>10}{'mean width':>12}"
        f"{'truth below':>13}{'above':>7}{'covered':>9}  95% interval of the coverage"
    ]
    good = True
    for name, each in found.items():
        below, above, inside = covered(each, truth[name])
        share = inside / len(each)
        low, high = wilson(inside, len(each))
        good &= LEAST <= share <= MOST
        lines.append(
            f"{LABELS[name]:19}{truth[name]:>11.5f}{each[:, 0].mean():>23.5f}{each[:, 0].std():>10.5f}"
            f"{(each[:, 2] - each[:, 1]).mean():>12.5f}{below:>13}{above:>7}{share:>9.1%}  {low:.1%} to {high:.1%}"
        )
    return "\n".join(lines), good


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--project", default="demo")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the folder that holds conf/")
    parser.add_argument("--scale", type=int, default=10, help="how many times as many customers to draw from")
    parser.add_argument("--seed", type=int, default=2007, help="of the larger company and of the redraws")
    parser.add_argument("--redraws", type=int, default=3000, help="so many that the coverage is known to half a point")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, help="keep the companies here, and use them again")
    parser.add_argument("--quick", action="store_true", help="scale 3, 100 redraws; coverage is shown, not judged")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    scale, redraws = (3, 100) if options.quick else (options.scale, options.redraws)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as temporary:
        work = options.work.resolve() if options.work else Path(temporary)
        for name in ("company", "larger"):
            shutil.copytree(
                options.root / "conf" / options.project, work / name / "conf" / options.project, dirs_exist_ok=True
            )
        say("the model: the champion of the company", began)
        workspace, best, cutoffs, customers = fixed_model(work / "company", options.project)
        say(f"{scale} times the company", began)
        larger = larger_company(work / "larger", options.project, cutoffs, scale, options.seed)
        say("its snapshots", began)
        paths = paths_of(larger, best, cutoffs, scale)
    replicates = workspace.config.training.bootstrap
    say(f"{redraws} redraws", began)
    found = intervals(paths, customers, redraws, replicates=replicates, seed=options.seed, workers=options.workers)
    text, good = report(found, paths.truth())
    rows, y, _ = paths.redraw(customers, np.random.default_rng(options.seed))
    print(
        f"Coverage of the 95% intervals over {redraws:,} redraws of the {options.project} company\n{machine()}\n\n"
        f"model: version {best.version}, {best.bundle.provenance.estimator}, bundle {best.bundle.sha256[:12]}; test: "
        f"{', '.join(cutoffs[1:])}\n"
        f"each redraw: {customers:,} customers out of {len(paths.p):,} (seed {options.seed}); the first has "
        f"{len(rows):,} snapshots and {int(y.sum())} churners\n"
        f"intervals: {replicates} replicates, customers drawn\n\n{text}"
    )
    say(f"done; at most {peak_memory():.1f} GiB", began)
    if not options.quick and not good:
        raise SystemExit(f"a coverage lies outside {LEAST:.0%} to {MOST:.0%}")


if __name__ == "__main__":
    main()
