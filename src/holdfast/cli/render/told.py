"""Reports of the verbs that tell what happened."""

from __future__ import annotations

from typing import Any

from holdfast.cli.render.parts import facts, note, table

Report = dict[str, Any]

HASH_CHARS = 12  # enough to tell configurations apart; --json has all
MOST_ERRORS = 3
SECONDS_AT = 19  # 2024-03-01T09:30:00


def runs(report: Report) -> list[Any]:
    found = report["runs"]
    if not found:
        return [note("No such run is on record.")]
    rows = [
        (
            _second(r["started_at"]), r["verb"], r["outcome"], None if r["seconds"] is None else f"{r['seconds']:,.1f}",
            r["config_hash"][:HASH_CHARS], r["dataset_id"],
        )
        for r in found
    ]  # fmt: skip
    columns = ("started", "verb", "outcome", "seconds", "configuration", "dataset")
    errors = [(f"{r['verb']}, {_second(r['started_at'])}", _line(r["error"])) for r in found if r["error"]]
    return [table(columns, rows, right=("seconds",)), *([facts(errors[:MOST_ERRORS])] if errors else [])]


def alerts(report: Report) -> list[Any]:
    found = report["alerts"]
    if not found:
        return [note("No alert is on record. holdfast monitor looks for some.")]
    rows = [(_second(a["at"]), a["cutoff"], a["kind"], a["subject"], a["message"]) for a in found]
    advice = {a["kind"]: a["what_to_do"] for a in found}
    return [table(("at", "cutoff", "kind", "subject", "what"), rows), facts(advice)]


def _second(instant: str) -> str:
    """``2024-03-01 09:30:00``, whatever comes after; a midnight is written as its date."""
    return instant[:SECONDS_AT].replace("T", " ")


def _line(error: str) -> str:
    return error.splitlines()[0] if error else ""
