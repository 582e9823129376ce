"""Answer and fit as the machine this runs on, for other_machine.py: ``python _other_machine.py FOLDER OUT``.

FOLDER holds ``bundles/NAME/``, ``NAME.parquet`` (the rows put to each) and ``train.parquet``. OUT gets ``NAME.npz``
with the answers and ``fitted/NAME/``; a line about the machine is printed, as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "golden"))

from golden_files import ESTIMATORS, Answers, answers, in_bulk
from renew import FEATURES, PARAMS, fitted

from holdfast.models.bundle import Bundle


def both_ways(few: Answers, many: Answers) -> Answers:
    """Answers to rows and to `in_bulk` of them, together."""
    return {**few, **{f"bulk {kind}": values for kind, values in many.items()}}


def main() -> None:
    folder, out = map(Path, sys.argv[1:])
    for place in sorted((folder / "bundles").iterdir()):
        bundle = Bundle.load(place)
        rows = pq.read_table(folder / f"{place.name}.parquet")
        np.savez(out / f"{place.name}.npz", **both_ways(answers(bundle, rows), answers(bundle, in_bulk(rows))))
    train = pq.read_table(folder / "train.parquet")
    schema = Bundle.load(folder / "bundles" / "golden-xgboost").schema.only(FEATURES)
    for name in ESTIMATORS:
        fitted(name, train, schema, **PARAMS.get(name, {})).save(out / "fitted" / name)
    libraries = ("numpy", "scipy", "pyarrow", "xgboost-cpu", "lightgbm", "treelite")
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    told = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, C library {platform.libc_ver()[1]}",
        "numpy uses": [f for f in np._core._multiarray_umath.__cpu_dispatch__ if features[f]],  # type: ignore[attr-defined]
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
