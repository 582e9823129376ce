"""Saves a booster as ``mlflow models serve`` takes it, run by the Python of the peers' own environment.

    python -P _mlflow_peer.py MODEL.json FEATURES.json FOLDER

FEATURES.json is the list of the features' names, in the model's order.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlflow.xgboost
import xgboost
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema


def main() -> None:
    booster = xgboost.Booster()
    booster.load_model(sys.argv[1])
    booster.feature_names = json.loads(Path(sys.argv[2]).read_text())
    columns = Schema([ColSpec("double", name, required=False) for name in booster.feature_names])
    signature = ModelSignature(columns, Schema([ColSpec("double")]))
    mlflow.xgboost.save_model(booster, sys.argv[3], signature=signature, pip_requirements=[])


if __name__ == "__main__":
    main()
