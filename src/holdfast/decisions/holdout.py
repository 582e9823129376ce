"""The random holdout: customers left alone so that the effect of acting can be measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BITS = 53  # a float64 holds 53 bits, so every draw is exact
_DIGEST_BITS = 64


def compute_draws(customer_ids: Sequence[str], seed: str) -> NDArray[np.float64]:
    """A uniform draw in [0, 1) for each customer: the first 53 bits of ``sha256(seed|customer_id)``.

    It depends on nothing else, so it is the same tomorrow, on another machine and in another order; a new seed
    draws afresh.
    """
    shift = _DIGEST_BITS - _BITS
    prefix = hashlib.sha256(f"{seed}|".encode())
    draws = np.empty(len(customer_ids), dtype=np.float64)
    for i, customer_id in enumerate(customer_ids):
        h = prefix.copy()
        h.update(customer_id.encode())
        draws[i] = (int.from_bytes(h.digest()[:8], "big") >> shift) / 2**_BITS
    return draws


def compute_holdout(customer_ids: Sequence[str], share: float, seed: str) -> NDArray[np.bool_]:
    """Who is in the holdout: draw < ``share``. A larger share keeps everyone that a smaller one holds out."""
    if share <= 0:
        return np.zeros(len(customer_ids), dtype=np.bool_)
    return compute_draws(customer_ids, seed) < share
