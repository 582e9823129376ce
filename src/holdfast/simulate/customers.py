"""Who the customers are: attributes fixed at signup, and what is hidden about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.simulate.arrays import DAY, Bools, Floats, Ints, pick, whole
from holdfast.simulate.scenario import Scenario
from holdfast.simulate.sections import Params
from holdfast.simulate.streams import Streams
from holdfast.simulate.timeline import Timeline


@dataclass(frozen=True)
class Customers:
    """One chunk of customers; every array has one entry a customer.

    ``frailty`` and ``credit`` are hidden: no table shows them. ``present`` marks those who signed up before
    history begins.
    """

    number: Ints
    present: Bools
    signup_at: Ints
    signup_known_at: Ints
    region: Ints
    age_band: Ints
    channel: Ints
    frailty: Floats
    credit: Floats
    minutes_level: Floats
    data_level: Floats
    billing_day: Ints

    def __len__(self) -> int:
        return len(self.number)


def draw_customers(number: Ints, timeline: Timeline, params: Params, scenario: Scenario, streams: Streams) -> Customers:
    """Draw the customers with the given numbers."""
    p, n, rng = params.customers, len(number), streams.at("customers")
    present = rng.random(n) < params.company.present_at_start
    signup_at = _signups(present, rng.random(n), timeline, params)
    late = rng.random(n) < p.late_signup
    delay = np.where(late, rng.random(n) * p.late_signup_days * DAY, rng.random(n) * params.mess.prompt_seconds)
    region_draw = rng.random(n)
    region = pick(region_draw, p.regions.values)
    if scenario.region_shift_month is not None:
        shifted = signup_at >= timeline.edges[scenario.region_shift_month]
        region = np.where(shifted, pick(region_draw, params.scenario.shifted_regions.values), region)
    hidden = streams.at("frailty")
    return Customers(
        number=number,
        present=present,
        signup_at=signup_at,
        signup_known_at=signup_at + whole(delay),
        region=region,
        age_band=pick(rng.random(n), p.age_bands.values),
        channel=pick(rng.random(n), p.channels.values),
        frailty=hidden.normal(0.0, p.frailty_sd, n),
        credit=hidden.normal(0.0, 1.0, n),
        minutes_level=p.minutes_median * np.exp(rng.normal(0.0, p.minutes_sd, n)),
        data_level=np.exp(rng.normal(0.0, p.data_sd, n)),
        billing_day=1 + whole(rng.random(n) * p.billing_days),
    )


def _signups(present: Bools, draw: Floats, timeline: Timeline, params: Params) -> Ints:
    """Signup times: exponential tenures, truncated, before history; uniform within it."""
    c = params.company
    ceiling = -np.expm1(-c.longest_tenure_days / c.mean_tenure_days)
    tenure = -c.mean_tenure_days * np.log1p(-draw * ceiling) * DAY
    # At least a second before history begins and after: a signup exactly at a cutoff is not at risk there.
    before = timeline.begin - 1 - whole(tenure)
    within = timeline.begin + 1 + whole(draw * (timeline.end - timeline.begin - 2))
    signup_at: Ints = np.where(present, before, within)
    return signup_at
