"""The same predictions on another machine type: probabilities, margins and contributions within 1e-6.

    python benchmarks/other_machine.py [--mirror http://deb.debian.org/debian] [--quick]

Where no second machine is at hand, QEMU stands for one: the ARM64 wheels of PyPI, of the versions in requirements.lock,
run instruction by instruction on an emulated ARM64 processor with Debian's ARM64 Python and C library, and this
machine's own libraries on an x86 processor of 2008. QEMU's arithmetic is IEEE's, in software; what differs between real
machines - instructions, the code that libraries choose for a processor, the C library's exp and log - differs here.

Put to each machine are the golden bundles of ``tests/golden``, against the answers committed with them (to 12
decimals), and models of full size that this one fits and answers first: 300 trees of depth 5, all features of a
simulated company. Rows are answered in a small table and 2,400 at once, which takes the other ways through the code.
Reading a bundle checks its golden sample too. Each machine then fits the golden models anew. How far what it learnt
answers otherwise than the committed bundles, both asked here, is for information: sums that differ in the last bit may
choose another split.

It needs x86_64 Linux, Python 3.11, apt-get, dpkg and the two mirrors, writes to a temporary folder alone, and exits
with 1 where something is missing or an answer is off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from _machines import Machine, Missing, machines
from _other_machine import both_ways
from _shared import machine as this_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "golden"))

from golden_files import BUNDLES, ESTIMATORS, TOLERANCE, Answers, answers, deviations, in_bulk, repeated, rows, written
from renew import SEED, company, fitted

from holdfast.models.bundle import Bundle

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("probability", "margin", "contribution")
FULL = {"rounds": 300, "depth": 5}
FULL_ROWS = 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="of Debian packages")
    parser.add_argument("--quick", action="store_true", help="trees of full-size models: 20, which proves little")
    args = parser.parse_args()
    print(f"Predictions on other types of machine, within {TOLERANCE:g}")
    print(this_machine(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            tried = machines(Path(scratch), args.mirror)
        except Missing as missing:
            raise SystemExit(f"cannot try other machines: {missing}") from None
        work = Path(scratch) / "work"
        expected = prepare(work, {**FULL, "rounds": 20} if args.quick else FULL)
        off = [m for number, m in enumerate(tried) if not compare(m, work, Path(scratch) / str(number), expected)]
    print(f"\nwithin {TOLERANCE:g} on {len(tried) - len(off)} of {len(tried)} machines")
    raise SystemExit(1 if off else 0)


def prepare(work: Path, full: Mapping[str, int]) -> dict[str, Answers]:
    """Bundles, rows and training rows for the machines, and by case the answers expected."""
    bundles = work / "bundles"
    expected: dict[str, Answers] = {}
    train = company()
    some = np.sort(np.random.default_rng(SEED).choice(len(train), FULL_ROWS, replace=False))
    work.mkdir()
    pq.write_table(train.table, work / "train.parquet")
    for name in ESTIMATORS:
        golden = Bundle.load(BUNDLES / name)
        golden.save(bundles / f"golden-{name}")
        few = rows(golden.schema)
        pq.write_table(few, work / f"golden-{name}.parquet")
        told = written(name)
        expected[f"golden-{name}"] = both_ways(told, repeated(told, len(in_bulk(few))))
        large = fitted(name, train.table, train.schema, **(full if name in ("xgboost", "lightgbm") else {}))
        large.save(bundles / f"full-{name}")
        asked = train.table.take(some)
        pq.write_table(asked, work / f"full-{name}.parquet")
        expected[f"full-{name}"] = both_ways(answers(large, asked), answers(large, in_bulk(asked)))
    return expected


def compare(machine: Machine, work: Path, out: Path, expected: Mapping[str, Answers]) -> bool:
    """Whether a machine's answers are those expected; all of it printed."""
    print(f"\n{machine.name}")
    out.mkdir()
    path = [str(ROOT / "src"), *([str(machine.site)] if machine.site else [])]
    done = subprocess.run(
        [*machine.python, str(ROOT / "benchmarks" / "_other_machine.py"), str(work), str(out)],
        env={**os.environ, **machine.environment, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        print(f"  DOES NOT RUN ({done.returncode}): {' | '.join(done.stderr.strip().splitlines()[-3:])}", flush=True)
        return False
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"  {told['machine']}, Python {told['python']}")
    print(f"  {', '.join(f'{library} {number}' for library, number in told['libraries'].items())}")
    print(f"  numpy has code for: {' '.join(told['numpy uses']) or 'its baseline alone'}")
    print(f"  {'largest deviation of':22} {'probability':>12} {'margin':>12} {'contribution':>13}")
    holds = True
    for case, there in expected.items():
        with np.load(out / f"{case}.npz") as saved:
            here = dict(saved)
        gaps = deviations(here, there)
        worst = {kind: max(gaps[kind], gaps[f"bulk {kind}"]) for kind in SHOWN}
        fine = max(worst.values()) <= TOLERANCE
        holds &= fine
        print(_line(case, worst), "holds" if fine else "DOES NOT HOLD")
    for name in ESTIMATORS:
        mine, theirs = Bundle.load(BUNDLES / name), Bundle.load(out / "fitted" / name)
        same = mine.model.dump() == theirs.model.dump()
        asked = rows(mine.schema)
        gaps = deviations(answers(theirs, asked), answers(mine, asked))
        print(_line(f"fitted there: {name}", gaps), "the same bytes" if same else "other bytes")
    sys.stdout.flush()
    return holds


def _line(what: str, gaps: Mapping[str, float]) -> str:
    return f"  {what:22} {gaps['probability']:12.2g} {gaps['margin']:12.2g} {gaps['contribution']:13.2g} "


if __name__ == "__main__":
    main()
