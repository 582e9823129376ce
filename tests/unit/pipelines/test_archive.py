"""Old bundles go; what is needed stays, and what was killed is finished."""

from __future__ import annotations

import shutil

import pytest
from tiny_company import files_of

from holdfast.cli.render.parts import text
from holdfast.cli.render.versions import archived, version, versions
from holdfast.errors import NotFoundError, StoreError, UsageError
from holdfast.pipelines.archive import archive
from holdfast.pipelines.audit import recorded_splits, refusals_of
from holdfast.pipelines.contest import evaluated_folder, unseen_file
from holdfast.pipelines.models import list_versions, promote, rollback, show_version
from holdfast.stores.offline import latest_dataset

BEFORE = ["1", "1-evaluated"]
FIGURES = {"roc_auc": {"value": 0.7, "low": 0.6, "high": 0.8}}


@pytest.fixture
def shop(copied, opened):
    """Version 1 serves; 2 to 8 have bundles of one file, which no test reads."""
    workspace = opened(copied)
    for number in range(2, 9):
        path = workspace.models / str(number)
        path.mkdir()
        (path / "model.json").write_text("x" * 1000)
        workspace.state.record_version(
            "demo", number, bundle_sha256=f"b{number}", dataset_id="d1", estimator="xgboost", path=f"models/{number}",
            metrics=FIGURES,
        )  # fmt: skip
    return workspace


def bundles(workspace):
    return sorted(path.name for path in workspace.models.iterdir())


def lead(workspace, *numbers):
    for number in numbers:
        workspace.state.promote("demo", number, actor="test", why="to see")


def test_the_newest_and_the_needed_stay(shop):
    lead(shop, 2, 3, 4, 5, 6)
    shop.state.challenge("demo", 7)
    would = archive(shop, keep=1, dry_run=True)
    assert (would.removed, would.bytes, bundles(shop)) == ([2], 1000, [*BEFORE, "2", *"345678"])
    assert would.kept == {
        1: "serves, or did until just now",
        3: "was champion, and may be gone back to",
        4: "was champion, and may be gone back to",
        5: "was champion, and may be gone back to",
        6: "is champion",
        7: "is challenger",
    }
    done = archive(shop, keep=1)
    assert (done.removed, bundles(shop)) == ([2], [*BEFORE, *"345678"])
    assert shop.state.version("demo", 2).status == "archived"
    assert [line.to_version for line in shop.state.history("demo")] == [6, 5, 4, 3, 2, 1]
    assert archive(shop, keep=1).removed == []
    assert archive(shop).removed == []  # twenty, by default
    # what serves is what the online store says, not only the ledger
    shutil.rmtree(shop.online_folder)
    assert archive(shop, keep=1).removed == [1]


def test_one_version_by_name(shop):
    assert archive(shop, 8).removed == [8]
    assert archive(shop, 8).removed == []
    with pytest.raises(UsageError, match="version 1 keeps its bundle: it is champion"):
        archive(shop, 1)
    with pytest.raises(NotFoundError, match="no version 9"):
        archive(shop, 9)


def test_what_was_measured_goes_with_its_version(shop):
    beside = evaluated_folder(shop.models / "2"), unseen_file(shop.models / "3")
    beside[0].mkdir()
    (beside[0] / "model.json").write_text("x" * 500)
    beside[1].write_text("x" * 300)
    done = archive(shop, keep=5)
    assert (done.removed, done.bytes) == ([2, 3], 2800)
    assert bundles(shop) == ["1", "1-evaluated", *"45678"]


def test_what_was_killed_is_finished(shop, monkeypatch):
    """Killed after the ledger, after the renaming, and while deleting."""
    for name in ("rename", None):
        with monkeypatch.context() as patch:
            if name:
                patch.setattr(f"pathlib.Path.{name}", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            else:
                patch.setattr("shutil.rmtree", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                archive(shop, 2)
    assert bundles(shop) == [".2.removed", *BEFORE, *"345678"]
    assert archive(shop, keep=7).removed == []
    assert bundles(shop) == [*BEFORE, *"345678"]


def test_a_folder_that_cannot_be_removed_is_named(shop, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "models/2")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(StoreError, match=r"old bundle cannot be removed: .*models/2"):
        archive(shop, 2)


def test_a_version_without_its_bundle_says_so_and_cannot_serve(shop):
    lead(shop, 2, 3)
    shutil.rmtree(shop.models / "2")
    shown = show_version(shop, 2)
    assert (shown["bundle"], shown["metrics"]) == (False, FIGURES)
    assert "holdfast train --dataset d1 --project demo" in " ".join(text(version(shown)).split())
    assert "2 removed xgboost" in " ".join(text(versions({"versions": list_versions(shop)})).split())
    before = len(shop.state.history("demo"))
    for attempt in (
        lambda: promote(shop, 2, why="to see", force=True),
        lambda: rollback(shop, 2, why="to see"),
        lambda: rollback(shop, why="to see"),
    ):
        with pytest.raises(NotFoundError, match=r"the bundle of version 2 is gone\. To train its like: holdfast train"):
            attempt()
    assert len(shop.state.history("demo")) == before


def test_it_is_said_what_was_removed_and_what_stays(shop):
    said = " ".join(text(archived(archive(shop, keep=3).to_json())).split())
    assert said.startswith("Removed the bundles of versions 2, 3, 4, 5, 0.0 MB. Ledger, figures and cards stay.")
    assert "1 it is champion" in said
    assert text(archived(archive(shop, keep=8).to_json())).strip() == "There is nothing to remove."


def test_training_removes_what_is_too_old(shop, opened):
    from holdfast.pipelines.train import train

    before = files_of(shop.models / "1")
    shop.registry.file.unlink()
    shop.registry.file.mkdir()
    few = opened(shop.root, "training.retention.versions=3")
    report = train(few)
    assert (report.version, report.removed, len(report.warnings)) == (1, (), 1)  # MLflow has not been told of them yet
    shop.registry.file.rmdir()
    report = train(few)
    assert (report.removed, report.to_json()["removed"]) == ((2, 3, 4, 5), [2, 3, 4, 5])
    assert files_of(shop.models / "1") == before


def test_the_folds_of_an_archived_version_are_audited_no_more(copied, opened):
    workspace = opened(copied)
    first = workspace.state.champion("demo")
    shutil.copytree(workspace.models / "1", workspace.models / "2")
    workspace.state.record_version(
        "demo",
        2,
        bundle_sha256="b2",
        dataset_id=first.dataset_id,
        estimator="xgboost",
        path="models/2",
        metrics=FIGURES,
    )
    dataset = latest_dataset(workspace.var)
    assert [record.version for record in recorded_splits(workspace, dataset)] == [2, 1]
    lead(workspace, 2)
    shutil.rmtree(workspace.models / "1")
    assert [record.version for record in recorded_splits(workspace, dataset)] == [2]
    assert refusals_of(workspace, 2) == []
    [said] = refusals_of(workspace, 1)
    assert "the audit could not be run" in said
