"""A small project to break in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

DATA = """\
label:
  horizon: 1m
tables:
  customers:
    kind: customers
    path: customers.parquet
    key: customer_id
    start: started_at
    end: ended_at
    columns:
      region: {type: category, known_at: start}
  plans:
    kind: history
    path: plans.parquet
    key: customer_id
    valid_from: valid_from
    columns:
      price: {type: number}
      contract_end: {type: time}
  usage:
    kind: events
    path: usage.parquet
    key: customer_id
    time: occurred_at
    columns:
      minutes: {type: number, scale: 1}
      kind: {type: category}
"""
FEATURES = """\
measures:
  usage_minutes: {table: usage, column: minutes, label: minutes used, aggregations: [sum]}
values:
  plans_price: {table: plans, column: price, label: price}
attributes:
  region: region
"""
TRAINING = """\
estimators:
  logistic: {}
"""
DECISIONS = """\
value:
  revenue: plans_price
actions:
  call: {label: Call, cost: 5, retention: 0.1, tiers: [high]}
"""


Change: TypeAlias = "str | bytes | tuple[str, str] | None"


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write the small project below ``tmp_path``, with some files changed.

    A change is the whole file, ``(old, new)`` for its first such text, ``("", more)`` to append, or None to leave the
    file out.
    """

    def write(**changes: Change) -> Path:
        folder = tmp_path / "conf" / "small"
        folder.mkdir(parents=True, exist_ok=True)
        files = {"data": DATA, "features": FEATURES, "training": TRAINING, "decisions": DECISIONS}
        for section in {**files, **changes}:
            content: Change = changes.get(section, files.get(section))
            if isinstance(content, tuple):
                old, new = content
                assert old in files[section]
                content = files[section].replace(old, new, 1) if old else files[section] + new
            if content is not None:
                raw = content if isinstance(content, bytes) else content.encode()
                (folder / f"{section}.yaml").write_bytes(raw)
        return folder

    return write
