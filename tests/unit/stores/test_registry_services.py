"""The registry on a real Postgres, through a real MLflow server, and where none of them answers."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.errors import StoreError
from holdfast.stores.quiet_mlflow import ENVIRONMENT
from holdfast.stores.registry import Registry
from holdfast.stores.registry_run import PARENT, VersionFacts

SERVER_NEEDS = ("flask", "flask_cors", "aiohttp")
START_SECONDS = 90


def facts(folder: Path, bundle: str) -> VersionFacts:
    """A version with a bundle, a card and two trials."""
    path = folder / "models" / bundle
    path.mkdir(parents=True)
    (path / "model.json").write_text("{}")
    card = folder / f"{bundle}.html"
    card.write_text("<p>a card</p>")
    trials = [
        {
            "number": n, "estimator": "xgboost", "imbalance": "none", "params": {"depth": n}, "value": n / 10,
            "state": "COMPLETE",
        }
        for n in range(2)
    ]  # fmt: skip
    return VersionFacts(
        path, bundle, "d1", params={"depth": 3}, metrics={"roc_auc": 0.75}, tags={"gate": "passed"},
        description="A model.", source="var/shop/datasets/d1", profile={"snapshots": 7}, trials=trials, files=[card],
    )  # fmt: skip


@dataclass(frozen=True)
class Row:
    bundle_sha256: str
    version: int
    dataset_id: str = "d1"


class Ledger:
    """Version b1 serves, b2 challenges."""

    def champion(self, project: str) -> Row:
        return Row("b1", 1)

    def challenger(self, project: str) -> Row:
        return Row("b2", 2)


def check(registry: Registry, folder: Path) -> None:
    """What holds wherever MLflow keeps its rows."""
    first, second = facts(folder, "b1"), facts(folder, "b2")
    logged = registry.log_version(first)
    assert registry.log_version(first) == logged
    assert registry.log_version(second).version == "2"
    assert registry.held() == {("b1", "d1"), ("b2", "d1")}
    assert registry.repair(Ledger()) == ["champion: none -> 1", "challenger: none -> 2"]
    assert registry.repair(Ledger()) == []
    assert registry.aliases() == {"champion": "1", "challenger": "2"}
    run = registry._client.get_run(logged.run_id)
    assert (run.data.params, run.data.metrics, run.info.status) == ({"depth": "3"}, {"roc_auc": 0.75}, "FINISHED")
    assert run.inputs.dataset_inputs[0].dataset.name == "d1"
    children = registry._client.search_runs([run.info.experiment_id], f"tags.`{PARENT}` = '{logged.run_id}'")
    assert sorted(c.data.metrics["out_of_fold_log_loss"] for c in children) == [0.0, 0.1]
    version = registry._client.get_model_version(registry.model, "1")
    assert (version.description, version.tags["gate"]) == ("A model.", "passed")
    assert "b1.html" in {f.path for f in registry._client.list_artifacts(logged.run_id)}


def test_postgres(postgres: str, tmp_path: Path) -> None:
    check(Registry(postgres, tmp_path / "mlartifacts", "shop"), tmp_path)
    again = Registry(postgres, tmp_path / "mlartifacts", "other")
    assert again.held() == set()
    with pytest.raises(StoreError, match="does not exist") as e:
        Registry(postgres.replace("/test?", "/no_such_database?"), tmp_path, "shop").held()
    assert "root@" not in str(e.value)


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a fresh MLflow server, as ``mlflow server`` starts one but for its jobs and assistant."""
    missing = [name for name in SERVER_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"an MLflow server needs {', '.join(missing)} (make setup)"
        if os.environ.get("HOLDFAST_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    port = free_port()
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
         "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
         "--artifacts-destination", str(tmp_path / "kept")],
        cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, **ENVIRONMENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(address):
            assert process.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()[-2000:]
            time.sleep(0.1)
        yield address
    finally:
        log.close()
        os.killpg(process.pid, 15)
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_server_keeps_bundle_and_card_itself(server: str, tmp_path: Path) -> None:
    registry = Registry(server, tmp_path / "mlartifacts", "shop")
    check(registry, tmp_path)
    assert not (tmp_path / "mlartifacts").exists()
    assert {p.name for p in (tmp_path / "kept").rglob("*") if p.is_file()} == {"b1.html", "b2.html", "model.json"}
    version = registry._client.get_model_version(registry.model, "1")
    assert version.source.startswith("mlflow-artifacts:")
    assert version.source.endswith("/artifacts/bundle")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://user:hush@127.0.0.1:{port}", "refused"),
        ("http://127.0.0.1:{port}/path", "refused"),
        ("postgresql+psycopg://user:hush@127.0.0.1:{port}/d", "refused"),
    ],
)
def test_what_does_not_answer_is_an_error_at_once_and_without_its_password(uri: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=rf"MLflow registry .*127\.0\.0\.1.*{said}") as e:
        Registry(uri.format(port=free_port()), tmp_path, "shop").held()
    assert "hush" not in str(e.value)


def test_a_server_that_goes_silent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and never answers."""
    monkeypatch.setattr("holdfast.stores.quiet_mlflow.CONNECT_SECONDS", 0.2)
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        with pytest.raises(StoreError, match="timed out"):
            Registry(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path, "shop").held()


def test_databases_are_waited_for_as_their_address_says() -> None:
    address = "postgresql+psycopg://u:p%40w@h/d"
    assert Registry(address, Path("a"), "shop").uri == f"{address}?connect_timeout=5"
    assert Registry(f"{address}?connect_timeout=60", Path("a"), "shop").uri == f"{address}?connect_timeout=60"
    assert Registry("sqlite:///x.db", Path("a"), "shop").uri == "sqlite:///x.db"
