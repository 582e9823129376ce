"""The MLflow registry: a mirror of the ledger that can be mended from it."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import NotFoundError, StoreError
from holdfast.stores.registry import Registry
from holdfast.stores.registry_run import MAX_TRIALS, PARENT, TRIAL, VersionFacts, _best


@dataclass(frozen=True)
class Version:
    version: int
    bundle_sha256: str
    dataset_id: str = "d1"


@dataclass
class FakeLedger:
    first: Version | None = None
    second: Version | None = None

    def champion(self, project: str) -> Version | None:
        return self.first

    def challenger(self, project: str) -> Version | None:
        return self.second


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection fails the test: nothing may leave the machine."""

    def refuse(*args: object, **_: object) -> None:
        raise AssertionError(f"a network connection: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one logged version; making MLflow's tables takes seconds, so tests copy it."""
    folder = tmp_path_factory.mktemp("mlflow")
    log(registry(folder), "b1")
    return folder


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Registry:
    (tmp_path / "mlflow.db").write_bytes((template / "mlflow.db").read_bytes())
    return registry(tmp_path)


def registry(folder: Path) -> Registry:
    return Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts", "shop")


def facts(bundle: str, dataset: str = "d1", **more: Any) -> VersionFacts:
    return VersionFacts(
        bundle=Path("models/1"),
        bundle_sha256=bundle,
        dataset_id=dataset,
        params={f"p{i}": i for i in range(150)} | {"long": "x" * 9000},
        metrics={f"m{i}": i / 7 for i in range(1200)},
        tags={"estimator": "xgboost"},
        description="A model.",
        source="var/shop/datasets/d1",
        profile={"snapshots": 7},
        **more,
    )


def log(to: Registry, bundle: str, dataset: str = "d1") -> tuple[str, str]:
    found = to.log_version(facts(bundle, dataset))
    return found.version, found.run_id


def trial(number: int, value: float | None, state: str = "COMPLETE") -> dict[str, Any]:
    return {
        "number": number, "estimator": "lightgbm", "imbalance": "balanced", "params": {"depth": number}, "value": value,
        "state": state,
    }  # fmt: skip


def test_a_version_is_logged_once(shop: Registry) -> None:
    first = log(shop, "b1")
    assert first == log(shop, "b1")
    assert first[0] == "1"
    assert log(shop, "b2")[0] == "2"
    assert log(shop, "b1", "d2")[0] == "3"
    run = shop._client.get_run(first[1])
    assert (len(run.data.params), len(run.data.metrics), run.info.status) == (151, 1200, "FINISHED")
    assert run.data.metrics["m7"] == 1.0
    assert run.data.tags["estimator"] == "xgboost"
    version = shop._client.get_model_version("holdfast-shop", "1")
    assert version.source.endswith("/models/1")
    assert version.run_id == first[1]
    assert (version.description, version.tags["estimator"]) == ("A model.", "xgboost")
    [entry] = run.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest, entry.dataset.source_type) == ("d1", "d1", "local")
    assert entry.dataset.source == '{"uri": "var/shop/datasets/d1"}'
    assert entry.dataset.profile == '{"snapshots": 7}'
    assert [(tag.key, tag.value) for tag in entry.tags] == [("mlflow.data.context", "training")]


