"""The promotion gate: how often it is fooled by luck, and how much data it needs to see a real gain.

    python benchmarks/gate.py [--quick]

All models are the shipped XGBoost of the demo, fitted on one training company and calibrated on its last months, as
``holdfast train`` does, but not corrected for the months. They are judged by the gate's own checks, with the shipped
margins, on test companies: each simulated by itself (other customers, another path of the economy), its last three
matured cutoffs.

- A/A: pairs that differ in nothing but the seed, each pair on a test company of its own (a model is champion of one
  pair and challenger of the next). At most 5% may be promoted
- a real gain: the champion knows less (no usage, no tickets). How many test snapshots until the gate says yes in 80%
  of trials; the gain itself is measured on all test companies together
- ranks better, means less: the better model with its log-odds moved up, so that it promises more churn than there is.
  It must be refused, though it ranks better than the champion

Exit code 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit, logit
from scipy.stats import beta

from _companies import company_of, together
from _shared import machine
from holdfast.artifacts.schema import FeatureSchema
from holdfast.config.schema import Config
from holdfast.evaluation.calibration import ece, wilson
from holdfast.evaluation.intervals import evaluate, paired_difference
from holdfast.models.calibrate import Calibrator, choose_calibrator
from holdfast.models.registry import make_estimator
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.campaign import campaign_of
from holdfast.training.candidates import Fitted, fit
from holdfast.training.gate import Check, Contest, against_champion, worth_having
from holdfast.training.rows import TrainingRows

REPOSITORY = Path(__file__).resolve().parent.parent
ESTIMATOR = "xgboost"
CALIBRATED_ON = 4
TESTED_ON = 3
TRAINING_SEED, FIRST_SEED = 5001, 10_000
LESS = ("usage", "tickets")
"""Tables that the weaker champion does not read."""
TOO_HIGH = 0.7
"""Added to the log-odds of the model that promises too much: about twice the churn there is."""
MOST_AA, POWER = 0.05, 0.80
GROUPS = (1, 2, 3, 4, 6, 8, 12)
"""Test companies put together, for the power curve."""

FloatArray = npt.NDArray[np.float64]
Places = list[npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Model:
    fitted: Fitted
    calibrator: Calibrator

    def probability(self, table: pa.Table) -> FloatArray:
        return self.calibrator.probability(self.fitted.model.margin(self.fitted.encoder.transform(table)))


@dataclass(frozen=True)
class Judged:
    promoted: bool
    refused_by: tuple[str, ...]
    n: int
    churners: int


def trained(config: Config, rows: TrainingRows, schema: FeatureSchema, seed: int) -> Model:
    """Fitted on all rows, calibrated on its last cutoffs by a model of those before."""
    estimator_config = config.training.estimators[ESTIMATOR]
    estimator = make_estimator(ESTIMATOR, estimator_config.params)
    cutoffs = np.unique(rows.cutoffs)
    # the labels of a cutoff are known a month and a week later: one cutoff lies between
    before = np.flatnonzero(rows.cutoffs < cutoffs[-CALIBRATED_ON - 1])
    last = np.flatnonzero(rows.cutoffs >= cutoffs[-CALIBRATED_ON])
    early = fit(rows, before, schema, estimator, estimator_config, seed=seed)
    margin = early.model.margin(early.encoder.transform(rows.take(last)))
    calibrator = choose_calibrator(margin, rows.y[last], clusters=rows.customers[last]).calibrator
    return Model(fit(rows, np.arange(len(rows)), schema, estimator, estimator_config, seed=seed), calibrator)


def judged(config: Config, rows: TrainingRows, at: npt.NDArray[np.int64], new: FloatArray, old: FloatArray) -> Judged:
    """The gate's checks that compare figures; audit, golden sample and latency do not depend on the draw."""
    training = config.training
    # the budget is spread over all customers of a company, and the other companies' are not
    rows = TrainingRows(rows.table.take(pa.array(at)), rows.schema)
    everyone = np.arange(len(at), dtype=np.int64)
    y, customers = rows.y, rows.customers
    slices = {name: rows.values(name, everyone) for name in training.slices}
    contest = Contest(y, new, old, customers, campaign_of(config, rows, everyone), slices, "the champion")
    checks: list[Check] = worth_having(
        evaluate(y, new, customers, metrics=("lift_at_10",), replicates=training.bootstrap, seed=training.seed),
        float(ece(y, new)), training.promotion,
    )  # fmt: skip
    checks += against_champion(contest, training.promotion, replicates=training.bootstrap, seed=training.seed)
    refused = tuple(check.name for check in checks if not check.passed)
    return Judged(not refused, refused, len(at), int(y.sum()))


