"""state.db says how every verb ended."""

from __future__ import annotations

import pytest
from tiny_company import put_conf

from holdfast.errors import GateRefused, NotReadyError
from holdfast.pipelines.running import recorded_run
from holdfast.pipelines.train import train


@pytest.fixture
def workspace(root, opened, tmp_path):
    put_conf(root, tmp_path)
    return opened(tmp_path)


def last(workspace):
    return workspace.state.last_runs("demo", limit=1)[0]


def test_done(workspace):
    with recorded_run(workspace, "build") as run:
        assert last(workspace).outcome == "running"
        with run.step("reading"):
            pass
        run.dataset_id, run.summary = "abc", {"rows": 3}
    row = last(workspace)
    assert (row.verb, row.outcome, row.exit_code, row.error) == ("build", "done", 0, None)
    assert row.config_hash == workspace.config.hash()
    assert (row.dataset_id, row.summary, list(row.timings)) == ("abc", {"rows": 3}, ["reading"])
    assert row.ended_at >= row.started_at


@pytest.mark.parametrize(
    ("error", "outcome", "exit_code"),
    [
        (NotReadyError("no champion"), "failed", NotReadyError.exit_code),
        (GateRefused("no", ["not better"]), "refused", GateRefused.exit_code),
        (KeyboardInterrupt(), "killed", 1),
        (ZeroDivisionError("division"), "failed", 1),
    ],
)
def test_an_error_is_recorded_and_raised_on(workspace, error, outcome, exit_code):
    def fail():
        with recorded_run(workspace, "train"):
            raise error

    with pytest.raises(type(error)):
        fail()
    row = last(workspace)
    assert (row.outcome, row.exit_code) == (outcome, exit_code)
    assert row.error


def test_training_without_a_dataset_says_what_to_run(workspace):
    with pytest.raises(NotReadyError, match="holdfast build"):
        train(workspace)
