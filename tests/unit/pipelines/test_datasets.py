"""The offline store's verbs: listed, shown, compared, held to their manifests, removed; nothing needed goes."""

from __future__ import annotations

import os
import shutil

import pytest
from tiny_company import files_of

from holdfast.artifacts.dataset import MANIFEST, Dataset
from holdfast.cli.render import datasets as render
from holdfast.cli.render.parts import text
from holdfast.clock import parse_instant
from holdfast.errors import DataError, NotReadyError, StoreError, UsageError
from holdfast.pipelines.build import build
from holdfast.pipelines.compare_datasets import compare_datasets
from holdfast.pipelines.datasets import config_hash, list_datasets, show_dataset, verify_dataset
from holdfast.pipelines.remove_datasets import remove_datasets
from holdfast.stores.offline import LATEST, dataset_names, latest_dataset

SHORTER = "data.cutoffs.last=2023-10-01"


def aged(dataset: Dataset, seconds: int) -> str:
    """The id of a dataset, made to look built so long before it was."""
    file = dataset.path / MANIFEST
    then = file.stat().st_mtime_ns - seconds * 10**9
    os.utime(file, ns=(then, then))
    return dataset.path.name


@pytest.fixture
def shop(copied, opened):
    return opened(copied)


@pytest.fixture
def two(copied, opened, shop):
    """The champion's dataset, and the latest: the same but for its last cutoffs."""
    first = aged(latest_dataset(shop.var), 60)
    return opened(copied, SHORTER), first, build(opened(copied, SHORTER)).path.name


def words(parts):
    return " ".join(text(parts).split())


def test_what_is_there(two):
    workspace, first, second = two
    report = list_datasets(workspace)
    newest, oldest = report["datasets"]
    assert [d["dataset_id"] for d in report["datasets"]] == [second, first]
    assert (newest["latest"], oldest["latest"]) == (True, False)
    assert (newest["versions"], oldest["versions"]) == ([], [{"version": 1, "status": "champion"}])
    assert newest["cutoffs"] < oldest["cutoffs"]
    # all of the second's files are the first's: they are on disk once
    manifest = (workspace.datasets / second / MANIFEST).stat().st_size
    assert newest["own_bytes"] == manifest < newest["bytes"]
    assert report["bytes"] == oldest["bytes"] + manifest
    assert oldest["bytes"] - oldest["own_bytes"] == newest["bytes"] - manifest
    said = words(render.datasets(report))
    assert f"{second} *" in said

    (workspace.datasets / first / MANIFEST).write_text("{}")
    report = list_datasets(workspace)
    assert [d["dataset_id"] for d in report["unreadable"]] == [first]
    assert f"{first} cannot be read" in words(render.datasets(report))


def test_one_dataset(two):
    workspace, first, _ = two
    report = show_dataset(workspace, first[:5])
    dataset = Dataset.open(workspace.datasets / first)
    assert report["dataset_id"] == first
    assert [c["base_rate"] for c in report["cutoffs"] if not c["states"].get("matured")] in ([], [None])
    rates = [c["positives"] / c["states"]["matured"] for c in report["cutoffs"] if c["states"].get("matured")]
    assert [c["base_rate"] for c in report["cutoffs"] if c["base_rate"] is not None] == rates
    assert report["sources"]["tickets"]["hash"] == dataset.manifest.sources["tickets"]["hash"]
    assert show_dataset(workspace)["config_hash"] == workspace.config.hash("data", "features") != report["config_hash"]
    said = words(render.dataset(report))
    assert "version 1 (champion)" in said
    assert "horizon" in said
    with pytest.raises(UsageError, match="there is no dataset 'zz'"):
        show_dataset(workspace, "zz")


def test_what_differs(two, copied, opened):
    workspace, first, second = two
    same = compare_datasets(workspace, first, first)
    assert (same["config"], same["features"]) == ({}, {"added": [], "removed": [], "changed": {}})
    assert all(c["identical"] for c in same["cutoffs"])
    assert all(s["same"] for s in same["sources"])

    shorter = compare_datasets(workspace, first, second)
    assert shorter["config"] == {"data.cutoffs.last": [None, "2023-10-01"]}
    gone = [c for c in shorter["cutoffs"] if not c["identical"]]
    assert {parse_instant(c["cutoff"]).month for c in gone} <= {11, 12, 1}
    assert all(c["snapshots"][1] is None and c["base_rate"][1] is None for c in gone)
    assert "data.cutoffs.last" in words(render.comparison(shorter))

    set_ = "features.measures={usage_minutes: {table: usage, column: minutes, label: used, aggregations: [sum, max]}}"
    third = build(opened(copied, SHORTER, set_))
    other = compare_datasets(workspace, second, third.path.name)
    assert "usage_minutes_max_3m" in other["features"]["added"]
    assert "tickets_count_3m" in other["features"]["removed"]
    labels = other["features"]["changed"]["usage_minutes_sum_3m"]["label"]
    assert labels == ["minutes used, total, last 3 months", "used, total, last 3 months"]
    assert "features.measures.tickets.label" in other["config"]
    assert not any(c["identical"] for c in other["cutoffs"])
    assert [c["snapshots"][0] for c in other["cutoffs"]] == [c["snapshots"][1] for c in other["cutoffs"]]
    assert "tickets_count_3m" in text(render.comparison(other))

    third.part(third.manifest.cutoffs[0].cutoff).unlink()
    assert not compare_datasets(workspace, third.path.name, third.path.name)["cutoffs"][0]["identical"]
    without = Dataset.open(third.path)
    without.manifest.config.clear()
    assert config_hash(without) is None


