"""Which snapshots a challenger and a champion are compared on, and by whose predictions."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from holdfast.clock import parse_instant
from holdfast.evaluation.intervals import evaluate
from holdfast.models.bundle import Bundle
from holdfast.pipelines.contest import contest, evaluated_folder, unseen_file, unseen_from, write_unseen
from holdfast.pipelines.train import fold_plan
from holdfast.stores.offline import latest_dataset
from holdfast.training.gate import Contest
from holdfast.training.rows import TrainingRows
from holdfast.training.trainer import Measured, Trained

REGION = "customers_region"


def with_extra(bundle: Bundle, **extra) -> Bundle:
    provenance = dataclasses.replace(bundle.provenance, extra={**bundle.provenance.extra, **extra})
    return dataclasses.replace(bundle, provenance=provenance)


@pytest.fixture
def world(copied, opened):
    """The tiny company's champion as the challenger that it was, on its test cutoffs."""
    workspace = opened(copied, f"training.slices=[{REGION}]")
    dataset = latest_dataset(workspace.var)
    rows = TrainingRows(dataset.read(), dataset.manifest.schema)
    plan = fold_plan(workspace.config, dataset, rows)
    path = workspace.models / "1"
    bundle, evaluated = Bundle.load(path), Bundle.load(evaluated_folder(path))
    at = plan.final.test
    p = evaluated.predict(rows.take(at))
    measured = Measured(at, p, evaluate(rows.y[at], p, replicates=0), {})
    return workspace, rows, Trained(bundle, evaluated, measured, bundle.metrics), path


def put(path, bundle: Bundle) -> None:
    shutil.rmtree(path)
    bundle.save(path)


def test_a_champion_fitted_on_the_test_is_stood_for_by_the_model_that_it_was_before(world):
    workspace, rows, trained, _ = world
    found = contest(workspace, workspace.state.champion("demo"), rows, trained)
    assert isinstance(found, Contest)
    assert found.against == "version 1 as it was evaluated"
    at = trained.measured.rows
    np.testing.assert_array_equal(found.y, rows.y[at])
    np.testing.assert_array_equal(found.customers, rows.customers[at])
    np.testing.assert_array_equal(found.champion, trained.evaluated.predict(rows.take(at)))
    np.testing.assert_array_equal(found.challenger, trained.measured.p)
    assert list(found.slices) == [REGION]
    assert len(found.slices[REGION]) == len(at)


def test_a_champion_that_has_not_seen_as_much_stands_for_itself(world):
    workspace, rows, trained, path = world
    early = trained.evaluated.provenance.extra["trained_on"]
    put(path, with_extra(trained.bundle, trained_on=early))
    found = contest(workspace, workspace.state.champion("demo"), rows, trained)
    assert isinstance(found, Contest)
    assert found.against == "version 1"
    np.testing.assert_array_equal(found.champion, trained.bundle.predict(rows.take(trained.measured.rows)))


def test_only_snapshots_after_the_windows_of_its_last_labels_are_unseen(world):
    workspace, rows, trained, path = world
    cutoffs = np.unique(rows.cutoffs[trained.measured.rows])
    some = [str(c)[:10] for c in cutoffs[:1]]  # it was trained on the first of the three test cutoffs
    put(path, with_extra(trained.bundle, trained_on=some))
    shutil.rmtree(evaluated_folder(path))
    with_extra(trained.evaluated, trained_on=[str(c)[:10] for c in cutoffs]).save(evaluated_folder(path))
    champion = workspace.state.champion("demo")
    found = contest(workspace, champion, rows, trained)
    assert isinstance(found, Contest)
    assert len(found.y) == int((rows.cutoffs[trained.measured.rows] >= cutoffs[1]).sum())
    # a label of two months reaches over the second test cutoff too
    windows = trained.bundle.provenance.extra["windows"]
    put(path, with_extra(trained.bundle, trained_on=some, windows=windows | {some[0]: str(cutoffs[2])[:10]}))
    found = contest(workspace, champion, rows, trained)
    assert isinstance(found, Contest)
    assert len(found.y) == int((rows.cutoffs[trained.measured.rows] >= cutoffs[2]).sum())


