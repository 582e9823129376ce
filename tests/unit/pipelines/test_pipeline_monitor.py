"""Monitoring end to end: a feed that stopped is named, one that goes on is not, and nothing is told twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_company import FEATURES, LAST, put_conf

from holdfast.cli.main import main
from holdfast.cli.render import told
from holdfast.cli.render.parts import text
from holdfast.clock import Grid, iso
from holdfast.monitoring.staleness import compute_reach, daily_news, feeds
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.build import build, open_sources
from holdfast.pipelines.monitor import monitor
from holdfast.pipelines.records import list_alerts, list_runs
from holdfast.pipelines.running import recorded_run
from holdfast.pipelines.score import score
from holdfast.pipelines.simulate import simulate as simulate_as_configured
from holdfast.pipelines.train import train
from holdfast.simulate import Scenario, simulate

STOPPED = 20
"""The month, from 0, from which on no ticket arrives: September 2023."""


def stop_feed(workspace: Workspace) -> None:
    """The same company, whose ticket feed stops four months before the latest cutoff."""
    of = workspace.config.data.simulate
    assert of is not None
    simulate(
        workspace.sources, workspace.truth, customers=of.customers, months=of.months, seed=of.seed, start=of.start,
        scenario=Scenario(stopped_feed_month=STOPPED),
    )  # fmt: skip


def stale(workspace: Workspace) -> list[tuple[str, str]]:
    """The cutoffs at which a table would have been called stale."""
    found = []
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine)
        for name, source in sources.tables.items():
            for feed in feeds(name, source.config):
                for cutoff in Grid(1).between(LAST.replace(year=2022, month=2), LAST):
                    news = daily_news(engine, source.table, feed, cutoff=cutoff)
                    if compute_reach(feed, news, workspace.config.monitoring.staleness, cutoff=cutoff).stale:
                        found.append((feed.name, iso(cutoff)))
    return found


def test_on_a_clean_company_no_table_is_stale_at_any_cutoff(copied, opened):
    workspace = opened(copied)
    assert stale(workspace) == []
    report = monitor(workspace).report
    assert report.quality is not None
    judged = {t.name for t in report.quality.tables if t.stale is False}
    assert judged == {
        "customers", "customers.ended_at", "plans", "usage", "invoices", "payments", "tickets", "nps", "treatments",
    }  # fmt: skip
    assert not [a for a in list_alerts(workspace) if a["kind"] == "stale_table"]


def test_a_stopped_feed_is_an_alert_that_names_the_table(copied, opened):
    workspace = opened(copied)
    stop_feed(workspace)
    assert stale(workspace) == [("tickets", f"2023-{month}-01") for month in (10, 11, 12)] + [("tickets", "2024-01-01")]
    score(workspace)
    report = monitor(workspace)
    (alert,) = [a for a in list_alerts(workspace) if a["kind"] == "stale_table"]
    assert (alert["subject"], alert["severity"], alert["cutoff"]) == ("tickets", "warning", iso(LAST))
    assert alert["message"].startswith("opened_at reaches 2023-08-31T")
    assert ", 122." in alert["message"]
    assert "in its last year it was never more than" in alert["message"]
    assert alert["value"] > alert["threshold"]
    assert "feed still runs" in alert["what_to_do"]
    lines = report.to_text()
    assert any(line.startswith("  warning: table 'tickets': is stale: opened_at reaches 2023-08-31T") for line in lines)
    assert any("tickets is stale; mend its feed" in line for line in lines)
    drifted = {a["subject"]: a["message"] for a in list_alerts(workspace) if a["kind"].endswith("drift")}
    assert "(its table 'tickets' is stale)" in drifted["tickets_count_3m"]

    # once it is there again, the same scores' monitoring takes the alert back
    assert simulate_as_configured(workspace).written
    score(workspace)
    monitor(workspace)
    assert not [a for a in list_alerts(workspace) if a["kind"] == "stale_table"]


def test_monitoring_twice_tells_once(copied, opened):
    workspace = opened(copied, "monitoring.triggers.max_age=1d", "monitoring.drift.psi=0.0001")
    with recorded_run(workspace, "monitor") as run:
        monitor(workspace, run_id=run.run_id)
    first = list_alerts(workspace)
    assert "max_age" in {a["kind"] for a in first}
    assert {a["run_id"] for a in first} == {run.run_id}
    assert {(a["cutoff"], a["bundle_sha256"]) for a in first} == {
        (iso(LAST), workspace.state.champion("demo").bundle_sha256)
    }
    with recorded_run(workspace, "monitor") as again:
        monitor(workspace, run_id=again.run_id)
    assert list_alerts(workspace) == first
    assert [r["run_id"] for r in list_runs(workspace, verb="monitor")] == [again.run_id, run.run_id]

    said = text(told.alerts({"alerts": first}))
    assert "2024-01-01" in said
    assert "Run: holdfast retrain --project demo" in said
    assert "No alert" in text(told.alerts({"alerts": []}))


def test_runs_tell_how_they_ended(copied, opened):
    workspace = opened(copied)
    with pytest.raises(ValueError, match="odd"), recorded_run(workspace, "score"):
        raise ValueError("odd\nand more")
    with recorded_run(workspace, "build") as run:
        run.dataset_id = "d1"
    running, failed = list_runs(workspace, limit=2)
    assert (running["verb"], running["outcome"], running["exit_code"], running["dataset_id"]) == (
        "build", "done", 0, "d1",
    )  # fmt: skip
    assert running["seconds"] >= 0
    assert running["config_hash"] == workspace.config.hash()
    assert (failed["verb"], failed["outcome"], failed["error"]) == ("score", "failed", "ValueError: odd\nand more")
    assert [r["verb"] for r in list_runs(workspace, verb="score", limit=1)] == ["score"]
    said = text(told.runs({"runs": [running, failed]}))
    assert "d1" in said
    assert "ValueError: odd\n" in said
    assert "No such run" in text(told.runs({"runs": []}))


def test_the_verbs_print_them(copied, opened, monkeypatch, capsys):
    monkeypatch.setenv("HOLDFAST_HOME", str(copied))
    workspace = opened(copied, "monitoring.triggers.max_age=1d")
    with recorded_run(workspace, "monitor"):
        monitor(workspace)
    for words, key in ((["runs", "--limit", "1", "--verb", "monitor"], "runs"), (["alerts", "--limit", "1"], "alerts")):
        assert main([*words, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["verb"], document["project"], document["run_id"]) == (key, "demo", None)
        expected = list_runs(workspace, verb="monitor") if key == "runs" else list_alerts(workspace, limit=1)
        assert document["report"] == {key: expected}
        assert main(words) == 0
        assert "monitor" in capsys.readouterr().out or key == "alerts"
    assert main(["alerts", "--limit", "0"]) == 2
    assert "--limit" in capsys.readouterr().err


@pytest.fixture
def offered(root: Path, tmp_path: Path, opened) -> Workspace:
    """The company with a count of offers, which begin after the first training cutoff."""
    put_conf(root, tmp_path)
    count = "  offers: {table: treatments, label: offers, aggregations: [count], windows: [6m]}\n"
    (tmp_path / "conf" / "demo" / "features.yaml").write_text(FEATURES + count, encoding="utf-8")
    workspace = opened(tmp_path)
    simulate_as_configured(workspace)
    return workspace


def test_nulls_from_before_a_source_began_are_no_drift(offered):
    dataset = build(offered)
    first = dataset.manifest.cutoffs[0]
    counts = dataset.read().column("offers_count_6m")
    assert counts.null_count == first.snapshots  # treatments begin within the first month
    train(offered, dataset=dataset)
    score(offered)
    report = monitor(offered).report
    assert report.uncovered == {"treatments": first.snapshots}
    assert report.drift is not None
    assert not [r for r in report.drift.rows if r.name == "offers_count_6m" and r.what == "nulls"]
    assert not [a for a in list_alerts(offered) if a["subject"] == "offers_count_6m"]
    bundle = offered.var / offered.state.champion("demo").path
    assert f'"null": {first.snapshots}' in (bundle / "reference.json").read_text()  # as it was found; it is not changed
