"""IBM Telco: do the shipped configurations reach what honest models reach, and no more?

    python benchmarks/telco.py [--file CSV]

The limits are DESIGN section 6's: customer-grouped folds give ROC-AUC .819 and average precision .146 over the twelve
monthly cutoffs, about .82 and .59 on the last one, and .850 and .667 on a dataset of the last cutoff alone. An average
precision above .63 on the last of twelve, or above .70 on the last alone, would be a leak.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _shared import machine
from holdfast.pipelines.bootstrap import open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.imports import import_dataset
from holdfast.pipelines.train import train

ROOT = Path(__file__).resolve().parents[1]
FILE = "telco/Telco-Customer-Churn.csv"
REFERENCE = {"all": (0.819, 0.146), "last of twelve": (0.82, 0.59), "last alone": (0.850, 0.667)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("HOLDFAST_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--file", type=Path, default=data / FILE)
    file = parser.parse_args().file
    print("IBM Telco with the shipped configuration, beside the honest references of DESIGN section 6")
    print(machine())
    print(f"{'':16}{'snapshots':>10}{'churners':>10}   {'ROC-AUC':24}{'reference':12}{'average precision':24}reference")
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "conf").symlink_to(ROOT / "conf")
        workspace = open_workspace("telco", root=Path(root))
        import_dataset(workspace, "telco", file)
        whole = train(workspace, dataset=build(workspace)).metrics["test"]
        show("all", whole)
        show("last of twelve", whole["by_cutoff"][-1])
        show("last alone", train(workspace, dataset=build(workspace, cutoffs="last")).metrics["test"])


def show(name: str, measured: Mapping[str, Any]) -> None:
    """One line: figures with 95% intervals, and the reference beside each."""
    auc, ap = REFERENCE[name]
    figures = [measured["metrics"][m] for m in ("roc_auc", "average_precision")]
    told = [f"{f['value']:.4f} ({f['low']:.4f}-{f['high']:.4f})" for f in figures]
    print(f"{name:16}{measured['n']:>10,}{measured['positives']:>10,}   {told[0]:24}{auc:<12.3f}{told[1]:24}{ap:.3f}")


if __name__ == "__main__":
    main()
