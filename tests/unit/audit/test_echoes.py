"""One leak, one name: what only says that something is odd goes where another finding says why."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from holdfast.artifacts.schema import FeatureSpec
from holdfast.audit.identity import _calendar
from holdfast.audit.report import Finding
from holdfast.audit.run import _without_echoes


def finding(name: str, where: str) -> Finding:
    return Finding(name, "suspicion", "high", where, "", "")


def names(*found: Finding) -> list[str]:
    return [f.name for f in _without_echoes(found, {"orders_last_12m": "orders.total"})]


def test_a_feature_is_explained_by_its_column():
    odd, why = finding("level-gives-label-away", "orders_last_12m"), finding("final-value-copied-back", "orders.total")
    assert names(odd) == [odd.name]
    assert names(odd, why) == [why.name]
    assert names(finding("implausible-auc", "other"), why) == ["implausible-auc", why.name]


def test_nobody_but_churners_is_what_an_unfinished_window_looks_like():
    alone = finding("only-positives", "population")
    assert names(alone) == ["only-positives"]
    assert names(alone, finding("immature-label-filled", "data.complete_through")) == ["immature-label-filled"]


def test_a_window_that_was_moved_as_a_whole_is_one_mistake():
    """Those who left before it are extra snapshots, those who leave at its end have another label."""
    closes, opens = finding("label-window-closes-early", "label"), finding("label-window-opens-early", "population")
    assert names(closes) == [closes.name]
    assert names(closes, opens) == [opens.name]


@pytest.mark.filterwarnings("error")
def test_a_feature_that_is_unknown_at_whole_cutoffs_is_no_calendar():
    """A feed that stopped: null for everybody, from a cutoff on."""
    at = np.repeat(np.array(["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"], "datetime64[us]"), 2)
    for values, found in (([1, 1, 2, 2, None, None, None, None], 0), ([1, 1, 2, 2, 3, 3, 4, 4], 1)):
        stored = pa.table({"cutoff": at, "x": pa.array(values, pa.float32())})
        assert len(_calendar(SimpleNamespace(stored=stored), [FeatureSpec("x", "number", "x", "x")])) == found
