"""What readers of the online store get: rows that decode themselves, and pages of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.artifacts.schema import FeatureSchema
from holdfast.stores.online_format import NO_CODE, WIDTH


@dataclass(frozen=True)
class GenerationMeta:
    """What a generation is, and how to unpack its rows. Read from its ``meta`` and ``category`` tables."""

    generation: str
    bundle_sha256: str
    model_version: str
    bundle_dir: str
    dataset_id: str
    config_hash: str
    cutoff: datetime
    rows: int
    schema: FeatureSchema
    categories: dict[int, list[str]] = field(default_factory=dict)
    """Per category feature, by its place among the category features: the value of each code."""

    @cached_property
    def numbers(self) -> list[str]:
        return [f.name for f in self.schema if f.kind == "number"]

    @cached_property
    def category_names(self) -> list[str]:
        return [f.name for f in self.schema if f.kind == "category"]

    @property
    def row_bytes(self) -> int:
        """Bytes of a packed row."""
        return WIDTH * len(self.schema)

    def vector(self, packed: bytes) -> NDArray[np.float32]:
        """The number features, in schema order; NaN where unknown. Bit for bit what was written."""
        return np.frombuffer(packed, dtype="<f4", count=len(self.numbers))

    def unpack(self, packed: bytes) -> dict[str, float | str | None]:
        """Feature values by name, in schema order; None where unknown."""
        numbers: dict[str, float | str | None] = {
            name: None if value != value else value  # NaN is the one value that differs from itself
            for name, value in zip(self.numbers, self.vector(packed).tolist(), strict=True)
        }
        codes = np.frombuffer(packed, dtype="<i4", offset=WIDTH * len(self.numbers)).tolist()
        texts = {
            name: None if code == NO_CODE else self.categories[place][code]
            for place, (name, code) in enumerate(zip(self.category_names, codes, strict=True))
        }
        return {f.name: (numbers if f.kind == "number" else texts)[f.name] for f in self.schema}


class OnlineRow:
    """One customer as served. Features, reasons and decision are decoded when first asked for."""

    __slots__ = (
        "_decision",
        "_packed",
        "_reasons",
        "customer_id",
        "expected_value",
        "meta",
        "probability",
        "segment",
        "tier",
    )

    def __init__(self, meta: GenerationMeta, columns: tuple[Any, ...]) -> None:
        self.meta = meta
        self.customer_id: str
        self.probability: float
        self.tier: str
        self.segment: str | None
        self.expected_value: float | None
        (
            self.customer_id,
            self.probability,
            self.tier,
            self.segment,
            self.expected_value,
            self._packed,
            self._reasons,
            self._decision,
        ) = columns

    @property
    def generation(self) -> str:
        return self.meta.generation

    @property
    def model_version(self) -> str:
        return self.meta.model_version

    @property
    def cutoff(self) -> datetime:
        return self.meta.cutoff

    @property
    def features(self) -> dict[str, float | str | None]:
        """Feature values by name; None where unknown."""
        return self.meta.unpack(self._packed)

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """The reasons, strongest first, each with the fields of `artifacts.batches.REASON`."""
        decoded: list[dict[str, Any]] = json.loads(self._reasons)
        return decoded

    @property
    def decision(self) -> dict[str, Any]:
        """The columns of `artifacts.batches.DECISION_SCHEMA` that the row does not already have."""
        decoded: dict[str, Any] = json.loads(self._decision)
        return decoded

    def __repr__(self) -> str:
        return f"OnlineRow({self.customer_id!r}, tier={self.tier!r}, generation={self.generation!r})"


@dataclass(frozen=True)
class Page:
    """One page of a work list; ``next_cursor`` is None on the last."""

    rows: list[OnlineRow]
    next_cursor: str | None
    meta: GenerationMeta

    @property
    def generation(self) -> str:
        return self.meta.generation
