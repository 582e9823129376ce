"""Must show: every planted leak is caught by its name, and a clean company has no finding.

Each leak is planted in artefacts (files of a dataset, source tables, recorded folds), by computing with the wrong
tables. Leaks that do not touch each other share one audit, since an audit takes seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import audited_company as company
import ibis
import numpy as np
import planted
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from holdfast.artifacts.dataset import Dataset
from holdfast.audit.oracle_snapshots import begins_at
from holdfast.audit.report import AuditReport, Finding
from holdfast.audit.rows import begins_rows
from holdfast.audit.splits import SplitRecord, judge
from holdfast.audit.subject import FULL, GATE, Effort, cutoffs_of
from holdfast.cli.main import main
from holdfast.clock import naive
from holdfast.errors import EXIT_DONE, EXIT_REFUSED
from holdfast.features import versions
from holdfast.pipelines.audit import audit, recorded_splits
from holdfast.pipelines.build import build
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import fold_plan, train
from holdfast.snapshots.splits import customer_folds
from holdfast.stores.offline import latest_dataset
from holdfast.training.rows import Fold, TrainingRows, recorded

SHARE = 0.01
"""Leaks are planted in so small a share of the snapshots."""
WINDOW = timedelta(days=10)


@pytest.fixture(scope="module")
def built(root, tmp_path_factory) -> Path:
    """A root with a built dataset and a version trained on it; not to be written to."""
    home = tmp_path_factory.mktemp("audited")
    company.put_conf(root, home)
    workspace = company.opened(home)
    simulate(workspace)
    company.add_instant_tickets(workspace.sources, [datetime(2023, m, 1) for m in range(1, 12)], every=6)  # noqa: DTZ001
    train(workspace, dataset=build(workspace), serve=False)
    workspace.state.close()
    return home


@pytest.fixture(scope="module")
def copies(built, tmp_path_factory) -> Iterator[Any]:
    """Gives copies of that root."""

    def copy(name: str) -> Path:
        home = tmp_path_factory.mktemp(name) / "home"
        shutil.copytree(built, home)
        return home

    return copy


def audited(home: Path, *sets: str, effort: Effort = FULL) -> AuditReport:
    workspace = company.opened(home, sets)
    try:
        return audit(workspace, effort=effort)
    finally:
        workspace.state.close()


def named(report: AuditReport, name: str, where: str | None = None) -> Finding:
    found = [f for f in report.findings if f.name == name and where in (None, f.where)]
    assert len(found) == 1, report.reasons()
    assert found[0].evidence or name == "source-backfilled"
    return found[0]


@pytest.fixture(scope="module")
def clean(built) -> AuditReport:
    return audited(built)


def test_a_clean_company_has_no_finding(clean):
    assert clean.reasons() == []
    assert clean.versions == (1,)
    assert all(clean.looked_at.values())
    assert {n.where for n in clean.notes} >= {"data.tables.customers"}


def test_of_a_large_dataset_a_share_of_the_customers_is_read(built, clean, monkeypatch):
    """The clean company stays clean; and a source begins when it began for anyone, read or not."""
    found: dict[str, list[tuple[Any, Any]]] = {}

    def noted(subject):
        assert len(subject.kept) < 300
        story = begins_rows(subject)
        for name, few in story.items():
            table = subject.tables[name].select("event_time", "available_at")
            every = subject.engine.to_arrow(table).to_pylist()
            at = [naive(c.at) for c in subject.cutoffs]
            found[name] = [(begins_at(few, c), begins_at(every, c)) for c in at]
            assert len(few) < 50
        return story

    monkeypatch.setattr("holdfast.audit.run.begins_rows", noted)
    report = audited(built, effort=replace(GATE, snapshots=2_000))
    assert report.reasons() == []
    assert report.looked_at["labels"] != clean.looked_at["labels"]
    assert len(found) >= 4
    assert all(a == b for pairs in found.values() for a, b in pairs)
    assert any(a is not None for pairs in found.values() for a, _ in pairs)


@pytest.fixture(scope="module")
def values(copies) -> AuditReport:
    """Features of 1% of the snapshots (or as many as the mistake changes), one of all leavers, an undeclared one."""
    home = copies("values")
    workspace = company.opened(home)
    dataset = latest_dataset(workspace.var)
    changes = {
        "tickets": planted.instant_included,
        "payments": planted.availability_ignored,
        "usage": planted.corrected_from_the_first,
        "plans": planted.a_month_ahead,
    }
    features = ("tickets_count_3m", "payments_sum_3m", "usage_minutes_sum_3m", "plans_monthly_price")
    for feature, values in planted.computed(workspace, dataset, features, changes).items():
        leaky = planted.some(values, planted.stored(dataset, feature), SHARE)
        assert company.put_values(dataset.path, feature, leaky) > 5, feature
    honest = planted.stored(dataset, "invoices_sum_3m")
    final = planted.some(planted.final_of_each(honest), honest, SHARE)
    assert company.put_values(dataset.path, "invoices_sum_3m", final)
    contract = planted.stored(dataset, "plans_contract")
    left = planted.leavers(dataset.path)
    assert company.put_values(dataset.path, "plans_contract", {key: "none" for key in contract if key[0] in left}) > 5
    minutes = planted.total_of(workspace.sources / "usage", "minutes")
    honest = planted.stored(dataset, "usage_minutes_max_3m")
    total = planted.some({key: minutes.get(key[0]) for key in honest}, honest, SHARE)
    assert company.put_values(dataset.path, "usage_minutes_max_3m", total) > 5
    planted.add_feature(dataset.path, "region_rate", planted.rate_by(dataset.path, "customers_region"))
    return audited(home)


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("cutoff-instant-included", "tickets_count_3m"),
        ("late-event-used", "payments_sum_3m"),
        ("correction-used-early", "usage_minutes_sum_3m"),
        ("later-version-used", "plans_monthly_price"),
        ("final-value-copied-back", "invoices_sum_3m"),
        ("final-value-copied-back", "usage_minutes_max_3m"),
        ("updated-at-churn", "plans_contract"),
        ("target-encoded", "region_rate"),
    ],
)
def test_values_that_saw_the_future(values, name, feature):
    named(values, name, feature)


def test_nothing_else_is_said_of_them(values):
    assert len(values.findings) == 8, values.reasons()


@pytest.fixture(scope="module")
def labels(copies) -> AuditReport:
    """Leavers of before the cutoff as churners, unfinished windows as zeros, and stayers taken out at one cutoff."""
    home = copies("labels")
    workspace = company.opened(home)
    path = latest_dataset(workspace.var).path
    customers = company.read(workspace.sources / "customers")
    ends = dict(zip(*(customers.column(c).to_pylist() for c in ("customer_id", "ended_at")), strict=True))
    rng = np.random.default_rng(3)

    def change(part: pa.Table) -> pa.Table:
        at = part.column("cutoff")[0].as_py()
        if part.column("state")[0].as_py() == "immature":
            part = company.with_column(part, "label", [0] * part.num_rows)
            return company.with_column(part, "state", ["matured"] * part.num_rows)
        if at.month % 2:
            churned = part.column("label").fill_null(0).to_numpy()
            return part.filter(pa.array((churned == 1) | (rng.random(part.num_rows) > 0.3)))
        like = part.slice(0, 1).to_pylist()[0]
        gone = [{**like, "customer_id": c, "label": 1} for c, e in ends.items() if e and at - WINDOW <= e < at]
        return pa.concat_tables([part, pa.Table.from_pylist(gone, part.schema)])

    company.rewrite_parts(path, change)
    planted.recount(path)
    return audited(home)


@pytest.mark.parametrize("name", ["label-window-opens-early", "immature-label-filled", "population-by-outcome"])
def test_labels_and_populations_that_saw_the_future(labels, name):
    named(labels, name)
    assert len(labels.findings) == 3, labels.reasons()


@pytest.fixture(scope="module")
def sources(copies) -> AuditReport:
    """Columns that were written looking back: three of the customers table, known from the start, and one of events."""
    home = copies("sources")
    workspace = company.opened(home)
    totals = planted.total_of(workspace.sources / "payments", "amount")
    rng = np.random.default_rng(4)

    def change(table: pa.Table) -> pa.Table:
        left = np.array([e is not None for e in table.column("ended_at").to_pylist()])
        band = np.array(table.column("age_band").to_pylist())
        closed = left & (rng.random(len(left)) < 0.6)
        table = table.append_column("segment", pa.array(np.where(closed, "dormant", rng.choice(["a", "b"], len(left)))))
        spent = [float(totals.get(c, 0.0)) for c in table.column("customer_id").to_pylist()]
        table = table.append_column("total_charges", pa.array(spent))
        return table.append_column("age_risk", pa.array([float(left[band == b].mean()) for b in band]))

    company.rewrite(workspace.sources / "customers", change)
    company.rewrite(
        workspace.sources / "invoices",
        lambda t: t.append_column("paid", pa.array([float(totals.get(c, 0.0)) for c in t["customer_id"].to_pylist()])),
    )
    wanted = "{region: region, segment: segment, total_charges: total, age_risk: risk}"
    features = company.FEATURES.replace("{region: region}", wanted)
    (home / "conf" / "demo" / "features.yaml").write_text(features, encoding="utf-8")
    sets = [
        "data.tables.customers.columns.segment={type: category, known_at: start}",
        "data.tables.customers.columns.total_charges={type: number, scale: 2, known_at: start}",
        "data.tables.invoices.columns.paid={type: number, scale: 2}",
        "data.tables.customers.columns.age_risk={type: number, scale: 6, known_at: start}",
    ]
    build(company.opened(home, sets))
    return audited(home, *sets, effort=GATE)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("updated-at-churn", "customers.segment"),
        ("final-value-copied-back", "customers.total_charges"),
        ("final-value-copied-back", "invoices.paid"),
        ("target-encoded", "customers.age_risk"),
    ],
)
def test_columns_written_looking_back(sources, name, column):
    named(sources, name, column)
    assert len(sources.findings) == 4, sources.reasons()


def folds_of(home: Path, kind: str) -> tuple[SplitRecord, Dataset, Any]:
    """What training would record of leaky folds."""
    workspace = company.opened(home)
    dataset = latest_dataset(workspace.var)
    rows = TrainingRows(dataset.read(), dataset.manifest.schema)
    plan = fold_plan(workspace.config, dataset, rows)
    everything = np.arange(len(rows), dtype=np.int64)
    rng = np.random.default_rng(5)
    folds = []
    for fold in (*plan.folds, plan.final):
        first = rows.cutoffs[fold.test].min()
        train = fold.train
        if kind == "unpurged":
            train = everything[rows.cutoffs < first]
        elif kind == "by row":
            test = rng.random(len(rows)) < 0.2
            fold, train = Fold(fold.name, everything, everything[test]), everything[~test]
        elif kind == "by customer":
            group = customer_folds(rows.table.column("customer_id").to_pylist(), 5, seed=1)
            fold, train = Fold(fold.name, everything, everything[group == 0]), everything[group != 0]
        folds.append(recorded(rows, Fold(fold.name, train, fold.test)))
    metrics = {"folds": {"kind": "purged walk-forward", "validation": folds[:-1], "final": folds[-1]}}
    return SplitRecord.of(metrics, version=1), dataset, workspace.config


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("honest", []),
        ("unpurged", ["purge-missing"]),
        ("by row", ["row-wise-split"]),
        ("by customer", ["row-wise-split"]),
    ],
)
def test_folds_that_saw_the_future(built, kind, names):
    record, dataset, config = folds_of(built, kind)
    known = {c.at: c.label_available_at for c in cutoffs_of(dataset, config)}
    found = judge(record, "recorded", known, dataset.manifest.matured_cutoffs())
    assert list(dict.fromkeys(f.name for f in found if f.name != "purge-missing" or kind == "unpurged")) == names


def test_the_folds_of_a_trained_version_are_recorded(built):
    workspace = company.opened(built)
    (record,) = recorded_splits(workspace, latest_dataset(workspace.var))
    workspace.state.close()
    assert record.complete
    assert record.timed
    *measured, again = record.folds
    assert all(f.train and f.test and not f.shared_snapshots for f in measured)
    assert set(again.train) >= {c for f in measured for c in (*f.train, *f.test)}
    assert again.test == ()


def test_a_leak_is_not_promoted(copies, capsys, monkeypatch):
    """The gate: exit code 3 and the name; by hand only with --force."""
    home = copies("gate")
    workspace = company.opened(home)
    dataset = latest_dataset(workspace.var)
    honest = planted.stored(dataset, "invoices_sum_3m")
    company.put_values(dataset.path, "invoices_sum_3m", planted.final_of_each(honest))
    report = train(workspace, dataset=dataset, serve=False)
    assert not report.promoted
    assert any("final-value-copied-back" in reason for reason in report.verdict["reasons"])
    assert report.champion == 1
    workspace.state.close()
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    capsys.readouterr()
    sets = [word for s in company.SETS for word in ("--set", s)]
    assert main(["audit", *sets, "--quiet", "--sample", "50"]) == EXIT_REFUSED
    assert "final-value-copied-back" in capsys.readouterr().err
    assert main(["models", "promote", "2", "--quiet", *sets]) == EXIT_REFUSED
    assert main(["models", "promote", "2", "--force", "--why", "a test", "--quiet", *sets]) == EXIT_DONE
    pages = list((home / "var" / "demo" / "reports").glob("audit-*.html"))
    assert len(pages) == 1
    text = pages[0].read_text(encoding="utf-8")
    assert "final-value-copied-back" in text
    assert "http" not in text


def test_rows_rewritten_in_place_are_seen(copies):
    home = copies("backfilled")
    workspace = company.opened(home)
    company.rewrite(
        workspace.sources / "usage",
        lambda t: company.with_column(t, "minutes", pc.add(t.column("minutes"), 1.0).to_pylist()),
    )
    assert named(audited(home, effort=GATE), "source-backfilled").where == "usage"


def test_feature_code_that_leaks_is_caught(copies, monkeypatch):
    """The fast path itself takes the instant of the cutoff in: what is stored is what it gives, and is found wrong."""
    honest = versions.bucket
    monkeypatch.setattr(versions, "bucket", lambda time, grid: honest(time - ibis.interval(microseconds=1), grid))
    home = copies("leaky")
    workspace = company.opened(home)
    build(workspace, force=True)
    workspace.state.close()
    found = {f.name: f for f in audited(home).findings}
    assert found.keys() >= {"cutoff-instant-included", "unusable-row-used"}
    assert "tickets_count_3m" in found["cutoff-instant-included"].where
