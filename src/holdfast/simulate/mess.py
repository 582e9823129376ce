"""Mess on purpose, at the declared rates: late, corrected and repeated rows, and missing measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.simulate.arrays import DAY, NULL, Columns, fixed, whole
from holdfast.simulate.sections import CORRECTABLE, MessParams


def muddle(table: str, event: str, columns: Columns, mess: MessParams, rng: np.random.Generator) -> Columns:
    """Add ``available_at`` and the table's mess.

    Parameters
    ----------
    event : the column of event times
    columns : the true rows

    Returns
    -------
    the rows with ``available_at``: first the true ones in order (those to be corrected with their first, wrong
    value), then the corrections, then the exact repetitions
    """
    rule, n = mess.rules[table], len(columns["customer"])
    kind, moment = rng.random(n), rng.random(n)
    late = kind < rule.late
    corrected = (kind >= rule.late) & (kind < rule.late + rule.corrected)
    # A late row is at least a day late, so late and prompt never mix.
    days_late = DAY + whole(moment * (mess.late_days - 1) * DAY)
    prompt = whole(moment * mess.prompt_seconds)
    columns = columns | {"available_at": columns[event] + np.where(late, days_late, prompt)}
    for name, share in zip(mess.nulls.names, mess.nulls.numbers, strict=True):
        if name in columns:
            missing = (rng.random(n) < share) & ~corrected
            null = np.nan if columns[name].dtype.kind == "f" else NULL
            columns[name] = np.where(missing, null, columns[name])

    again = np.flatnonzero(corrected)
    corrections = {name: values[again] for name, values in columns.items()}
    lag = DAY + whole(rng.random(len(again)) * (mess.corrected_days - 1) * DAY)
    corrections["available_at"] = columns[event][again] + lag
    if len(again):
        name = CORRECTABLE[table]
        columns[name] = columns[name].copy()
        columns[name][again] = _wrong(name, columns[name][again], rng)
    repeated = np.flatnonzero(rng.random(n) < rule.duplicated)
    return {name: np.concatenate([values, corrections[name], values[repeated]]) for name, values in columns.items()}


def _wrong(name: str, values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """A first value that always differs from the right one."""
    if name == "severity":
        return values % 4 + 1
    decimals = 1 if name == "minutes" else 2
    return fixed(values * (1.1 + rng.random(len(values))) + 1.0, decimals)
