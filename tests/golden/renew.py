"""Write the golden bundles, rows and answers anew.

    python tests/golden/renew.py

To be run, and its result committed, only where a change is meant to alter a bundle's format or what a model learns;
say so in the commit. The same code gives the same bytes. Answers may be renewed for no other reason: that a library or
a machine answers otherwise is what they are there to show.

A simulated company gives the rows; each estimator is fitted to the same eight of its features. The calibrators differ
(by month, isotonic, sigmoid), so that all kinds are read and used. The rows answered are snapshots of that company as
they are (their values are the trees' own cut points), then some with nulls, with levels never seen, and with the most
extreme numbers that float32 holds.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from golden_files import ANSWERS, BUNDLES, ESTIMATORS, HERE, ROWS, answers, rows

from holdfast.artifacts.files import write_text
from holdfast.artifacts.schema import FeatureSchema
from holdfast.models.bundle import Bundle, Provenance
from holdfast.models.calibrate import Calibrator, Shifted, Sigmoid, fit_isotonic
from holdfast.models.encode import Encoder
from holdfast.models.reference import reference_of
from holdfast.models.registry import make_estimator
from holdfast.training.rows import TrainingRows

CUSTOMERS, MONTHS, SEED = 400, 24, 7
FEATURES = (
    "tenure_months", "customers_region", "plans_contract", "plans_months_to_contract_end", "usage_minutes_ratio_12m",
    "invoices_amount_mean_3m", "tickets_recency_12m", "nps_score_min_12m",
)  # fmt: skip
PARAMS = {"xgboost": {"rounds": 12, "depth": 3}, "lightgbm": {"rounds": 12, "depth": 3}}
EXTREMES = (0.0, -0.0, 1e-45, -1e-38, 1.0, -1.0, 16777217.0, 3.4028235e38, -3.4028235e38)
AS_THEY_ARE, HARD = 20, 28
UNSEEN = "(a level never seen)"


def company() -> TrainingRows:
    """The matured snapshots of a simulated company."""
    from holdfast import Project  # here, since other_machine.py fits where its libraries are not

    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(HERE.parent.parent / "conf" / "demo", Path(home) / "conf" / "demo")
        project = Project("demo", root=home)
        project.simulate(customers=CUSTOMERS, months=MONTHS, seed=SEED)
        return TrainingRows.of(project.build())


def fitted(name: str, table: pa.Table, schema: FeatureSchema, **params: int) -> Bundle:
    """A bundle of one estimator, fitted to snapshots with their ``label``."""
    y = table.column("label").to_numpy().astype(np.float64)
    encoder = Encoder.fit(table, schema)
    x = encoder.transform(table)
    model = make_estimator(name, params).fit(x, y, seed=SEED, categorical=encoder.categorical, threads=2)
    calibrators: dict[str, Calibrator] = {
        "xgboost": Shifted(Sigmoid(-0.1, 0.9), tuple(0.1 * np.sin(np.arange(12)))),
        "lightgbm": fit_isotonic(model.margin(x), y),
        "logistic": Sigmoid(0.05, 1.1),
        "rfm": Sigmoid(0.0, 1.0),
    }
    provenance = Provenance("golden", "golden", "0", name, SEED, params)
    return Bundle(encoder, model, calibrators[name], reference_of(table, schema), {}, provenance)


def questions(train: TrainingRows, schema: FeatureSchema) -> pa.Table:
    """Snapshots as they are, and hard ones."""
    rng = np.random.default_rng(SEED)
    at = np.sort(rng.choice(len(train), AS_THEY_ARE + HARD, replace=False))
    columns = {"cutoff": train.table.column("cutoff").take(at).cast(pa.timestamp("us"))}
    for feature in schema:
        values = train.table.column(feature.name).take(at).to_pylist()
        for i in range(AS_THEY_ARE, len(at)):
            if rng.random() < 0.25:
                values[i] = None
            elif rng.random() < 0.5:
                values[i] = EXTREMES[rng.integers(len(EXTREMES))] if feature.kind == "number" else UNSEEN
        values[-1] = None  # of one customer nothing at all is known
        columns[feature.name] = pa.array(values, feature.arrow_type)
    return pa.table(columns)


def main() -> None:
    train = company()
    schema = train.schema.only(FEATURES)
    asked = questions(train, schema)
    told = {name: column.to_pylist() for name, column in zip(asked.column_names, asked.columns, strict=True)}
    told["cutoff"] = [at.isoformat() for at in told["cutoff"]]
    write_text(ROWS, _json(told))
    shutil.rmtree(BUNDLES, ignore_errors=True)
    said = {}
    for name in ESTIMATORS:
        bundle = fitted(name, train.table, schema, **PARAMS.get(name, {}))
        bundle.save(BUNDLES / name)
        # more digits than this would be noise
        said[name] = {kind: np.round(a, 12).tolist() for kind, a in answers(bundle, rows(schema)).items()}
    write_text(ANSWERS, _json(said))


def _json(columns: dict[str, object]) -> str:
    """One line for each column."""
    return json.dumps(columns, allow_nan=False).replace("], ", "],\n") + "\n"


if __name__ == "__main__":
    main()
