"""Reports of the verbs about datasets: ``holdfast datasets …``."""

from __future__ import annotations

from typing import Any

from holdfast.cli.render.data import dataset_facts
from holdfast.cli.render.parts import UNKNOWN, count, counted, facts, note, share, table, title
from holdfast.errors import shown

Report = dict[str, Any]

SHORT = 12
"""Digits of a sha256 that tell two apart to a person."""


def datasets(report: Report) -> list[Any]:
    rows = [
        (
            f"{d['dataset_id']}{' *' if d['latest'] else ''}", f"{d['first_cutoff']} to {d['last_cutoff']}",
            count(d["snapshots"]), count(d["positives"]), d["known_as_of"], megabytes(d["bytes"]),
            ", ".join(str(v["version"]) for v in d["versions"]),
        )
        for d in report["datasets"]
    ]  # fmt: skip
    lost = [note(f"{d['dataset_id']} cannot be read: {d['why']}") for d in report["unreadable"]]
    if not rows:
        return [note("There are no datasets yet. Run: holdfast build"), *lost]
    columns = ("dataset", "cutoffs", "snapshots", "positives", "known as of", "size", "versions")
    return [
        table(columns, rows, right=("snapshots", "positives", "size")),
        note(f"* the latest. {megabytes(report['bytes'])} on disk: what datasets share is there once."),
        *lost,
    ]


def dataset(report: Report) -> list[Any]:
    cutoffs = [
        (
            c["cutoff"], count(c["snapshots"]), count(c["states"].get("matured", 0)), count(c["positives"]),
            share(c["base_rate"], 2), c["label_available_at"], c["sha256"][:SHORT] or None,
        )
        for c in report["cutoffs"]
    ]  # fmt: skip
    sources = [(name, count(s["rows_known"]), s["hash"]) for name, s in report["sources"].items()]
    columns = ("cutoff", "snapshots", "matured", "positives", "rate", "label known", "sha256")
    return [
        title(f"Dataset {report['dataset_id']}", "the latest" if report["latest"] else ""),
        dataset_facts(report),
        facts(
            {
                "label": ", ".join(f"{k} {v}" for k, v in report["label"].items()),
                "configuration": "not recorded" if report["config_hash"] is None else report["config_hash"][:SHORT],
                "size": f"{megabytes(report['bytes'])}, {megabytes(report['own_bytes'])} of it shared with no other",
                "built": report["built_at"],
                "trained on it": ", ".join(f"version {v['version']} ({v['status']})" for v in report["versions"]),
            }
        ),
        table(columns, cutoffs, right=columns[1:5]),
        table(("source", "rows known", "hash"), sources, right=("rows known",)),
        table(("feature", "kind", "meaning"), [(f["name"], f["kind"], f["label"]) for f in report["features"]]),
    ]


def comparison(report: Report) -> list[Any]:
    one, other = report["datasets"]
    config, features = report["config"], report["features"]
    identical = sum(c["identical"] for c in report["cutoffs"])
    said = {
        "known as of": _pair(report["known_as_of"]),
        "complete": _pair(report["complete_through"]),
        "configuration": "not recorded in one of them" if config is None else "the same" if not config else None,
        "sources": ", ".join(s["table"] for s in report["sources"] if not s["same"]) or "the same",
        "added": ", ".join(features["added"]),
        "removed": ", ".join(features["removed"]),
        "features": None if any(features.values()) else "the same",
        "files": f"{identical} of {counted(len(report['cutoffs']), 'cutoff')} hold the same bytes",
    }
    parts: list[Any] = [title(f"Dataset {one} and dataset {other}"), facts(said)]
    if config:
        parts.append(table(("configuration", one, other), [(k, *_values(v)) for k, v in config.items()]))
    if changed := features["changed"]:
        rows = [(name, what, *_values(pair)) for name, all_ in changed.items() for what, pair in all_.items()]
        parts.append(table(("feature", "what of it", one, other), rows))
    rows = [
        (
            c["cutoff"], *map(count, c["snapshots"]), *map(count, c["positives"]),
            *(share(r, 2) for r in c["base_rate"]), "same bytes" if c["identical"] else "",
        )
        for c in report["cutoffs"]
    ]  # fmt: skip
    columns = ("cutoff", "snapshots", "", "positives", "", "rate", "", "")
    return [*parts, table(columns, rows, right=columns[1:7])]


def verified(report: Report) -> list[Any]:
    files = counted(report["files"], "file")
    missing = report["unhashed"]
    return [
        title(f"Dataset {report['dataset_id']} is what its manifest says"),
        facts({"checked": f"{files}, {count(report['snapshots'])} snapshots", "files": report["path"]}),
        *([note(f"{counted(missing, 'file')} without a recorded hash: only columns and counts were checked. "
                "holdfast build --force records them.")] if missing else []),
    ]  # fmt: skip


def removed(report: Report) -> list[Any]:
    kept = [(row["dataset_id"], row["why"]) for row in report["kept"]]
    stays = [table(("a dataset that stays", "because"), kept)] if kept else []
    if not report["removed"]:
        return [note("There is nothing to remove."), *stays]
    done = "Would remove" if report["dry_run"] else "Removed"
    said = f"{done} {', '.join(report['removed'])}: {megabytes(report['bytes'])}."
    return [note(said), *stays]


def megabytes(size: int) -> str:
    """``1.2 MB``."""
    return f"{size / 1e6:,.1f} MB"


def _pair(pair: list[Any]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} and {pair[1]}"


def _values(pair: list[Any]) -> list[str]:
    return [UNKNOWN if value is None else shown(value) for value in pair]
