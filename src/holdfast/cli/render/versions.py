"""Reports of the verbs about versions: ``holdfast models …``."""

from __future__ import annotations

from typing import Any

from holdfast.cli.render.learning import Report, bundles, checks, measured, served
from holdfast.cli.render.parts import count, facts, interval, note, share, table, title
from holdfast.evaluation.names import name_of, ordered


def versions(report: Report) -> list[Any]:
    rows = [
        (
            v["version"], _status(v), v["estimator"], interval(v["metrics"].get("roc_auc")),
            interval(v["metrics"].get("average_precision")), v["created_at"][:10],
        )
        for v in report["versions"]
    ]  # fmt: skip
    if not rows:
        return [note("There are no versions yet. Run: holdfast train")]
    return [table(("version", "status", "estimator", "ROC-AUC", "average precision", "made"), rows, right=("version",))]


def _status(version: Report) -> str:
    if version["bundle"]:
        return str(version["status"])
    return "removed" if version["status"] == "archived" else f"{version['status']}, bundle lost"


def version(report: Report) -> list[Any]:
    if not report["bundle"]:
        figures = [(name_of(name), interval(found)) for name, found in report["metrics"].items()]
        return [
            title(f"Version {report['version']}: {report['estimator']}", f"{report['status']}, bundle removed"),
            table(("measure", "value (95% interval)"), figures),
            facts({"dataset": report["dataset_id"], "made": report["created_at"], "model card": report["card"]}),
            note(f"Its bundle was removed: it cannot serve, nor be gone back to. {report['like']}"),
        ]
    return [
        title(f"Version {report['version']}: {report['estimator']}", report["status"]),
        *measured(report["all_metrics"]),
        *checks(report["gate"]),
        facts(
            {
                "features": len(report["features"]),
                "dataset": report["dataset_id"],
                "sha256": report["bundle_sha256"],
                "evaluated": report["evaluated_sha256"],
                "made": report["created_at"],
                "bundle": report["path"],
                "model card": report["card_html"],
                "as Markdown": report["card"],
                "MLflow": report["mlflow_version"] and f"version {report['mlflow_version']}",
            }
        ),
    ]


def comparison(report: Report) -> list[Any]:
    """Two versions side by side."""
    sides, metrics = report["versions"], report["metrics"]
    heads = [f"version {side['version']}" for side in sides]
    about = {
        "status": [_status(side) for side in sides],
        "gate": [side["gate"] for side in sides],
        "estimator": [side["estimator"] for side in sides],
        "dataset": [side["dataset_id"] for side in sides],
        "label": [_words(side.get("label")) for side in sides],
        "measured on": [_measured_on(side.get("measured_on")) for side in sides],
        **{name_of(name): [interval(m) for m in pair] for name, pair in ordered(metrics).items()},
        "calibration": [_calibration(side.get("calibration")) for side in sides],
    }
    parts: list[Any] = [
        title(f"Version {sides[0]['version']} and version {sides[1]['version']}"),
        table(("", *heads), [(name, *pair) for name, pair in about.items()]),
    ]
    if params := report["params"]:
        parts.append(table(("other parameters", *heads), [(name, *pair) for name, pair in params.items()], right=heads))
    if features := report["features"]:
        said = {
            f"only {head} reads": _listed(features[key])
            for head, key in zip(heads, ("only_first", "only_second"), strict=True)
        }
        parts.append(facts(said) if any(said.values()) else note("Both read the same features."))
    if shares := report["importance"][:8]:
        rows = [(row["label"], *(share(s) for s in row["shares"])) for row in shares]
        parts.append(table(("what moves scores most", *heads), rows, right=heads))
    return [*parts, *_paired(report, heads)]


def _paired(report: Report, heads: list[str]) -> list[Any]:
    found = report["paired"]
    if found is None:
        return [note(f"They cannot be compared on the same snapshots: {report['why_not']}.")]
    rows = []
    for name, d in found["differences"].items():
        better = d["high"] < 0 if name == "log_loss" else d["low"] > 0
        worse = d["low"] > 0 if name == "log_loss" else d["high"] < 0
        said = f"{heads[1]} is better" if better else f"{heads[0]} is better" if worse else "no clear difference"
        rows.append((name_of(name), f"{d['value']:+.4f} ({d['low']:+.4f} to {d['high']:+.4f})", said))
    on = f"{count(found['snapshots'])} snapshots that neither learnt from, {_span(found['cutoffs'])}"
    if any(found["as_evaluated"]):
        before = [head for head, it in zip(heads, found["as_evaluated"], strict=True) if it]
        on = f"{on} ({' and '.join(before)} as evaluated, before being fitted on everything)"
    return [
        note(f"On the same {on}; {count(found['positives'])} churned:"),
        table(("", f"{heads[1]} minus {heads[0]} (95% interval)", ""), rows),
    ]


def _span(cutoffs: list[str]) -> str:
    return cutoffs[0] if len(cutoffs) == 1 else f"{cutoffs[0]} to {cutoffs[-1]}"


def _words(label: Report | None) -> str | None:
    return None if label is None else ", ".join(f"{key} {value}" for key, value in sorted(label.items()))


def _measured_on(found: Report | None) -> str | None:
    return None if found is None else f"{count(found['snapshots'])} snapshots, {found['what']}"


def _calibration(found: Report | None) -> str | None:
    return None if found is None else f"{found['kind']}, error {found['error']:.4f}"


def _listed(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def change(report: Report) -> list[Any]:
    before = f" (before: version {report['from_version']})" if report["from_version"] else ""
    return [
        title(f"Version {report['champion']} {'serves' if report['serving'] else 'is champion'}{before}"),
        facts([("action", report["action"]), ("why", report["why"]), *served(report)]),
    ]


def history(report: Report) -> list[Any]:
    rows = [(h["at"], h["action"], h["from_version"], h["to_version"], h["actor"], h["why"]) for h in report["history"]]
    if not rows:
        return [note("The ledger is empty. Run: holdfast train")]
    return [table(("at", "action", "from", "to", "by", "why"), rows, right=("from", "to"))]


def mirrored(report: Report) -> list[Any]:
    changed = report["changed"]
    return [note("MLflow now shows: " + "; ".join(changed) + "." if changed else "MLflow shows what the ledger says.")]


def archived(report: Report) -> list[Any]:
    kept = [(row["version"], f"it {row['why']}") for row in report["kept"]]
    stays = [table(("an old version that stays", "because"), kept)] if kept else []
    if not report["removed"]:
        return [note("There is nothing to remove."), *stays]
    done = "Would remove" if report["dry_run"] else "Removed"
    said = f"{done} {bundles(report['removed'])}, {report['bytes'] / 1e6:,.1f} MB. Ledger, figures and cards stay."
    return [note(said), *stays]
