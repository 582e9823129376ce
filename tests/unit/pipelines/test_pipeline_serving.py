"""Promotion serves: what train, run, promote and rollback leave for the API, and what a broken MLflow changes of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tiny_company import LAST, files_of, open_tiny

from holdfast.errors import HoldfastError
from holdfast.models.bundle import Bundle
from holdfast.pipelines.build import build
from holdfast.pipelines.models import promote, rollback, show_version
from holdfast.pipelines.monitor import monitor
from holdfast.pipelines.retrain import retrain
from holdfast.pipelines.run import run
from holdfast.pipelines.score import score
from holdfast.pipelines.serve_champion import serving, unserved
from holdfast.pipelines.train import train

WORSE = tuple(f"training.estimators.{name}.params.rounds=1" for name in ("xgboost", "lightgbm"))


@pytest.fixture(scope="module")
def killed_home(finished, tmp_path_factory):
    """A root whose version 2 is champion in the ledger, as by a run that was killed before it served it."""
    home = tmp_path_factory.mktemp("killed") / "copy"
    shutil.copytree(finished[0], home)
    workspace = open_tiny(home, WORSE)
    refused = train(workspace)
    assert not refused.promoted
    assert refused.serving.model_version == 1
    workspace.state.promote("demo", refused.version, actor="test", why="to see", action="force")
    assert unserved(workspace).version == 2
    workspace.state.close()
    return home


@pytest.fixture
def cut_off(killed_home, opened, tmp_path):
    """A copy of that root, opened."""
    shutil.copytree(killed_home, tmp_path / "copy")
    return opened(tmp_path / "copy", *WORSE)


def aliases(workspace):
    """MLflow's aliases as its file has them, by the bundle they point at."""
    query = (
        "SELECT a.alias, t.value FROM registered_model_aliases a "
        "JOIN model_version_tags t ON t.version = a.version AND t.key = 'bundle_sha256'"
    )
    with closing(sqlite3.connect(workspace.registry.file)) as connection:
        return dict(connection.execute(query).fetchall())


def bundles(workspace):
    return {row.version: row.bundle_sha256 for row in workspace.state.versions("demo")}


def test_training_serves_what_a_killed_run_promoted(cut_off):
    card = (cut_off.reports / "model-2.md").read_text()
    report = train(cut_off)
    assert (report.version, report.promoted, report.serving.model_version) == (2, True, 2)
    assert report.warnings == ()
    assert unserved(cut_off) is None
    # the gate's word is the one of then: a champion is not compared with itself
    assert not report.verdict["passed"]
    assert (cut_off.reports / "model-2.md").read_text() == card
    assert aliases(cut_off) == {"champion": bundles(cut_off)[2]}
    assert monitor(cut_off).report.model_version == "2"


def test_a_version_has_a_card_in_its_bundle_and_one_with_the_verdict_in_the_reports(copied, opened):
    workspace = opened(copied)
    shown = show_version(workspace, 1)
    inside = Bundle.load(Path(shown["path"])).card
    for name, key in (("card.md", "card"), ("card.html", "card_html")):
        judged = Path(shown[key]).read_text(encoding="utf-8")
        assert "demo: model version 1" in judged
        assert "demo: model" in inside[name]
        assert "version 1" not in inside[name]
        assert "The gate" in judged
        assert "The gate" not in inside[name]
    assert inside["card.html"].count("<svg") > 10


def test_training_again_leaves_what_is_served_as_it_is(copied, opened):
    workspace = opened(copied)
    before = {name: files_of(workspace.var / name) for name in ("scores", "decisions", "online", "reports")}
    report = train(workspace)
    assert report.serving == serving(workspace)
    assert (report.serving.model_version, report.serving.cutoff) == (1, LAST)
    assert {name: files_of(workspace.var / name) for name in before} == before


@pytest.mark.parametrize("mode", ["train", "score"])
def test_a_run_that_ends_early_serves_what_it_promoted(mode, cut_off):
    summary = run(cut_off, mode)
    assert summary.stages["materialize"]["model_version"] == 2
    assert unserved(cut_off) is None


def test_a_full_run_scores_once(cut_off, monkeypatch):
    seen = []
    real = score
    monkeypatch.setattr(
        "holdfast.pipelines.serve_champion.score", lambda *a, **k: seen.append(k.get("cutoff")) or real(*a, **k)
    )
    summary = run(cut_off)
    assert seen == [None]
    assert summary.stages["train"]["serving"] is None
    assert summary.stages["materialize"]["model_version"] == 2


def test_a_cutoff_that_was_scored_between_those_of_the_grid_is_kept(cut_off):
    later = LAST + timedelta(days=5)
    cut_off.state.rollback("demo", actor="test", why="to score with version 1")
    score(cut_off, cutoff=later)
    assert promote(cut_off, 2, why="to see", force=True)["serving"]["cutoff"] == later.date().isoformat()
    assert monitor(cut_off).report.model_version == "2"


