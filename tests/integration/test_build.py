"""``build`` from files to a dataset: ids, bytes, replays, and the oracle end to end."""

from __future__ import annotations

import csv
import io
import random
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.artifacts.dataset import Dataset
from holdfast.audit import oracle_features
from holdfast.audit import oracle_snapshots as oracle
from holdfast.errors import ConfigError, DataError, NotReadyError, UsageError
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build, planned_cutoffs
from holdfast.pipelines.knowledge import dataset_id, facts, knowledge_of, open_sources
from holdfast.snapshots.population import STATES
from holdfast.stores.offline import latest_dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))
import companies
from company_files import ANCHORS, FIRST, LAST, WANTED, Rows, as_csv, bytes_of, fresh, written

KNOWN = datetime(2024, 4, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows() -> dict[str, list[oracle.Row]]:
    return fresh(14)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Dataset:
    """The dataset that others are compared with, built once."""
    return build(written(tmp_path_factory.mktemp("base"), rows), known_as_of=KNOWN)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Workspace]:
    """Writes a project and its files; each name is a place of its own."""

    def make(rows: Rows, name: str = "a", *, sets: Sequence[str] = ()) -> Workspace:
        return written(tmp_path / name, rows, sets)

    return make


def test_a_dataset_is_what_the_oracle_says(base: Dataset, rows: Rows) -> None:
    """Through CSV, contract, two anchor days and Parquet."""
    dataset = base
    known = KNOWN.replace(tzinfo=None)
    expected: dict[tuple[str, datetime], dict[str, Any]] = {}
    left_out: dict[str, int] = {}
    churn = oracle.Churn()
    for anchor in ANCHORS:
        for k in range(FIRST, LAST + 1):
            at = oracle.grid(anchor, k)
            by = oracle.label_window(at, anchor, churn)[2]
            for customer in rows["customers"]:
                one = oracle.snapshot([customer], at, anchor, churn, known_as_of=known, complete_through=known)
                if one and one[0] not in STATES:
                    left_out[one[0]] = left_out.get(one[0], 0) + 1
                elif one:
                    expected[customer["customer_id"], at] = {"state": one[0], "label": one[1], "label_available_at": by}
            customers = {c for c, cutoff in expected if cutoff == at}
            told = oracle_features.features(
                rows, companies.DATA, WANTED, cutoff=at, anchor=anchor, customers=customers
            )  # fmt: skip
            for customer, values in told.items():
                expected[customer, at] |= {n: oracle_features.float32(v) for n, v in values.items()}
    found = {(r.pop("customer_id"), r.pop("cutoff")): r for r in dataset.read(state=None).to_pylist()}
    assert found.keys() == expected.keys()
    for key, values in found.items():
        assert values == expected[key], f"{key}\n{companies.story(rows, key[0])}"
    manifest = dataset.manifest
    assert manifest.snapshots == len(expected)
    assert manifest.matured == sum(v["state"] == "matured" for v in expected.values())
    assert manifest.positives == sum(v["label"] or 0 for v in expected.values())
    assert left_out.keys() == {"notice", "start_not_known", "ended_but_not_known"}
    assert manifest.notes == {"excluded": left_out}
    assert sum(sum(c.excluded.values()) for c in manifest.cutoffs) == sum(left_out.values())


def test_the_same_inputs_give_the_same_bytes_in_any_order_on_any_number_of_threads(
    project: Callable[..., Workspace], rows: Rows, base: Dataset
) -> None:
    chance = random.Random(3)
    shuffled = {n: chance.sample(list(t), len(t)) for n, t in rows.items()}
    second = build(project(shuffled, sets=["training.threads=2"]), known_as_of=KNOWN)
    assert base.manifest.dataset_id == second.manifest.dataset_id
    assert base.path != second.path
    assert bytes_of(base) == bytes_of(second)


def test_a_replay_after_more_news_gives_the_same_bytes(
    project: Callable[..., Workspace], rows: Rows, base: Dataset
) -> None:
    """What became known at or after known_as_of does not exist: new rows, ends, closings, corrections, old backlogs."""
    known = KNOWN.replace(tzinfo=None)
    more = {n: [dict(r) for r in t] for n, t in rows.items()}
    old = datetime(2010, 1, 1)  # noqa: DTZ001
    more["Usage-2"] += [
        {**rows["Usage-2"][0], "available_at": known, "c_minutes": 1},
        {**rows["Usage-2"][0], "event_id": "backlog", "event_time": old, "available_at": known},
    ]
    more["tickets"].append({**rows["tickets"][0], "event_time": known, "available_at": known})
    more["plans"].append({**rows["plans"][0], "valid_from": old, "available_at": known})
    fresh_customer = {**rows["customers"][0], "customer_id": "new", "start": old, "start_available_at": known}
    more["customers"].append({**fresh_customer, "end": None, "end_available_at": None})
    for customer in more["customers"]:
        if customer["end"] is None and customer["end_available_at"] is None:
            customer["end"] = max(known, customer["start"])
            customer["end_available_at"] = max(known, customer["start"])
    second = build(project(more), known_as_of=KNOWN)
    assert base.manifest.dataset_id == second.manifest.dataset_id
    assert bytes_of(base) == bytes_of(second)


