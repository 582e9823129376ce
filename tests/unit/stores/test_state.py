"""The state store, on SQLite and on a real Postgres."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, NotReadyError, StoreError, UsageError
from holdfast.stores.process import here, is_dead, started
from holdfast.stores.state import NewAlert, StateStore
from holdfast.stores.state_engine import writing
from holdfast.stores.state_tables import RunRow, VersionRow


class Clock:
    """One second later at each look."""

    def __init__(self) -> None:
        self.at = datetime(2024, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def store(address: str) -> Iterator[StateStore]:
    store = StateStore(address, now=Clock())
    yield store
    store.close()


def record(store: StateStore, bundle: str, *, project: str = "shop") -> VersionRow:
    number = store.next_version(project, bundle, "d1")
    return store.record_version(
        project,
        number,
        bundle_sha256=bundle,
        dataset_id="d1",
        estimator="xgboost",
        path=f"models/{number}",
        metrics={"ap": 0.5},
    )


def test_a_run_is_recorded_from_start_to_end(store: StateStore) -> None:
    run = store.start_run("train", "shop", config_hash="c1")
    assert [(r.run_id, r.outcome, r.ended_at) for r in store.last_runs("shop")] == [(run, "running", None)]
    store.finish_run(run, "failed", exit_code=1, timings={"fit": 2.5}, summary={"é": 1}, error="x" * 9999)
    found = store.last_runs("shop", verb="train")[0]
    assert (found.outcome, found.exit_code, found.timings, found.summary) == ("failed", 1, {"fit": 2.5}, {"é": 1})
    assert found.started_at == datetime(2024, 3, 1, 0, 0, 1, tzinfo=UTC)
    assert found.ended_at is not None
    assert len(found.error or "") == 4000
    assert store.last_runs("other") == []
    with pytest.raises(NotFoundError, match="no run 'nope'"):
        store.finish_run("nope", "done", exit_code=0)


def test_runs_of_dead_processes_are_killed_and_of_others_are_not(store: StateStore) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    mine, dead, elsewhere, reused = (store.start_run("build", "shop") for _ in range(4))
    host, pid, ticks = here()
    assert ticks == "" or not is_dead(host, pid, ticks)
    with writing(store.engine) as session:
        for run_id, values in {
            dead: (host, gone.pid, "1"),
            elsewhere: ("another-host", gone.pid, "1"),
            reused: (host, pid, "1"),
        }.items():
            run = session.get(RunRow, run_id)
            assert run is not None
            run.host, run.pid, run.process_started = values
    store.start_run("train", "shop")
    outcomes = {r.run_id: r.outcome for r in store.last_runs("shop")}
    assert (outcomes[mine], outcomes[dead], outcomes[elsewhere]) == ("running", "killed", "running")
    assert outcomes[reused] == ("killed" if started(pid) else "running")


def test_the_same_bundle_keeps_its_version(store: StateStore) -> None:
    first = record(store, "b1")
    assert (first.version, first.status, store.next_version("shop", "b2", "d1")) == (1, "candidate", 2)
    assert record(store, "b1").version == 1
    assert record(store, "b2").version == 2
    assert record(store, "b1", project="other").version == 1
    again = store.record_version(
        "shop", 1, bundle_sha256="b1", dataset_id="d1", estimator="x", path="p", metrics={}, mlflow_version="7"
    )
    assert (again.metrics, again.mlflow_version, again.path) == ({"ap": 0.5}, "7", "p")
    assert [v.version for v in store.versions("shop")] == [2, 1]
    for number, bundle in ((1, "b3"), (2, "b1"), (9, "b1")):
        with pytest.raises(StoreError, match=f"version {number} of shop is"):
            store.record_version(
                "shop", number, bundle_sha256=bundle, dataset_id="d1", estimator="x", path="p", metrics={}
            )


def test_the_ledger_says_who_serves(store: StateStore) -> None:
    assert store.champion("shop") is None
    with pytest.raises(NotFoundError, match=r"no version 1\. Run: holdfast train"):
        store.promote("shop", 1, actor="me", why="first")
    for bundle in ("b1", "b2", "b3"):
        record(store, bundle)
    store.promote("shop", 1, actor="me", why="first", evidence={"lift": 2.0})
    store.challenge("shop", 3)
    store.challenge("shop", 2)
    assert store.challenger("shop").version == 2  # type: ignore[union-attr]
    store.refuse("shop", 2, actor="gate", why="not better")
    store.refuse("shop", 2, actor="gate", why="not better")
    assert store.champion("shop").version == 1  # type: ignore[union-attr]
    line = store.promote("shop", 2, actor="me", why="trust me", action="force")
    assert store.promote("shop", 2, actor="me", why="again").id == line.id
    history = store.history("shop")
    assert [(h.action, h.from_version, h.to_version) for h in history] == [
        ("force", 1, 2),
        ("refuse", 1, 2),
        ("promote", None, 1),
    ]
    assert history[-1].evidence == {"lift": 2.0}
    assert {v.version: v.status for v in store.versions("shop")} == {1: "archived", 2: "champion", 3: "archived"}
    assert store.challenger("shop") is None
    assert store.challenge("shop", 2).status == "champion"
    assert store.champion("other") is None
    with pytest.raises(NotFoundError, match="There are: 1, 2, 3"):
        store.version("shop", 9)


def test_rollback_goes_back_one_further_each_time(store: StateStore) -> None:
    with pytest.raises(NotReadyError, match="there is none yet"):
        store.rollback("shop", actor="me", why="oops")
    for number, bundle in enumerate(("b1", "b2", "b3"), start=1):
        record(store, bundle)
        store.promote("shop", number, actor="me", why="better")
    served = []
    for _ in range(2):
        store.rollback("shop", actor="me", why="oops")
        served.append(store.champion("shop").version)  # type: ignore[union-attr]
    assert served == [2, 1]
    with pytest.raises(NotReadyError, match="version 1 is the first"):
        store.rollback("shop", actor="me", why="oops")
    store.rollback("shop", 3, actor="me", why="it was fine")
    assert store.champion("shop").version == 3  # type: ignore[union-attr]
    assert store.rollback("shop", actor="me", why="no").to_version == 1
    assert store.version("shop", 1).status == "champion"


MARCH, APRIL = (datetime(2024, month, 1, tzinfo=UTC) for month in (3, 4))
MOVED = NewAlert("drift", "price", "warning", "moved", 0.3, 0.2, {"retrain": True})


def test_alerts_are_kept(store: StateStore) -> None:
    run = store.start_run("monitor", "shop")
    store.record_alerts("shop", [MOVED], cutoff=MARCH, bundle_sha256="b1", run_id=run)
    (alert,) = store.last_alerts("shop")
    assert (alert.subject, alert.value, alert.threshold, alert.acted) == ("price", 0.3, 0.2, {"retrain": True})
    assert (alert.cutoff, alert.bundle_sha256, alert.run_id) == (MARCH, "b1", run)
    with pytest.raises(StoreError, match="state database"):
        store.record_alerts("shop", [MOVED], cutoff=APRIL, bundle_sha256="b1", run_id="no such run")


def test_monitoring_the_same_again_repeats_no_alert(store: StateStore) -> None:
    runs = [store.start_run("monitor", "shop") for _ in range(3)]
    nulls = NewAlert("null_drift", "price", "info", "nulls", 0.4)
    stale = NewAlert("stale_table", "tickets", "warning", "stale")

    def told(project: str = "shop") -> list[tuple[object, ...]]:
        return [(a.kind, a.message, a.cutoff, a.bundle_sha256, a.run_id) for a in store.last_alerts(project)]

    store.record_alerts("shop", [MOVED, nulls], cutoff=MARCH, bundle_sha256="b1", run_id=runs[0])
    first = [("drift", "moved", MARCH, "b1", runs[0]), ("null_drift", "nulls", MARCH, "b1", runs[0])]
    assert told() == first
    ids = [a.id for a in store.last_alerts("shop")]
    store.record_alerts("shop", [nulls, MOVED], cutoff=MARCH, bundle_sha256="b1", run_id=runs[1])
    assert told() == first
    assert [a.id for a in store.last_alerts("shop")] == ids

    # other figures take the place of the old, what no longer holds is gone, what is new comes first
    more = NewAlert("drift", "price", "warning", "moved more", 0.5, 0.2)
    store.record_alerts("shop", [stale, more], cutoff=MARCH, bundle_sha256="b1", run_id=runs[2])
    assert sorted(told()) == [
        ("drift", "moved more", MARCH, "b1", runs[2]),
        ("stale_table", "stale", MARCH, "b1", runs[2]),
    ]

    # another cutoff, bundle or project has alerts of its own
    store.record_alerts("shop", [MOVED], cutoff=APRIL, bundle_sha256="b1")
    store.record_alerts("shop", [MOVED], cutoff=MARCH, bundle_sha256="b2")
    store.record_alerts("other", [MOVED], cutoff=MARCH, bundle_sha256="b1")
    assert [a[2:4] for a in told()[:2]] == [(MARCH, "b2"), (APRIL, "b1")]
    assert (len(told()), len(told("other")), len(store.last_alerts("shop", limit=1))) == (4, 1, 1)


def test_nan_is_refused_by_both_databases(store: StateStore) -> None:
    run = store.start_run("train", "shop")
    with pytest.raises(StoreError, match="not JSON"):
        store.finish_run(run, "done", exit_code=0, summary={"x": float("nan")})
    assert store.last_runs("shop")[0].outcome == "running"


def test_concurrent_promotions_are_serialised(store: StateStore) -> None:
    for bundle in map(str, range(8)):
        record(store, bundle)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda v: store.promote("shop", v, actor="me", why="race"), range(1, 9)))
    history = store.history("shop")[::-1]
    assert [h.from_version for h in history] == [None, *(h.to_version for h in history[:-1])]
    assert [v.status for v in store.versions("shop")].count("champion") == 1


def test_many_processes_may_open_a_new_database_at_once(address: str) -> None:
    code = (
        "import sys\nfrom holdfast.stores.state import StateStore\nsys.stdin.readline()\n"
        "s = StateStore(sys.argv[1])\ns.start_run('build', 'shop')\nprint('ok')"
    )
    command = [sys.executable, "-c", code, address]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [p.communicate(timeout=60)[0] for p in processes] == ["ok\n"] * 3
    store = StateStore(address)
    assert len(store.last_runs("shop")) == 3
    store.close()


@pytest.mark.parametrize(
    "bad", ["", "mysql://x/y", "postgresql://u:secret@h/d", "not an address", "sqlite+aiosqlite:///x"]
)
def test_other_addresses_are_refused_without_showing_secrets(bad: str) -> None:
    with pytest.raises(UsageError, match="HOLDFAST_DATABASE_URL") as e:
        StateStore(bad)
    assert "secret" not in str(e.value)


def test_an_unreachable_or_damaged_database_is_a_store_error(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="holdfast[postgres] is not installed")
    with pytest.raises(StoreError, match="state database") as e:
        StateStore("postgresql+psycopg://u:secret@127.0.0.1:1/d?connect_timeout=1")
    assert "secret" not in str(e.value)
    (tmp_path / "state.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"state\.db failed: file is not a database"):
        StateStore(f"sqlite:///{tmp_path}/state.db")
