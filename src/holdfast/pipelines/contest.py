"""The champion's and the challenger's predictions of the same matured snapshots, which neither was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.artifacts.files import writing_file
from holdfast.clock import naive, parse_instant
from holdfast.config.schema import Config
from holdfast.errors import DataError, NotFoundError, StoreError
from holdfast.evaluation.arrays import BoolArray
from holdfast.models.bundle import Bundle
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.campaign import campaign_of
from holdfast.stores.state_tables import VersionRow
from holdfast.training.gate import Contest
from holdfast.training.rows import FloatArray, IntArray, TrainingRows
from holdfast.training.trainer import Trained

KEYS = ["customer_id", "cutoff", "label"]
LEAST_SHARED = 0.5
"""Where history is reconstructed: what both were measured on must be this share of what either was."""


def evaluated_folder(bundle: Path) -> Path:
    """Where the model that was measured is kept, beside the one that was fitted again and may serve."""
    return bundle.with_name(f"{bundle.name}-evaluated")


def unseen_file(bundle: Path) -> Path:
    """Where the folds' own predictions are kept, where history is reconstructed."""
    return bundle.with_name(f"{bundle.name}-unseen.parquet")


def contest(workspace: Workspace, champion: VersionRow, rows: TrainingRows, trained: Trained) -> Contest | str:
    """The challenger and the champion side by side; or, in words, why they cannot be compared.

    A champion was fitted on everything matured in its time, and a challenger trained soon after leaves few snapshots
    that it has not seen. Then the model that was measured before the champion was fitted again stands for it.
    """
    path = workspace.var / champion.path
    try:
        bundle = Bundle.load(path)
        mine, theirs = (question(b.provenance.extra["label"]) for b in (trained.bundle, bundle))
        if mine != theirs:
            changed = ", ".join(k for k in sorted(mine | theirs) if mine.get(k) != theirs.get(k))
            return f"the champion answers another question (label: {changed})"
        if (trained.evaluated is not None) != bundle.provenance.extra["timed"]:
            return "one was trained on months and the other on groups of customers"
        if trained.evaluated is None:
            return _out_of_fold(workspace.config, unseen_file(path), rows, trained, champion.version)
    except (NotFoundError, StoreError) as e:  # a new model is how one gets out of that
        return f"the champion's bundle cannot be used: {e.message}"
    known, against = _unseen(bundle, rows, trained.measured.rows), f"version {champion.version}"
    if (twin := _evaluated(path)) is not None:
        more = _unseen(twin, rows, trained.measured.rows)
        if more.sum() > known.sum():
            bundle, known, against = twin, more, f"{against} as it was evaluated"
    at = trained.measured.rows[known]
    try:
        p = bundle.predict(rows.take(at))
    except DataError as e:  # features.yaml has changed since: a new model must still be possible
        lacking = "; ".join(problem.what for problem in e.problems[:3])
        return f"the champion reads other features than this dataset has ({lacking})"
    return _contest(workspace.config, rows, at, trained.measured.p[known], p, against)


def write_unseen(path: Path, rows: TrainingRows, trained: Trained) -> None:
    """Keep the folds' own predictions: on reconstructed history the model that serves has seen everybody."""
    table = rows.table.select(KEYS).take(pa.array(trained.measured.rows)).append_column("p", [trained.measured.p])
    with writing_file(path) as temporary:
        pq.write_table(table, temporary)


def _contest(
    config: Config, rows: TrainingRows, at: IntArray, challenger: FloatArray, champion: FloatArray, against: str
) -> Contest | str:
    y = rows.y[at]
    if not len(at) or y.sum() in (0, len(at)):
        return "there are no matured snapshots, with churners among them, that neither model was trained on"
    slices = {name: rows.values(name, at) for name in config.training.slices}
    return Contest(y, challenger, champion, rows.customers[at], campaign_of(config, rows, at), slices, against)


def unseen_from(bundle: Bundle) -> datetime:
    """The first instant after the windows of all labels that a model learnt from, where it was trained in time.

    Those of its validation are among them: they chose the estimator and made the calibrator.
    """
    extra, folds = bundle.provenance.extra, bundle.metrics["folds"]["validation"]
    cutoffs = {*extra["trained_on"], *(c for fold in folds for c in fold["test_cutoffs"])}
    return max(parse_instant(extra["windows"][c]) for c in cutoffs)


def question(label: Mapping[str, str]) -> dict[str, str]:
    """What a label asks; how long the business waits for late news does not change that."""
    return {key: value for key, value in label.items() if key != "delay"}


def _unseen(bundle: Bundle, rows: TrainingRows, at: IntArray) -> BoolArray:
    return np.asarray(rows.cutoffs[at] >= np.datetime64(naive(unseen_from(bundle)), "us"))


def _evaluated(path: Path) -> Bundle | None:
    """What a champion was when it was measured; None where that is lost, and the champion must stand for itself."""
    try:
        return Bundle.load(evaluated_folder(path))
    except (NotFoundError, StoreError):
        return None


def _out_of_fold(config: Config, file: Path, rows: TrainingRows, trained: Trained, champion: int) -> Contest | str:
    """Both models' folds: each row was predicted by models that saw neither it nor any other of its customer."""
    try:
        theirs = pq.read_table(file)
    except (OSError, pa.ArrowException):
        return f"the champion's predictions of its own folds ({file.name}) are not kept, or cannot be read"
    mine = rows.table.select(KEYS).append_column("row", pa.array(np.arange(len(rows), dtype=np.int64)))
    both = mine.join(theirs, KEYS, join_type="inner").sort_by("row")
    at = np.asarray(both.column("row").to_numpy(), dtype=np.int64)
    if len(at) < LEAST_SHARED * max(len(theirs), len(mine)):
        shared = f"{len(at):,} of its {len(theirs):,} are among the {len(mine):,} here"
        return f"the champion was measured on other snapshots ({shared})"
    order = np.argsort(trained.measured.rows, kind="stable")
    p = trained.measured.p[order[np.searchsorted(trained.measured.rows[order], at)]]
    champion_p = np.asarray(both.column("p").to_numpy(), dtype=np.float64)
    return _contest(config, rows, at, p, champion_p, f"version {champion}, each row out of fold")
