"""``holdfast features``: what every feature of a project means, from the configuration alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.artifacts.schema import FeatureSchema
from holdfast.config.load import Loaded
from holdfast.errors import UsageError, did_you_mean
from holdfast.features.definitions import feature_schema


@dataclass(frozen=True)
class FeaturesReport:
    """The catalogue of a project, or a part of it.

    Attributes
    ----------
    derived : nothing is declared in features.yaml, so the features come from the tables' columns
    total : how many features there are; ``schema`` holds those that were asked for
    """

    project: str
    derived: bool
    total: int
    schema: FeatureSchema

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "derived": self.derived,
            "total": self.total,
            "end_state": self.schema.end_state,
            "features": self.schema.to_json(),
        }


def features(loaded: Loaded, words: Sequence[str] = ()) -> FeaturesReport:
    """Every feature of a project; with words, those whose name begins with one, or that come from such a table.

    Raises
    ------
    ConfigError
        Two features would have one name, or one cannot be computed.
    UsageError
        A word matches nothing.
    """
    config = loaded.config
    schema = feature_schema(config.data, config.features)
    declared = ("features.measures.", "features.values.", "features.attributes.")
    derived = not any(key.startswith(declared) for key in loaded.origins)
    for word in words:
        if not any(_matches(f.name, f.source, word) for f in schema):
            hint = did_you_mean(word, dict.fromkeys([*(f.source for f in schema), *(f.group for f in schema)]))
            raise UsageError(f"no feature is called {word!r} or comes from such a table", fix=hint)
    kept = tuple(f for f in schema if not words or any(_matches(f.name, f.source, w) for w in words))
    return FeaturesReport(loaded.project, derived, len(schema), FeatureSchema(kept))


def _matches(name: str, source: str, word: str) -> bool:
    return source == word or name.startswith(word)
