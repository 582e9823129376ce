"""A dataset of another configuration is not trained on."""

from __future__ import annotations

import dataclasses

import pytest

from holdfast.errors import ConfigError
from holdfast.pipelines.same_config import require_same_config
from holdfast.pipelines.train import train
from holdfast.stores.offline import latest_dataset


def test_the_dataset_of_the_configuration_is_taken(copied, opened):
    workspace = opened(copied, "training.seed=9", "data.cutoffs.last=2023-10-01")
    require_same_config(workspace.config, latest_dataset(workspace.var))


def test_another_label_is_refused_by_its_keys_and_nothing_is_trained(copied, opened):
    workspace = opened(copied, "data.label.horizon=2m", "data.label.lead=7d")
    with pytest.raises(ConfigError) as caught:
        train(workspace)
    assert [str(problem) for problem in caught.value.problems] == [
        "data.label.horizon: the dataset has 1m, the configuration 2m",
        "data.label.lead: the dataset has 0d, the configuration 7d",
    ]
    assert len(workspace.state.versions("demo")) == 1


def test_other_features_are_named(copied, opened):
    features = copied / "conf" / "demo" / "features.yaml"
    text = features.read_text()
    lines = [line for line in text.splitlines() if "tickets" not in line]
    features.write_text("\n".join(lines).replace("aggregations: [sum, ratio]", "aggregations: [sum, mean]") + "\n")
    workspace = opened(copied)
    with pytest.raises(ConfigError) as caught:
        require_same_config(workspace.config, latest_dataset(workspace.var))
    gone, new = caught.value.problems
    assert gone.where == new.where == "features"
    assert "no longer configured" in gone.what
    assert any("tickets" in str(example) for example in gone.examples)
    assert new.what == "1 features are configured and not in the dataset"
    assert new.examples == ("usage_minutes_mean_3m",)


def test_the_same_names_may_mean_something_else(copied, opened):
    workspace = opened(copied)
    dataset = latest_dataset(workspace.var)
    other = dataclasses.replace(dataset.manifest, basis={**dataset.manifest.basis, "meaning": "another"})
    with pytest.raises(ConfigError, match="what a feature means is not what it was"):
        require_same_config(workspace.config, dataclasses.replace(dataset, manifest=other))
