"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from holdfast.audit.report import CHECKS, AuditReport, Finding

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } h3 { font-size: 1rem; margin-bottom: .2rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: 13px; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid #ddd; vertical-align: top; }
th { color: #555; font-weight: 600; } code { background: #f2f2f2; padding: 0 .25rem; border-radius: 3px; }
.clean { color: #146c2e; } .found { color: #a3160b; } .quiet { color: #555; }
article { border-left: 4px solid #a3160b; padding: .1rem 0 .1rem 1rem; margin: 1.2rem 0; }
article.medium { border-color: #b26a00; }
"""


def page(report: AuditReport) -> str:
    """The page."""
    n = len(report.findings)
    verdict = (
        '<p class="clean"><strong>No finding.</strong></p>'
        if report.clean
        else f'<p class="found"><strong>{n} finding{"" if n == 1 else "s"}.</strong></p>'
    )
    versions = ", ".join(str(v) for v in report.versions) or "none"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Leakage audit of {escape(report.project)}</title><style>{STYLE}</style></head><body>",
        f"<h1>Leakage audit of {escape(report.project)}</h1>",
        f'<p class="quiet">Dataset <code>{escape(report.dataset_id)}</code>, trained versions: {versions}; '
        f"sample of {report.sample} snapshots, seed {report.seed}.</p>",
        verdict,
        "<h2>What was checked</h2>",
        _table(
            [
                {
                    "check": name,
                    "claim": claim,
                    "looked at": report.looked_at.get(name, ""),
                    "findings": sum(f.check == name for f in report.findings),
                }
                for name, claim in CHECKS.items()
            ]
        ),
    ]
    if report.findings:
        parts += ["<h2>Findings</h2>", *(_finding(f) for f in report.findings)]
    if report.notes:
        parts += ["<h2>Notes</h2>", "<p>Declared, so not findings; a reader should know them.</p>"]
        parts.append(_table([{"check": n.check, "where": n.where, "what": n.what} for n in report.notes]))
    return "\n".join([*parts, "</body></html>", ""])


def _finding(finding: Finding) -> str:
    return "\n".join(
        [
            f'<article class="{finding.severity}">',
            f"<h3><code>{escape(finding.name)}</code> {escape(finding.where)}</h3>",
            f"<p>{escape(finding.what)}.</p>",
            _table(finding.evidence),
            f'<p class="quiet">{escape(finding.fix)}</p>',
            "</article>",
        ]
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(c for row in rows for c in row))
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(_cell(row.get(c)))}</td>" for c in columns) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _cell(value: Any) -> str:
    return "–" if value is None else str(value)
