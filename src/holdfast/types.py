"""Names for ids and small closed vocabularies. No logic."""

from __future__ import annotations

from typing import Literal, NewType, TypeAlias

CustomerId = NewType("CustomerId", str)
DatasetId = NewType("DatasetId", str)
RunId = NewType("RunId", str)

FeatureKind: TypeAlias = Literal["number", "category"]
History: TypeAlias = Literal["recorded", "reconstructed"]
SnapshotState: TypeAlias = Literal["matured", "immature", "in_lead"]

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
