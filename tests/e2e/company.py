"""A small business in CSV that the end-to-end tests run on: it takes seconds, and its models are not good."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

DATA = """\
sources: sources
cutoffs: {anchor_days: [1]}
label: {churn: contractual, horizon: 1m}
tables:
  customers:
    kind: customers
    path: customers.csv
    key: customer_id
    start: started_at
    end: ended_at
    columns:
      region: {type: category, known_at: start}
  plans:
    kind: history
    path: plans.csv
    key: customer_id
    valid_from: valid_from
    columns:
      price: {type: number, scale: 2, min: 0}
  visits:
    kind: events
    path: visits.csv
    key: customer_id
    id: visit_id
    time: visited_at
    columns:
      minutes: {type: number, scale: 0}
"""
FEATURES = """\
windows: [3m]
values:
  price: {table: plans, column: price, label: price}
measures:
  visits: {table: visits, label: visits, aggregations: [count, recency]}
  minutes: {table: visits, column: minutes, label: minutes, aggregations: [sum, mean]}
attributes: {region: region}
"""
TRAINING = """\
estimators:
  logistic: {}
folds: {test_cutoffs: 2, validation_cutoffs: 2}
bootstrap: 50
promotion:
  {min_lift: 0.01, max_calibration_error: 0.9, calibration_margin: 1, profit_margin: 1, latency_ms: 10000}
"""
DECISIONS = """\
value: {revenue: price}
actions:
  call: {label: a call, cost: 1, retention: 0.2}
budget: 50
"""
SECTIONS = {"data": DATA, "features": FEATURES, "training": TRAINING, "decisions": DECISIONS}
FIRST = date(2023, 1, 1)
MONTHS = 14
CUSTOMERS = 240


@dataclass(frozen=True)
class Said:
    """What a call of ``holdfast`` returned and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


def write_company(home: Path, name: str = "shop") -> Path:
    """Write ``conf/<name>`` and three CSV tables (in ``var/<name>/sources``) below ``home``; returns their folder."""
    tables = home / "var" / name / "sources"
    tables.mkdir(parents=True)
    _write_tables(tables)
    conf = home / "conf" / name
    conf.mkdir(parents=True)
    for section, text in SECTIONS.items():
        (conf / f"{section}.yaml").write_text(text, encoding="utf-8")
    return tables


def _write_tables(tables: Path) -> None:
    dice = random.Random(11)
    customers, plans, visits = [], [], []
    for n in range(CUSTOMERS):
        customer = f"K{n:04d}"
        start = FIRST + timedelta(days=dice.randrange(60))
        keen = dice.random()
        stays = dice.randrange(60, 900) if keen > 0.3 else dice.randrange(60, 420)
        end = start + timedelta(days=stays)
        last = FIRST + timedelta(days=30 * MONTHS)
        customers.append([customer, start, end if end < last else "", dice.choice(["north", "south"])])
        plans.append([customer, start, f"{20 + 30 * dice.random():.2f}"])
        day = start
        while day < min(end, last):
            left = (end - day).days
            day += timedelta(days=dice.randrange(5, 20) + (15 if left < 60 else 0))
            if day < min(end, last):
                visits.append([f"V{len(visits)}", customer, day, dice.randrange(5, 60)])
    write_csv(tables / "customers.csv", ["customer_id", "started_at", "ended_at", "region"], customers)
    write_csv(tables / "plans.csv", ["customer_id", "valid_from", "price"], plans)
    write_csv(tables / "visits.csv", ["visit_id", "customer_id", "visited_at", "minutes"], visits)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def command(*words: str) -> list[str]:
    """``holdfast`` as a program of this Python."""
    return [sys.executable, "-m", "holdfast.cli.main", *words]


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tests' own environment, less what would change the program's behaviour."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST")}
    return {**kept, "HOLDFAST_HOME": str(home), "COLUMNS": "100", **(more or {})}


def holdfast(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``holdfast`` to its end."""
    return subprocess.run(
        command(*words), env=environment(home, more), cwd=home, capture_output=True, text=True, timeout=240, check=False
    )


def tree(folder: Path) -> dict[str, int]:
    """Every file below a folder with its size; what killed or failed programs leave shows here."""
    return {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
