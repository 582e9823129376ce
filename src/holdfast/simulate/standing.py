"""How things stand between each customer and the company, from month to month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.simulate.arrays import NEVER, NULL, Bools, Floats, Ints
from holdfast.simulate.sections import Params
from holdfast.simulate.streams import Streams


@dataclass
class Standing:
    """The state at the start of a month, and who has left; one entry a customer, changed in place.

    Attributes
    ----------
    engagement, usual : the hidden engagement now, and its slow average
    decline_left : months of a decline still to come
    rise : relative price rise still felt
    friction : network and billing tickets still felt
    arrears : failed payments still felt
    fee_due : the last invoice was paid late or not at all
    offer_effect, offer_months : log-hazard effect of the last offer, and the months it still lasts
    left_at, left_known_at : ``NEVER`` while a customer
    involuntary : left for not paying
    """

    engagement: Floats
    usual: Floats
    decline_left: Ints
    rise: Floats
    friction: Floats
    arrears: Floats
    fee_due: Bools
    offer_effect: Floats
    offer_months: Ints
    autopay: Bools
    paperless: Bools
    left_at: Ints
    left_known_at: Ints
    involuntary: Bools

    def advance(self, present: Bools, params: Params, rng: np.random.Generator) -> Floats:
        """Move engagement on by a month for those present; returns the engagement it came from."""
        p, n = params.engagement, len(self.usual)
        before = self.engagement
        starts = (rng.random(n) < p.decline_start) & (self.decline_left == 0) & present
        lengths = rng.integers(p.decline_months_low, p.decline_months_high + 1, n)
        self.decline_left = np.where(starts, lengths, self.decline_left)
        step = p.decline_step * (self.decline_left > 0)
        moved = p.persistence * before - step + rng.normal(0.0, p.innovation_sd, n)
        self.engagement = np.where(present, moved, before)
        usual = p.usual_memory * self.usual + (1.0 - p.usual_memory) * self.engagement
        self.usual = np.where(present, usual, self.usual)
        self.decline_left = np.where(present, np.maximum(self.decline_left - 1, 0), self.decline_left)
        c = params.customers
        turned = rng.random(n) < np.where(self.autopay, c.autopay_off, c.autopay_on)
        self.autopay = self.autopay ^ (turned & present)
        self.paperless = self.paperless | ((rng.random(n) < c.paperless_on) & present)
        return before


def first_standing(n: int, params: Params, streams: Streams) -> Standing:
    """The standing of ``n`` customers when history, or their own, begins."""
    rng, p, c = streams.at("standing"), params.engagement, params.customers
    stationary_sd = p.innovation_sd / float(np.sqrt(1.0 - p.persistence**2))
    engagement = rng.normal(0.0, stationary_sd, n)
    return Standing(
        engagement=engagement,
        usual=engagement.copy(),
        decline_left=np.zeros(n, dtype=np.int64),
        rise=np.zeros(n),
        friction=np.zeros(n),
        arrears=np.zeros(n),
        fee_due=np.zeros(n, dtype=bool),
        offer_effect=np.zeros(n),
        offer_months=np.zeros(n, dtype=np.int64),
        autopay=rng.random(n) < c.autopay,
        paperless=rng.random(n) < c.paperless,
        left_at=np.full(n, NEVER),
        left_known_at=np.full(n, NULL),
        involuntary=np.zeros(n, dtype=bool),
    )
