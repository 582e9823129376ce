"""The MLflow registry: a mirror of versions and the ledger for people and tools that look there.

Nothing here decides anything. Aliases are copied from the promotion ledger and mended from it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from holdfast.artifacts.files import writing_file
from holdfast.errors import NotFoundError
from holdfast.stores.quiet_mlflow import check_reachable, is_server, load_mlflow, patient, quiet_mlflow
from holdfast.stores.registry_run import VersionFacts, fill_run, keep_files

CHAMPION = "champion"
CHALLENGER = "challenger"
BUNDLE_TAG = "bundle_sha256"
DATASET_TAG = "dataset_id"
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class RegistryVersion:
    """A model version in MLflow."""

    version: str
    run_id: str


class LedgerVersion(Protocol):
    """What the registry needs to know of a version; `state_tables.VersionRow` is one."""

    @property
    def version(self) -> int: ...
    @property
    def bundle_sha256(self) -> str: ...
    @property
    def dataset_id(self) -> str: ...


class PromotionLedger(Protocol):
    """The truth about who serves; `state.StateStore` is one."""

    def champion(self, project: str) -> LedgerVersion | None: ...
    def challenger(self, project: str) -> LedgerVersion | None: ...


class Registry:
    """The registered model ``holdfast-<project>`` and experiment ``holdfast/<project>``.

    Parameters
    ----------
    uri : ``sqlite:///path``, ``postgresql+psycopg://user@host/database``, or the ``http(s)://`` of an MLflow server
    artifact_root : where cards and figures go, unless a server takes them
    project : the project's name
    """

    def __init__(self, uri: str, artifact_root: Path, project: str) -> None:
        self.uri = patient(uri)
        self.artifact_root = artifact_root
        self.model = f"holdfast-{project}"
        self.experiment = f"holdfast/{project}"
        self.project = project

    def log_version(self, facts: VersionFacts) -> RegistryVersion:
        """Log a run and a model version of a bundle.

        A bundle that is there already, by its tags, is returned as it is. A run that a killed process left
        without a version is taken up again.

        Raises
        ------
        StoreError
            MLflow cannot be read or written.
        """
        with quiet_mlflow(self.uri):
            found = self._find(facts.bundle_sha256, facts.dataset_id)
            if found is not None:
                return found
            tags = {**facts.tags, BUNDLE_TAG: facts.bundle_sha256, DATASET_TAG: facts.dataset_id}
            run_id = self._run(tags)
            fill_run(self._client, run_id, facts)
            source = keep_files(self._client, run_id, facts, self.artifact_root, server=is_server(self.uri))
            self._client.set_terminated(run_id)
            self._ensure_model()
            version = self._client.create_model_version(
                self.model, source=source, run_id=run_id, tags=tags, description=facts.description
            )
            return RegistryVersion(str(version.version), run_id)

    def set_aliases(self, *, champion: str | None, challenger: str | None) -> list[str]:
        """Set the aliases to these MLflow versions; None removes one. Returns what changed, in words.

        Raises
        ------
        NotFoundError
            Nothing was ever logged.
        """
        with quiet_mlflow(self.uri):
            have = self._aliases()
            changes: list[str] = []
            for alias, version in ((CHAMPION, champion), (CHALLENGER, challenger)):
                before = have.get(alias)
                if before == version:
                    continue
                if version is None:
                    self._client.delete_registered_model_alias(self.model, alias)
                else:
                    self._client.set_registered_model_alias(self.model, alias, version)
                changes.append(f"{alias}: {before or 'none'} -> {version or 'none'}")
            return changes

    def held(self) -> set[tuple[str, str]]:
        """Bundles and datasets (sha256, id) of the versions that MLflow holds.

        Raises
        ------
        StoreError
            MLflow's database cannot be read.
        """
        found: set[tuple[str, str]] = set()
        token: str | None = None
        with quiet_mlflow(self.uri):
            while True:
                page = self._client.search_model_versions(f"name = '{self.model}'", page_token=token)
                found |= {(v.tags.get(BUNDLE_TAG, ""), v.tags.get(DATASET_TAG, "")) for v in page}
                token = page.token
                if not token:
                    return found

    def aliases(self) -> dict[str, str]:
        """MLflow versions by alias."""
        with quiet_mlflow(self.uri):
            return self._aliases()

    def repair(self, ledger: PromotionLedger) -> list[str]:
        """Make the aliases what the ledger says. Returns what changed, in words; empty when all was right.

        Versions are found by their bundle, not by a remembered number, so a registry that was made anew is
        mended too.

        Raises
        ------
        NotFoundError
            The registry does not hold a version that the ledger names: its alias is taken away, the other set.
        """
        wanted = {CHAMPION: ledger.champion(self.project), CHALLENGER: ledger.challenger(self.project)}
        numbers: dict[str, str | None] = {}
        lacking: list[str] = []
        changed: list[str] = []
        with quiet_mlflow(self.uri):
            for alias, row in wanted.items():
                found = None if row is None else self._find(row.bundle_sha256, row.dataset_id)
                if row is not None and found is None:
                    lacking.append(f"the {alias}, version {row.version}")
                numbers[alias] = None if found is None else found.version
            held = any(numbers.values()) or self._has_model()
        if held:
            changed = self.set_aliases(champion=numbers[CHAMPION], challenger=numbers[CHALLENGER])
        if lacking:
            raise NotFoundError(
                f"{self.model} in MLflow does not hold {' and '.join(lacking)}",
                fix="Log what is missing: holdfast models mirror",
            )
        return changed

    @property
    def file(self) -> Path | None:
        """The SQLite file, where it is one."""
        return Path(self.uri.removeprefix(SQLITE)) if self.uri.startswith(SQLITE) else None

    @property
    def _client(self) -> Any:
        if self.file is not None and (not self.file.exists() or not self.file.stat().st_size):
            self._make(self.file)
        return self._connected

    @cached_property
    def _connected(self) -> Any:
        check_reachable(self.uri)
        return load_mlflow().MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _make(self, file: Path) -> None:
        """MLflow's tables, all or nothing: one that is killed while it migrates leaves a file that it cannot open."""
        load_mlflow()
        store = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
        with writing_file(file) as temporary:
            made = store.SqlAlchemyStore(f"{SQLITE}{temporary}", self.artifact_root.absolute().as_uri())
            made.engine.dispose()

    def _find(self, bundle_sha256: str, dataset_id: str) -> RegistryVersion | None:
        query = f"name = '{self.model}' and tags.`{BUNDLE_TAG}` = '{bundle_sha256}'"
        versions = [v for v in self._client.search_model_versions(query) if v.tags.get(DATASET_TAG) == dataset_id]
        if not versions:
            return None
        first = min(versions, key=lambda v: int(v.version))
        return RegistryVersion(str(first.version), str(first.run_id))

    def _run(self, tags: dict[str, str]) -> str:
        experiment = self._client.get_experiment_by_name(self.experiment)
        if experiment is None:
            location = None if is_server(self.uri) else self.artifact_root.absolute().as_uri()
            number = self._client.create_experiment(self.experiment, artifact_location=location)
        else:
            number = experiment.experiment_id
        same = " and ".join(f"tags.`{k}` = '{tags[k]}'" for k in (BUNDLE_TAG, DATASET_TAG))
        left = self._client.search_runs([number], filter_string=same, max_results=1)
        if left:
            return str(left[0].info.run_id)
        return str(self._client.create_run(number, tags=tags).info.run_id)

    def _has_model(self) -> bool:
        return bool(self._client.search_registered_models(f"name = '{self.model}'"))

    def _ensure_model(self) -> None:
        if not self._has_model():
            self._client.create_registered_model(self.model)

    def _aliases(self) -> dict[str, str]:
        if not self._has_model():
            raise NotFoundError(f"MLflow has no model {self.model}", fix="Run: holdfast train")
        return {k: str(v) for k, v in self._client.get_registered_model(self.model).aliases.items()}
