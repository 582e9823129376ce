"""Two versions side by side, and on snapshots that neither learnt from."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from tiny_company import open_tiny

from holdfast.cli.render.parts import text
from holdfast.cli.render.versions import comparison
from holdfast.errors import NotFoundError, NotReadyError, UsageError
from holdfast.evaluation.intervals import evaluate
from holdfast.models.bundle import Bundle
from holdfast.pipelines.compare import Side, compare, paired
from holdfast.pipelines.contest import evaluated_folder
from holdfast.pipelines.train import train
from holdfast.stores.offline import latest_dataset
from holdfast.training.rows import TrainingRows

OTHER = (
    "training.exclude=[tickets_count_3m]",
    "training.estimators={xgboost: {params: {rounds: 3, depth: 2}}}",
)


@pytest.fixture(scope="module")
def two(finished, tmp_path_factory):
    """A workspace with two versions: the champion, and one that reads less and learns less."""
    home = tmp_path_factory.mktemp("two") / "copy"
    shutil.copytree(finished[0], home)
    workspace = open_tiny(home, OTHER)
    assert train(workspace).version == 2
    yield workspace
    workspace.state.close()


@pytest.fixture(scope="module")
def report(two):
    return compare(two, 1, 2)


def test_what_differs_is_side_by_side(two, report):
    bundles = [Bundle.load(two.models / str(n)) for n in (1, 2)]
    assert [side["version"] for side in report["versions"]] == [1, 2]
    assert report["versions"][1]["label"] == dict(bundles[1].provenance.extra["label"])
    assert report["metrics"]["roc_auc"] == [b.metrics["test"]["metrics"]["roc_auc"] for b in bundles]
    assert report["params"]["rounds"] == [10, 3]
    assert "l2" not in report["params"]  # the same in both
    assert report["features"] == {"only_first": ["tickets_count_3m"], "only_second": []}
    shares = [row["shares"] for row in report["importance"]]
    assert sum(share[0] or 0 for share in shares) == pytest.approx(1, abs=1e-4)
    assert max(shares[0]) == max(share for row in shares for share in row if share is not None)


def test_the_paired_difference_is_that_of_the_same_snapshots(two, report):
    dataset = latest_dataset(two.var)
    rows = TrainingRows(dataset.read(), dataset.manifest.schema)
    # both were fitted on everything matured: what they were when they were measured stands for them
    assert report["paired"]["as_evaluated"] == [True, True]
    bundles = [Bundle.load(evaluated_folder(two.models / str(n))) for n in (1, 2)]
    cutoffs = report["paired"]["cutoffs"]
    trained = {c for b in bundles for c in b.provenance.extra["trained_on"]}
    assert not trained & set(cutoffs)
    assert cutoffs == ["2023-09-01", "2023-10-01", "2023-11-01", "2023-12-01"]
    unseen = np.flatnonzero(np.isin(rows.cutoffs, np.array([c[:10] for c in cutoffs], "datetime64[us]")))
    assert report["paired"]["snapshots"] == len(unseen)
    first, second = (
        evaluate(rows.y[unseen], b.predict(rows.take(unseen)), metrics=("log_loss", "roc_auc"), replicates=0)
        for b in bundles
    )
    for name, difference in report["paired"]["differences"].items():
        assert difference["value"] == pytest.approx(second[name].value - first[name].value, abs=1e-12)
        assert difference["low"] <= difference["value"] <= difference["high"]
    turned = compare(two, 2, 1)
    assert turned["paired"]["differences"]["roc_auc"]["value"] == -report["paired"]["differences"]["roc_auc"]["value"]
    assert turned["features"]["only_second"] == ["tickets_count_3m"]


def test_what_cannot_be_paired_says_why(two):
    dataset = latest_dataset(two.var)
    rows = TrainingRows(dataset.read(), dataset.manifest.schema)
    bundle = Bundle.load(two.models / "1")
    first = Side({}, "passed", bundle, None)

    def other(**extra):
        provenance = dataclasses.replace(bundle.provenance, extra={**bundle.provenance.extra, **extra})
        return Side({}, "passed", dataclasses.replace(bundle, provenance=provenance), None)

    for changed, why in (
        (other(label={"kind": "inactivity"}), "have another label"),
        (other(timed=False), "customers of every cutoff"),
        (other(trained_on=["2023-12-01"]), "no matured snapshots from 2024-01-01 on"),
    ):
        with pytest.raises(NotReadyError, match=why):
            paired(two.config.training, first, changed, dataset, rows)


def test_it_is_read_as_a_table(report):
    said = " ".join(text(comparison(report)).split())
    assert said.startswith("Version 1 and version 2")
    assert "gate passed refused" in said
    assert "rounds 10 3" in said
    assert "only version 1 reads tickets_count_3m" in said
    assert f"On the same {report['paired']['snapshots']:,} snapshots that neither learnt from" in said


def test_a_version_without_its_bundle_has_its_figures(two, tmp_path):
    with pytest.raises(UsageError, match="the same version"):
        compare(two, 2, 2)
    with pytest.raises(NotFoundError, match="no version 9"):
        compare(two, 1, 9)
    shutil.move(two.models / "2", tmp_path / "2")
    found = compare(two, 1, 2)
    shutil.move(tmp_path / "2", two.models / "2")
    assert found["metrics"]["roc_auc"][1]["value"] > 0
    said = " ".join(text(comparison(found)).split())
    assert "They cannot be compared on the same snapshots: the bundle of version 2 was removed." in said
