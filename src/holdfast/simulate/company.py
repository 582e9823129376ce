"""Simulate the built-in company into Parquet files, with the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.errors import UsageError
from holdfast.simulate.chunk import live
from holdfast.simulate.params import load_params, params_sha256
from holdfast.simulate.scenario import Scenario
from holdfast.simulate.sections import Params
from holdfast.simulate.streams import Streams
from holdfast.simulate.swap import replacing
from holdfast.simulate.tables import CUSTOMER_DIGITS, SCHEMAS, TRUTH_SCHEMAS, encode, vocabularies
from holdfast.simulate.timeline import Timeline

SIMULATOR_VERSION = 1
"""Rises when the same arguments and constants would write other files."""

DESCRIPTION = "_simulation.json"
DEFAULT_START = date(2022, 1, 1)
MOST_CUSTOMERS = 10**CUSTOMER_DIGITS - 1


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulation wrote.

    Attributes
    ----------
    covers_until : the end of history: no event is at or after it
    extract_at : when the extract was made: nothing became available at or after it
    rows : rows of each table, mess included
    customer_months : months at whose start a customer was at risk
    churned : customers who left
    """

    customers: int
    months: int
    seed: int
    start: str
    scenario: dict[str, object]
    params_sha256: str
    version: int
    covers_until: str
    extract_at: str
    rows: dict[str, int]
    customer_months: int
    churned: int


def _request(customers: int, months: int, seed: int, start: date, scenario: Scenario | None) -> dict[str, object]:
    """What decides the content of the files."""
    return {
        "customers": customers,
        "months": months,
        "seed": seed,
        "start": start.isoformat(),
        "scenario": (scenario or Scenario()).to_json(),
        "params_sha256": params_sha256(),
        "version": SIMULATOR_VERSION,
    }


def is_current(
    out: Path,
    truth: Path | None = None,
    *,
    customers: int = 7043,
    months: int = 36,
    seed: int = 7,
    start: date = DEFAULT_START,
    scenario: Scenario | None = None,
) -> bool:
    """Whether ``out`` (and ``truth``, if given) hold what `simulate` would write for these arguments."""
    request = _request(customers, months, seed, start, scenario)
    wanted = [(out, SCHEMAS)] if truth is None else [(out, SCHEMAS), (truth, TRUTH_SCHEMAS)]
    for folder, schemas in wanted:
        try:
            found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if not isinstance(found, dict) or any(found.get(key) != value for key, value in request.items()):
            return False
        if not all(any((folder / name).glob("part-*.parquet")) for name in schemas):
            return False
    return True


def simulate(
    out: Path,
    truth: Path,
    *,
    customers: int = 7043,
    months: int = 36,
    seed: int = 7,
    start: date = DEFAULT_START,
    scenario: Scenario | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationSummary:
    """Write the company's tables under ``out`` and the truth about it under ``truth``.

    The same arguments write the same bytes. Both folders are replaced whole or not at all.

    Parameters
    ----------
    out : gets ``<table>/part-NNNNN.parquet``, one part for each chunk of customers, and ``_simulation.json``
    truth : gets ``hazard/`` and ``effects/`` likewise; only tests and benchmarks may read it
    customers : all there ever are; about half signed up before ``start``
    months : length of history
    start : the first day of a month
    scenario : what else happens; by default nothing
    progress : called with (done, total) as the work goes on

    Raises
    ------
    UsageError
        An argument is out of range, or one folder lies in the other.
    StoreError
        The files cannot be written.
    """
    scenario, params, timeline = scenario or Scenario(), load_params(), Timeline(start, months)
    _check(out, truth, customers, seed)
    scenario.check(months=months, regions=params.customers.regions.names)
    request = _request(customers, months, seed, start, scenario)
    with replacing(truth, out) as (truth_draft, out_draft):
        writer = _Writer(out_draft, truth_draft, params)
        size = params.company.chunk_customers
        chunks = -(-customers // size)
        done = 0

        def month_done() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, chunks * months)

        for chunk in range(chunks):
            number = np.arange(chunk * size, min((chunk + 1) * size, customers), dtype=np.int64) + 1
            writer.write(chunk, live(number, timeline, params, scenario, Streams(seed, chunk), month_done))
        end = datetime.fromtimestamp(timeline.end, tz=UTC)
        extract = end + timedelta(days=params.company.extract_lag_days)
        summary = SimulationSummary(
            **request,  # type: ignore[arg-type]  # the request's keys are the first fields
            covers_until=end.date().isoformat(),
            extract_at=extract.date().isoformat(),
            rows={name: writer.rows[name] for name in SCHEMAS},
            customer_months=writer.rows["hazard"],
            churned=writer.churned,
        )
        for folder in (truth_draft, out_draft):
            text = json.dumps(asdict(summary), indent=2) + "\n"
            (folder / DESCRIPTION).write_text(text, encoding="utf-8", newline="\n")
    return summary


def _check(out: Path, truth: Path, customers: int, seed: int) -> None:
    if not 1 <= customers <= MOST_CUSTOMERS:
        raise UsageError(f"customers is {customers}", fix=f"Give between 1 and {MOST_CUSTOMERS}")
    if seed < 0:
        raise UsageError(f"seed is {seed}", fix="Give 0 or more")
    a, b = out.resolve(), truth.resolve()
    if a == b or a in b.parents or b in a.parents:
        raise UsageError(f"one of {out} and {truth} lies in the other", fix="Give two separate folders")


class _Writer:
    """Writes the tables of each chunk as one part, and counts rows."""

    def __init__(self, out: Path, truth: Path, params: Params) -> None:
        self._words = vocabularies(params)
        self._folders = {name: (out / name, schema) for name, schema in SCHEMAS.items()}
        self._folders |= {name: (truth / name, schema) for name, schema in TRUTH_SCHEMAS.items()}
        for folder, _ in self._folders.values():
            folder.mkdir()
        self.rows = dict.fromkeys(self._folders, 0)
        self.churned = 0

    def write(self, chunk: int, tables: dict[str, dict[str, np.ndarray]]) -> None:
        for name, (folder, schema) in self._folders.items():
            table = encode(schema, tables.pop(name), self._words)
            self.rows[name] += table.num_rows
            if name == "customers":
                self.churned += table.num_rows - table.column("ended_at").null_count
            write_part(table, folder / f"part-{chunk:05d}.parquet")


def write_part(table: pa.Table, path: Path) -> None:
    """Write one Parquet file. Ids that never repeat get no dictionary: it would only be thrown away."""
    own = table.column_names[0]
    keep = [name for name in table.column_names if name != own or name == "customer_id"]
    pq.write_table(table, path, compression="zstd", use_dictionary=keep)
