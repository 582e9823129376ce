"""The golden sample: made-up rows, and a bundle that answers them otherwise is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from holdfast.errors import StoreError
from holdfast.models.bundle import Bundle
from holdfast.models.calibrate import Sigmoid
from holdfast.models.golden import ROWS, UNSEEN, as_table, check_golden


def test_rows_are_made_up_from_the_training_ranges(bundle, tools):
    rows = bundle.golden["rows"]
    assert set(rows) == set(bundle.schema.names)
    assert all(len(values) == ROWS for values in rows.values())
    ranges = bundle.reference["ranges"]
    usage = [v for v in rows["usage_3m"] if v is not None]
    assert min(usage) >= ranges["usage_3m"]["min"]
    assert max(usage) <= ranges["usage_3m"]["max"]
    assert len(set(usage)) > 5
    assert {None, UNSEEN} < set(rows["region"]) | set(rows["plan"])
    assert None in rows["usage_3m"]
    real = {tuple(row.values()) for row in tools.table().select(bundle.schema.names).to_pylist()}
    made = {tuple(row.values()) for row in as_table(rows, bundle.schema).to_pylist()}
    assert not real & made


def test_the_answers_are_the_bundles_own_and_survive_being_written(bundle, tmp_path):
    assert np.array_equal(bundle.predict(as_table(bundle.golden["rows"], bundle.schema)), bundle.golden["probability"])
    bundle.save(tmp_path / "b")
    again = Bundle.load(tmp_path / "b")
    assert again.golden == bundle.golden
    assert np.array_equal(again.predict(as_table(again.golden["rows"], again.schema)), bundle.golden["probability"])


def test_another_answer_is_refused_by_how_much(bundle, tmp_path):
    """A bundle whose files agree with their hashes, but whose model answers otherwise on this machine."""
    elsewhere = dataclasses.replace(bundle, calibrator=Sigmoid(0.3, 0.9), written_golden=bundle.golden)
    elsewhere.save(tmp_path / "b")
    with pytest.raises(StoreError, match=r"answers otherwise here .* off by up to 0\.\d+, more than 1e-06"):
        Bundle.load(tmp_path / "b")


def test_the_last_bits_may_differ_on_another_machine(bundle):
    near = {**bundle.golden, "probability": [p + 5e-7 for p in bundle.golden["probability"]]}
    check_golden(near, bundle.schema, bundle.predict, where="x")
    far = {**bundle.golden, "probability": [p + 2e-6 for p in bundle.golden["probability"]]}
    with pytest.raises(StoreError, match="off by up to 2e-06"):
        check_golden(far, bundle.schema, bundle.predict, where="x")


@pytest.mark.parametrize("broken", [{"probability": ["much"] * ROWS}, {"rows": {}}, {"probability": []}])
def test_a_sample_that_says_nothing_is_refused(bundle, broken):
    with pytest.raises(StoreError, match="cannot be read"):
        check_golden({**bundle.golden, **broken}, bundle.schema, bundle.predict, where="x")
