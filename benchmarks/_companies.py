"""Many small companies, each simulated by itself, in one project: their snapshots are computed in one build."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.simulate import simulate
from holdfast.simulate.tables import SCHEMAS

SEPARATOR = "/"


def together(
    conf: Path, home: Path, project: str, seeds: Sequence[int], customers: int, sets: Sequence[str] = (),
    *, processes: int = 2,
) -> Workspace:  # fmt: skip
    """Simulate a company per seed and put their tables side by side; customers of company i are called ``i/C…``.

    Each has its own customers and its own path of the economy.
    """
    shutil.copytree(conf / project, home / "conf" / project)
    settings = open_workspace(project, root=home, sets=sets).config.data.simulate
    assert settings is not None
    workspace = open_workspace(project, root=home, sets=[*sets, "data.simulate=null"])
    with ProcessPoolExecutor(processes) as pool:
        done = pool.map(
            _one, range(len(seeds)), seeds, repeat(customers), repeat(settings.months), repeat(settings.start),
            repeat(home / "alone"), repeat(workspace.sources),
        )  # fmt: skip
        for _ in done:
            pass
    return workspace


def _one(number: int, seed: int, customers: int, months: int, start: date, alone: Path, sources: Path) -> None:
    mine = alone / str(number)
    simulate(mine / "sources", mine / "truth", customers=customers, months=months, seed=seed, start=start)
    for name in SCHEMAS:
        table = pq.read_table(mine / "sources" / name)
        for place, column in enumerate(table.column_names):
            if column.endswith("_id"):
                named = pc.binary_join_element_wise(str(number), table.column(column), SEPARATOR)
                table = table.set_column(place, column, named)
        folder = sources / name
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / f"part-{number:05}.parquet")
    shutil.rmtree(mine)


def company_of(table: pa.Table) -> np.ndarray:
    """(n,) the number of each row's company."""
    first = pc.list_element(pc.split_pattern(table.column("customer_id"), SEPARATOR), 0)
    return np.asarray(first.cast(pa.int64()).to_numpy())
