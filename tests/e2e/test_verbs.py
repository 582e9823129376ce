"""Every verb on a small business: one JSON document each, a recorded run, and what the gate and the ledger do."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from company import Call, write_company

from holdfast.pipelines.bootstrap import open_workspace

WORDS = ("--project", "shop", "--json")


@pytest.mark.slow
def test_the_verbs_in_turn(shop: Path, home: Path, call: Call) -> None:
    documents = {}
    for verb in ("check", "build", "train", "score", "decide", "materialize", "monitor", "retrain"):
        got = call(verb, *WORDS)
        assert (got.code, got.err) == (0, ""), got.err
        documents[verb] = got.json
        assert (got.json["verb"], got.json["project"]) == (verb, "shop")
        assert got.json["run_id"].split("-")[1] == verb
    assert documents["train"]["report"]["promoted"]
    assert documents["build"]["report"]["matured"] > 0

    customers = documents["score"]["report"]["customers"]
    assert documents["materialize"]["report"]["customers"] == customers == documents["decide"]["report"]["customers"]
    verified = call("materialize", "--verify", *WORDS).json["report"]
    assert (verified["sampled"], verified["differences"], verified["unverifiable"]) == (customers, [], [])
    assert documents["monitor"]["report"]["parity"] == verified
    served = pq.read_table(Path(documents["score"]["report"]["path"]) / "part-0.parquet", partitioning=None)
    with (shop / "visits.csv").open("a", encoding="utf-8") as file:  # a late row; the table does not say since when
        file.write(f"late,{served['customer_id'][0]},2023-12-20,600\r\n")
    late = call("materialize", "--verify", *WORDS)
    assert (late.code, late.err) == (0, ""), late.out
    assert late.json["report"]["differences"] == []
    assert any("'visits', which does not say when" in note for note in late.json["report"]["unverifiable"])
    unknown = call("explain", "nobody", *WORDS)
    assert (unknown.code, unknown.json["error"]["kind"]) == (1, "NotFoundError")

    state = open_workspace("shop", root=home).state
    runs = {run.verb: run for run in state.last_runs("shop")}
    state.close()
    assert set(runs) == set(documents)
    assert {run.outcome for run in runs.values()} == {"done"}
    assert runs["build"].dataset_id == documents["build"]["report"]["dataset_id"]
    assert len({run.config_hash for run in runs.values()}) == 1
    assert runs["train"].timings["train"] > 0


@pytest.mark.slow
def test_the_gate_and_the_ledger(shop: Path, call: Call) -> None:
    for verb in ("build", "train", "score", "decide", "materialize"):
        assert call(verb, *WORDS).code == 0
    first = call("models", "show", *WORDS).json["report"]

    again = call("train", *WORDS, "--set", "training.seed=8")  # no better than the champion
    assert again.code == 3
    assert again.json["report"]["promoted"] is False
    assert "does not serve" in again.err

    refused = call("models", "promote", "2", *WORDS)
    assert (refused.code, refused.json["error"]["kind"]) == (3, "GateRefused")
    forced = call("models", "promote", "2", *WORDS, "--force", "--why", "a test")
    assert forced.json["report"]["champion"] == 2
    assert forced.json["report"]["serving"]["model_version"] == 2
    assert call("models", "show", *WORDS).json["report"]["version"] == 2

    back = call("models", "rollback", *WORDS)
    assert back.json["report"]["champion"] == first["version"] == 1
    versions = call("models", "list", *WORDS).json["report"]["versions"]
    assert [(v["version"], v["status"]) for v in versions] == [(2, "archived"), (1, "champion")]
    history = call("models", "history", *WORDS).json["report"]["history"]
    assert [line["action"] for line in history] == ["rollback", "force", "refuse", "promote"]
    further = call("models", "rollback", *WORDS)
    assert (further.code, further.json["error"]["kind"]) == (1, "NotReadyError")


@pytest.mark.slow
def test_run_says_what_a_person_wants_to_know(shop: Path, home: Path, call: Call) -> None:
    got = call("run", "--project", "shop")
    assert (got.code, got.err) == (0, "")
    for words in ("snapshots", "features", "folds", "ROC-AUC", "(", " to ", "first reason", "expected gain", "drift"):
        assert words in got.out
    lines = got.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in got.out
    assert not [line for line in lines if line != line.rstrip()]
    files = [line.split()[0] for line in lines if line.startswith("  var/shop/")]
    assert len(files) == 7
    assert all((home / file).exists() for file in files)


def test_a_first_configuration_from_ones_own_tables(home: Path, call: Call) -> None:
    tables = write_company(home, "elsewhere")
    words = [w for n in ("customers", "plans", "visits") for w in ("--table", f"{n}={tables / n}.csv")]
    got = call("init", "mine", *words, "--json")
    assert got.json["report"]["tables"] == {"customers": "customers", "plans": "history", "visits": "events"}
    # the default first cutoff leaves room for the longest window, which this short history does not have
    assert call("check", "--project", "mine", "--set", "data.cutoffs.first=2023-06-01").code == 0
    before = (home / "conf" / "mine" / "data.yaml").read_text(encoding="utf-8")
    assert call("init", "mine", *words).code == 2
    assert call("init", "mine", *words[:2], "--force", "--quiet").code == 0
    assert (home / "conf" / "mine" / "data.yaml").read_text(encoding="utf-8") != before


def test_config_show_says_where_values_come_from(shop: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST__TRAINING__SEED", "11")
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", "postgresql://user:hidden@nowhere/db")
    got = call("config", "show", *WORDS, "--set", "decisions.budget=9")
    rows = {row["key"]: row for row in got.json["report"]["values"]}
    assert rows["training.seed"] == {
        "key": "training.seed",
        "value": 11,
        "origin": "environment HOLDFAST__TRAINING__SEED",
    }
    assert rows["decisions.budget"]["origin"] == "--set"
    assert rows["data.label.horizon"]["origin"] == "conf/shop/data.yaml:3"
    assert rows["training.tuning.trials"]["origin"] == "default"
    assert "hidden" not in json.dumps(rows)
    assert call("config", "show", "data.labl", "--project", "shop").err.strip().endswith("did you mean 'data.label'?")
