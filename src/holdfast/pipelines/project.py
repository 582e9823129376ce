"""The Python door to the same pipelines, for notebooks and programs: ``from holdfast import Project``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from holdfast.artifacts.dataset import Dataset
from holdfast.clock import parse_instant, utc
from holdfast.pipelines.bootstrap import open_workspace
from holdfast.pipelines.running import Run, recorded_run
from holdfast.types import JsonValue

When = datetime | str | None
Mode = Literal["full", "data", "features", "train", "score", "decide", "monitor"]


class Project:
    """One project, with a method for each verb.

    Parameters
    ----------
    name : a name under ``conf/``, or a folder
    root : the folder that holds ``conf/`` and ``var/``; by default ``$HOLDFAST_HOME``, else the current one
    sets : overrides as ``--set`` takes them, for example ``{"training.bootstrap": 100}``

    Raises
    ------
    UsageError, ConfigError
        There is no such project, or its configuration is wrong.

    Examples
    --------
    >>> demo = Project("demo")                      # doctest: +SKIP
    >>> demo.simulate()                             # doctest: +SKIP
    >>> demo.build().manifest.snapshots             # doctest: +SKIP
    111053
    """

    def __init__(
        self, name: str = "demo", *, root: Path | str | None = None, sets: Mapping[str, JsonValue] | None = None
    ) -> None:
        words = [f"{key}={_yaml(value)}" for key, value in (sets or {}).items()]
        self.workspace = open_workspace(name, root=None if root is None else Path(root), sets=words)

    def __repr__(self) -> str:
        return f"Project({self.workspace.name!r}, root={str(self.workspace.root)!r})"

    @property
    def config(self) -> Any:
        """The checked configuration."""
        return self.workspace.config

    def features(self, *names: str) -> Any:
        """See ``holdfast features``."""
        from holdfast.pipelines.features import features

        return features(self.workspace.loaded, names)

    def check(self) -> Any:
        """See ``holdfast check``."""
        from holdfast.pipelines.check import check

        with self._run("check"):
            return check(self.workspace)

    def simulate(self, *, customers: int | None = None, months: int | None = None, seed: int | None = None) -> Any:
        """See ``holdfast simulate``."""
        from holdfast.pipelines.simulate import simulate

        with self._run("simulate"):
            return simulate(self.workspace, customers=customers, months=months, seed=seed)

    def build(
        self, *, cutoffs: Literal["last"] | None = None, known_as_of: When = None, force: bool = False
    ) -> Dataset:
        """See ``holdfast build``; the dataset reads as Arrow tables (``.read()``)."""
        from holdfast.pipelines.build import build

        with self._run("build") as run:
            found = build(self.workspace, cutoffs=cutoffs, known_as_of=_when(known_as_of), force=force)
            run.dataset_id = found.manifest.dataset_id
            return found

    def train(self, dataset: Dataset | None = None) -> Any:
        """See ``holdfast train``."""
        from holdfast.pipelines.train import train

        with self._run("train") as run:
            return train(self.workspace, dataset=dataset, run_id=run.run_id)

    def score(self, cutoff: When = None, *, known_as_of: When = None) -> Any:
        """See ``holdfast score``."""
        from holdfast.pipelines.score import score

        with self._run("score"):
            return score(self.workspace, cutoff=_when(cutoff), known_as_of=_when(known_as_of))

    def explain(self, customer_id: str) -> Any:
        """See ``holdfast explain``."""
        from holdfast.pipelines.explain import explain

        return explain(self.workspace, customer_id)

    def decide(self, cutoff: When = None) -> Any:
        """See ``holdfast decide``."""
        from holdfast.pipelines.decide import decide

        with self._run("decide"):
            return decide(self.workspace, cutoff=_when(cutoff))

    def materialize(self, cutoff: When = None) -> Any:
        """See ``holdfast materialize``."""
        from holdfast.pipelines.materialize import materialize

        with self._run("materialize"):
            return materialize(self.workspace, cutoff=_when(cutoff))

    def monitor(self) -> Any:
        """See ``holdfast monitor``."""
        from holdfast.pipelines.monitor import monitor

        with self._run("monitor") as run:
            return monitor(self.workspace, run_id=run.run_id)

    def audit(self, dataset: Dataset | None = None) -> Any:
        """See ``holdfast audit``."""
        from holdfast.pipelines.audit import audit

        with self._run("audit"):
            return audit(self.workspace, dataset=dataset)

    def retrain(self, *, force: bool = False) -> Any:
        """See ``holdfast retrain``."""
        from holdfast.pipelines.retrain import retrain

        with self._run("retrain") as run:
            return retrain(self.workspace, force=force, run_id=run.run_id)

    def datasets(self) -> list[Dataset]:
        """Every dataset that can be read, by id; ``.scan()`` reads one lazily, ``.read()`` as an Arrow table."""
        from holdfast.stores.offline import datasets

        return datasets(self.workspace.var)

    def dataset(self, dataset_id: str | None = None) -> Dataset:
        """One dataset by its id, or how that begins; by default the latest."""
        from holdfast.stores.offline import find_dataset, latest_dataset

        var = self.workspace.var
        return latest_dataset(var) if dataset_id is None else find_dataset(var, dataset_id)

    def runs(self, *, verb: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """See ``holdfast runs``."""
        from holdfast.pipelines.records import list_runs

        return list_runs(self.workspace, verb=verb, limit=limit)

    def alerts(self, *, limit: int = 20) -> list[dict[str, Any]]:
        """See ``holdfast alerts``."""
        from holdfast.pipelines.records import list_alerts

        return list_alerts(self.workspace, limit=limit)

    def run(self, mode: Mode = "full", *, progress: Callable[[str], None] = lambda _: None) -> Any:
        """See ``holdfast run``."""
        from holdfast.pipelines.run import run

        with recorded_run(self.workspace, "run") as recorded:
            return run(self.workspace, mode, recorded=recorded, progress=progress)

    @contextmanager
    def _run(self, verb: str) -> Iterator[Run]:
        with recorded_run(self.workspace, verb) as run, run.step(verb):
            yield run


def _when(value: When) -> datetime | None:
    if value is None:
        return None
    return parse_instant(value) if isinstance(value, str) else utc(value)


def _yaml(value: JsonValue) -> str:
    """A value as ``--set`` reads it: JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value)
