"""The summary at the end of ``holdfast run``: everything a person wants to know, on about one page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.rule import Rule

from holdfast.cli.render.acting import decided, monitored, scored
from holdfast.cli.render.learning import importance, measured
from holdfast.cli.render.parts import WIDTH, count, counted, facts, for_project, note, share, title

Report = dict[str, Any]
FILES = {
    "dataset": "snapshots and features",
    "model": "the bundle",
    "card": "the model card",
    "scores": "scores with reasons",
    "decisions": "value, action and status of every customer",
    "online": "what the API reads",
    "monitoring": "quality, drift and triggers",
}


def run(report: Report) -> list[Any]:
    whole = sum(report["seconds"].values())
    parts: list[Any] = [title(f"Holdfast run of {report['project']}", f"{report['mode']}, {whole:.0f} seconds")]
    for heading, found in (
        ("Data", _data(report)),
        ("Model", _model(report)),
        ("Customers", scored(report["score"]) if report["score"] else []),
        ("Money", decided(report["decide"]) if report["decide"] else []),
        ("Drift", monitored(report["monitor"]) if report["monitor"] else []),
        ("Files", list(_files(report))),
    ):
        if found:
            parts += ["", Rule(f"[bold]{heading}[/bold]", align="left", style="dim"), *found]
    return [*parts, *_next(report)]


def _data(report: Report) -> list[Any]:
    found, dataset = report["data"], report["dataset"]
    said: dict[str, object] = {}
    if found:
        company = found["company"]
        said["company"] = (
            f"{count(company['customers'])} customers over {company['months']} months, seed {company['seed']} "
            f"({'simulated now' if found['written'] else 'there already'})"
        )
    if dataset:
        matured, positives = dataset["matured"], dataset["positives"]
        said |= {
            "tables": ", ".join(f"{n} {count(s.get('rows', s['rows_known']))}" for n, s in dataset["sources"].items()),
            "snapshots": f"{count(dataset['snapshots'])} at {dataset['cutoffs']} cutoffs, "
            f"{dataset['first_cutoff']} to {dataset['last_cutoff']}",
            "labelled": f"{count(matured)} matured, {count(positives)} churned "
            f"({share(positives / matured if matured else None, 2)} within {dataset['label']['horizon']})",
            "features": f"{dataset['features']}",
            "known as of": f"{dataset['known_as_of']}, complete through {dataset['complete_through']}",
            "dataset": dataset["dataset_id"],
        }
        if dataset["history"] == "reconstructed":
            said["history"] = f"reconstructed from one extract. {dataset['reconstructed_why']}"
        if dataset["end_state"]:
            said["end-state"] = (
                f"{counted(len(dataset['end_state']), 'feature')} known only as of the extract: "
                + ", ".join(dataset["end_state"])
            )
    return [facts(said)] if said else []


def _model(report: Report) -> list[Any]:
    trained = report["train"]
    if not trained:
        return []
    verdict = trained["verdict"]
    others = [f"{_candidate(c)} {c['out_of_fold_log_loss']:.5f}" for c in trained["metrics"]["candidates"]]
    serves = "serves" if trained["promoted"] else f"does not serve; version {trained['champion']} goes on"
    return [
        facts(
            {
                "version": f"{trained['version']} ({trained['estimator']}), {serves}",
                "gate": "yes" if verdict["passed"] else "no: " + "; ".join(verdict["reasons"]),
                "candidates": f"{', '.join(others)} (out-of-fold log loss)",
                "search": ", ".join(_searched(s) for s in trained["metrics"].get("tuning", [])),
                "warning": "; ".join(trained["warnings"]),
            }
        ),
        *measured(trained["metrics"]),
        importance(trained["importance"]),
        *_by_cutoff(trained["metrics"]["test"].get("by_cutoff", []), report),
    ]


def _candidate(found: Report) -> str:
    weighing = found["imbalance"]
    return str(found["estimator"]) if weighing == "none" else f"{found['estimator']} ({weighing})"


def _searched(found: Report) -> str:
    ended = ", then its time was up" if found["stopped_by"] == "seconds" else ""
    return f"{_candidate(found)} {counted(found['trials'], 'trial')}{ended}"


def _by_cutoff(rows: list[Report], report: Report) -> Iterator[Any]:
    """On a reconstructed history the last cutoff is the one that the literature measures, so it is said apart."""
    if not report["dataset"] or report["dataset"]["history"] != "reconstructed":
        return
    last = [row for row in rows if "metrics" in row][-1:]
    for row in last:
        metrics = row["metrics"]
        yield note(
            f"At the last cutoff alone ({row['cutoff']}; {count(row['positives'])} of {count(row['n'])} churned): "
            f"ROC-AUC {metrics['roc_auc']['value']:.3f}, average precision {metrics['average_precision']['value']:.3f}."
        )


def _files(report: Report) -> Iterator[Any]:
    here = Path.cwd()
    rows = [(_near(path, here), FILES.get(name, name)) for name, path in report["files"].items()]
    width = min(max((len(path) for path, _ in rows), default=0), WIDTH - 50)
    if rows:
        yield facts([(path.ljust(width), words) for path, words in rows])


def _near(path: str, here: Path) -> str:
    """A path as one would type it here."""
    found = Path(path)
    return str(found.relative_to(here)) if found.is_relative_to(here) else path


def _next(report: Report) -> list[Any]:
    if report["mode"] != "full":
        return []
    at = for_project(report["project"])
    return ["", note(f"Next: holdfast serve{at}    holdfast explain CUSTOMER{at}    holdfast models list{at}")]
