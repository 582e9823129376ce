"""The promotion gate: how often it is fooled by luck, and how much data it needs to see a real gain.

    python benchmarks/gate.py [--quick]

All models are the shipped XGBoost of the demo, fitted on one training company and calibrated on its last months, as
``holdfast train`` does. They are judged by the gate's own checks, with the shipped margins, on test companies: each
simulated by itself (other customers, another path of the economy), its last three matured cutoffs.

- A/A: pairs that differ in nothing but the seed, each pair on a test company of its own. At most 5% may be promoted
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
    y, customers = rows.y[at], rows.customers[at]
    slices = {name: rows.table.column(name).take(pa.array(at)).to_pylist() for name in training.slices}
    contest = Contest(y, new, old, customers, campaign_of(config, rows, at), slices, "the champion")
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
    parser.add_argument("--training-customers", type=int, default=2500)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.quick:
        options.pairs, options.customers, options.training_customers = 12, 600, 1500
    with tempfile.TemporaryDirectory(prefix="holdfast-") as home:
        text, holds = compared(Path(home), options)
    print(text)
    raise SystemExit(0 if holds or options.quick else 1)


def compared(home: Path, options: argparse.Namespace) -> tuple[str, bool]:
    conf = REPOSITORY / "conf"
    test_space = together(
        conf, home / "test", "demo", range(FIRST_SEED, FIRST_SEED + options.pairs), options.customers,
        ["data.cutoffs.first=2024-08-01"],
    )  # fmt: skip
    test = read(test_space)
    cutoffs = np.unique(test.cutoffs)[-TESTED_ON:]
    inside = np.isin(test.cutoffs, cutoffs)
    # labels of a training cutoff are known a month and a week later, and the test begins after that
    train_space = together(
        conf, home / "training", "demo", [TRAINING_SEED], options.training_customers,
        ["data.cutoffs.last=2024-08-01"],
    )  # fmt: skip
    rows, config = read(train_space), test_space.config
    whole = rows.schema
    less = whole.without([f.name for f in whole if f.source in LESS])
    company = company_of(test.table)
    places = [np.flatnonzero(inside & (company == i)) for i in range(options.pairs)]
    everywhere = np.concatenate(places)
    table = test.take(everywhere)

    with ProcessPoolExecutor(options.processes, initializer=_share, initargs=(config, rows, test, places)) as pool:
        pairs = list(pool.map(_same, range(options.pairs)))
    good, weak = trained(config, rows, whole, seed=1), trained(config, rows, less, seed=1)
    better, worse = good.probability(table), weak.probability(table)
    overdone = np.asarray(expit(logit(better) + TOO_HIGH), dtype=np.float64)
    ends = np.cumsum([0, *(len(p) for p in places)])
    curve: list[tuple[int, int, int, float]] = []
    lines: list[str] = []
    for size in GROUPS:
        groups = [range(i, i + size) for i in range(0, options.pairs - size + 1, size)]
        if len(groups) < 2:
            continue
        found, refused = [], []
        for group in groups:
            some = np.concatenate([np.arange(ends[i], ends[i + 1]) for i in group])
            at = everywhere[some]
            found.append(judged(config, test, at, better[some], worse[some]))
            refused.append(judged(config, test, at, overdone[some], worse[some]))
        n = int(np.mean([j.n for j in found]))
        churners = int(np.mean([j.churners for j in found]))
        share = sum(j.promoted for j in found) / len(found)
        curve.append((n, churners, sum(j.promoted for j in refused), share))
        lines.append(f"  {n:>8,} snapshots, {churners:>5,} churners: {told(found)}")
        lines.append(f"  {'':29} promises too much: {told(refused)}")
    fooled = sum(j.promoted for j in pairs)
    upper = float(beta.ppf(0.95, fooled + 1, len(pairs) - fooled)) if fooled < len(pairs) else 1.0
    y, customers = test.y[everywhere], test.customers[everywhere]
    figures = evaluate(y, better, customers, replicates=100), evaluate(y, worse, customers, replicates=100)
    auc = [f"{f['roc_auc'].value:.4f}" for f in figures]
    gain = paired_difference(y, better, worse, customers, metric="log_loss")
    high = evaluate(y, overdone, customers, replicates=0, metrics=("roc_auc",))["roc_auc"].value
    enough = next(((n, churners, share) for n, churners, _, share in curve if share >= POWER), None)
    power = "80% power is not reached here"
    if enough is not None:
        power = f"80% power at about {enough[0]:,} snapshots with {enough[1]:,} churners"
    text = [
        "The promotion gate: luck, and a real gain",
        machine(),
        "",
        f"training company: seed {TRAINING_SEED}, {len(rows):,} snapshots; {len(pairs)} test companies of "
        f"{options.customers:,} customers, cutoffs {', '.join(str(c)[:10] for c in cutoffs)}",
        "",
        f"A/A, the same training data and another seed, {np.mean([j.n for j in pairs]):,.0f} snapshots with "
        f"{np.mean([j.churners for j in pairs]):.0f} churners each:",
        f"  {told(pairs)}",
        f"  the true share is below {upper:.1%} with 95% confidence",
        "",
        f"a real gain: log loss {gain.value:+.5f} ({gain.low:+.5f} to {gain.high:+.5f}), ROC-AUC {auc[1]} to {auc[0]}, "
        f"on all {len(y):,} snapshots; promoted by the number of test snapshots:",
        *lines,
        power,
        f"the one that promises too much ranks as well as the better one (ROC-AUC {high:.4f}) and was promoted "
        f"{sum(c[2] for c in curve)} times",
    ]
    holds = fooled <= MOST_AA * len(pairs) and enough is not None and not any(c[2] for c in curve)
    return "\n".join([*text, "", "all claims hold" if holds else "NOT all claims hold"]), holds


def read(workspace: object) -> TrainingRows:
    dataset = build(workspace)  # type: ignore[arg-type]
    return TrainingRows(dataset.read(), dataset.manifest.schema)


_SHARED: list[tuple[Config, TrainingRows, TrainingRows, list[npt.NDArray[np.int64]]]] = []


def _share(config: Config, rows: TrainingRows, test: TrainingRows, places: list[npt.NDArray[np.int64]]) -> None:
    _SHARED.append((config, rows, test, places))


def _same(number: int) -> Judged:
    config, rows, test, places = _SHARED[0]
    at = places[number]
    table = test.take(at)
    old, new = (trained(config, rows, rows.schema, seed=s).probability(table) for s in (2 * number, 2 * number + 1))
    return judged(config, test, at, new, old)


if __name__ == "__main__":
    main()
