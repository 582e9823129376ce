"""The catalogue of features."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from rich.text import Text

from holdfast.cli.render.parts import counted, facts, note, table, title

FEW = 12
"""Up to so many features are told in full."""


def features(report: dict[str, Any]) -> list[Any]:
    found = report["features"]
    after = "" if len(found) == report["total"] else f"of {report['total']:,}"
    lines: list[Any] = [title(f"{report['project']}: {counted(len(found), 'feature')}", after)]
    if report["derived"]:
        lines.append(note("features.yaml declares none: these follow from the columns of data.yaml."))
    if len(found) <= FEW:
        return [*lines, *(part for feature in found for part in _whole(feature))]
    for source, members in groupby(sorted(found, key=lambda f: f["source"]), key=lambda f: f["source"]):
        lines.append(Text(f"  {source}", style="bold"))
        lines.append(table(("feature", "meaning", "unit"), [(_name(f), f["label"], f["unit"]) for f in members]))
    lines.append(note("Names of features or tables after the verb tell them in full: how, window and null."))
    if report["end_state"]:
        lines.append(note("* known only as of the extract (end-state)."))
    return lines


def _whole(feature: dict[str, Any]) -> list[Any]:
    rows = {
        "meaning": feature["label"],
        "how": feature["definition"],
        "unit": feature["unit"],
        "source": feature["source"],
        "window": feature["window"],
        "null": feature["null_means"],
        "end-state": "known only as of the extract" if feature["end_state"] else "",
    }
    return [Text(f"  {feature['name']}", style="bold"), facts(rows), Text("")]


def _name(feature: dict[str, Any]) -> str:
    return f"{feature['name']} *" if feature["end_state"] else str(feature["name"])