def test_a_first_champion_that_cannot_be_scored_with_yet_is_a_warning(copied, opened):
    workspace = opened(copied)
    shutil.rmtree(workspace.online_folder)
    shutil.move(workspace.sources, workspace.var / "elsewhere")
    report = train(workspace)
    assert (report.promoted, report.serving) == (True, None)
    assert "version 1 is champion, but cannot be served yet: " in report.warnings[0]
    assert "holdfast models promote 1 --project demo" in report.warnings[0]
    shutil.move(workspace.var / "elsewhere", workspace.sources)
    assert promote(workspace, 1, why="as told")["serving"]["model_version"] == 1


def test_a_later_champion_that_cannot_be_scored_with_is_an_error_that_says_who_serves(cut_off):
    shutil.move(cut_off.sources, cut_off.var / "elsewhere")
    with pytest.raises(HoldfastError, match="version 2 is champion, but the API goes on with version 1: "):
        train(cut_off)
    assert serving(cut_off).model_version == 1


def test_a_broken_online_store_is_made_anew(copied, opened):
    workspace = opened(copied)
    (workspace.online_folder / "CURRENT").write_text("{")
    assert train(workspace).serving.model_version == 1
    assert unserved(workspace) is None


def test_a_retraining_leaves_the_monitoring_of_the_model_that_serves(cut_off, opened):
    workspace = opened(cut_off.root, "training.promotion.confidence=0.51")  # without what makes version 2 worse
    report = retrain(workspace, force=True)
    assert (report.trained.version, report.trained.promoted, report.serving.model_version) == (3, True, 3)
    left = json.loads((workspace.reports / f"monitoring-{LAST:%Y-%m-%d}.json").read_text())
    assert left["model_version"] == "3"


def test_an_mlflow_that_cannot_be_opened_is_a_warning_and_is_made_up_for(cut_off):
    """What a person finds in the file's place, moves away, and has written anew from the ledger."""
    file = cut_off.registry.file
    file.unlink()
    file.mkdir()
    report = train(cut_off)
    assert (report.version, report.champion, report.serving.model_version) == (2, 2, 2)
    assert len(report.warnings) == 1
    assert "MLflow does not show what the ledger says" in report.warnings[0]
    assert f"If {file} is damaged, move it away" in report.warnings[0]
    assert report.to_json()["warnings"] == list(report.warnings)

    back = rollback(cut_off, why="to see")
    assert (back["champion"], back["serving"]["model_version"], back["mlflow"]) == (1, 1, [])
    assert len(back["warnings"]) == 1

    file.rename(file.with_name("broken"))
    forced = promote(cut_off, 2, why="to see", force=True)
    assert forced["mlflow"] == ["version 1 logged", "version 2 logged", "champion: none -> 2"]
    assert forced["warnings"] == []
    assert aliases(cut_off) == {"champion": bundles(cut_off)[2]}


def test_versions_that_mlflow_lost_are_logged_again(cut_off):
    cut_off.registry.file.unlink()
    assert train(cut_off).warnings == ()
    assert aliases(cut_off) == {"champion": bundles(cut_off)[2]}
    assert cut_off.registry.held() == {(row.bundle_sha256, row.dataset_id) for row in cut_off.state.versions("demo")}
    # a version that nobody uses any more may be gone altogether; the champion may not
    cut_off.registry.file.unlink()
    shutil.rmtree(cut_off.var / "models" / "1")
    assert train(cut_off).warnings == ()
    assert len(cut_off.registry.held()) == 1


def test_a_rollback_that_was_cut_off_is_finished_and_not_repeated(cut_off):
    train(cut_off)
    state = cut_off.state
    for _ in range(2):  # each ends without saying how, after all but that was done
        run_id = state.start_run("models-rollback", "demo")
        assert rollback(cut_off, why="to see", run_id=run_id)["champion"] == 1
        state.finish_run(run_id, "killed", exit_code=1)
    run_id = state.start_run("models-rollback", "demo")
    assert rollback(cut_off, why="to see", run_id=run_id)["champion"] == 1
    state.finish_run(run_id, "done", exit_code=0)
    assert [line.action for line in state.history("demo")].count("rollback") == 1
    with pytest.raises(HoldfastError, match="no earlier champion"):
        rollback(cut_off, why="one further", run_id=state.start_run("models-rollback", "demo"))


def test_a_champion_of_another_question_is_not_compared(copied, opened):
    workspace = opened(copied, "data.label.horizon=2m")
    build(workspace)
    report = train(workspace)
    assert not report.promoted
    assert "answers another question (label: horizon)" in report.verdict["reasons"][-1]
