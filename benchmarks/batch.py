"""A day's batch at a million customers: `holdfast score`, `decide` and `materialize`, each in a process of its own.

    python benchmarks/batch.py [--customers 1000000] [--work FOLDER] [--quick]

The built-in company is simulated and a model is trained and promoted on it by `holdfast run`. Then its tables are
repeated under other customer ids until the asked number of customers is active at the last cutoff: they have the demo's
features, reasons and actions. Printed for each verb: wall seconds of the whole process, and the most memory that it
ever held. Limits are of `holdfast score`, which ends with every customer's probability, tier, decile and reasons on
disk, and of `holdfast materialize`, which begins where features, scores and decisions are on disk:

score        under 300 s and under 4 GiB, the same bytes on a second run, and on one that follows a run killed half-way
materialize  under 60 s

Exit code 1 if one of these does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from _shared import GIB, machine

REPOSITORY = Path(__file__).resolve().parent.parent
CUSTOMERS, QUICK = 1_000_000, 20_000
CUTOFF = "2023-07-01"
COMPANY = ("data.simulate.months=18", "data.complete_through=2023-07-08", "data.engine.memory=2GB")
"""Half the demo's months: 50 million rows for a million active customers."""
SCORE_SECONDS, SCORE_GIB, MATERIALIZE_SECONDS = 300.0, 4.0, 60.0


@dataclass(frozen=True)
class Done:
    """What a process took, and what it said."""

    seconds: float
    gib: float
    told: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--work", type=Path, help="kept, and used again if it holds this company")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} customers: proves nothing of time and memory")
    args = parser.parse_args()
    customers = QUICK if args.quick else args.customers
    with tempfile.TemporaryDirectory() as scratch:
        root = args.work or Path(scratch)
        # in a process of its own: what a process held when it starts another counts as the other's most
        preparing = multiprocessing.get_context("spawn").Process(target=prepare, args=(root, customers))
        preparing.start()
        preparing.join()
        if preparing.exitcode:
            raise SystemExit(f"the company could not be prepared (exit code {preparing.exitcode})")
        print(f"a batch of {customers:,} customers or a few more, at {CUTOFF}")
        print(machine(), flush=True)
        held = measure(root)
    raise SystemExit(0 if held else 1)


def prepare(root: Path, customers: int) -> None:
    """The champion of the built-in company, and the tables of as many such companies as it takes."""
    mark = root / "customers.txt"
    if mark.exists() and mark.read_text() == str(customers):
        return
    shutil.rmtree(root / "var", ignore_errors=True)
    shutil.copytree(REPOSITORY / "conf" / "demo", root / "conf" / "demo", dirs_exist_ok=True)
    ran = holdfast(root, "run", "--set", "training.tuning.trials=1")
    sources = root / "var" / "demo" / "sources"
    active = int(holdfast(root, "score", "--cutoff", CUTOFF).told["customers"])
    times = -(-customers // active)
    print(f"a champion in {ran.seconds:.0f} s; the company {times:,} times", file=sys.stderr)
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET enable_progress_bar = false")
    for folder in sorted(p for p in sources.iterdir() if p.is_dir()):
        files = sorted(folder.glob("*.parquet"))
        names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM '{files[0]}'").fetchall()]
        ids = ", ".join(f"{n} || '-' || copy AS {n}" for n in names if n.endswith("_id"))
        new = folder / "copies.parquet"
        connection.execute(
            f"COPY (SELECT * EXCLUDE (copy) REPLACE ({ids}) FROM read_parquet('{folder}/*.parquet'), "
            f"(SELECT lpad(i::VARCHAR, 4, '0') AS copy FROM range({times}) r(i))) TO '{new}.part' (FORMAT parquet)"
        )
        Path(f"{new}.part").replace(new)
        for file in files:
            file.unlink()
    mark.write_text(str(customers))


def measure(root: Path) -> bool:
    """Print what each verb takes; whether every limit holds."""
    var = root / "var" / "demo"
    scores = var / "scores" / f"cutoff={CUTOFF}" / "part-0.parquet"
    first = holdfast(root, "score", "--cutoff", CUTOFF)
    digest = sha256(scores)
    claims = [
        said("score", first, f"{first.told['customers']:,} customers", first.seconds, SCORE_SECONDS, "s"),
        said("", None, "", first.gib, SCORE_GIB, "GiB"),
    ]
    again = holdfast(root, "score", "--cutoff", CUTOFF)
    same = sha256(scores) == digest
    print(f"  a second run: {again.seconds:.1f} s, {'the same bytes' if same else 'OTHER BYTES'}", flush=True)
    kill_after(root, first.seconds / 2, "score", "--cutoff", CUTOFF)
    kept = sha256(scores) == digest
    shutil.rmtree(scores.parent)
    holdfast(root, "score", "--cutoff", CUTOFF)
    redone = sha256(scores) == digest
    print(
        f"  killed half-way: what was there is {'as it was' if kept else 'CHANGED'}; run again from nothing: "
        f"{'the same bytes' if redone else 'OTHER BYTES'}",
        flush=True,
    )
    decided = holdfast(root, "decide", "--cutoff", CUTOFF)
    print(f"decide        {decided.seconds:8.1f} s   {decided.gib:6.2f} GiB", flush=True)
    made = holdfast(root, "materialize", "--cutoff", CUTOFF)
    size = sum(file.stat().st_size for file in (var / "online").iterdir()) / GIB
    claims.append(said("materialize", made, f"{size:.2f} GiB on disk", made.seconds, MATERIALIZE_SECONDS, "s"))
    return all([*claims, same, kept, redone])


def said(verb: str, done: Done | None, what: str, value: float, limit: float, unit: str) -> bool:
    """Print one limit; whether it holds."""
    held = value < limit
    took = f"{done.seconds:8.1f} s   {done.gib:6.2f} GiB   {what}" if done else " " * 24
    print(f"{verb:14}{took}   (under {limit:g} {unit}: {'holds' if held else 'DOES NOT HOLD'})", flush=True)
    return held


def holdfast(root: Path, *words: str) -> Done:
    """A verb in a process of its own."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command(*words), stdout=out, env=environment(root))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0)
        text = out.read().decode()
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"holdfast {' '.join(words)} ended with {code}: {text}")
    return Done(seconds, usage.ru_maxrss * 1024 / GIB, json.loads(text)["report"])


def kill_after(root: Path, seconds: float, *words: str) -> None:
    process = subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, env=environment(root))
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from holdfast.cli.entry import main; sys.exit(main())", *words,
            *(word for setting in COMPANY for word in ("--set", setting)), "--project", "demo", "--json"]  # fmt: skip


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "HOLDFAST_HOME": str(root), "HOLDFAST_LOG_LEVEL": "ERROR"}


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


if __name__ == "__main__":
    main()
