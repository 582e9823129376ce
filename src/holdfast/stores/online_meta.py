"""What a generation says of itself, in both stores alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso, parse_instant
from holdfast.stores.online_format import FORMAT_VERSION
from holdfast.stores.online_row import GenerationMeta


def meta_text(schema: FeatureSchema, rows: int, cutoff: datetime, **words: str) -> dict[str, str]:
    """The texts of `meta_of`."""
    return {
        "format_version": str(FORMAT_VERSION),
        "cutoff": iso(cutoff),
        "rows": str(rows),
        "schema": json.dumps(schema.to_json(), ensure_ascii=False),
        **words,
    }


def meta_of(meta: Mapping[str, str], categories: dict[int, list[str]]) -> GenerationMeta:
    """The generation of these texts.

    Raises
    ------
    ValueError, KeyError, TypeError
        They are damaged, or of another format version.
    """
    if int(meta["format_version"]) != FORMAT_VERSION:
        raise ValueError(f"its format is {meta['format_version']}, this Holdfast reads {FORMAT_VERSION}")
    return GenerationMeta(
        generation=meta["generation"],
        bundle_sha256=meta["bundle_sha256"],
        model_version=meta["model_version"],
        bundle_dir=meta["bundle_dir"],
        dataset_id=meta["dataset_id"],
        config_hash=meta["config_hash"],
        cutoff=parse_instant(meta["cutoff"]),
        rows=int(meta["rows"]),
        schema=FeatureSchema.from_json(json.loads(meta["schema"])),
        categories=categories,
    )
