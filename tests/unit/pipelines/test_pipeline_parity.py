"""What serves, held bit for bit to the tables and the bundle: nothing wrong passes, nothing right is called wrong."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny_company import EARLIER, LAST, SETS

from holdfast.cli.main import main
from holdfast.errors import NotReadyError, StoreError
from holdfast.pipelines.decide import decide
from holdfast.pipelines.materialize import materialize
from holdfast.pipelines.monitor import monitor
from holdfast.pipelines.parity import _drawn, check_parity, open_sources, verify_serving
from holdfast.pipelines.records import list_alerts
from holdfast.pipelines.score import score

ALL = 10_000


@pytest.fixture
def shop(copied, opened):
    return opened(copied)


def checked(workspace, sample=ALL):
    with workspace.engine() as engine:
        return check_parity(workspace, engine, open_sources(workspace, engine), sample=sample)


def stored(workspace):
    """A connection that may write to the generation that serves."""
    with closing(workspace.online.reader()) as reader:
        generation = reader.meta.generation
    return closing(sqlite3.connect(workspace.online_folder / f"{generation}.sqlite", isolation_level=None))


def rewrite(workspace, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a source table in place."""
    (file,) = (f for f in workspace.sources.rglob("*.parquet") if f.stem == table or f.parent.name == table)
    pq.write_table(change(pq.ParquetFile(file).read()), file)


def test_what_serves_is_what_is_computed_again(shop):
    report = verify_serving(shop, sample=ALL)
    assert (report.differences, report.unverifiable) == ((), ())
    assert report.sampled == report.customers > 300


def test_any_bit_of_any_packed_feature_is_found_and_named(shop):
    rng = np.random.default_rng(5)
    with closing(shop.online.reader()) as reader:
        meta = reader.meta
    expected = {}
    with stored(shop) as file:
        rows = file.execute("SELECT customer_id, features FROM customer ORDER BY customer_id").fetchall()
        for place in rng.choice(len(rows), 100, replace=False):
            customer, packed = rows[place]
            feature = int(rng.choice(np.flatnonzero(~np.isnan(meta.vector(packed)))))
            changed = bytearray(packed)
            changed[4 * feature + int(rng.integers(3))] ^= 1 << int(rng.integers(8))
            file.execute("UPDATE customer SET features = ? WHERE customer_id = ?", [bytes(changed), customer])
            expected[customer] = f"features.{meta.numbers[feature]}"
    found = checked(shop).differences
    assert {d.customer_id: d.column for d in found} == expected
    assert len(found) == len(expected)
    assert {d.wrong for d in found} == {"online"}


CHANGES = {
    "probability = probability + 1e-16": "score.probability",
    "tier = 'none'": "score.tier",
    "reasons = replace(reasons, 'raises', 'lowers')": "score.reasons",
    "segment = 'none'": "decision.segment",
    "expected_value = -0.5": "decision.expected_value",
    "decision = replace(decision, 'status', 'state')": "decision.status",
    "decision = '{'": "customer",
    "features = zeroblob(3)": "customer",
    "features = zeroblob(1000)": "customer",
    "customer_id = 'nobody'": "customer",
}


def test_whatever_else_is_changed_is_found_and_named(shop):
    expected = {}
    with stored(shop) as file:
        some = "SELECT customer_id FROM customer WHERE reasons LIKE '%raises%' AND probability < 0.1 LIMIT ?"
        customers = file.execute(some, [len(CHANGES)]).fetchall()
        for (customer,), (change, column) in zip(customers, CHANGES.items(), strict=True):
            file.execute(f"UPDATE customer SET {change} WHERE customer_id = ?", [customer])
            expected[customer] = column
        file.execute("UPDATE meta SET value = value - 1 WHERE key = 'rows'")
    found = checked(shop).differences
    assert {d.customer_id: d.column for d in found} == expected | {"everyone": "rows"}
    assert len(found) == len(expected) + 1 == len(CHANGES) + 1


def test_the_sample_is_of_the_cutoff():
    ids = pa.chunked_array([[f"c{n:04}" for n in range(1000)]])
    first = _drawn(ids, LAST, 50)
    assert first == sorted(set(first)) == _drawn(ids, LAST, 50)
    assert len(set(first) & set(_drawn(ids, EARLIER, 50))) < 25
    assert _drawn(ids, LAST, 5000) == ids.to_pylist()


def test_what_became_known_after_the_cutoff_changes_nothing(shop):
    """At a cutoff of two months before the tables end."""
    score(shop, cutoff=EARLIER)
    decide(shop, cutoff=EARLIER)
    materialize(shop, cutoff=EARLIER)
    report = checked(shop)
    assert (report.cutoff, report.differences, report.unverifiable) == (EARLIER, (), ())


