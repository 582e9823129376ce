"""Any changed byte of a dataset's files is found and the file named; so are files missing, strange or miscounted."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_offline import FEB, MAR, manifest, part, written_by_duckdb

from holdfast.artifacts.dataset import MANIFEST, Dataset
from holdfast.artifacts.files import sha256_of, write_json
from holdfast.stores.verify import damaged, dataset_problems


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    states = replace(manifest(), cutoffs=tuple(replace(c, positives=1) for c in manifest().cutoffs))
    return written_by_duckdb(tmp_path, states, {FEB: part(FEB), MAR: part(MAR)})


def rewritten(dataset: Dataset, **first: object) -> Dataset:
    """The dataset with other facts about its first cutoff in the manifest."""
    data = json.loads((dataset.path / MANIFEST).read_text())
    data["cutoffs"][0] |= first
    write_json(dataset.path / MANIFEST, data)
    return Dataset.open(dataset.path)


def test_a_dataset_as_written_has_no_problems_and_names_its_hashes(dataset):
    assert dataset_problems(dataset) == []
    assert [c.sha256 for c in Dataset.open(dataset.path).manifest.cutoffs] == [sha256_of(f) for f in dataset.files()]
    assert not damaged(dataset, FEB)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_one_changed_bit_anywhere_is_found_and_named(dataset, data):
    file = dataset.part(MAR)
    written = file.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(written) - 1))
    changed = bytearray(written)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        file.write_bytes(changed)
        (problem,) = dataset_problems(dataset)
        assert (problem.where, "bytes are not those" in problem.what) == (str(file), True)
        assert damaged(dataset, MAR)
    finally:
        file.write_bytes(written)


def test_missing_strange_and_miscounted(dataset):
    (dataset.path / "notes.txt").write_text("mine")
    dataset.part(FEB).unlink()
    missing, strange = dataset_problems(dataset)
    assert (missing.where, missing.what) == (str(dataset.part(FEB)), "the file is missing")
    assert (strange.count, strange.examples) == (1, ("notes.txt",))
    assert damaged(dataset, FEB)
    (dataset.path / "notes.txt").unlink()
    shutil.copy(dataset.part(MAR), dataset.part(FEB))

    unhashed = rewritten(dataset, sha256="", snapshots=4, positives=2, states={"matured": 2, "immature": 1})
    (wrong,) = dataset_problems(unhashed)
    assert wrong.what == (
        "snapshots 3, the manifest says 4; positives 1, the manifest says 2; "
        "states {'matured': 3}, the manifest says {'immature': 1, 'matured': 2}"
    )
    assert not damaged(unhashed, FEB)  # it was not recorded what it was
    dataset.part(FEB).write_bytes(b"PAR1")
    (unreadable,) = dataset_problems(unhashed)
    assert unreadable.what.startswith("it cannot be read: ")


def test_another_datasets_manifest_and_other_columns(dataset):
    moved = dataset.path.rename(dataset.path.with_name("d9"))
    (name,) = dataset_problems(Dataset.open(moved))
    assert (name.where, name.what) == (str(moved / MANIFEST), "it is the manifest of dataset d1")
    narrow = replace(dataset.manifest, dataset_id="d9", schema=dataset.manifest.schema.only(["usage"]))
    columns, _ = dataset_problems(Dataset(moved, narrow))
    assert (columns.what, columns.examples) == (
        "its columns are not the manifest's", ("pyarrow.Field<plan: string>",),
    )  # fmt: skip
