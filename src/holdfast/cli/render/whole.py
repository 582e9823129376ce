"""Reports about the configuration."""

from __future__ import annotations

import json
from typing import Any

from holdfast.cli.render.parts import table, title


def config(report: dict[str, Any]) -> list[Any]:
    rows = [(v["key"], _short(v["value"]), v["origin"]) for v in report["values"]]
    return [
        title(f"{report['project']}: {len(rows)} values", f"{report['folder']}  hash {report['hash'][:12]}"),
        table(("key", "value", "from"), rows),
    ]


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
