"""Monitoring, the trigger that acts, and the gate that keeps a champion."""

from __future__ import annotations

import json
import shutil

import pytest
from tiny_company import EARLIER, LAST, LEARNT, files_of

from holdfast.errors import NotReadyError
from holdfast.pipelines.build import build
from holdfast.pipelines.decide import decide
from holdfast.pipelines.materialize import materialize
from holdfast.pipelines.models import promote
from holdfast.pipelines.monitor import monitor
from holdfast.pipelines.retrain import retrain
from holdfast.pipelines.score import score
from holdfast.pipelines.train import train

WORSE = tuple(f"training.estimators.{name}.params.rounds=1" for name in ("xgboost", "lightgbm"))
OLD = "monitoring.triggers.max_age=1d"


def test_no_trigger_no_training(copied, opened):
    workspace = opened(copied)
    models = files_of(workspace.models)
    report = retrain(workspace)
    assert (report.triggered, report.why, report.trained, report.serving) == (False, [], None, None)
    assert files_of(workspace.models) == models


def test_a_fired_trigger_trains_scores_and_serves(copied, opened):
    workspace = opened(copied, OLD, "training.seed=8", "training.promotion.confidence=0.51")
    report = retrain(workspace)
    assert report.triggered
    assert "days old; more than 1d" in report.why[0]
    assert report.trained is not None
    assert report.trained.version == 2  # another seed makes another bundle
    assert (report.serving is not None) == report.trained.promoted
    if report.serving is not None:
        assert report.serving.model_version == 2
    json.dumps(report.to_json(), default=str)


def test_a_challenger_that_is_not_better_is_refused_and_the_champion_serves_on(copied, opened):
    workspace = opened(copied, OLD, *WORSE)
    online, scores = files_of(workspace.online_folder), files_of(workspace.scores)
    report = retrain(workspace)
    assert report.triggered
    assert report.trained is not None
    assert not report.trained.promoted
    # version 1 was fitted on everything matured: the model that it was before is what can be compared with
    reason = report.trained.verdict["reasons"][0]
    assert reason.startswith("better: log loss differs from that of version 1 as it was evaluated by +")
    assert "must be below zero" in reason
    assert report.trained.champion == 1
    assert report.serving is None
    assert (files_of(workspace.online_folder), files_of(workspace.scores)) == (online, scores)
    line = workspace.state.history("demo", limit=1)[0]
    assert (line.action, line.to_version) == ("refuse", 2)
    assert workspace.state.version("demo", 2).status == "challenger"
    assert "said no" in (workspace.reports / "model-2.md").read_text()


def test_asked_for_it_retrains_without_a_trigger(copied, opened):
    report = retrain(opened(copied), force=True)
    assert report.why == ["asked for"]
    assert report.trained is not None
    assert (report.trained.version, report.trained.promoted) == (1, True)  # the same data make the same bundle
    assert report.serving is not None


def test_scores_and_decisions_of_another_model_are_not_served(copied, opened):
    workspace = opened(copied, *WORSE)
    refused = train(workspace)
    assert not refused.promoted
    workspace.state.promote("demo", refused.version, actor="test", why="to see", action="force")
    with pytest.raises(NotReadyError, match="the scores of 2024-01-01 are by model version 1, the champion is 2"):
        materialize(workspace)
    score(workspace)
    with pytest.raises(NotReadyError, match="the decisions of 2024-01-01 are by model version 1"):
        materialize(workspace)
    decide(workspace)
    assert materialize(workspace).model_version == 2
    # by hand all of that is one step
    assert promote(workspace, 1, why="back", force=True)["serving"]["model_version"] == 1


def test_monitoring_measures_scores_that_have_matured(copied, opened):
    then = opened(copied, f"data.cutoffs.last={LEARNT:%Y-%m-%d}")
    version = train(then, dataset=build(then)).version
    promote(then, version, why="a champion of some months ago", force=True)
    workspace = opened(copied, "decisions.actions.discount.cost=0.1")  # at their prices nobody here is worth a contact
    score(workspace)
    assert monitor(workspace).report.performance is None  # the latest cutoff's labels are not known
    score(workspace, cutoff=LEARNT)
    assert monitor(workspace).report.performance is None  # the champion was fitted on these
    scored = score(workspace, cutoff=EARLIER).manifest["customers"]
    report = monitor(workspace)
    assert report.report.cutoff == LAST
    performance = report.report.performance
    assert performance is not None
    assert 200 < performance.rows <= scored
    assert 0 < performance.log_loss < 1
    assert json.loads(report.path.read_text())["performance"]["rows"] == performance.rows

    # those who were contacted no longer count, since it changed what they did; the holdout stands for them
    assert decide(workspace, cutoff=EARLIER).manifest["contacted"] > 0
    after = monitor(workspace).report.performance
    assert after is not None
    assert after.rows < performance.rows


def test_a_champion_that_needs_a_feature_that_is_gone_does_not_stop_the_training(copied, opened):
    features = copied / "conf" / "demo" / "features.yaml"
    lines = [line for line in features.read_text().splitlines() if "tickets" not in line]
    features.write_text("\n".join(lines) + "\n")
    workspace = opened(copied, "monitoring.triggers.max_age=1d")
    report = retrain(workspace, force=True)
    assert report.trained is not None
    assert not report.trained.promoted
    assert any("features" in reason for reason in report.trained.verdict["reasons"])
    assert report.trained.champion == 1


@pytest.mark.parametrize("harm", ["older format", "changed", "gone"])
def test_a_champion_whose_bundle_cannot_be_used_does_not_stop_the_training(harm, copied, opened):
    workspace = opened(copied, "training.seed=8")
    bundle = workspace.models / "1"
    if harm == "older format":
        manifest = json.loads((bundle / "manifest.json").read_text())
        (bundle / "manifest.json").write_text(json.dumps(manifest | {"format": "holdfast-bundle-1"}))
    elif harm == "changed":
        (bundle / "golden.json").write_text("{}")
    else:
        shutil.rmtree(bundle)
    report = train(workspace)
    assert not report.promoted
    assert "the champion's bundle cannot be used" in report.verdict["reasons"][-1]
    assert "models promote VERSION --force" in report.verdict["reasons"][-1]
    assert (report.champion, report.serving.model_version) == (1, 1)
    forced = promote(workspace, report.version, why="version 1 is unusable", force=True)
    assert (forced["champion"], forced["serving"]["model_version"]) == (2, 2)