def test_the_cutoffs_that_chose_and_calibrated_a_model_are_not_unseen_to_it(world):
    _, rows, trained, path = world
    cutoffs = [str(c)[:10] for c in np.unique(rows.cutoffs)]
    put(path, with_extra(trained.bundle, trained_on=cutoffs[:1]))
    bundle = Bundle.load(path)
    last = max(c for fold in bundle.metrics["folds"]["validation"] for c in fold["test_cutoffs"])
    assert unseen_from(bundle) == parse_instant(bundle.provenance.extra["windows"][last])
    assert last > cutoffs[0]


def test_with_nothing_unseen_nothing_can_be_said(world):
    workspace, rows, trained, path = world
    cutoffs = [str(c)[:10] for c in np.unique(rows.cutoffs)]
    put(path, with_extra(trained.bundle, trained_on=cutoffs))
    shutil.rmtree(evaluated_folder(path))
    with_extra(trained.evaluated, trained_on=cutoffs).save(evaluated_folder(path))
    found = contest(workspace, workspace.state.champion("demo"), rows, trained)
    assert found == "there are no matured snapshots, with churners among them, that neither model was trained on"


def test_without_the_model_that_it_was_before_a_champion_stands_for_itself(world):
    """It has seen the test: nothing is left, and that is what is said."""
    workspace, rows, trained, path = world
    champion = workspace.state.champion("demo")
    (evaluated_folder(path) / "model.json").write_text("{}")
    damaged = contest(workspace, champion, rows, trained)
    shutil.rmtree(evaluated_folder(path))
    nothing = "there are no matured snapshots, with churners among them, that neither model was trained on"
    assert damaged == contest(workspace, champion, rows, trained) == nothing


def test_models_of_months_and_of_groups_of_customers_are_not_compared(world):
    workspace, rows, trained, path = world
    put(path, with_extra(trained.bundle, timed=False))
    found = contest(workspace, workspace.state.champion("demo"), rows, trained)
    assert found == "one was trained on months and the other on groups of customers"


def test_another_question_has_another_answer(world):
    workspace, rows, trained, path = world
    label = trained.bundle.provenance.extra["label"]
    put(path, with_extra(trained.bundle, label={**label, "horizon": "2m", "delay": "30d"}))
    found = contest(workspace, workspace.state.champion("demo"), rows, trained)
    assert found == "the champion answers another question (label: horizon)"


def test_on_reconstructed_history_predictions_out_of_fold_are_compared(world):
    workspace, rows, trained, path = world
    order = np.random.default_rng(0).permutation(len(rows))
    p, theirs = (np.random.default_rng(seed).uniform(0.01, 0.2, len(rows)) for seed in (1, 2))

    def grouped(p):
        return dataclasses.replace(
            trained, bundle=with_extra(trained.bundle, timed=False), evaluated=None,
            measured=dataclasses.replace(trained.measured, rows=order, p=p[order]),
        )  # fmt: skip

    champion = workspace.state.champion("demo")
    put(path, with_extra(trained.bundle, timed=False))
    found = contest(workspace, champion, rows, grouped(p))
    assert isinstance(found, str)
    assert "are not kept" in found
    write_unseen(unseen_file(path), rows, grouped(theirs))
    found = contest(workspace, champion, rows, grouped(p))
    assert isinstance(found, Contest)
    np.testing.assert_array_equal(found.y, rows.y)
    np.testing.assert_array_equal(found.challenger, p)
    np.testing.assert_array_equal(found.champion, theirs)
    assert found.against == "version 1, each row out of fold"

    half = len(rows) // 2 - 1
    few = dataclasses.replace(
        grouped(theirs), measured=dataclasses.replace(trained.measured, rows=order[:half], p=theirs[order[:half]])
    )
    write_unseen(unseen_file(path), rows, few)
    found = contest(workspace, champion, rows, grouped(p))
    assert isinstance(found, str)
    assert f"measured on other snapshots ({half:,} of its {half:,} are among the {len(rows):,} here)" in found
