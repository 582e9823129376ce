"""Random streams: one per chunk of customers, purpose and month.

A purpose draws from its own stream, so that a change in one part of the company (a scenario, say) leaves the
draws of every other part, and of every earlier month, as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Purpose = Literal[
    "customers", "frailty", "standing", "plans", "leaving", "engagement", "usage", "billing", "tickets",
    "nps", "treatments", "effects", "mess_usage", "mess_invoices", "mess_payments", "mess_tickets",
    "mess_nps", "mess_treatments", "autopay_off",
]  # fmt: skip
_PLACE = {purpose: place for place, purpose in enumerate(get_args(Purpose))}


@dataclass(frozen=True)
class Streams:
    """The random streams of one chunk of customers."""

    seed: int
    chunk: int

    def at(self, purpose: Purpose, month: int = 0) -> np.random.Generator:
        """A fresh generator; the same place always gives the same draws."""
        key = (_PLACE[purpose], month)
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.chunk], spawn_key=key))
