"""Tuning: the same trials for the same seed, within the budget, never worse than the params given, and resumable."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from training_world import FACTS, SCHEMA, section, training_rows, walking

from holdfast.config.learning import EstimatorConfig, Tuning
from holdfast.errors import StoreError
from holdfast.models.calibrate import CalibratorChoice, Identity
from holdfast.models.registry import make_estimator
from holdfast.training import trainer, tuning
from holdfast.training.candidates import Candidate, EncodedFolds, out_of_fold
from holdfast.training.journal import Journal
from holdfast.training.selection import best_line_loss
from holdfast.training.trainer import train
from holdfast.training.tuning import search

SEARCH = {"rounds": (2, 40), "learning_rate": (0.01, 0.5), "l2": (1, 5)}
CONFIG = EstimatorConfig(params={"rounds": 5}, search=SEARCH)
IDENTITY = {"dataset_id": "d"}


def configured(trials=4, seed=3, estimators=None, **more):
    estimators = estimators or {"lightgbm": CONFIG}
    return section(seed=seed, tuning=Tuning(trials=trials, **more)).model_copy(update={"estimators": estimators})


@pytest.fixture(scope="module")
def folds():
    """Four folds, so that there is something to give up after."""
    plan = walking(timed=False)
    more = [*plan.folds, *(replace(f, name=f"{f.name} again") for f in plan.folds)]
    return EncodedFolds(training_rows(), SCHEMA, replace(plan, folds=more))


@pytest.fixture
def counted(monkeypatch):
    """The parameters of every candidate that the search asked for; they are fitted all the same."""
    asked = []

    def counting(folds, name, config, **rest):
        asked.append(dict(config.params))
        return out_of_fold(folds, name, config, **rest)

    monkeypatch.setattr(tuning, "out_of_fold", counting)
    return asked


@pytest.fixture
def quick(monkeypatch):
    """Candidates without a fit: margins that are the better the nearer the parameters are to a point."""
    asked = []

    def made_up(folds, name, config, *, seed, threads, after=lambda *_: None):
        params = {"rounds": 5, "learning_rate": 0.05, "l2": 1.0, **config.params}
        asked.append(params)
        miss = abs(np.log(params["learning_rate"] / 0.1)) + abs(params["l2"] - 3) + abs(params["rounds"] - 20) / 20
        margin, y = np.zeros(0), np.zeros(0)
        for k, fold in enumerate(folds.folds):
            labels = folds.rows.y[fold.test]
            noise = np.random.default_rng(k).normal(size=len(labels))
            margin = np.concatenate([margin, labels + (1 + miss) * noise])
            y = np.concatenate([y, labels])
            after(k + 1, margin, y)
        rows = np.concatenate([f.test for f in folds.folds])
        fold = np.concatenate([np.full(len(f.test), k) for k, f in enumerate(folds.folds)])
        choice, made = CalibratorChoice(Identity(), {"identity": 0.0}), make_estimator(name, config.params)
        return Candidate(name, config, made, rows, margin, fold, choice, best_line_loss(margin, y))

    monkeypatch.setattr(tuning, "out_of_fold", made_up)
    return asked


def test_the_trials_depend_on_the_seed_alone(folds, counted):
    first = search(folds, configured(), threads=1)
    asked = list(counted)
    counted.clear()
    again = search(folds, configured(), threads=2)
    assert counted == asked
    assert len(asked) == 1 + 4
    np.testing.assert_array_equal(first.candidates[0].margin, again.candidates[0].margin)
    assert first.trials == again.trials
    counted.clear()
    search(folds, configured(seed=4), threads=1)
    assert counted[1:] != asked[1:]


def test_values_are_of_the_parameters_type_and_within_the_range(folds, counted):
    (found,) = search(folds, configured(5), threads=1).candidates
    for params in counted[1:]:
        assert isinstance(params["rounds"], int)
        assert isinstance(params["l2"], float)
        assert 2 <= params["rounds"] <= 40
        assert 0.01 <= params["learning_rate"] <= 0.5
    assert dict(found.config.params) in counted
    assert found.log_loss <= out_of_fold(folds, "lightgbm", CONFIG, seed=3, threads=1).log_loss


@pytest.mark.parametrize(("trials", "space"), [(0, SEARCH), (3, {})])
def test_without_trials_or_a_search_space_the_params_stand(folds, counted, trials, space):
    config = configured(trials, estimators={"lightgbm": CONFIG.model_copy(update={"search": space})})
    found = search(folds, config, threads=1)
    assert found.candidates[0].config.params == {"rounds": 5}
    assert (found.trials, found.stopped_by) == ([], [])
    assert len(counted) == 1


def test_the_params_given_are_learnt_from_where_they_lie_within_the_space(folds, quick):
    """Ten trials are random; from then on they gather about what was best, here the params given."""
    near = CONFIG.model_copy(update={"params": {"rounds": 20, "learning_rate": 0.1, "l2": 3.0}})
    told = search(folds, configured(25, estimators={"lightgbm": near}), threads=1).trials
    far = [abs(t["params"]["l2"] - 3) for t in told]
    assert np.mean(far[10:]) < np.mean(far[:10])
    outside = CONFIG.model_copy(update={"params": {"rounds": 41}})
    assert len(search(folds, configured(2, estimators={"lightgbm": outside}), threads=1).trials) == 2


def test_each_way_of_weighing_is_searched_by_itself(folds, quick):
    weighed = CONFIG.model_copy(update={"imbalance": ("none", "scale_pos_weight")})
    found = search(folds, configured(3, estimators={"lightgbm": weighed, "logistic": EstimatorConfig()}), threads=1)
    ways = [("lightgbm", "none"), ("lightgbm", "scale_pos_weight")]
    assert [(c.name, c.config.imbalance[0]) for c in found.candidates] == [*ways, ("logistic", "none")]
    assert [(t["estimator"], t["imbalance"]) for t in found.trials] == [w for w in ways for _ in range(3)]
    assert [(s["stopped_by"], s["trials"]) for s in found.stopped_by] == [("trials", 3)] * 2


# -- what is given up


def test_a_trial_behind_the_median_after_as_many_folds_is_given_up(folds, quick):
    told = search(folds, configured(40), threads=1).trials
    pruned = [t for t in told if t["state"] == "pruned"]
    assert pruned
    assert all(t["state"] == "complete" for t in told[: tuning.TRIALS_BEFORE_PRUNING - 1])
    (start,) = search(folds, configured(0), threads=1).candidates
    y = folds.rows.y[start.rows]
    by_fold = [best_line_loss(start.margin[start.fold <= k], y[start.fold <= k]) for k in range(len(folds))]
    given = {"state": "complete", "log_loss_by_fold": by_fold}  # the params given count as a trial
    for t in told:
        before = [o for o in [given, *told[: t["number"]]] if o["state"] == "complete"]
        done = len(t["log_loss_by_fold"])
        for k, loss in enumerate(t["log_loss_by_fold"][: len(folds) - 1]):
            limit = median(o["log_loss_by_fold"][k] for o in before) if len(before) >= 5 else float("inf")
            assert (loss > limit) == (t["state"] == "pruned" and k == done - 1)
        assert t["pruned_after"] == (done if t["state"] == "pruned" else None)
        assert (t["value"] is None) == (t["state"] == "pruned")
    json.dumps(told, allow_nan=False)


def test_without_pruning_every_trial_is_complete(folds, quick):
    told = search(folds, configured(40, pruning=False), threads=1).trials
    assert {t["state"] for t in told} == {"complete"}


def test_folds_that_are_given_up_are_told_in_order_whatever_the_threads(folds):
    class Enough(Exception):
        pass

    seen = []

    def after(done, margin, y):
        seen.append((done, len(margin), len(y)))
        if done == 2:
            raise Enough

    for threads in (1, 3):
        seen.clear()
        with pytest.raises(Enough):
            out_of_fold(folds, "lightgbm", CONFIG, seed=1, threads=threads, after=after)
        sizes = np.cumsum([len(f.test) for f in folds.folds])
        assert seen == [(1, sizes[0], sizes[0]), (2, sizes[1], sizes[1])]


def test_weighing_does_not_look_like_an_error_to_pruning():
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.2).astype(float)
    margin = 2 * y + rng.normal(size=2000)
    assert best_line_loss(3 * margin + 4, y) == pytest.approx(best_line_loss(margin, y), rel=1e-6)
    base = -(y.mean() * np.log(y.mean()) + (1 - y.mean()) * np.log(1 - y.mean()))
    assert best_line_loss(-margin, y) == pytest.approx(base)
    assert np.isfinite(best_line_loss(margin[:5], np.zeros(5)))


# -- the budget


class Clock:
    """A second, or a step, passes whenever it is looked at."""

    def __init__(self, step=1.0):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def test_the_time_is_for_all_searches_together_and_shared(folds, quick, caplog):
    both = {"lightgbm": CONFIG, "xgboost": CONFIG}
    with caplog.at_level(logging.INFO, logger="holdfast.training.tuning"):
        found = search(folds, configured(1000, estimators=both, seconds=100), threads=1, clock=Clock())
    first, second = found.stopped_by
    assert first["stopped_by"] == second["stopped_by"] == "seconds"
    assert 5 < first["trials"] < 20
    assert abs(first["trials"] - second["trials"]) <= 2
    assert "lightgbm: the search ended by its seconds" in caplog.text


def test_time_that_one_leaves_is_the_nexts(folds, quick):
    few = CONFIG.model_copy(update={"search": {"l2": (1, 5)}})
    budget = {"seconds": 100, "pruning": False}
    alone = search(folds, configured(1000, **budget), threads=1, clock=Clock()).stopped_by[0]["trials"]
    both = {"logistic": EstimatorConfig(), "lightgbm": few}
    found = search(folds, configured(1000, estimators=both, **budget), threads=1, clock=Clock())
    assert abs(found.stopped_by[0]["trials"] - alone) <= 2  # what has no search space takes no share


def test_time_runs_out_between_folds_and_the_params_given_were_tried(folds, quick):
    found = search(folds, configured(1000, seconds=2), threads=1, clock=Clock())
    assert found.candidates[0].config.params == {"rounds": 5}
    assert len(quick) <= 2
    assert found.trials == []


def test_the_params_given_take_of_the_time(folds, quick, monkeypatch):
    clock, made_up = Clock(), tuning.out_of_fold

    def slow(*args, after=None, **rest):
        clock.now += 95 * (after is None)  # the params given
        return made_up(*args, **rest, **({} if after is None else {"after": after}))

    monkeypatch.setattr(tuning, "out_of_fold", slow)
    found = search(folds, configured(1000, seconds=100, pruning=False), threads=1, clock=clock)
    assert (found.trials, found.stopped_by[0]["stopped_by"]) == ([], "seconds")


@pytest.fixture
def timed(folds, quick, tmp_path):
    """A search with a journal, by a clock of its own; ``dies`` is the trial at which it is killed."""

    class Killed(BaseException):
        pass

    def run(trials=1000, seconds=100, estimators=None, dies=None):
        def progress(said):
            if dies is not None and f"trial {dies} " in said:
                raise Killed

        config = configured(trials, estimators=estimators, seconds=seconds, pruning=False)
        quick.clear()
        try:
            return search(
                folds, config, threads=1, folder=tmp_path, identity=IDENTITY, progress=progress, clock=Clock()
            )
        except Killed:
            return None

    return run


def test_a_search_that_its_seconds_ended_is_not_gone_on_with(timed, quick, tmp_path):
    both = {"lightgbm": CONFIG, "xgboost": CONFIG}
    first = timed(estimators=both)
    assert [s["stopped_by"] for s in first.stopped_by] == ["seconds"] * 2
    written = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for trials in (1000, 2000):  # it is time that it lacked
        again = timed(trials, estimators=both)
        assert (again.trials, again.stopped_by, again.settings) == (first.trials, first.stopped_by, first.settings)
        for one, other in zip(first.candidates, again.candidates, strict=True):
            assert one.config == other.config
            np.testing.assert_array_equal(one.margin, other.margin)
        assert len(quick) <= 4  # the params given, and the best
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == written


def test_more_seconds_go_on_and_as_many_as_before_end_where_they_did(timed):
    first, more = timed(), timed(seconds=200)
    assert len(more.trials) > len(first.trials) + 5
    assert more.trials[: len(first.trials)] == first.trials
    assert timed().trials == first.trials
    assert timed(seconds=200).trials == more.trials
    assert (n := len(timed(4).trials)) == 4
    assert timed(n).stopped_by[0]["stopped_by"] == "trials"


def test_a_search_that_others_no_longer_share_the_seconds_with_goes_on(timed):
    both = {"lightgbm": CONFIG, "xgboost": CONFIG}
    shared, alone = timed(estimators=both).stopped_by[0]["trials"], timed().stopped_by[0]["trials"]
    assert alone > shared + 5
    assert timed(estimators=both).stopped_by[0]["trials"] == shared


def test_a_killed_search_has_the_seconds_that_it_had_left(timed, quick, tmp_path):
    alone = timed()
    (journal,) = tmp_path.iterdir()
    for dies in (2, 9):
        journal.unlink()
        timed(dies=dies)
        found = timed()
        assert abs(len(found.trials) - len(alone.trials)) <= 2
        assert len(quick) <= 1 + len(alone.trials) - (dies - 1) + 3
        shared = min(len(found.trials), len(alone.trials))
        assert found.trials[:shared] == alone.trials[:shared]


def test_a_killed_search_of_several_shares_what_is_left(timed):
    both = {"lightgbm": CONFIG, "xgboost": CONFIG}
    assert timed(estimators=both, seconds=200, dies=9) is None
    first, second = timed(estimators=both, seconds=200).stopped_by
    assert abs(first["trials"] - second["trials"]) <= 2


# -- stopped and going on


def test_a_killed_search_goes_on_and_ends_where_one_that_was_not_does(folds, quick, tmp_path):
    """The journal is cut at random bytes, as a kill or a full disk would leave it."""
    whole = search(folds, configured(15), threads=1, folder=tmp_path, identity=IDENTITY)
    (journal,) = tmp_path.iterdir()
    content = journal.read_bytes()
    rng = np.random.default_rng(0)
    in_memory = search(folds, configured(15), threads=1)
    assert in_memory.trials == whole.trials
    for cut in [0, 1, len(content), *rng.integers(2, len(content), 9).tolist()]:
        journal.write_bytes(content[:cut])
        quick.clear()
        again = search(folds, configured(15), threads=1, folder=tmp_path, identity=IDENTITY)
        assert again.trials == whole.trials
        assert again.candidates[0].config == whole.candidates[0].config
        np.testing.assert_array_equal(again.candidates[0].margin, whole.candidates[0].margin)
        done = max(0, content[:cut].count(b"\n") - 1)  # the first line is the study
        assert len(quick) in (1 + 15 - done, 1 + 15 - done + 1)  # the best is fitted again where it was found before
    again = search(folds, configured(15), threads=1, folder=tmp_path, identity=IDENTITY)
    assert journal.read_bytes().count(b"\n") == 1 + 15


def test_more_trials_go_on_and_fewer_take_the_first(folds, quick, tmp_path):
    def run(trials):
        return search(folds, configured(trials), threads=1, folder=tmp_path, identity=IDENTITY)

    few, many = run(8), run(16)
    assert many.trials[:8] == few.trials
    quick.clear()
    assert run(8).trials == few.trials
    assert len(quick) <= 2
    assert search(folds, configured(16), threads=1).trials == many.trials


def test_what_a_trial_depends_on_has_a_journal_of_its_own(folds, quick, tmp_path):
    def run(config, identity=IDENTITY):
        search(folds, config, threads=1, folder=tmp_path, identity=identity)
        return len(list(tmp_path.iterdir()))

    other = CONFIG.model_copy(update={"params": {"rounds": 6}})
    assert run(configured(2)) == 1
    assert run(configured(3, seconds=9)) == 1
    assert run(configured(2, seed=4)) == 2
    assert run(configured(2, pruning=False)) == 3
    assert run(configured(2, estimators={"lightgbm": other})) == 4
    assert run(configured(2), {"dataset_id": "d", "code": "2"}) == 5
    # nobody goes on from the journals of a dataset that there is a newer one of
    assert run(configured(2), {"dataset_id": "e"}) == 1
    assert run(configured(0), {"dataset_id": "f"}) == 0


@pytest.mark.parametrize(
    "end", [b"garbage\n", b"\n", b"\n\n\xff\xfe\n", b"[1]\n7\n", b'{"op_code": 4, "stu', b"\0" * 99]
)
def test_what_is_no_line_at_the_end_of_a_journal_is_cut_off(folds, quick, tmp_path, end):
    def run(trials):
        return search(folds, configured(trials), threads=1, folder=tmp_path, identity=IDENTITY)

    run(3)
    (journal,) = tmp_path.iterdir()
    content = journal.read_bytes()
    journal.write_bytes(content + end)
    again = run(5)
    assert len(quick) <= 1 + 3 + 1 + 2 + 1  # the three were not tried again
    assert again.trials == search(folds, configured(5), threads=1).trials
    assert journal.read_bytes().startswith(content)
    assert len(Journal(journal).read()) == 5


@pytest.mark.parametrize("content", [b"no journal\n{}\n", b'{"op_code": 99}\n', b"\xff\xfe\n{}\n"])
def test_a_journal_that_cannot_be_read_is_begun_anew(folds, quick, tmp_path, content, caplog):
    whole = search(folds, configured(3), threads=1, folder=tmp_path, identity=IDENTITY)
    (journal,) = tmp_path.iterdir()
    journal.write_bytes(content)
    assert search(folds, configured(3), threads=1, folder=tmp_path, identity=IDENTITY).trials == whole.trials
    assert "the search begins anew" in caplog.text
    assert len(Journal(journal).read()) == 3


def test_a_journal_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write the tuning journal .*x\.log"):
        Journal(tmp_path / "file" / "x.log").read()


def test_a_tuned_training_gives_the_same_bundle_killed_or_not(tmp_path):
    """For real, through the trainer: neither journals nor clock nor threads reach the bundle."""
    config = section(
        tuning={"trials": 7}, estimators={"lightgbm": {"params": {"rounds": 5}, "search": {"rounds": [2, 30]}}}
    )

    def trained(threads=1, journals=None):
        return train(
            training_rows(), walking(), config, FACTS, threads=threads, journals=journals,
            reference=lambda *_: {"histograms": {}},
        )  # fmt: skip

    plain, kept = trained(), trained(2, tmp_path)
    (journal,) = tmp_path.iterdir()
    journal.write_bytes(journal.read_bytes()[:-2500])
    assert journal.read_bytes()
    resumed = trained(1, tmp_path)
    assert plain.bundle.sha256 == kept.bundle.sha256 == resumed.bundle.sha256
    assert plain.metrics["trials"] == kept.metrics["trials"] == resumed.metrics["trials"]
    assert plain.metrics["tuning"] == [
        {"estimator": "lightgbm", "imbalance": "none", "stopped_by": "trials", "trials": 7}
    ]


def test_a_tuned_training_that_its_seconds_ended_gives_the_same_bundle_again(tmp_path, monkeypatch):
    """However fast the second run is, and whether the first was killed in the end."""
    config = section(
        tuning={"trials": 1000, "seconds": 60},
        estimators={"lightgbm": {"search": {"rounds": [2, 9]}}},
        prior_shift=False,
    )
    clocks = iter([Clock(), Clock(step=9), Clock(step=0.01)])

    def trained():
        clock = next(clocks)
        monkeypatch.setattr(trainer, "search", lambda *args, **rest: search(*args, **rest, clock=clock))
        return train(
            training_rows(), walking(timed=False), config, FACTS, threads=1, journals=tmp_path,
            reference=lambda *_: {"histograms": {}},
        )  # fmt: skip

    first, slower, faster = trained(), trained(), trained()
    assert first.metrics["tuning"][0]["stopped_by"] == "seconds"
    assert first.metrics["tuning"][0]["trials"] > 3
    assert first.metrics == slower.metrics == faster.metrics
    assert first.bundle.sha256 == slower.bundle.sha256 == faster.bundle.sha256


# -- what the folds' own figures are of, where they are the test


def test_every_setting_that_was_tried_to_the_end_is_handed_on(folds, counted, tmp_path):
    estimators = {"lightgbm": CONFIG, "logistic": EstimatorConfig()}
    config = configured(12, estimators=estimators)
    found = search(folds, config, threads=1, folder=tmp_path, identity=IDENTITY)
    complete = [t for t in found.trials if t["state"] == "complete"]
    assert len(complete) < 12
    assert [s.config.params for s in found.settings] == [{"rounds": 5}, {}, *(t["params"] for t in complete)]
    assert all(len(s.losses) == len(folds) for s in found.settings)
    again = search(folds, config, threads=1, folder=tmp_path, identity=IDENTITY)
    assert again.settings == found.settings  # also those from the journal
    tried = found.settings[-1]
    one = out_of_fold(folds, tried.name, tried.config, seed=3, threads=1)
    for k, loss in enumerate(tried.losses):
        assert loss == best_line_loss(one.margin[one.fold == k], folds.rows.y[one.rows[one.fold == k]])
