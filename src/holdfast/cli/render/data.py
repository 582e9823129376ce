"""Reports of the verbs about data."""

from __future__ import annotations

from typing import Any

from holdfast.cli.render.parts import count, facts, note, share, table, title

Report = dict[str, Any]
NOT_CONFIGURED = (
    "\nThis is not the company of data.yaml: holdfast run would write that one again. To keep this one, set "
    "data.simulate to it."
)


def init(report: Report) -> list[Any]:
    name = report["name"]
    return [
        title(f"Wrote {report['folder']}"),
        facts([(table_name, f"{kind} (guessed; check)") for table_name, kind in report["tables"].items()]),
        note(
            f"\nRead data.yaml first: what was guessed is marked. Then:\n"
            f"  holdfast check --project {name}\n  holdfast run --project {name}"
        ),
    ]


def check(report: Report) -> list[Any]:
    cutoffs = report["cutoffs"]
    rows = [(t["name"], t["kind"], count(t["rows"]), count(t["duplicates"])) for t in report["tables"]]
    return [
        title(f"{report['project']}: configuration and tables are as declared", str(report["folder"])),
        table(("table", "kind", "rows", "exact copies"), rows, right=("rows", "exact copies")),
        facts(
            {
                "known as of": f"{report['known_as_of']} (watermark of the tables: {report['watermark']})",
                "complete": f"ends are known through {report['complete_through']}",
                "cutoffs": f"{cutoffs['count']}, from {cutoffs['first']} to {cutoffs['last']}; "
                f"labels of {cutoffs['matured']} are known",
                "sources": report["sources"],
            }
        ),
        *(note(f"Note: {n}") for n in report["notes"]),
    ]


def simulate(report: Report) -> list[Any]:
    company = report["company"]
    did = "Simulated" if report["written"] else "Already there:"
    return [
        title(f"{did} {count(company['customers'])} customers, {company['months']} months, seed {company['seed']}"),
        table(("table", "rows"), [(n, count(v)) for n, v in company["rows"].items()], right=("rows",)),
        facts(
            {
                "history": f"{company['start']} to {company['covers_until']}; extract made {company['extract_at']}",
                "churned": count(company["churned"]),
                "sources": report["sources"],
                "truth": f"{report['truth']} (only tests and benchmarks may read it)",
            }
        ),
        *([] if report["as_configured"] else [note(NOT_CONFIGURED)]),
    ]


def fetch(report: Report) -> list[Any]:
    return [
        title(f"Fetched {report['dataset']}"),
        facts({"file": report["file"], "bytes": count(report["bytes"]), "sha256": report["sha256"]}),
    ]


def import_(report: Report) -> list[Any]:
    return [
        title(f"Imported {report['dataset']}", report["file"]),
        table(("table", "rows"), [(n, count(v)) for n, v in report["rows"].items()], right=("rows",)),
        facts(
            {
                "extract": f"dated {report['extract']}; everything before it is reconstructed",
                "churners": count(report["churners"]),
                "blank totals": f"{report['blank_total_charges']} customers of no completed month: accepted",
                "sources": report["sources"],
            }
        ),
    ]


def build(report: Report) -> list[Any]:
    return [title(f"Dataset {report['dataset_id']}", report["project"]), dataset_facts(report)]


def dataset_facts(report: Report) -> Any:
    """Rows, features and what must be said aloud of a dataset's manifest."""
    cutoffs = report["cutoffs"]
    matured, positives = report["matured"], report["positives"]
    sources = report["sources"]
    return facts(
        {
            "snapshots": f"{count(report['snapshots'])} at {len(cutoffs)} cutoffs, "
            f"{cutoffs[0]['cutoff']} to {cutoffs[-1]['cutoff']}",
            "labelled": f"{count(matured)}, of which {count(positives)} churned "
            f"({share(positives / matured if matured else None, 2)} per cutoff)",
            "features": f"{len(report['features'])} from {', '.join(sources)}",
            "known as of": f"{report['known_as_of']}, complete through {report['complete_through']}",
            "history": _history(report),
            "end-state": ", ".join(report["end_state"]) or None,
            "files": report.get("path"),
        }
    )


def _history(report: Report) -> str | None:
    if report["history"] == "recorded":
        return None
    return f"reconstructed from one extract. {report['reconstructed_why']}"