def test_the_past_rewritten_is_found(shop):
    minutes = pa.scalar(100_000, pa.float64())

    def more(table):
        at = table.column_names.index("minutes")
        return table.set_column(
            at, "minutes", pc.add(table.column("minutes"), minutes.cast(table.schema.field(at).type))
        )

    rewrite(shop, "usage", more)
    report = checked(shop)
    columns = {d.column for d in report.differences}
    assert {d.wrong for d in report.differences} == {"offline"}
    assert "features.usage_minutes_sum_3m" in columns
    assert not [c for c in columns if c.startswith(("features.tickets", "decision"))]


def test_a_table_without_a_history_cannot_be_verified_and_is_no_alarm(shop, monkeypatch, capsys):
    def moved(table):
        at = table.column_names.index("region")
        field = table.schema.field(at)
        return table.set_column(at, field, pa.array(["elsewhere"] * table.num_rows).cast(field.type))

    rewrite(shop, "customers", moved)
    report = checked(shop)
    assert report.differences == ()
    (note,) = report.unverifiable
    assert note == f"customers_region: {report.customers} values have changed in 'customers', which does not say when"
    assert not [a for a in list_alerts(shop) if a["kind"] == "parity"]
    # and what was not even stored is found all the same
    with stored(shop) as file:
        file.execute("UPDATE category SET value = 'nowhere' WHERE value = 'north'")
        assert file.execute("SELECT changes()").fetchone() == (1,)
    assert {d.column for d in checked(shop).differences} == {"features.customers_region"}


def test_another_configuration_is_no_alarm(copied, opened):
    report = checked(opened(copied, "scoring.reasons=1"))
    assert report.differences == ()
    (note,) = report.unverifiable
    assert note.startswith("the configuration has changed since: ")
    assert note.endswith(" values would now be others (score.reasons)")
    other = opened(copied, "features.tenure=false")
    assert checked(other).unverifiable == ("other features are configured now: nothing could be computed again",)
    earlier = opened(copied, "data.known_as_of=2023-11-15", "data.complete_through=2023-11-15")
    (note,) = checked(earlier).unverifiable
    assert note == "the tables reach to 2023-11-15 only: nothing could be computed again"
    with stored(other) as file:
        file.execute("UPDATE customer SET tier = 'none'")
    assert {d.column for d in checked(other).differences} == {"score.tier"}


def test_monitoring_looks_every_day_and_tells_no_customers(shop, monkeypatch):
    monkeypatch.setattr("holdfast.pipelines.parity.check_parity.__kwdefaults__", {"sample": 50})
    report = monitor(shop).report
    assert report.parity is not None
    assert (report.parity.sampled, report.parity.differences) == (50, ())
    assert not [a for a in list_alerts(shop) if a["kind"] == "parity"]
    with stored(shop) as file:
        ids = [row[0] for row in file.execute("SELECT customer_id FROM customer")]
        file.execute("UPDATE customer SET probability = 0.5")
    found = monitor(shop)
    (alert,) = [a for a in list_alerts(shop) if a["kind"] == "parity"]
    assert alert["message"] == "50 of 50 customers sampled differ in score.probability"
    assert "holdfast materialize --verify --project demo" in alert["what_to_do"]
    said = json.dumps(found.to_json()) + " ".join(found.to_text()) + json.dumps(alert)
    assert not [i for i in ids if i in said]
    assert "Parity: 50 of 50 customers sampled differ" in " ".join(found.to_text())

    (file,) = shop.online_folder.glob("*.sqlite")
    file.write_bytes(file.read_bytes()[:5000])
    assert monitor(shop).report.parity is None
    (alert,) = [a for a in list_alerts(shop) if a["kind"] == "parity"]
    assert alert["message"].startswith("could not be compared: ")
    with pytest.raises(StoreError):
        verify_serving(shop)
    for file in shop.online_folder.iterdir():
        file.unlink()
    report = monitor(shop).report
    assert (report.parity, report.parity_failed) == (None, "")
    assert "Parity: nothing serves yet" in report.to_text()
    assert not [a for a in list_alerts(shop) if a["kind"] == "parity"]
    with pytest.raises(NotReadyError, match="holdfast materialize"):
        verify_serving(shop)


def test_the_verb(copied, monkeypatch, capsys, opened):
    monkeypatch.setenv("HOLDFAST_HOME", str(copied))
    sets = [word for key in SETS for word in ("--set", key)]
    verify = ["materialize", "--verify", "--sample", "10000", *sets]
    assert main(verify) == 0
    assert "all served as they should be, bit for bit" in " ".join(capsys.readouterr().out.split())
    workspace = opened(copied)
    with stored(workspace) as file:
        (customer,) = file.execute("SELECT min(customer_id) FROM customer").fetchone()
        file.execute("UPDATE customer SET probability = 0.5 WHERE customer_id = ?", [customer])
    assert main([*verify, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    (problem,) = document["error"]["problems"]
    assert (problem["where"], problem["count"]) == ("score.probability", 1)
    assert customer in problem["examples"][0]
    for wrong in (["--sample", "3"], ["--verify", "--cutoff", "2024-01-01"], ["--verify", "--sample", "0"]):
        assert main(["materialize", *wrong, *sets]) == 2
