"""Whether a dataset is of the configuration as it is now: a model of another would answer another question."""

from __future__ import annotations

from holdfast.artifacts.dataset import Dataset
from holdfast.config.schema import Config
from holdfast.errors import MAX_EXAMPLES, ConfigError, Problem
from holdfast.features.definitions import feature_schema
from holdfast.pipelines.build import label_of
from holdfast.pipelines.reuse import meaning


def require_same_config(config: Config, dataset: Dataset) -> None:
    """Refuse a dataset whose label or features are not those of the configuration.

    Raises
    ------
    ConfigError
        They differ; each key is named with both values.
    """
    manifest = dataset.manifest
    if manifest.basis.get("meaning") == meaning(config):
        return
    was, now = manifest.label, label_of(config.data)
    problems = [
        Problem(
            f"data.label.{key}", f"the dataset has {was.get(key, 'none')}, the configuration {now.get(key, 'none')}"
        )
        for key in sorted(was | now)
        if was.get(key) != now.get(key)
    ]
    if manifest.history != (history := config.data.history):
        problems.append(Problem("data.history", f"the dataset has {manifest.history}, the configuration {history}"))
    before = {f.name: f.kind for f in manifest.schema}
    after = {f.name: f.kind for f in feature_schema(config.data, config.features)}
    for what, names in (
        ("are in the dataset and no longer configured", [n for n in before if n not in after]),
        ("are configured and not in the dataset", [n for n in after if n not in before]),
        ("are of another kind", [n for n in before if n in after and before[n] != after[n]]),
    ):
        if names:
            problems.append(Problem("features", f"{len(names)} features {what}", examples=tuple(names[:MAX_EXAMPLES])))
    if not problems:
        problems.append(Problem("data, features", "what a feature means is not what it was when the dataset was built"))
    raise ConfigError(
        f"dataset {manifest.dataset_id} is of another configuration: build again, or configure what it was built with",
        problems,
    )
