"""A generated company as a project of files: what the business would export, and a configuration to read it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import companies
import yaml

from holdfast.artifacts.dataset import Dataset
from holdfast.audit import oracle_snapshots as oracle
from holdfast.pipelines.bootstrap import Workspace, open_workspace

ANCHORS = (1, 31)
FIRST, LAST = 2023 * 12 + 8, 2024 * 12 + 1
WANTED: dict[str, Any] = {
    **companies.FEW_WANTED,
    "values": {"price": companies.WANTED["values"]["price"]},
    "measures": {
        "calls": {**companies.WANTED["measures"]["calls"], "windows": ["2m"]},
        "spent": {**companies.WANTED["measures"]["spent"], "aggregations": ["sum", "std"]},
        "tickets": {**companies.WANTED["measures"]["tickets"], "aggregations": ["count"]},
    },
}
Rows = Mapping[str, Sequence[oracle.Row]]


def cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    if digits and isinstance(value, int):
        return f"{'-' if value < 0 else ''}{abs(value) // 10**digits}.{abs(value) % 10**digits:0{digits}d}"
    return str(value)


def as_csv(rows: Rows, name: str) -> str:
    """A table as the business would export it."""
    config = companies.DATA["tables"][name]
    names = {
        "customer_id": config["key"], "subscription_id": config.get("id"), "event_id": config.get("id"),
        "event_time": config.get("time"),
        **{f"c_{column}": column for column in config.get("columns", {})},
    }  # fmt: skip
    columns = {c: names.get(c, config.get(c)) for c in companies.COLUMNS[name]}
    columns = {c: n for c, n in columns.items() if n is not None}
    digits = {f"c_{c}": declared.get("scale", 0) for c, declared in config.get("columns", {}).items()}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns.values())
    writer.writerows([cell(r[c], digits.get(c, 0)) for c in columns] for r in rows[name])
    return text.getvalue()


def fresh(seed: int) -> dict[str, list[oracle.Row]]:
    chance = companies.Chance(seed)
    chance.anchor = 31
    found = companies.company(chance, 40)
    # files say what the contract asks for: a row of somebody, text that is not blank, versions that do not overlap
    for row in found["plans"]:
        row["valid_to"] = None
        row["closed_available_at"] = None
    return found


def written(root: Path, rows: Rows, sets: Sequence[str] = ()) -> Workspace:
    conf = root / "conf" / "small"
    if not conf.exists():
        conf.mkdir(parents=True)
        tables = {
            n: {**t, "path": f"{i}.csv"} for i, (n, t) in enumerate(companies.DATA["tables"].items())
        }  # fmt: skip
        cutoffs = {"anchor_days": list(ANCHORS), "first": oracle.grid(1, FIRST).date().isoformat()}
        cutoffs["last"] = oracle.grid(31, LAST).date().isoformat()
        sections = {
            "data": {**companies.DATA, "tables": tables, "cutoffs": cutoffs},
            "features": WANTED,
            "training": {"estimators": {"logistic": {}}, "threads": 1},
            "scoring": {},
            "decisions": {
                "value": {"revenue": "price"},
                "actions": {"call": {"label": "Call", "cost": 5, "retention": 0.1, "tiers": ["high"]}},
            },
            "monitoring": {},
            "serving": {},
        }
        for section, content in sections.items():
            (conf / f"{section}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        (root / "var" / "small" / "sources").mkdir(parents=True)
    sources = root / "var" / "small" / "sources"
    for i, table in enumerate(companies.DATA["tables"]):
        (sources / f"{i}.csv").write_text(as_csv(rows, table))
    return open_workspace("small", root=root, sets=list(sets), environ={})


def bytes_of(dataset: Dataset) -> dict[str, str]:
    files = sorted(p for p in dataset.path.rglob("*") if p.is_file())
    return {p.relative_to(dataset.path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
