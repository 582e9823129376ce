"""``build`` from files to a dataset: ids, bytes, replays, and the oracle end to end."""

from __future__ import annotations

import csv
import hashlib
import io
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from holdfast.artifacts.dataset import Dataset
from holdfast.errors import ConfigError, DataError, NotReadyError, UsageError
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build
from holdfast.stores.offline import latest_dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))
import companies
import time_oracle as oracle

ANCHORS = (1, 31)
FIRST, LAST = 2023 * 12 + 8, 2024 * 12 + 1
KNOWN = datetime(2024, 4, 20, tzinfo=UTC)
WANTED: dict[str, Any] = {
    **companies.FEW_WANTED,
    "values": {"price": companies.WANTED["values"]["price"]},
    "measures": {
        "calls": {**companies.WANTED["measures"]["calls"], "windows": ["2m"]},
        "spent": {**companies.WANTED["measures"]["spent"], "aggregations": ["sum", "std"]},
        "tickets": {**companies.WANTED["measures"]["tickets"], "aggregations": ["count"]},
    },
}
DIGITS = {"limit": 3, "price": 2, "minutes": 1, "spent": 2, "severity": 0}
NAMES = {
    "customers": {"start_available_at": "start_known", "end_available_at": "end_known"},
    "plans": {"available_at": "known", "closed_available_at": "closed_known"},
    "Usage-2": {"event_id": "id", "event_time": "time", "available_at": "known", "deleted": "gone"},
    "usage_2": {"event_time": "time", "event_id": None, "available_at": None, "deleted": None},
    "tickets": {"event_time": "time", "event_id": None, "available_at": None, "deleted": None},
}
Rows = Mapping[str, Sequence[oracle.Row]]


def cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    digits = DIGITS.get(name)
    if digits and isinstance(value, int):
        return f"{'-' if value < 0 else ''}{abs(value) // 10**digits}.{abs(value) % 10**digits:0{digits}d}"
    return str(value)


def as_csv(rows: Rows, name: str) -> str:
    """A table as the business would export it."""
    columns = {c: NAMES[name].get(c, c.removeprefix("c_")) for c in companies.COLUMNS[name]}
    columns["customer_id"] = "customer"
    columns = {c: n for c, n in columns.items() if n is not None}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns.values())
    writer.writerows([cell(n, r[c]) for c, n in columns.items()] for r in rows[name])
    return text.getvalue()


@pytest.fixture(scope="module")
def rows() -> dict[str, list[oracle.Row]]:
    return fresh(14)


def fresh(seed: int) -> dict[str, list[oracle.Row]]:
    chance = companies.Chance(seed)
    chance.anchor = 31
    found = companies.company(chance, 40)
    # files say what the contract asks for: a row of somebody, text that is not blank, versions that do not overlap
    for row in found["plans"]:
        row["valid_to"] = None
        row["closed_available_at"] = None
    return found


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


def written(root: Path, rows: Rows, sets: Sequence[str] = ()) -> Workspace:
    conf = root / "conf" / "small"
    if not conf.exists():
        conf.mkdir(parents=True)
        tables = {
            n: {**t, "path": f"{i}.csv"} for i, (n, t) in enumerate(companies.DATA["tables"].items())
        }  # fmt: skip
        cutoffs = {"anchor_days": list(ANCHORS), "first": oracle.grid(1, FIRST).date().isoformat()}
        cutoffs["last"] = oracle.grid(31, LAST).date().isoformat()
        sections = {
            "data": {**companies.DATA, "tables": tables, "cutoffs": cutoffs},
            "features": WANTED,
            "training": {"estimators": {"logistic": {}}, "threads": 1},
            "scoring": {},
            "decisions": {
                "value": {"revenue": "price"},
                "actions": {"call": {"label": "Call", "cost": 5, "retention": 0.1, "tiers": ["high"]}},
            },
            "monitoring": {},
            "serving": {},
        }
        for section, content in sections.items():
            (conf / f"{section}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        (root / "var" / "small" / "sources").mkdir(parents=True)
    sources = root / "var" / "small" / "sources"
    for i, table in enumerate(companies.COLUMNS):
        (sources / f"{i}.csv").write_text(as_csv(rows, table))
    return open_workspace("small", root=root, sets=list(sets), environ={})


def bytes_of(dataset: Dataset) -> dict[str, str]:
    files = sorted(p for p in dataset.path.rglob("*") if p.is_file())
    return {p.relative_to(dataset.path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_dataset_is_what_the_oracle_says(base: Dataset, rows: Rows) -> None:
    """Through CSV, contract, two anchor days and Parquet."""
    dataset = base
    known = KNOWN.replace(tzinfo=None)
    expected: dict[tuple[str, datetime], dict[str, Any]] = {}
    for anchor in ANCHORS:
        for k in range(FIRST, LAST + 1):
            at = oracle.grid(anchor, k)
            window, by = oracle.horizon_window(at, anchor, lead_days=0, horizon="1m", wait_days=0)
            for customer in rows["customers"]:
                one = oracle.snapshot(customer, at, window, by, known_as_of=known, complete_through=known)
                if one:
                    expected[customer["customer_id"], at] = {"state": one[0], "label": one[1], "label_available_at": by}
            customers = {c for c, cutoff in expected if cutoff == at}
            told = oracle.features(
                rows, companies.DATA, WANTED, cutoff=at, anchor=anchor, customers=customers
            )  # fmt: skip
            for customer, values in told.items():
                expected[customer, at] |= {n: oracle.float32(v) for n, v in values.items()}
    found = {(r.pop("customer_id"), r.pop("cutoff")): r for r in dataset.read(state=None).to_pylist()}
    assert found.keys() == expected.keys()
    for key, values in found.items():
        assert values == expected[key], f"{key}\n{companies.story(rows, key[0])}"
    manifest = dataset.manifest
    assert manifest.snapshots == len(expected)
    assert manifest.matured == sum(v["state"] == "matured" for v in expected.values())
    assert manifest.positives == sum(v["label"] or 0 for v in expected.values())


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
    from holdfast.pipelines import build as module

    with workspace.engine() as engine:
        sources = module.open_sources(workspace, engine)
        knowledge = module.knowledge_of(workspace.config, sources, KNOWN)
        grid = module.planned_cutoffs(engine, workspace.config, sources, knowledge, how.get("cutoffs"))
        facts = {n: module._facts(engine, s.table, knowledge) for n, s in sources.tables.items()}
        return module._dataset_id(workspace.config, grid, facts, knowledge)


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
    far = datetime(2030, 1, 1)  # noqa: DTZ001
    few = ["features.measures={}", "features.values={}"]
    late = [{**r, "start": far, "end": None, "end_available_at": None} for r in rows["customers"]]
    late[0] |= {"end": far, "end_available_at": far}
    with pytest.raises(DataError, match="no customer is at risk at any cutoff"):
        build(project({**rows, "customers": late}, sets=few), known_as_of=KNOWN)
    stay = [{**r, "end": None, "end_available_at": None} for r in rows["customers"]]
    stay[0] |= {"end": far, "end_available_at": far}
    with pytest.raises(DataError, match="no customer ends in any of"):
        build(project({**rows, "customers": stay}, sets=few), known_as_of=KNOWN)
