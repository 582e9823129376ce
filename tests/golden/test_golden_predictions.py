"""Bundles that were made once answer as they did there and then.

``benchmarks/other_machine.py`` puts the same questions to other types of machine.
"""

from __future__ import annotations

import numpy as np
import pytest
from golden_files import BUNDLES, ESTIMATORS, TOLERANCE, answers, deviations, in_bulk, repeated, rows, written

from holdfast.models.bundle import Bundle
from holdfast.models.registry import FITTED


@pytest.fixture(scope="module", params=ESTIMATORS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def bundle(name):
    return Bundle.load(BUNDLES / name)


@pytest.fixture(scope="module")
def table(bundle):
    return rows(bundle.schema)


def test_there_is_a_bundle_of_every_estimator():
    assert set(ESTIMATORS) == set(FITTED) == {folder.name for folder in BUNDLES.iterdir()}


def test_together(name, bundle, table):
    assert max(deviations(answers(bundle, table), written(name)).values()) <= TOLERANCE


def test_one_by_one(name, bundle, table):
    single = [answers(bundle, table.slice(i, 1)) for i in range(len(table))]
    here = {kind: np.concatenate([one[kind] for one in single]) for kind in single[0]}
    assert max(deviations(here, written(name)).values()) <= TOLERANCE


def test_in_bulk(name, bundle, table):
    """As scoring does: on several threads, contributions from our own tables."""
    many = in_bulk(table)
    assert max(deviations(answers(bundle, many), repeated(written(name), len(many))).values()) <= TOLERANCE


def test_the_rows_are_hard(bundle, table):
    """Nulls, levels never seen and values out of every range are among them, and answers differ."""
    levels = {f.name: set(bundle.reference["ranges"][f.name]["levels"]) for f in bundle.schema if f.kind == "category"}
    assert all(table.column(f.name).null_count for f in bundle.schema)
    assert all(set(table.column(c).to_pylist()) - {None} - known for c, known in levels.items())
    numbers = [table.column(f.name).to_numpy() for f in bundle.schema if f.kind == "number"]
    assert any(np.nanmax(np.abs(column)) > 3e38 for column in numbers)
    assert len(set(bundle.predict(table))) > len(table) / 3


def test_an_answer_that_is_off_or_missing_is_seen(name):
    there = written(name)
    off = {**there, "margin": there["margin"] + np.where(np.arange(len(there["margin"])) == 3, 2e-6, 0)}
    assert deviations(off, there)["margin"] > TOLERANCE
    unknown = {**there, "probability": np.full(len(there["probability"]), np.nan)}
    assert deviations(unknown, there)["probability"] == np.inf
