"""Export: what a CRM gets is what was scored and decided, line by line."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pytest
from tiny_company import EARLIER, LAST, open_tiny

from holdfast.clock import iso
from holdfast.errors import NotFoundError, NotReadyError, StoreError, UsageError
from holdfast.pipelines.export import UNKNOWN, export
from holdfast.pipelines.score import score
from holdfast.stores.scores import DECISIONS, PART, read_decisions, read_scores


def lines_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_customer_as_scored_and_decided(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("holdfast.stores.scores.BATCH", 50)
    workspace = open_tiny(finished[0])
    report = export(workspace, output=tmp_path / "crm.csv")
    lines = lines_of(report.path)
    scores, decisions = (read(workspace.var, LAST).table.to_pylist() for read in (read_scores, read_decisions))
    assert report.customers == len(lines) == len(scores)
    assert list(lines[0]) == list(report.columns)
    for line, scored, decided in zip(lines, scores, decisions, strict=True):
        assert line["customer_id"] == scored["customer_id"] == decided["customer_id"]
        assert line["cutoff"] == iso(LAST)
        assert float(line["probability"]) == scored["probability"]
        assert int(line["decile"]) == scored["decile"]
        assert float(line["expected_loss"]) == decided["expected_loss"]
        assert (line["tier"], line["status"], line["action"]) == (scored["tier"], decided["status"], decided["action"])
        assert line["model_version"] == "1"
        for place in range(workspace.config.scoring.reasons):
            reason = scored["reasons"][place] if place < len(scored["reasons"]) else None
            said = (
                f"{reason['label']}: {reason['value'] or UNKNOWN} (typical {reason['typical'] or UNKNOWN})"
                if reason
                else ""
            )
            assert line[f"reason_{place + 1}"] == said
    workspace.state.close()


def test_some_decisions_alone_and_the_same_bytes_again(copied, opened):
    workspace = opened(copied)
    had = read_decisions(workspace.var, LAST).table.column("status").to_pylist()
    some = [had[0], "contact"]
    report = export(workspace, statuses=some)
    assert report.path == workspace.var / "exports" / f"{iso(LAST)}.csv"
    first = report.path.read_bytes()
    assert [line["status"] for line in lines_of(report.path)] == [status for status in had if status in some]
    assert export(workspace, statuses=some).path.read_bytes() == first
    with pytest.raises(UsageError, match="contacted") as e:
        export(workspace, statuses=["contacted"])
    assert "contact" in e.value.fix


def test_what_does_not_belong_together_is_not_put_together(copied, opened, tmp_path):
    workspace = opened(copied)
    score(workspace, cutoff=EARLIER)
    with pytest.raises(NotFoundError, match="no decisions"):
        export(workspace, cutoff=EARLIER)
    folder = workspace.var / DECISIONS / f"cutoff={iso(LAST)}"
    rows = pa.parquet.read_table(folder / PART)
    old = tmp_path / "old.csv"
    old.write_text("as it was")
    pa.parquet.write_table(rows.slice(1), folder / PART)
    with pytest.raises(StoreError, match="do not hold the same customers"):
        export(workspace, output=old)
    assert old.read_text() == "as it was"
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "bundle_sha256": "0" * 64, "model_version": "7"}))
    with pytest.raises(NotReadyError, match="version 7"):
        export(workspace)
