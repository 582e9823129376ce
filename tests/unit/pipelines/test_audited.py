"""An audit that found nothing stands until what it looked at changes, and no longer."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.audit.report import AuditReport, Finding, Note
from holdfast.audit.subject import FULL, GATE, Effort
from holdfast.pipelines.audit import audit, recorded_splits, refusals
from holdfast.pipelines.audited import standing
from holdfast.stores.offline import latest_dataset


@pytest.fixture
def shop(copied, opened):
    return opened(copied)


def looked(shop, monkeypatch, **given) -> tuple[list[str], int]:
    """What the gate is told, and how often it was looked at in full."""
    times = 0

    def counted(*args, **kwargs):
        nonlocal times
        times += 1
        return audit(*args, **kwargs)

    monkeypatch.setattr("holdfast.pipelines.audit.audit", counted)
    return refusals(shop, latest_dataset(shop.var), **given), times


def test_the_gate_looks_once_and_again_when_anything_changed(shop, monkeypatch):
    dataset = latest_dataset(shop.var)
    assert standing(shop, dataset) is None  # the one of the root this was copied from is of other files
    assert looked(shop, monkeypatch) == ([], 1)
    first = (shop.reports / f"audit-{dataset.manifest.dataset_id}.json").read_bytes()
    assert looked(shop, monkeypatch) == ([], 0)
    assert (shop.reports / f"audit-{dataset.manifest.dataset_id}.json").read_bytes() == first

    source = next((shop.sources / "tickets").glob("*.parquet"))
    source.write_bytes(source.read_bytes())
    assert looked(shop, monkeypatch) == ([], 1)
    (kept,) = shop.audits.iterdir()
    kept.write_text(kept.read_text()[:-9])  # a file that cannot be read is no audit
    assert looked(shop, monkeypatch) == ([], 1)

    part = dataset.part(dataset.manifest.matured_cutoffs()[-1])
    table = pq.ParquetFile(part).read()
    column = table.column_names.index("tickets_count_3m")
    more = [None if v is None else v + 1 for v in table.column(column).to_pylist()]
    pq.write_table(table.set_column(column, table.schema.field(column), pa.array(more, pa.float32())), part)
    said, times = looked(shop, monkeypatch)
    assert times == 1
    assert any("tickets_count_3m" in reason for reason in said)
    assert looked(shop, monkeypatch)[1] == 1  # what was found is looked for again


def test_the_folds_of_a_model_are_judged_each_time(shop, monkeypatch):
    (record,) = recorded_splits(shop, latest_dataset(shop.var))
    assert looked(shop, monkeypatch, splits=[record]) == ([], 1)
    honest = record.folds[0]
    leaky = replace(record, folds=(replace(honest, train=(*honest.train, *honest.test)),), version=None)
    said, times = looked(shop, monkeypatch, splits=[leaky])
    assert times == 0
    assert [reason.split()[1] for reason in said] == ["row-wise-split"]
    assert looked(shop, monkeypatch, splits=[record]) == ([], 0)


def test_a_smaller_audit_and_another_configuration_do_not_stand(shop, opened, monkeypatch):
    dataset = latest_dataset(shop.var)
    assert audit(shop, dataset=dataset, sample=GATE.pairs - 1, effort=GATE).clean
    assert standing(shop, dataset) is None
    assert audit(shop, dataset=dataset, effort=GATE).clean
    assert standing(shop, dataset) is not None
    assert standing(opened(shop.root, "data.complete_through=2024-01-07"), dataset) is None
    assert standing(opened(shop.root, "training.bootstrap=60"), dataset) is not None


def test_what_covers_what():
    assert FULL.covers(GATE)
    assert GATE.covers(GATE)
    assert not GATE.covers(FULL)
    assert not Effort(cutoffs=3).covers(GATE)
    assert not replace(GATE, cutoffs=4).covers(replace(GATE, cutoffs=0))
    assert not replace(FULL, snapshots=GATE.snapshots - 1).covers(GATE)


def test_a_report_survives_its_json():
    finding = Finding("purge-missing", "splits", "high", "version 1", "what", "fix", 3, None, ({"fold": "a"},))
    report = AuditReport("shop", "d1", (1, 2), 120, 7, {"labels": "all"}, (finding,), (Note("splits", "x", "y"),))
    again = AuditReport.from_json(json.loads(json.dumps(report.to_json())))
    assert again.to_json() == report.to_json()
    assert again.findings == report.findings
    with pytest.raises(KeyError):
        AuditReport.from_json({"project": "shop"})
