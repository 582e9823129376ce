"""The report of the leakage audit."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from holdfast.cli.render.parts import counted, facts, note, table, title

Report = dict[str, Any]
SHOWN = 3
"""Evidence rows on a terminal; the HTML and JSON reports have up to five."""


def audit(report: Report) -> list[Any]:
    findings = report["findings"]
    verdict = "no finding" if report["clean"] else counted(len(findings), "finding")
    of_check = {c["name"]: sum(f["check"] == c["name"] for f in findings) for c in report["checks"]}
    rows = [(c["name"], of_check[c["name"]] or "none", c["claim"]) for c in report["checks"]]
    versions = ", ".join(str(v) for v in report["versions"]) or "none yet"
    return [
        title(f"Leakage audit of {report['project']}: {verdict}", report["dataset_id"]),
        table(("check", "findings", "claim"), rows, right=("findings",)),
        *(part for finding in findings for part in _finding(finding)),
        *(note(f"Note: {n['where']}: {n['what']}") for n in report["notes"]),
        facts(
            {
                "looked at": report["checks"][1]["looked_at"],
                "versions": versions,
                "sample": f"{report['sample']} snapshots, seed {report['seed']}",
                "reports": "\n".join(report["files"].values()),
            }
        ),
    ]


def _finding(finding: Report) -> list[Any]:
    head = Text("  ")
    head.append(finding["name"], style="bold red" if finding["severity"] == "high" else "bold yellow")
    head.append(f"  {finding['where']}")
    evidence = finding["evidence"][:SHOWN]
    columns = list(dict.fromkeys(k for row in evidence for k in row))
    return [
        head,
        note(f"{finding['what']}."),
        *([table(columns, [[row.get(c) for c in columns] for row in evidence])] if evidence else [note("")]),
        note(f"{finding['fix']}\n"),
    ]
