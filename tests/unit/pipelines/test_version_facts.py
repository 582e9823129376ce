"""What MLflow is told of a version of a real run."""

from __future__ import annotations

import pytest

from holdfast.errors import StoreError
from holdfast.models.bundle import Bundle
from holdfast.pipelines.mirror import make_up
from holdfast.pipelines.train import train
from holdfast.pipelines.version_facts import facts_of


def test_a_version_is_told_in_full(copied, opened):
    workspace = opened(copied)
    row = workspace.state.champion("demo")
    bundle = Bundle.load(workspace.var / row.path)
    facts = facts_of(workspace, row, bundle)
    test = bundle.metrics["test"]
    assert facts.params["estimator"] == row.estimator
    assert facts.params["rounds"] == 10
    auc = test["metrics"]["roc_auc"]
    assert [facts.metrics[f"roc_auc{end}"] for end in ("", "_low", "_high")] == [auc["value"], auc["low"], auc["high"]]
    assert facts.metrics["unseen_snapshots"] == test["n"]
    assert facts.tags["gate"] == "passed"
    assert facts.tags["holdfast_version"] == "1"
    assert f"trained on dataset {row.dataset_id}" in facts.description
    assert f"of which {test['base_rate']:.2%} churned: ROC-AUC {auc['value']:.3f} (" in facts.description
    assert facts.description.endswith("The gate: passed (the gate said yes).")
    assert facts.profile["snapshots"] == sum(bundle.provenance.extra["snapshots"].values())
    assert [file.name for file in facts.files] == ["model-1.html", "model-1.md"]
    run = workspace.registry._client.get_run(row.mlflow_run_id)
    assert run.data.metrics["roc_auc_low"] == auc["low"]
    version = workspace.registry._client.get_model_version("holdfast-demo", row.mlflow_version)
    assert version.description == facts.description


def test_training_goes_on_without_an_mlflow_that_does_not_answer(copied, opened, monkeypatch):
    """It serves, keeps its bundle, and says how to make up for it; and that does."""
    monkeypatch.setattr(
        "holdfast.stores.registry.load_mlflow", lambda: pytest.fail("a server that is not there is asked no more")
    )
    workspace = opened(copied)
    lost = opened(copied, "training.seed=9")
    lost.registry.uri = "http://127.0.0.1:9"  # the port of nobody
    report = train(lost)
    assert (report.version, (report.path / "manifest.json").exists()) == (2, True)
    [warning] = report.warnings
    assert "127.0.0.1:9 failed: there is no answer: " in warning
    assert "run: holdfast models mirror --project demo" in warning
    with pytest.raises(StoreError, match="Connection refused"):
        make_up(lost)
    monkeypatch.undo()
    assert make_up(workspace) == ["version 2 logged", "challenger: none -> 2"]
    assert make_up(workspace) == []


def test_one_lost_bundle_does_not_keep_the_others_out_of_mlflow(copied, opened):
    workspace = opened(copied)
    for seed in (9, 10):
        lost = opened(copied, f"training.seed={seed}")
        lost.registry.uri = "http://127.0.0.1:9"
        train(lost)
    workspace.state.challenge("demo", 2)
    (workspace.models / "2" / "model.json").write_text("{}")
    workspace.registry.set_aliases(champion=None, challenger=None)
    with pytest.raises(StoreError, match=r"models/2 is not as it was written: model\.json"):
        make_up(workspace)
    client = workspace.registry._client
    champion = client.get_model_version_by_alias("holdfast-demo", "champion")
    assert champion.tags["holdfast_version"] == "1"
    logged = {v.tags["holdfast_version"] for v in client.search_model_versions("name = 'holdfast-demo'")}
    assert logged == {"1", "3"}