def test_a_default_first_cutoff_does_not_move_in_a_replay(project: Callable[..., Workspace], rows: Rows) -> None:
    unset = ["data.cutoffs.first=null"]
    first = the_id(project(rows, "a", sets=unset))
    old = datetime(2010, 1, 1)  # noqa: DTZ001
    backlog = {**rows["Usage-2"][0], "event_id": "backlog", "event_time": old, "available_at": datetime(2025, 1, 1)}  # noqa: DTZ001
    more = {**rows, "Usage-2": [*rows["Usage-2"], backlog]}
    assert the_id(project(more, "b", sets=unset)) == first


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("Usage-2", "c_minutes", 12345), ("Usage-2", "c_kind", "fax"), ("customers", "c_region", "west"),
        ("plans", "c_price", 1234), ("tickets", "event_time", datetime(2023, 9, 9, 1)),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_one_changed_cell_changes_the_id(
    project: Callable[..., Workspace], rows: Rows, table: str, column: str, value: Any
) -> None:
    """The id is told from the sources alone, so the build is stopped before it computes anything."""
    changed = {n: [dict(r) for r in t] for n, t in rows.items()}
    known = next(
        r for r in changed[table] if r.get("available_at", r.get("start_available_at")) < datetime(2023, 12, 1)  # noqa: DTZ001
    )  # fmt: skip
    known[column] = value
    if table == "tickets":
        known["available_at"] = value
    assert the_id(project(changed, "b")) != the_id(project(rows, "a"))


def the_id(workspace: Workspace, **how: Any) -> str:
    with workspace.engine() as engine:
        config = workspace.config
        sources = open_sources(workspace, engine, KNOWN)
        knowledge = knowledge_of(config, sources, KNOWN)
        planned = planned_cutoffs(engine, config, sources, knowledge, how.get("cutoffs"))
        return dataset_id(config, planned, facts(engine, sources, config.data, KNOWN), knowledge)


def test_configuration_and_cutoffs_are_part_of_the_id(project: Callable[..., Workspace], rows: Rows) -> None:
    ids = {
        the_id(project(rows, "a")),
        the_id(project(rows, "a"), cutoffs="last"),
        the_id(project(rows, "a", sets=["data.label.horizon=2m"])),
        the_id(project(rows, "a", sets=["features.tenure=false"])),
        the_id(project(rows, "a", sets=["data.complete_through=2024-03-01"])),
    }
    assert len(ids) == 5
    assert the_id(project(rows, "a", sets=["training.threads=2"])) in ids


def test_how_rows_are_split_into_files_is_no_matter(
    tmp_path: Path, project: Callable[..., Workspace], rows: Rows
) -> None:
    """The same rows in one Parquet file and in three: the same id, the configuration being the same."""
    found = []
    for name, pieces in (("a", 1), ("b", 3)):
        workspace = project(rows, name, sets=["data.tables.tickets.path=tickets"])
        folder = workspace.sources / "tickets"
        folder.mkdir()
        lines = list(csv.DictReader(io.StringIO(as_csv(rows, "tickets"))))
        for i in range(pieces):
            pq.write_table(pa.Table.from_pylist(lines[i::pieces]), folder / f"{i}.parquet")
        found.append(the_id(workspace))
    assert found[0] == found[1]


def test_last_keeps_the_last_matured_cutoff_bit_for_bit(project: Callable[..., Workspace], rows: Rows) -> None:
    workspace = project(rows)
    whole = build(workspace, known_as_of=KNOWN)
    last = build(workspace, known_as_of=KNOWN, cutoffs="last")
    assert [c.cutoff for c in last.manifest.cutoffs] == whole.manifest.matured_cutoffs()[-1:]
    at = whole.manifest.matured_cutoffs()[-1]
    assert last.read([at]).equals(whole.read([at]))
    assert last.manifest.dataset_id != whole.manifest.dataset_id
    assert latest_dataset(workspace.var).manifest.dataset_id == last.manifest.dataset_id
    again = build(workspace, known_as_of=KNOWN)
    assert again.path == whole.path
    assert latest_dataset(workspace.var).path == whole.path, "the one asked for last is the latest, built or not"


def test_words_and_data_that_do_not_fit(project: Callable[..., Workspace], rows: Rows) -> None:
    workspace = project(rows)
    with pytest.raises(UsageError, match="--cutoffs 'first' is not known"):
        build(workspace, known_as_of=KNOWN, cutoffs="first")
    with pytest.raises(ConfigError, match="no row of any table was available before 2001-01-01"):
        build(workspace, known_as_of=datetime(2001, 1, 1, tzinfo=UTC))
    with pytest.raises(ConfigError, match="1200m is longer than the history"):
        build(project(rows, sets=["data.label.horizon=1200m"]), known_as_of=KNOWN)


def test_sources_that_are_not_there_yet(project: Callable[..., Workspace], rows: Rows) -> None:
    workspace = project(rows)
    with pytest.raises(NotReadyError, match="there are no tables yet"):
        build(open_workspace("small", root=workspace.root, sets=["data.sources=elsewhere"], environ={}))


def test_nobody_at_risk_and_nobody_who_leaves(project: Callable[..., Workspace], rows: Rows) -> None:
    far = datetime(2024, 4, 10)  # noqa: DTZ001
    few = ["features.measures={}", "features.values={}"]
    late = [
        {**r, "start": far, "start_available_at": far, "end": None, "end_available_at": None, "notice": None}
        for r in rows["customers"]
    ]
    late[0] |= {"end": far, "end_available_at": far}
    with pytest.raises(DataError, match="no customer is at risk at any cutoff"):
        build(project({**rows, "customers": late}, sets=few), known_as_of=KNOWN)
    stay = [{**r, "end": None, "end_available_at": None} for r in rows["customers"]]
    stay[0] |= {"end": far, "end_available_at": far}
    with pytest.raises(DataError, match="no customer churns in any of"):
        build(project({**rows, "customers": stay}, sets=few), known_as_of=KNOWN)
    with pytest.raises(DataError, match=r"--cutoffs last: no customer churns in the label window of the last matured"):
        build(project({**rows, "customers": stay}, sets=few), known_as_of=KNOWN, cutoffs="last")
