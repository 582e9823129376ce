"""CDNOW: does the shipped configuration reach what honest models reach, on every test cutoff of 1998?

    python benchmarks/cdnow.py [--file CDNOW_master.txt] [--work FOLDER]

Churn is 90 days without an order, of those who ordered in the last 180. Each test cutoff is predicted by a model of its
own, trained on earlier cutoffs whose labels were known by then (purged: they lie at least 90 days before it). The
reference is DESIGN section 6's. A ROC-AUC far above it would be a leak: rows split at random instead of by time reach
more on such data, and so does a window that runs past the data's end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from _shared import machine
from holdfast.pipelines.bootstrap import open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.imports import import_dataset
from holdfast.pipelines.train import train

ROOT = Path(__file__).resolve().parents[1]
FILE = "cdnow/CDNOW_master.txt"
REFERENCE = {
    "1998-01-01": (6_343, 0.596, 0.702, 0.744), "1998-02-01": (5_961, 0.582, 0.707, 0.738),
    "1998-03-01": (5_937, 0.587, 0.719, 0.753), "1998-04-01": (6_055, 0.615, 0.728, 0.781),
}  # fmt: skip
LEAST = {"1998-01-01": 0.697, "1998-02-01": 0.702, "1998-03-01": 0.714, "1998-04-01": 0.722}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("HOLDFAST_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--file", type=Path, default=data / FILE)
    parser.add_argument("--work", type=Path, help="keep the companies here, and use them again")
    options = parser.parse_args()
    file = options.file
    print("CDNOW with the shipped configuration, beside the honest references of DESIGN section 6")
    print(machine())
    print(
        f"{'test cutoff':12}{'n (known)':>16}{'base rate':>15}  {'trained on':>17}  {'ROC-AUC':25}{'at least':10}"
        f"{'reference':11}{'average precision':25}{'reference':11}model"
    )
    failed: list[str] = []
    for cutoff, (n, rate, auc, ap) in REFERENCE.items():
        with tempfile.TemporaryDirectory() as temporary:
            root = options.work / f"cdnow-{cutoff}" if options.work else Path(temporary)
            shutil.copytree(ROOT / "conf" / "cdnow", root / "conf" / "cdnow", dirs_exist_ok=True)
            sets = [f"data.cutoffs.last={cutoff}", "training.folds.test_cutoffs=1"]
            workspace = open_workspace("cdnow", root=root, sets=sets)
            import_dataset(workspace, "cdnow", file)
            trained = train(workspace, dataset=build(workspace))
        test, folds = trained.metrics["test"], trained.metrics["folds"]
        figures = [test["metrics"][m] for m in ("roc_auc", "average_precision")]
        told = [f"{f['value']:.4f} ({f['low']:.4f}-{f['high']:.4f})" for f in figures]
        print(
            f"{cutoff:12}{test['n']:>8,} ({n:,}){test['base_rate']:>7.3f} ({rate:.3f})  "
            f"{folds['final']['train']:>8,} rows     {told[0]:25}{LEAST[cutoff]:<10.3f}{auc:<11.3f}{told[1]:25}"
            f"{ap:<11.3f}{trained.estimator}"
        )
        if test["n"] != n or round(test["base_rate"], 3) != rate or figures[0]["value"] < LEAST[cutoff]:
            failed.append(cutoff)
    print(f"not as it should be: {', '.join(failed)}" if failed else "all as they should be")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
