"""What benchmarks/shap.py times of the shap package, run by the Python of the peers' own environment.

    python -P _shap_peer.py MODEL ROWS.npy REPEATS     (-P: shap.py beside it is not the package)

The last line printed is JSON: shap's version and the seconds of each repeat.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import shap


def model_of(file: Path) -> Any:
    if file.suffix == ".json":
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(file)
        return booster
    import lightgbm

    return lightgbm.Booster(model_file=str(file))


def main() -> None:
    rows, repeats = np.load(sys.argv[2]), int(sys.argv[3])
    explainer = shap.TreeExplainer(model_of(Path(sys.argv[1])))
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        explainer.shap_values(rows, check_additivity=False)
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"version": shap.__version__, "seconds": seconds}))


if __name__ == "__main__":
    main()