def told(found: Sequence[Judged]) -> str:
    promoted = sum(j.promoted for j in found)
    low, high = wilson(promoted, len(found))
    why = Counter(name for j in found for name in j.refused_by)
    refused = ", ".join(f"{name} {count}" for name, count in why.most_common()) or "none"
    return f"{promoted:4} of {len(found):4} promoted ({low:.1%} to {high:.1%}); refused by: {refused}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="12 pairs on smaller companies")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--customers", type=int, default=1500, help="of each test company")
    parser.add_argument("--training-customers", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.quick:
        options.pairs, options.customers, options.training_customers = 12, 600, 1500
    with tempfile.TemporaryDirectory(prefix="holdfast-") as home:
        holds = compared(Path(home), options)
    print("all claims hold" if holds else "NOT all claims hold")
    raise SystemExit(0 if holds or options.quick else 1)


def say(text: str = "") -> None:
    """A line of the report, at once: the whole takes a while."""
    print(text, flush=True)


def compared(home: Path, options: argparse.Namespace) -> bool:
    say("The promotion gate: luck, and a real gain")
    say(machine())
    conf = REPOSITORY / "conf"
    test_space = together(
        conf, home / "test", "demo", range(FIRST_SEED, FIRST_SEED + options.pairs), options.customers,
        ["data.cutoffs.first=2024-08-01"], processes=options.processes,
    )  # fmt: skip
    test = read(test_space)
    cutoffs = np.unique(test.cutoffs)[-TESTED_ON:]
    # labels of a training cutoff are known a month and a week later, and the test begins after that
    train_space = together(
        conf, home / "training", "demo", [TRAINING_SEED], options.training_customers, ["data.cutoffs.last=2024-08-01"],
    )  # fmt: skip
    rows, config = read(train_space), test_space.config
    company = company_of(test.table)
    inside = np.isin(test.cutoffs, cutoffs)
    places = [np.flatnonzero(inside & (company == i)) for i in range(options.pairs)]
    say(
        f"\ntraining company: seed {TRAINING_SEED}, {len(rows):,} snapshots; {options.pairs} test companies of "
        f"{options.customers:,} customers, cutoffs {', '.join(str(c)[:10] for c in cutoffs)}"
    )
    shared = (config, rows, test, places)
    with ProcessPoolExecutor(options.processes, initializer=_SHARED.append, initargs=(shared,)) as pool:
        return luck(pool, places) & gain(pool, rows, test, places)


def luck(pool: ProcessPoolExecutor, places: Places) -> bool:
    """Whether at most `MOST_AA` of the pairs that differ by their seed alone were promoted."""
    # seed i is champion on company i, and seed i + 1 its challenger: every model stands in two pairs
    spoken = list(pool.map(_spoken, range(len(places) + 1)))
    new, old = [said for _, said in spoken[1:]], [said for said, _ in spoken[:-1]]
    pairs = list(pool.map(_judged, places, new, old))
    fooled = sum(j.promoted for j in pairs)
    upper = float(beta.ppf(0.95, fooled + 1, len(pairs) - fooled)) if fooled < len(pairs) else 1.0
    say(
        f"\nA/A, the same training data and another seed, {np.mean([j.n for j in pairs]):,.0f} snapshots with "
        f"{np.mean([j.churners for j in pairs]):.0f} churners each:"
    )
    say(f"  {told(pairs)}")
    say(f"  with pairs taken for independent (they share the training company), the true share is below {upper:.1%}")
    return fooled <= MOST_AA * len(pairs)


def gain(pool: ProcessPoolExecutor, rows: TrainingRows, test: TrainingRows, places: Places) -> bool:
    """Whether a real gain is seen in 80% of trials at some size, and one that promises too much never passes."""
    everywhere = np.concatenate(places)
    ends = np.cumsum([0, *(len(p) for p in places)])
    less = [f.name for f in rows.schema if f.source in LESS]
    better, worse = pool.map(_everywhere, [(), less])
    overdone = np.asarray(expit(logit(better) + TOO_HIGH), dtype=np.float64)
    y, customers = test.y[everywhere], test.customers[everywhere]
    auc = [
        evaluate(y, p, customers, metrics=("roc_auc",), replicates=0)["roc_auc"].value
        for p in (worse, better, overdone)
    ]
    found = paired_difference(y, better, worse, customers, metric="log_loss")
    say(
        f"\na real gain: log loss {found.value:+.5f} ({found.low:+.5f} to {found.high:+.5f}), ROC-AUC {auc[0]:.4f} to "
        f"{auc[1]:.4f}, on all {len(y):,} snapshots; promoted by the number of test snapshots:"
    )
    enough: tuple[int, int] | None = None
    passed = 0
    for size in GROUPS:
        groups = [slice(ends[i], ends[i + size]) for i in range(0, len(places) - size + 1, size)]
        if len(groups) < 2:
            continue
        some = [everywhere[g] for g in groups]
        seen = list(pool.map(_judged, some, [better[g] for g in groups], [worse[g] for g in groups]))
        refused = list(pool.map(_judged, some, [overdone[g] for g in groups], [worse[g] for g in groups]))
        n, churners = int(np.mean([j.n for j in seen])), int(np.mean([j.churners for j in seen]))
        if enough is None and sum(j.promoted for j in seen) >= POWER * len(seen):
            enough = (n, churners)
        passed += sum(j.promoted for j in refused)
        say(f"  {n:>8,} snapshots, {churners:>5,} churners: {told(seen)}")
        say(f"  {'':29} promises too much: {told(refused)}")
    if enough is None:
        say("80% power is not reached here")
    else:
        say(f"80% power at about {enough[0]:,} snapshots with {enough[1]:,} churners")
    say(
        f"the one that promises too much ranks as well as the better one (ROC-AUC {auc[2]:.4f}) and was "
        f"promoted {passed} times"
    )
    return enough is not None and not passed and auc[2] > auc[0]


def read(workspace: Workspace) -> TrainingRows:
    dataset = build(workspace)
    return TrainingRows(dataset.read(), dataset.manifest.schema)


_SHARED: list[tuple[Config, TrainingRows, TrainingRows, Places]] = []
"""What every process of the pool works on: configuration, training rows, test rows, and each company's row numbers."""


def _spoken(seed: int) -> tuple[FloatArray | None, FloatArray | None]:
    """What the model of a seed says of the company where it is champion, and of the one where it challenges."""
    config, rows, test, places = _SHARED[0]
    model = trained(config, rows, rows.schema, seed)
    return (
        model.probability(test.take(places[seed])) if seed < len(places) else None,
        model.probability(test.take(places[seed - 1])) if seed else None,
    )


def _everywhere(without: Sequence[str]) -> FloatArray:
    config, rows, test, places = _SHARED[0]
    return trained(config, rows, rows.schema.without(without), seed=1).probability(test.take(np.concatenate(places)))


def _judged(at: npt.NDArray[np.int64], new: FloatArray, old: FloatArray) -> Judged:
    config, _, test, _ = _SHARED[0]
    return judged(config, test, at, new, old)


if __name__ == "__main__":
    main()
