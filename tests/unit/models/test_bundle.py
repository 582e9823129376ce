"""A bundle is the same bytes for the same training, complete or absent, and never read when altered."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logit

from holdfast.errors import DataError, NotFoundError, StoreError
from holdfast.models.bundle import Bundle
from holdfast.models.calibrate import Shifted
from holdfast.models.tree_shap import TOLERANCE


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "logistic", "rfm"])
@pytest.mark.parametrize("one_hot_max", [0, 8])
def test_a_loaded_bundle_answers_as_the_saved_one(tools, tmp_path, name, one_hot_max):
    made = tools.bundle(name, one_hot_max=one_hot_max)
    sha = made.save(tmp_path / "b")
    again = Bundle.load(tmp_path / "b")
    table = tools.table(300, seed=8)
    assert np.array_equal(again.predict(table), made.predict(table))
    assert again.explain(table) == made.explain(table)
    assert again.sha256 == sha == made.sha256
    assert sha == hashlib.sha256((tmp_path / "b" / "manifest.json").read_bytes()).hexdigest()
    assert (again.provenance, again.schema, again.metrics) == (made.provenance, made.schema, made.metrics)


def test_training_twice_gives_the_same_bytes(tools, bundle):
    assert tools.bundle().sha256 == bundle.sha256
    assert tools.bundle(min_count=1).sha256 != bundle.sha256


def test_probabilities_and_reasons_hang_together(bundle, tools):
    table = tools.table(400, seed=9)
    p = bundle.predict(table)
    assert p.dtype == np.float64
    assert 0 < p.min() < p.max() < 1
    parts, base = bundle.contributions(table)
    assert parts.shape == (400, len(bundle.schema))
    assert np.abs(parts.sum(axis=1) + base - bundle.margin(table)).max() < TOLERANCE
    found = bundle.explain(table)
    assert max(map(len, found)) == 3
    reason = found[0][0]
    assert reason.typical == bundle.typicals[reason.feature]
    assert reason.label == bundle.schema[reason.feature].label


def test_a_cutoff_tells_the_month(bundle, tools, tmp_path):
    offsets = tuple(float(o) for o in np.linspace(-0.5, 0.6, 12))
    shifted = dataclasses.replace(bundle, calibrator=Shifted(bundle.calibrator, offsets))
    shifted.save(tmp_path / "b")
    table = tools.table(24, seed=4)
    cutoffs = np.arange("2023-01", "2025-01", dtype="datetime64[M]").astype("datetime64[us]")
    dated = table.append_column("cutoff", pa.array(cutoffs))
    found = Bundle.load(tmp_path / "b").predict(dated)
    np.testing.assert_array_equal(shifted.scored(dated)[0], found)  # what a batch is scored with
    np.testing.assert_allclose(logit(found) - logit(bundle.predict(table)), np.tile(offsets, 2), atol=1e-9)
    average = logit(shifted.predict(table)) - logit(bundle.predict(table))
    np.testing.assert_allclose(average, np.mean(offsets), atol=1e-9)


def test_one_row_is_answered_as_among_many(bundle, tools):
    table = tools.table(60, seed=4)
    many = bundle.predict(table)
    assert [bundle.predict(table.slice(i, 1))[0] for i in range(60)] == many.tolist()
    assert bundle.explain(table.slice(7, 1))[0] == bundle.explain(table)[7]
    assert bundle.predict(table.slice(0, 0)).shape == (0,)
    assert bundle.explain(table.slice(0, 0)) == []


def test_unknown_levels_and_rows_of_nulls_are_answered(bundle):
    nulls = pa.table({f.name: pa.nulls(2, f.arrow_type) for f in bundle.schema})
    assert np.isfinite(bundle.predict(nulls)).all()
    with pytest.raises(DataError, match="'plan' is missing"):
        bundle.predict(nulls.drop_columns(["plan"]))


def test_the_manifest_says_where_it_came_from_and_no_time(bundle, tmp_path):
    bundle.save(tmp_path / "b")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest == bundle.manifest
    assert manifest["dataset_id"] == "d" * 8
    assert manifest["schema_sha256"] == bundle.schema.sha256
    assert set(manifest["files"]) == {p.name for p in (tmp_path / "b").iterdir()} - {"manifest.json"}
    for name, sha in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "b" / name).read_bytes()).hexdigest() == sha


def test_saving_again_changes_nothing_and_another_is_refused(bundle, tmp_path):
    bundle.save(tmp_path / "b")
    bundle.save(tmp_path / "b")
    other = dataclasses.replace(bundle, metrics={"roc_auc": 0.8})
    with pytest.raises(StoreError, match="something else"):
        other.save(tmp_path / "b")
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    "name",
    ["model.json", "encoder.json", "calibrator.json", "schema.json", "reference.json", "metrics.json", "golden.json"],
)
def test_a_changed_or_missing_file_is_named(bundle, tmp_path, name):
    bundle.save(tmp_path / "b")
    path = tmp_path / "b" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(StoreError, match=f"{name} is changed"):
        Bundle.load(tmp_path / "b")
    path.unlink()
    with pytest.raises(StoreError, match=f"{name} is missing"):
        Bundle.load(tmp_path / "b")


def test_an_extra_file_is_named_and_a_missing_bundle_said(bundle, tmp_path):
    bundle.save(tmp_path / "b")
    (tmp_path / "b" / "notes.txt").write_text("hello")
    with pytest.raises(StoreError, match=r"notes\.txt is not in the manifest"):
        Bundle.load(tmp_path / "b")
    with pytest.raises(NotFoundError, match="no bundle"):
        Bundle.load(tmp_path / "none")


def test_a_manifest_that_agrees_with_itself_but_not_with_us_is_refused(bundle, tmp_path):
    bundle.save(tmp_path / "b")
    path = tmp_path / "b" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"format": "holdfast-bundle-9"}))
    with pytest.raises(StoreError, match="holdfast-bundle-9"):
        Bundle.load(tmp_path / "b")
    path.write_text(json.dumps({"format": "holdfast-bundle-9", "contents": {}}))
    with pytest.raises(StoreError, match=r"is of format 'holdfast-bundle-9'; this version of holdfast reads") as caught:
        Bundle.load(tmp_path / "b")
    assert "Read it with the version of holdfast that wrote it" in str(caught.value.fix)
    path.write_text(json.dumps(manifest | {"model": "catboost"}))
    with pytest.raises(StoreError, match="unknown estimator, 'catboost'"):
        Bundle.load(tmp_path / "b")
    path.write_text(json.dumps(manifest | {"surprise": 1}))
    with pytest.raises(StoreError, match="not written by this version"):
        Bundle.load(tmp_path / "b")
    path.write_text("{")
    with pytest.raises(StoreError, match="cannot read"):
        Bundle.load(tmp_path / "b")


def test_nothing_is_left_where_writing_fails(bundle, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        bundle.save(tmp_path / "file" / "b")
    broken = dataclasses.replace(bundle, metrics={"roc_auc": float("nan")})
    with pytest.raises(StoreError, match="JSON"):
        broken.save(tmp_path / "b")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_card_is_in_it_as_written_and_guarded(bundle, tmp_path):
    carded = dataclasses.replace(bundle, card={"card.md": "# shop: \u00e9\r\n", "card.html": "<p>shop</p>"})
    assert carded.sha256 != bundle.sha256
    carded.save(tmp_path / "b")
    assert (tmp_path / "b" / "card.html").read_bytes() == b"<p>shop</p>"
    again = Bundle.load(tmp_path / "b")
    assert again.card == carded.card
    assert again.sha256 == carded.sha256
    (tmp_path / "b" / "card.md").write_text("# better")
    with pytest.raises(StoreError, match=r"card\.md is changed"):
        Bundle.load(tmp_path / "b")


def test_a_card_that_is_not_text_is_refused(bundle, tmp_path):
    dataclasses.replace(bundle, card={"card.md": "# shop"}).save(tmp_path / "b")
    path = tmp_path / "b" / "manifest.json"
    manifest = json.loads(path.read_text())
    (tmp_path / "b" / "card.md").write_bytes(b"# J\xe9r\xf4me")
    manifest["files"]["card.md"] = hashlib.sha256(b"# J\xe9r\xf4me").hexdigest()
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="is not UTF-8"):
        Bundle.load(tmp_path / "b")
