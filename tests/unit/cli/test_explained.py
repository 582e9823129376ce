"""What `holdfast explain` shows of a reason."""

from __future__ import annotations

from rich.console import Console, Group

from holdfast.cli.render.acting import explain


def test_a_value_that_is_not_known_is_called_so():
    reason = {"label": "months to contract end", "value": None, "typical": "8.3", "direction": "raises"}
    report = {
        "customer_id": "C1", "cutoff": "2025-01-01", "model_version": "1", "probability": 0.1, "tier": "high",
        "decile": 1, "decision": None, "reasons": [{**reason, "contribution": 0.4746}],
    }  # fmt: skip
    console = Console(width=100)
    with console.capture() as shown:
        console.print(Group(*explain(report)))
    line = next(row for row in shown.get().splitlines() if "months to contract end" in row)
    assert line.split()[-4:] == ["unknown", "8.3", "raises", "+0.475"]
