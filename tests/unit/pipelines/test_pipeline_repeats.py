"""The same inputs give the same bytes, and an earlier cutoff knows nothing of what came later."""

from __future__ import annotations

from functools import partial

from tiny_company import EARLIER, LAST, files_of, put_conf, truncate_sources

from holdfast.pipelines.run import run
from holdfast.pipelines.score import score
from holdfast.pipelines.train import train
from holdfast.training.rows import TrainingRows


def test_two_full_runs_write_the_same_bytes(root, finished, opened, tmp_path):
    home, summary = finished
    put_conf(root, tmp_path)
    again = run(opened(tmp_path))
    for name in ("sources", "datasets", "models", "scores", "features", "decisions"):
        here, there = (files_of(where / "var" / "demo" / name) for where in (home, tmp_path))
        assert here, name
        assert here == there, name
    for stage, key in (("dataset", "dataset_id"), ("train", "bundle_sha256"), ("materialize", "generation")):
        assert summary.stages[stage][key] == again.stages[stage][key]


def test_a_second_run_of_everything_changes_nothing(copied, opened):
    folders = ("sources", "datasets", "models", "scores", "features", "decisions", "online")
    before = {name: files_of(copied / "var" / "demo" / name) for name in folders}
    summary = run(opened(copied))
    assert {name: files_of(copied / "var" / "demo" / name) for name in folders} == before
    assert summary.stages["train"]["version"] == 1
    assert summary.stages["data"]["written"] is False


def test_a_dataset_too_large_for_memory_gives_the_same_bundle(copied, opened, monkeypatch):
    workspace = opened(copied)
    before = files_of(workspace.models)
    monkeypatch.setattr(TrainingRows, "of", partial(TrainingRows.of, most_bytes=0))
    monkeypatch.setattr("holdfast.training.rows.FEATURES_AT_A_TIME", 4)
    assert train(workspace).version == 1
    assert files_of(workspace.models) == before


def test_scoring_twice_writes_the_same_parquet(copied, opened):
    workspace = opened(copied)
    first = score(workspace)
    assert first.cutoff == LAST
    before = files_of(workspace.scores)
    second = score(workspace)
    assert second.path == first.path
    assert any(name.endswith(".parquet") for name in before)
    assert files_of(workspace.scores) == before


def test_back_filled_scores_use_nothing_that_came_later(copied, opened):
    workspace = opened(copied)
    score(workspace, cutoff=EARLIER)
    folder = f"cutoff={EARLIER:%Y-%m-%d}"
    with_all = {name: files_of(workspace.var / name / folder) for name in ("scores", "features")}
    assert truncate_sources(workspace.sources, EARLIER) > 1000
    score(workspace, cutoff=EARLIER, known_as_of=EARLIER)
    assert with_all["scores"]
    for name, files in with_all.items():
        assert files_of(workspace.var / name / folder) == files