def test_a_changed_byte_is_named_and_not_taken_over(copied, opened, shop):
    whole = latest_dataset(shop.var)
    report = verify_dataset(shop)
    assert (report["files"], report["unhashed"]) == (len(whole.manifest.cutoffs), 0)
    assert "is what its manifest says" in words(render.verified(report))
    assert "without a recorded hash" in words(render.verified({**report, "unhashed": 2}))
    written = files_of(whole.path)
    file = whole.part(whole.manifest.cutoffs[3].cutoff)
    changed = bytearray(file.read_bytes())
    changed[len(changed) // 2] ^= 1
    file.write_bytes(changed)
    with pytest.raises(DataError, match=f"{file}: its bytes are not those that were written"):
        verify_dataset(shop, whole.path.name[:6])
    shorter = build(opened(copied, SHORTER))
    again = files_of(shorter.path)
    assert {name: digest for name, digest in written.items() if name in again and name != MANIFEST} == {
        name: digest for name, digest in again.items() if name != MANIFEST
    }
    verify_dataset(shop)


def test_nothing_is_there(shop):
    shutil.rmtree(shop.datasets)
    assert list_datasets(shop) == {"datasets": [], "unreadable": [], "bytes": 0}
    assert "holdfast build" in text(render.datasets(list_datasets(shop)))
    assert remove_datasets(shop).removed == []
    for verb in (show_dataset, verify_dataset):
        with pytest.raises(NotReadyError, match="holdfast build"):
            verb(shop)


@pytest.fixture
def many(shop):
    """Beside the champion's (the oldest), d1 to d5, d1 the oldest of them; d3 is version 2's, d5 the latest.

    d1 shares a file with the champion's.
    """
    workspace, oldest = shop, latest_dataset(shop.var)
    for number in range(1, 6):
        copy = workspace.datasets / f"d{number}"
        shutil.copytree(oldest.path, copy)
        aged(Dataset.open(copy), 50 - number)
    aged(oldest, 60)
    shared = oldest.files()[0]
    link = workspace.datasets / "d1" / shared.relative_to(oldest.path)
    link.unlink()
    link.hardlink_to(shared)
    (workspace.datasets / LATEST).write_text("d5\n")
    (workspace.models / "2").mkdir()
    workspace.state.record_version(
        "demo", 2, bundle_sha256="b2", dataset_id="d3", estimator="xgboost", path="models/2", metrics={}
    )
    return workspace, oldest.path.name


def test_old_datasets_go_and_the_needed_stay(many):
    workspace, first = many
    files = [f for name in ("d1", "d2") for f in (workspace.datasets / name).rglob("*") if f.is_file()]
    alone = sum(f.stat().st_size for f in files if f.stat().st_nlink == 1)
    assert len(files) - 1 == sum(f.stat().st_nlink == 1 for f in files)
    would = remove_datasets(workspace, keep=2, dry_run=True)
    assert would.removed == ["d1", "d2"]
    assert would.bytes == alone
    assert would.kept == {
        first: "version 1, trained on it, is champion",
        "d5": "is the latest",
        "d3": "version 2, trained on it, is not archived",
        "d4": "is one of the 2 newest",
    }
    assert len(dataset_names(workspace.var)) == 6
    assert "Would remove d1, d2" in words(render.removed(would.to_json()))
    done = remove_datasets(workspace, keep=2)
    assert (done.removed, done.bytes) == (would.removed, would.bytes)
    assert dataset_names(workspace.var) == sorted([first, "d3", "d4", "d5"])
    assert "nothing to remove" in words(render.removed(remove_datasets(workspace, keep=2).to_json()))
    assert remove_datasets(workspace, "d4").removed == ["d4"]
    for word, why in ((first, "is champion"), ("d5", "is the latest"), ("d3", "is not archived")):
        with pytest.raises(UsageError, match=why):
            remove_datasets(workspace, word)
    verify_dataset(workspace, first)  # the file that it shared with d1 is still there
    workspace.state.archive("demo", 2)
    assert remove_datasets(workspace, "d3").removed == ["d3"]


@pytest.mark.parametrize("what", ["pathlib.Path.rename", "shutil.rmtree"])
def test_what_was_killed_is_finished(many, monkeypatch, what):
    workspace, _ = many
    real, calls = {"pathlib.Path.rename": os.rename, "shutil.rmtree": shutil.rmtree}[what], []

    def killed(path, *more):
        """The second call does not come back."""
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(what, killed)
        with pytest.raises(KeyboardInterrupt):
            remove_datasets(workspace, keep=2)
    names = dataset_names(workspace.var)
    assert "d1" not in names  # never half of one
    for name in names:
        assert sum(f.is_file() for f in (workspace.datasets / name).rglob("*")) > 1
    remove_datasets(workspace, keep=2)
    assert [p.name for p in workspace.datasets.iterdir() if p.name.startswith((".", "d1", "d2"))] == []


def test_a_folder_that_cannot_be_removed_is_named(many, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "datasets/d1")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(StoreError, match=r"old dataset cannot be removed: .*datasets/d1"):
        remove_datasets(many[0], "d1")
