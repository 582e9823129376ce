"""Are the probabilities right on days that are not on the training grid?

    python benchmarks/off_grid.py [--seeds 101 102 ...] [--set data.cutoffs.anchor_days=[1,15]] [--quick]

Models are trained on snapshots of the first of each month; scores are made on any day. The built-in company is
simulated with seeds that were not used while building Holdfast and trained as shipped; then everyone active on the 1st,
8th, 15th and 22nd of the test's months is scored by `holdfast score`'s own path with the model that was measured, which
was fitted on labels known before. By day of the month, over all months and companies:

- slope: of the logistic regression of the labels on the predicted log-odds; 1 is right
- observed / expected: churners over the sum of the probabilities

with 95% intervals that draw customers, and how the days off the grid together differ from the grid's. The claim is what
calibration.py claims on the grid: that no interval excludes a slope of 0.9 to 1.1 and a ratio of 0.95 to 1.05. Exit
code 1 if one does.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from _shared import machine
from holdfast.artifacts.memory import trim
from holdfast.evaluation.calibration import calibration_line
from holdfast.evaluation.intervals import replicate_counts
from holdfast.models.bundle import Bundle
from holdfast.pipelines.bootstrap import open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.contest import evaluated_folder
from holdfast.pipelines.knowledge import knowledge_of, open_sources
from holdfast.pipelines.score import cutoff_features
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import train
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.population import training_population

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (101, 102, 103, 104, 105)
DAYS = (1, 8, 15, 22)
MONTHS = (10, 11)
"""Of 2024: in the test, and every label of their days is known."""
QUICK_CUSTOMERS, DRAWS = 2_000, 1_000
SLOPE, RATIO = (0.9, 1.1), (0.95, 1.05)

FloatArray = npt.NDArray[np.float64]
Rows = dict[int, list[tuple[npt.NDArray[np.str_], FloatArray, FloatArray]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--set", action="append", default=[], help="configuration to try, as of the holdfast command")
    parser.add_argument("--quick", action="store_true", help="one small company: proves nothing")
    args = parser.parse_args()
    seeds = args.seeds[:1] if args.quick else args.seeds
    sets = args.set + ([f"data.simulate.customers={QUICK_CUSTOMERS}"] if args.quick else [])
    print(
        f"calibration by day of the month, {len(seeds)} companies, months {MONTHS} of 2024{', '.join(['', *args.set])}"
    )
    print(machine(), flush=True)
    found: Rows = {day: [] for day in DAYS}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as scratch:
            add(Path(scratch), seed, sets, found)
    told(found)


def add(root: Path, seed: int, sets: list[str], found: Rows) -> None:
    """One company: customers, labels and probabilities of each day."""
    shutil.copytree(ROOT / "conf" / "demo", root / "conf" / "demo")
    workspace = open_workspace(
        "demo", root=root, sets=[*sets, f"data.simulate.seed={seed}", "training.bootstrap=50"]
    )  # its own intervals are not read
    simulate(workspace)
    report = train(workspace, dataset=build(workspace), serve=False)
    bundle = Bundle.load(evaluated_folder(workspace.models / str(report.version)))
    learnt = max(bundle.provenance.extra["trained_on"])
    config = workspace.config
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine, None)
        knowledge = knowledge_of(config, sources, None)
        tables = {name: source.table for name, source in sources.tables.items()}
        for month in MONTHS:
            for day in DAYS:
                at = datetime(2024, month, day, tzinfo=UTC)
                cutoff = Cutoff.of(at, config.data.label, config.data.cutoffs)
                known = cutoff.matured(knowledge.known_as_of, knowledge.complete_through)
                if not known or learnt >= f"{at:%Y-%m-%d}":
                    raise SystemExit(f"{at} cannot be measured")
                features, _ = cutoff_features(engine, config, sources, at, at)
                rows = engine.to_arrow(features)
                population = training_population(
                    tables, config.data, engine.from_arrow(cutoff_table([cutoff]), "measured_cutoff"),
                    known_as_of=knowledge.known_as_of, complete_through=knowledge.complete_through,
                )  # fmt: skip
                labels = engine.to_arrow(population.select("customer_id", "label"))
                rows = rows.append_column("p", pa.array(bundle.predict(rows))).select(["customer_id", "p"])
                joined = rows.join(labels, "customer_id", join_type="inner").sort_by("customer_id").drop_null()
                ids = np.char.add(f"{seed}/", np.array(joined.column("customer_id").to_pylist()))
                y, p = (joined.column(name).to_numpy().astype(np.float64) for name in ("label", "p"))
                found[day].append((ids, y, p))
    workspace.state.close()
    trim()


def told(found: Rows) -> None:
    """Print slope and ratio by day, and how they differ off the grid."""
    joined = {day: tuple(map(np.concatenate, zip(*parts, strict=True))) for day, parts in found.items()}
    everyone, codes = np.unique(np.concatenate([ids for ids, _, _ in joined.values()]), return_inverse=True)
    starts = np.cumsum([0, *(len(ids) for ids, _, _ in joined.values())])
    draws: dict[str, list[npt.NDArray[np.float64]]] = {}
    weights = list(replicate_counts(len(everyone), DRAWS, 5))
    own: dict[str, tuple[float, float]] = {}
    print(f"{'day':>8} {'snapshots':>10} {'churners':>9}   {'slope':24} observed / expected")
    of_day = {day: codes[a:b] for day, a, b in zip(joined, starts[:-1], starts[1:], strict=True)}
    sets = {str(day): (day,) for day in DAYS} | {"off grid": DAYS[1:]}
    for name, days in sets.items():
        y, p = (np.concatenate([joined[day][k] for day in days]) for k in (1, 2))
        who = np.concatenate([of_day[day] for day in days])
        own[name] = figures(y, p, None)
        draws[name] = [np.array(figures(y, p, w[who])) for w in weights]
        low, high = np.percentile(draws[name], [2.5, 97.5], axis=0)
        slope, ratio = (f"{own[name][k]:.3f} ({low[k]:.3f} to {high[k]:.3f})" for k in (0, 1))
        print(f"{name:>8} {len(y):10,} {int(y.sum()):9,}   {slope}   {ratio}", flush=True)
    apart = np.array(draws["off grid"]) - np.array(draws["1"])
    low, high = np.percentile(apart, [2.5, 97.5], axis=0)
    print(f"off the grid less on it: slope {own['off grid'][0] - own['1'][0]:+.3f} ({low[0]:+.3f} to {high[0]:+.3f}), "
          f"observed / expected {own['off grid'][1] - own['1'][1]:+.3f} ({low[1]:+.3f} to {high[1]:+.3f})")  # fmt: skip
    held = all(
        bounds[0] <= limits[1] and bounds[1] >= limits[0]
        for name in sets
        for bounds, limits in zip(np.percentile(draws[name], [2.5, 97.5], axis=0).T, (SLOPE, RATIO), strict=True)
    )
    print(f"slopes of {SLOPE[0]} to {SLOPE[1]} and ratios of {RATIO[0]} to {RATIO[1]} are within the intervals: "
          f"{'holds' if held else 'DOES NOT HOLD'}")  # fmt: skip
    raise SystemExit(0 if held else 1)


def figures(y: FloatArray, p: FloatArray, weight: FloatArray | None) -> tuple[float, float]:
    """Slope, and observed over expected."""
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    return float(calibration_line(y, p, w).slope), float((w @ y) / (w @ p))


if __name__ == "__main__":
    main()
