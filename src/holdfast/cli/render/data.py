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
    columns = ("table", "kind", "rows", "exact copies", "warned of", "dropped")
    rows = [
        (
            t["name"], t["kind"], count(t["rows"]), count(t["duplicates"]),
            count(sum(t["warned"].values())), count(sum(t["dropped"].values())),
        )
        for t in report["tables"]
    ]  # fmt: skip
    return [
        title(f"{report['project']}: configuration and tables are as declared", str(report["folder"])),
        table(columns, rows, right=columns[2:]),
        facts(
            {
                "known as of": f"{report['known_as_of']} (watermark of the tables: {report['watermark']})",
                "complete": f"ends are known through {report['complete_through']}",
                "cutoffs": f"{cutoffs['count']}, from {cutoffs['first']} to {cutoffs['last']}; "
                f"labels of {cutoffs['matured']} are known",
                "sources": report["sources"],
            }
        ),
        *(note(f"{finding[0].upper()}{finding[1:]}") for t in report["tables"] for finding in t["findings"]),
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
        facts({**_imported(report), "sources": report["sources"]}),
    ]


def _imported(report: Report) -> dict[str, str]:
    if report["dataset"] == "telco":
        return {
            "extract": f"dated {report['extract']}; everything before it is reconstructed",
            "churners": count(report["churners"]),
            "blank totals": f"{report['blank_total_charges']} customers of no completed month: accepted",
        }
    return {
        "customers": count(report["customers"]),
        "purchases": f"{count(report['lines'])} lines, {report['first']} to {report['last']}; those of one customer "
        "and day are one order",
        "free orders": f"{count(report['free_orders'])} of zero dollars: they count",
    }


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
            "left out": _left_out(report["notes"]),
            "history": _history(report),
            "end-state": ", ".join(report["end_state"]) or None,
            "files": report.get("path"),
        }
    )


def _left_out(notes: Report) -> str | None:
    """Whom training leaves out and why, and who left for a reason that is no churn; customers by cutoff."""
    found = [f"{count(n)} {why.replace('_', ' ')}" for why, n in notes.get("excluded", {}).items()]
    if other := notes.get("left_for_another_reason"):
        found.append(f"and {count(other)} left for a reason that is no churn (label 0)")
    return ", ".join(found) or None


def _history(report: Report) -> str | None:
    if report["history"] == "recorded":
        return None
    return f"reconstructed from one extract. {report['reconstructed_why']}"
