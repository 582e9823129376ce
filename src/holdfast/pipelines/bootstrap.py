"""Wires configuration and stores for one project: the only place where they meet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from holdfast.config.load import Loaded, find_project, load
from holdfast.config.schema import Config
from holdfast.config.tree import HOME_VARIABLE
from holdfast.stores.engine import DuckDBEngine
from holdfast.stores.online import OnlineStore, online_store
from holdfast.stores.registry import Registry
from holdfast.stores.spark_engine import SparkEngine
from holdfast.stores.state import StateStore


@dataclass(frozen=True)
class Workspace:
    """One project: its configuration and where everything of it lies.

    Attributes
    ----------
    root : the folder that holds ``conf/`` and ``var/``
    loaded : the configuration with the origin of every value
    """

    root: Path
    loaded: Loaded

    @property
    def name(self) -> str:
        return self.loaded.project

    @property
    def config(self) -> Config:
        return self.loaded.config

    @property
    def var(self) -> Path:
        return self.root / "var" / self.name

    @property
    def sources(self) -> Path:
        return self.var / self.config.data.sources

    @property
    def datasets(self) -> Path:
        return self.var / "datasets"

    @property
    def models(self) -> Path:
        return self.var / "models"

    @property
    def scores(self) -> Path:
        return self.var / "scores"

    @property
    def decisions(self) -> Path:
        return self.var / "decisions"

    @property
    def reports(self) -> Path:
        return self.var / "reports"

    @property
    def audits(self) -> Path:
        """Clean audits that still stand."""
        return self.var / "audits"

    @cached_property
    def online(self) -> OnlineStore:
        return online_store(self.config.serving, self.online_folder, self.name)

    @property
    def online_folder(self) -> Path:
        """Where the online store lies if it is SQLite."""
        return self.var / "online"

    @property
    def truth(self) -> Path:
        """What only tests and benchmarks read."""
        return self.var / "truth"

    def engine(self) -> DuckDBEngine | SparkEngine:
        """A fresh engine, as configured; close it."""
        scratch, wanted = self.var / "tmp", self.config.data.engine
        if wanted.kind == "duckdb":
            return DuckDBEngine(scratch, threads=self.config.training.threads, memory=wanted.memory)
        return SparkEngine(scratch, master=wanted.master, options=wanted.settings)

    @property
    def state_url(self) -> str:
        """Where the state database is; may hold a password."""
        secret = self.config.serving.database_url
        return secret.get_secret_value() if secret else f"sqlite:///{self.var / 'state.db'}"

    @cached_property
    def state(self) -> StateStore:
        self.var.mkdir(parents=True, exist_ok=True)
        return StateStore(self.state_url)

    @cached_property
    def registry(self) -> Registry:
        secret = self.config.training.mlflow_uri
        uri = secret.get_secret_value() if secret else f"sqlite:///{self.var / 'mlflow.db'}"
        return Registry(uri, self.var / "mlartifacts", self.name)


def open_workspace(
    project: str,
    *,
    root: Path | None = None,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Workspace:
    """Load a project by name under ``conf/`` or by folder.

    Parameters
    ----------
    root : by default ``$HOLDFAST_HOME``, else the current folder

    Raises
    ------
    ConfigError
        The project does not exist, or its configuration is wrong.
    """
    environment = os.environ if environ is None else environ
    base = (root or Path(environment.get(HOME_VARIABLE, "."))).resolve()
    return Workspace(base, load(find_project(project, base), sets=sets, environ=environment))
