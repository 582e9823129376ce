"""A new generation is followed without a restart; a store that is damaged or gone says 503 and no more."""

from __future__ import annotations

import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.api import bundles
from holdfast.models.bundle import Bundle
from serving_world import IDS, ROW, World


def test_nothing_yet_then_a_champion_then_its_successor(open_api, empty, bundle, second_bundle) -> None:
    api = open_api(empty)
    assert api.get("/healthz").json() == {"status": "alive"}
    not_ready = api.get("/readyz")
    assert not_ready.status_code == 503
    assert not_ready.json()["errors"][0]["where"] == "online store"
    assert "holdfast materialize" in not_ready.json()["errors"][0]["what"]
    for path in ("/v1/customers/C-0001", "/v1/customers", "/v1/model", "/v1/features"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:holdfast:not-ready")
        assert int(answer.headers["retry-after"]) > 0
    assert api.post("/v1/scores", json={"rows": [ROW]}).status_code == 503

    first = empty.promote(bundle, "1")
    assert api.get("/readyz").json()["generation"] == first
    p1 = api.post("/v1/scores", json={"rows": [ROW]}).json()
    assert p1["model"] == {"version": "1", "bundle_sha256": bundle.sha256}
    page = api.get("/v1/customers", params={"limit": 10}).json()

    second = empty.promote(second_bundle, "2")
    assert api.get("/v1/customers/C-0001").json()["generation"] == second
    assert api.get("/v1/customers/C-0001").json()["model"] == {"version": "2", "bundle_sha256": second_bundle.sha256}
    assert api.get("/v1/model").json()["estimator"] == "logistic"
    assert api.post("/v1/scores", json={"rows": [ROW]}).json()["scores"] != p1["scores"]
    # a cursor stays on its generation while that is kept
    next_page = api.get("/v1/customers", params={"limit": 10, "cursor": page["next_cursor"]}).json()
    assert (next_page["generation"], next_page["model"]["version"]) == (first, "1")

    empty.promote(bundle, "1", features_seed=9)
    gone = api.get("/v1/customers", params={"limit": 10, "cursor": page["next_cursor"]})
    assert gone.status_code == 410


def test_a_batch_is_of_one_generation_and_an_explanation_of_its_model(api, world, second_bundle) -> None:
    world.promote(second_bundle, "2")
    body = api.post("/v1/scores", json={"customer_ids": IDS}).json()
    assert body["model"]["version"] == "2"
    why = api.post("/v1/explanations", json={"customer_id": IDS[5]}).json()
    assert (why["model"]["version"], why["generation"]) == ("2", body["generation"])
    assert why["explanations"][0]["probability"] == pytest.approx(body["scores"][5]["probability"], abs=1e-12)


@pytest.mark.parametrize(
    "damage", ["folder gone", "folder a file", "pointer gone", "pointer broken", "pointer elsewhere"]
)
def test_a_store_that_is_gone(api, world: World, damage: str, caplog) -> None:
    pointer = world.online / "CURRENT"
    before = pointer.read_bytes()
    if damage == "folder gone":
        shutil.move(world.online, world.root / "away")
    elif damage == "folder a file":
        shutil.move(world.online, world.root / "away")
        world.online.touch()
    elif damage == "pointer gone":
        pointer.unlink()
    elif damage == "pointer broken":
        pointer.write_text("{")
    else:
        pointer.write_bytes(before.replace(b'"generation": "', b'"generation": "../'))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            answer = api.get("/v1/customers/C-0001")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert str(world.root) not in answer.text
    assert len([r for r in caplog.records if "cannot be read" in r.getMessage()]) == 1
    assert api.get("/readyz").status_code == 503
    assert api.get("/healthz").status_code == 200
    assert 'holdfast_store_up{project="demo"} 0.0' in api.get("/metrics").text
    # the model in memory needs no store
    assert api.post("/v1/scores", json={"rows": [ROW]}).status_code == 200
    assert api.post("/v1/explanations", json={"rows": [ROW]}).status_code == 200
    assert api.get("/v1/model").status_code == 200
    # and when it is mended, all is well
    if damage.startswith("folder"):
        world.online.unlink(missing_ok=True)
        shutil.move(world.root / "away", world.online)
    else:
        pointer.write_bytes(before)
    assert api.get("/v1/customers/C-0001").status_code == 200
    assert api.get("/readyz").status_code == 200


def test_a_generation_that_is_damaged(open_api, world: World, bundle: Bundle) -> None:
    api = open_api(world)
    generation = world.write(bundle, "1", features_seed=5)
    file = world.online / f"{generation}.sqlite"
    whole = file.read_bytes()
    # switch to it, then cut it short before anyone has opened it
    world.promote(bundle, "1", features_seed=5)
    file.write_bytes(whole[: len(whole) // 2])
    assert api.get("/v1/customers/C-0001").status_code == 503
    assert api.get("/v1/customers").status_code == 503
    assert api.post("/v1/scores", json={"customer_ids": IDS}).status_code == 503
    assert api.post("/v1/scores", json={"rows": [ROW]}).status_code == 200
    file.write_bytes(whole)
    assert api.get("/v1/customers/C-0001").status_code == 200


def test_a_row_that_is_damaged_is_the_stores_fault(open_api, world: World, bundle: Bundle, caplog) -> None:
    import sqlite3

    file = next(world.online.glob("*.sqlite"))
    connection = sqlite3.connect(file)
    connection.execute("UPDATE customer SET reasons = '{broken C-0003', features = x'00' WHERE customer_id = 'C-0003'")
    connection.execute("UPDATE customer SET probability = 'C-0004 is none' WHERE customer_id = 'C-0004'")
    connection.commit()
    connection.close()
    api = open_api(world)
    assert api.get("/v1/customers/C-0001").status_code == 200
    assert api.get("/v1/customers/C-0003").status_code == 503
    assert api.get("/v1/customers/C-0004").status_code == 503
    assert api.post("/v1/scores", json={"customer_ids": ["C-0001", "C-0004"]}).status_code == 503
    assert api.get("/v1/customers", params={"limit": 1000}).status_code == 503
    assert api.post("/v1/explanations", json={"customer_id": "C-0003"}).status_code == 503
    assert "C-000" not in caplog.text
    before = file.name
    world.promote(bundle, "1")  # what the answers say to do: the same rows, and so the same name
    assert next(world.online.glob("*.sqlite")).name == before
    assert api.get("/v1/customers/C-0003").status_code == 200
    assert api.get("/v1/customers/C-0004").status_code == 200


def test_a_model_that_takes_long_to_load_keeps_nobody_waiting_for_it(api, world, second_bundle, monkeypatch) -> None:
    assert api.post("/v1/scores", json={"rows": [ROW]}).json()["model"]["version"] == "1"
    monkeypatch.setattr(bundles, "PATIENCE_SECONDS", 0.05)
    load, began, go = Bundle.load, [], threading.Event()

    def slow(folder: Path) -> Bundle:
        began.append(folder)
        go.wait(20)
        return load(folder)

    monkeypatch.setattr(Bundle, "load", slow)
    world.promote(second_bundle, "2")
    for _ in range(3):
        assert api.post("/v1/scores", json={"rows": [ROW]}).json()["model"]["version"] == "1"
    with ThreadPoolExecutor(1) as pool:  # only the model that made a score can explain it
        explained = pool.submit(api.post, "/v1/explanations", json={"customer_id": "C-0001"})
        assert api.get("/v1/customers/C-0001").json()["model"]["version"] == "2"
        go.set()
        assert explained.result(20).json()["model"]["version"] == "2"
    assert api.post("/v1/scores", json={"rows": [ROW]}).json()["model"]["version"] == "2"
    assert len(began) == 1


@pytest.mark.parametrize("damage", ["gone", "changed", "another", "outside"])
def test_a_bundle_that_is_damaged(open_api, world: World, second_bundle, damage, caplog, monkeypatch) -> None:
    api = open_api(world)
    folder = world.models / "2"
    generation = world.promote(second_bundle, "2")
    if damage == "gone":
        shutil.move(folder, world.root / "away")
    elif damage == "changed":
        (folder / "metrics.json").write_text("{}")
    elif damage == "another":
        shutil.rmtree(folder)
        shutil.copytree(world.models / "1", folder)
    else:
        shutil.move(folder, world.root / "away")
        (world.models / "2").symlink_to(world.root / "away")
    # stored answers need no bundle; those that do are not given by another model in its name
    assert api.get("/v1/customers/C-0001").json()["generation"] == generation
    assert api.post("/v1/explanations", json={"customer_id": "C-0001"}).status_code == 503
    ready = api.get("/readyz")
    assert (ready.status_code, ready.json()["errors"][0]["where"]) == (503, "model")
    # rows are scored by the last good model, and say so
    assert api.post("/v1/scores", json={"rows": [ROW]}).json()["model"]["version"] == "1"
    assert len([r for r in caplog.records if "cannot be loaded" in r.getMessage()]) == 1
    # it is tried again after a while
    shutil.rmtree(folder, ignore_errors=True)
    folder.unlink(missing_ok=True) if folder.is_symlink() else None
    second_bundle.save(folder)
    monkeypatch.setattr(bundles, "RETRY_SECONDS", 0)
    assert api.get("/readyz").status_code == 200
    assert api.post("/v1/scores", json={"rows": [ROW]}).json()["model"]["version"] == "2"


def test_equal_bundles_promoted_twice_serve_as_the_new_version(api, world: World, bundle: Bundle) -> None:
    world.promote(bundle, "2")
    assert api.get("/v1/model").json()["version"] == "2"


def test_a_bundle_that_fails_in_a_way_nobody_foresaw(open_api, world: World, monkeypatch, caplog) -> None:
    def broken(bundle: Bundle) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(bundles, "warm_up", broken)
    api = open_api(world)
    assert api.get("/readyz").status_code == 503
    assert api.get("/v1/customers/C-0001").status_code == 200
    assert api.post("/v1/scores", json={"rows": [ROW]}).status_code == 503
    assert "builtins.KeyError" in caplog.text