def test_trials_are_runs_below_the_versions_also_when_it_was_killed_between_them(
    shop: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after one call, then after two, and so on until it is done: as if it had never been killed."""
    trials = [trial(0, 0.3), trial(1, None, "FAIL"), trial(2, 0.2, "PRUNED"), trial(3, 0.25)]
    trials.append(trial(0, 0.4) | {"estimator": "xgboost", "imbalance": "none"})  # each search counts from 0
    told = replace(facts("b9", trials=trials), params={"p": 1}, metrics={"m7": 1.0})
    left = 0
    kind = type(shop._client)
    for name in ("create_run", "log_batch", "log_inputs", "set_terminated", "create_model_version"):
        real = getattr(kind, name)

        def until_killed(*args: Any, _real: Any = real, **named: Any) -> Any:
            nonlocal left
            done = _real(*args, **named)
            left -= 1
            if left == 0:
                raise OSError("killed")
            return done

        monkeypatch.setattr(kind, name, until_killed)
    version = None
    for killed in range(1, 30):
        left = killed
        with suppress(StoreError):
            version = shop.log_version(told)
            break
    assert version is not None
    assert killed > 5
    children = shop._client.search_runs(["1"], f"tags.`{PARENT}` = '{version.run_id}'")
    said = {
        run.data.tags[TRIAL]: (run.info.status, run.data.params, run.data.metrics.get("out_of_fold_log_loss"))
        for run in children
    }
    assert len(children) == len(said)
    told_of = {"estimator": "lightgbm", "imbalance": "balanced"}
    assert said == {
        "lightgbm/balanced/0": ("FINISHED", {**told_of, "depth": "0"}, 0.3),
        "lightgbm/balanced/1": ("FAILED", {**told_of, "depth": "1"}, None),
        "lightgbm/balanced/2": ("KILLED", {**told_of, "depth": "2"}, 0.2),
        "lightgbm/balanced/3": ("FINISHED", {**told_of, "depth": "3"}, 0.25),
        "xgboost/none/0": ("FINISHED", {"estimator": "xgboost", "imbalance": "none", "depth": "0"}, 0.4),
    }
    assert version.version == "2"
    assert len(shop._client.get_metric_history(version.run_id, "m7")) == 1


def test_of_very_many_trials_the_best_are_kept() -> None:
    many = [trial(n, None if n == 7 else -float(n)) for n in range(MAX_TRIALS + 2)]
    kept = {t["number"] for t in _best(many)}
    assert kept == set(range(MAX_TRIALS + 2)) - {0, 7}


def test_cards_and_figures_lie_beside_the_database(shop: Registry, tmp_path: Path) -> None:
    card = tmp_path / "model-1.html"
    card.write_text("<p>a card</p>")
    other = Registry(shop.uri, tmp_path / "artifacts", "other")
    version = other.log_version(facts("b9", files=[card]))
    assert [f.path for f in other._client.list_artifacts(version.run_id)] == ["model-1.html"]
    [kept] = other.artifact_root.rglob("model-1.html")
    assert kept.read_text() == "<p>a card</p>"


def test_a_run_without_a_version_is_taken_up_again(shop: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(shop._client), "create_model_version", lambda *_, **__: 1 / 0)
        with pytest.raises(StoreError, match=r"division by zero.*ledger is not affected"):
            log(shop, "b9")
    before = len(shop._client.search_runs(["1"]))
    assert log(shop, "b9")[0] == "2"
    assert len(shop._client.search_runs(["1"])) == before


def test_aliases_follow_the_ledger(shop: Registry) -> None:
    log(shop, "b2")
    ledger = FakeLedger(Version(1, "b1"), Version(2, "b2"))
    assert shop.repair(ledger) == ["champion: none -> 1", "challenger: none -> 2"]
    assert shop.repair(ledger) == []
    shop.set_aliases(champion="2", challenger="1")
    assert shop.repair(ledger) == ["champion: 2 -> 1", "challenger: 1 -> 2"]
    assert shop.aliases() == {"champion": "1", "challenger": "2"}
    assert shop.repair(FakeLedger(Version(2, "b2"))) == ["champion: 1 -> 2", "challenger: 2 -> none"]
    with pytest.raises(NotFoundError, match="does not hold the champion, version 7"):
        shop.repair(FakeLedger(Version(7, "b7")))


def test_it_says_what_it_holds_and_is_made_anew_when_it_is_gone(shop: Registry) -> None:
    assert shop.held() == {("b1", "d1")}
    log(shop, "b2", "d2")
    assert shop.held() == {("b1", "d1"), ("b2", "d2")}
    assert shop.file is not None
    shop.file.write_bytes(b"")  # as a connection that was killed leaves it
    assert shop.held() == set()
    assert log(shop, "b3") == ("1", shop._client.get_model_version("holdfast-shop", "1").run_id)
    assert [p.name for p in shop.file.parent.iterdir()] == ["mlflow.db"]


def test_an_empty_registry_mirrors_an_empty_ledger(tmp_path: Path) -> None:
    other = registry(tmp_path)
    assert other.repair(FakeLedger()) == []
    with pytest.raises(NotFoundError, match="no model holdfast-shop"):
        other.set_aliases(champion="1", challenger=None)


def test_a_damaged_database_is_a_store_error_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 99)
    with pytest.raises(StoreError, match="MLflow registry"):
        log(registry(tmp_path), "b1")
    with pytest.raises(StoreError, match="MLflow registry") as e:
        log(Registry("postgresql+psycopg://u:secret@127.0.0.1:1/d", tmp_path, "shop"), "b1")
    assert "secret" not in str(e.value)


def test_nothing_is_logged_or_printed(
    shop: Registry, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    level = logging.getLogger("mlflow").level
    log(shop, "b5")
    assert capfd.readouterr() == ("", "")
    assert not [r for r in caplog.records if r.name.startswith(("mlflow", "alembic"))]
    assert logging.getLogger("mlflow").level == level
