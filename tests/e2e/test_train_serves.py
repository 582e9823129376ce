"""What a newcomer sees of ``holdfast train``: it promotes, it serves, and a broken MLflow is a line, not a failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from company import Call

WORDS = ("--project", "shop")
DAMAGED = b"this is no database " * 99


@pytest.mark.slow
def test_a_first_model_is_served_at_once(shop: Path, home: Path, call: Call) -> None:
    assert call("build", *WORDS).code == 0
    (home / "var" / "shop" / "mlflow.db").write_bytes(DAMAGED)

    first = call("train", *WORDS)
    assert (first.code, first.err) == (0, "")
    for said in ("gate          yes", "serving       version 1, ", "warning       MLflow does not show"):
        assert said in first.out
    assert first.out.splitlines()[-1].strip().startswith("Next: holdfast explain CUSTOMER --project shop")
    assert call("explain", "K0000", *WORDS, "--json").json["project"] == "shop"
    assert call("models", "show", *WORDS, "--json").json["report"]["mlflow_version"] is None

    (home / "var" / "shop" / "mlflow.db").unlink()
    again = call("train", *WORDS, "--json")
    report = again.json["report"]
    assert (again.code, report["promoted"], report["warnings"]) == (0, True, [])
    assert report["serving"]["model_version"] == 1
    assert call("models", "show", *WORDS, "--json").json["report"]["mlflow_version"] == "1"

    other = call("train", *WORDS, "--set", "training.seed=8")
    assert other.code == 3
    assert "Version 1 goes on. To serve this one all the same: holdfast models promote 2 --force" in " ".join(
        other.out.split()
    )
