"""Reports of the verbs about the API's keys."""

from __future__ import annotations

from typing import Any

from holdfast.cli.render.parts import facts, note, table, title

Report = dict[str, Any]

SECONDS_AT = 19  # 2024-03-01T09:30:00


def created(report: Report) -> list[Any]:
    return [
        title(f"Key {report['id']}", f"{report['name']}, {report['role']}"),
        facts({"key": report["key"]}),
        note("Keep it now: it is not shown again. Send it as X-API-Key, or as Authorization: Bearer."),
    ]


def keys(report: Report) -> list[Any]:
    found = report["keys"]
    if not found:
        return [note("There is no key. holdfast keys create makes one.")]
    columns = ("id", "name", "role", "created", "last used", "revoked")
    rows = [
        (k["id"], k["name"], k["role"], *(_second(k[at]) for at in ("created_at", "last_used_at", "revoked_at")))
        for k in found
    ]
    return [table(columns, rows)]


def revoked(report: Report) -> list[Any]:
    return [note(f"Key {report['id']} ({report['name']}) is revoked; running servers refuse it within 5 seconds.")]


def log(report: Report) -> list[Any]:
    found = report["log"]
    if not found:
        return [note("No admin call is on record.")]
    rows = [(_second(line["at"]), line["actor"], line["action"], line["subject"], line["outcome"]) for line in found]
    return [table(("at", "who", "what", "of", "outcome"), rows)]


def _second(instant: str | None) -> str | None:
    return None if instant is None else instant[:SECONDS_AT].replace("T", " ")
