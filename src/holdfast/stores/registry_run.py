"""A version as a run of MLflow: parameters, metrics, the dataset it came from, its trials, and files to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from holdfast.stores.quiet_mlflow import load_mlflow

PARAMS_PER_CALL = 100  # mlflow.utils.validation.MAX_PARAMS_TAGS_PER_BATCH
METRICS_PER_CALL = 1000  # mlflow.utils.validation.MAX_METRICS_PER_BATCH
MAX_PARAM_CHARS = 6000
MAX_TRIALS = 200
"""More than these, the best, would be hours of rows that nobody reads."""
PARENT, RUN_NAME, TRIAL, CONTEXT = "mlflow.parentRunId", "mlflow.runName", "trial", "mlflow.data.context"
PROXIED = "mlflow-artifacts:"
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
"""MLflow's word for how a trial ended; any other is FAILED."""

T = TypeVar("T")


@dataclass(frozen=True)
class VersionFacts:
    """What MLflow is told of a version.

    Attributes
    ----------
    bundle : the bundle's folder
    bundle_sha256, dataset_id : what a version is known by
    params : flat, by name
    metrics : numbers by name
    tags : of the run and of the version
    description : for people, one paragraph
    source : where the dataset lies
    profile : counts of the dataset
    trials : of tuning, each with number, estimator, imbalance, params, value and state
    files : model card and figures
    """

    bundle: Path
    bundle_sha256: str
    dataset_id: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    source: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)
    trials: Sequence[Mapping[str, Any]] = ()
    files: Sequence[Path] = ()


def fill_run(client: Any, run_id: str, facts: VersionFacts) -> None:
    """Log everything but files. Logging the same to the same run again changes nothing."""
    entities = load_mlflow().entities
    run = client.get_run(run_id)
    for some in _chunks(sorted(facts.params.items()), PARAMS_PER_CALL):
        client.log_batch(run_id, params=_params(entities, dict(some)))
    start = run.info.start_time  # the same again when taken up again
    for values in _chunks(sorted(facts.metrics.items()), METRICS_PER_CALL):
        client.log_batch(run_id, metrics=[entities.Metric(k, float(v), start, 0) for k, v in values])
    dataset = entities.Dataset(
        name=facts.dataset_id, digest=facts.dataset_id[:36], source_type="local",
        source=json.dumps({"uri": facts.source}), profile=json.dumps(dict(facts.profile), sort_keys=True),
    )  # fmt: skip
    tags = [entities.InputTag(CONTEXT, "training")]
    client.log_inputs(run_id, datasets=[entities.DatasetInput(dataset, tags)])
    _log_trials(client, entities, run, facts.trials)


def keep_files(client: Any, run_id: str, facts: VersionFacts, artifact_root: Path, *, server: bool) -> str:
    """Log the files, and say where a version's source is.

    Beside a database of ours, files go below ``artifact_root`` and the bundle stays where it is. A server gets files
    and bundle, if it takes them in itself. Where it would send us on (to S3, or to a folder of its own machine),
    nothing is logged: we have neither the keys nor the machine.
    """
    root: str = client.get_run(run_id).info.artifact_uri
    ours = not server and root.startswith(artifact_root.absolute().as_uri())
    if ours or root.startswith(PROXIED):
        for file in facts.files:
            client.log_artifact(run_id, str(file))
    if not server:
        return facts.bundle.absolute().as_uri()
    if not root.startswith(PROXIED):
        return f"holdfast://bundle/{facts.bundle_sha256}"
    client.log_artifacts(run_id, str(facts.bundle), "bundle")
    return f"{root}/bundle"


def _log_trials(client: Any, entities: Any, parent: Any, trials: Sequence[Mapping[str, Any]]) -> None:
    """Each trial as a run below the version's; those that are there are left, half-written ones are taken up."""
    if not trials:
        return
    experiment, parent_id = parent.info.experiment_id, parent.info.run_id
    found = client.search_runs([experiment], f"tags.`{PARENT}` = '{parent_id}'", max_results=1000)
    have = {run.data.tags.get(TRIAL): run for run in found}
    for trial in _best(trials):
        # each search counts from 0
        key = f"{trial['estimator']}/{trial['imbalance']}/{trial['number']}"
        run = have.get(key)
        if run is not None and run.info.status != "RUNNING":
            continue
        if run is None:
            way = "" if trial["imbalance"] == "none" else f" ({trial['imbalance']})"
            name = f"{trial['estimator']}{way}, trial {trial['number']}"
            tags = {PARENT: parent_id, TRIAL: key, RUN_NAME: name, "state": str(trial["state"])}
            run = client.create_run(experiment, tags=tags)
        value, start = trial.get("value"), run.info.start_time
        client.log_batch(
            run.info.run_id,
            params=_params(
                entities, {"estimator": trial["estimator"], "imbalance": trial["imbalance"], **trial["params"]}
            ),
            metrics=[] if value is None else [entities.Metric("out_of_fold_log_loss", float(value), start, 0)],
        )
        client.set_terminated(run.info.run_id, STATUS.get(str(trial["state"]).upper(), "FAILED"))


def _best(trials: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """All trials, or the `MAX_TRIALS` with the lowest value."""
    if len(trials) <= MAX_TRIALS:
        return trials
    return sorted(trials, key=lambda t: (t.get("value") is None, t.get("value") or 0.0, t["number"]))[:MAX_TRIALS]


def _params(entities: Any, params: Mapping[str, Any]) -> list[Any]:
    return [entities.Param(k, str(v)[:MAX_PARAM_CHARS]) for k, v in params.items()]


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
