"""Reports of the verbs about models."""

from __future__ import annotations

from typing import Any

from holdfast.cli.render.parts import bar, count, counted, facts, for_project, interval, note, share, table, title
from holdfast.evaluation.names import name_of

Report = dict[str, Any]

SHOWN = ("roc_auc", "average_precision", "log_loss", "brier", "lift_at_10")
"""What a training says at once; the card and `models compare` have the rest."""


def train(report: Report) -> list[Any]:
    verdict = report["verdict"]
    no = ", ".join(check["name"] for check in verdict["checks"] if not check["passed"])
    said: list[tuple[str, object]] = [
        ("gate", f"no: {no}" if no else "yes"),
        ("champion", f"version {report['champion']}" if report["champion"] else "none yet"),
        *served(report),
        ("model card", report["card_html"]),
        ("bundle", report["path"]),
        ("removed", f"{bundles(report['removed'])} (training.retention.versions)" if report["removed"] else None),
    ]
    return [
        title(f"Version {report['version']}: {report['estimator']}", f"dataset {report['dataset_id']}"),
        *measured(report["metrics"]),
        importance(report["importance"]),
        *checks(verdict),
        facts(said),
    ]


def checks(verdict: Report) -> list[Any]:
    """What the gate asked, and what it saw."""
    rows = [(c["name"], "yes" if c["passed"] else "no", c["said"]) for c in verdict.get("checks", [])]
    return [table(("the gate", "", "what it saw"), rows)] if rows else []


def trained(report: Report, project: str) -> list[Any]:
    """Of the verb train: the same, and what to do next."""
    at = for_project(project)
    if report["promoted"]:
        after = f"Next: holdfast explain CUSTOMER{at}    holdfast serve{at}" if report["serving"] else ""
    else:
        now = f"Version {report['champion']} goes on." if report["champion"] else "No version serves yet."
        words = f"holdfast models promote {report['version']} --force --why REASON{at}"
        after = f"{now} To serve this one all the same: {words}"
    return [*train(report), *([note(after)] if after else [])]


def served(report: Report) -> list[tuple[str, object]]:
    """What the API reads now, and what is not as it should be."""
    now = report["serving"]
    said = now and f"version {now['model_version']}, {count(now['customers'])} customers at {now['cutoff']}"
    return [("serving", said), *(("warning", words) for words in report["warnings"])]


def measured(metrics: Report) -> list[Any]:
    """Folds, candidates and the figures of unseen snapshots, with intervals."""
    test, folds = metrics["test"], metrics["folds"]
    final = folds["final"]
    figures = test["metrics"]
    rows = [(name_of(name), interval(figures[name])) for name in SHOWN if name in figures]
    rows.append(("expected calibration error", f"{test['ece']:.4f}"))
    unseen = f"{count(final['test'])} unseen snapshots, {final['name']}" if final["test"] else "folds, each unseen"
    again = metrics["refit"]["fold"] if "refit" in metrics else None
    parts: list[Any] = [
        facts(
            {
                "folds": f"{len(folds['validation'])}, {folds['kind']}",
                "trained on": f"{count(final['train'])} snapshots",
                "measured on": f"{unseen}; {share(test['base_rate'], 2)} churned",
                "serves fitted on": again and f"{count(again['train'])} snapshots: everything matured",
            }
        ),
        table(("measure", "value (95% interval)"), rows),
    ]
    if end_state := end_state_note(metrics.get("end_state") or {}):
        parts.append(note(end_state))
    return parts


def end_state_note(found: Report) -> str | None:
    """What the figures are without the columns known only as of the extract."""
    if not found.get("columns") or "without" not in found:
        return None
    pairs = [f"{name_of(name)} {interval(found['without'][name])}" for name in found["without"]]
    return f"Without {counted(len(found['columns']), 'end-state column')}: {', '.join(pairs)}."


def importance(rows: list[Report], most: int = 8) -> Any:
    """The measures that move scores most, all customers together."""
    largest = max((row["share"] for row in rows), default=1.0) or 1.0
    shown = [(row["label"], share(row["share"]), bar(row["share"] / largest)) for row in rows[:most]]
    return table(("what moves scores most", "share", ""), shown, right=("share",))


def bundles(versions: list[int]) -> str:
    """``the bundles of versions 1, 2``."""
    shown = ", ".join(map(str, versions[:20])) + (" …" if len(versions) > 20 else "")
    return f"the {'bundle of version' if len(versions) == 1 else 'bundles of versions'} {shown}"
