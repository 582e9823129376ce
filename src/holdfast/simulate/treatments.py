"""The randomised retention programme, and what its offers truly do to each customer."""

from __future__ import annotations

import numpy as np

from holdfast.simulate.arrays import DAY, Floats, Rows, fixed, pick, whole
from holdfast.simulate.customers import Customers
from holdfast.simulate.plans import PlanBook
from holdfast.simulate.sections import Params
from holdfast.simulate.standing import Standing
from holdfast.simulate.stay import Stay
from holdfast.simulate.streams import Streams

ARMS = ("control", "offer")
SENIOR = "60+"


def true_effects(people: Customers, plans: PlanBook, params: Params, streams: Streams) -> Floats:
    """The effect of each offer on each customer's voluntary log-hazard, shape (customers, offers).

    It rests on the first plan, the age band, the hidden frailty and chance; some are above zero: an offer can
    wake a sleeping dog. It stays the same over time.
    """
    t = params.treatments
    rng = streams.at("effects")
    price = plans.price - params.hazard.price_reference
    fiber = plans.internet == params.plans.internet.names.index("fiber")
    senior = people.age_band == params.customers.age_bands.names.index(SENIOR)
    effects = [
        o.mean
        + o.price * price
        + o.fiber * fiber
        + o.locked * plans.in_contract
        + o.senior * senior
        + o.frailty * people.frailty
        + rng.normal(0.0, o.sd, len(people))
        for o in t.offers.values()
    ]
    clipped: Floats = np.clip(np.stack(effects, axis=1), t.least_effect, t.most_effect)
    return clipped


def treat(
    rows: Rows,
    stay: Stay,
    effects: Floats,
    people: Customers,
    plans: PlanBook,
    standing: Standing,
    params: Params,
    streams: Streams,
) -> None:
    """Draw a random share of those at risk, an offer and an arm for each; effects start with the next month."""
    t = params.treatments
    standing.offer_months = np.maximum(standing.offer_months - 1, 0)
    n, rng = len(people), streams.at("treatments", stay.month)
    chosen, offer_draw, arm_draw, day, clock = (rng.random(n) for _ in range(5))
    offers = list(t.offers.values())
    offer = pick(offer_draw, np.array([o.share for o in offers]))
    propensity = np.array([o.propensity for o in offers])[offer]
    offered = arm_draw < propensity
    # office hours of the desk's days
    at = stay.start + (t.first_day - 1 + whole(day * (t.last_day - t.first_day + 1))) * DAY
    at = at + 8 * 3600 + whole(clock * 9 * 3600)
    running = stay.month >= t.first_month
    picked = running & stay.at_risk & (chosen < t.share) & stay.covers(at, np.arange(n))
    cost = np.array([o.cost for o in offers])[offer]
    cost = cost + np.array([o.cost_of_price for o in offers])[offer] * plans.price
    who = np.flatnonzero(picked)
    rows.add(
        customer=people.number[who],
        serial=np.full(len(who), stay.month + 1),
        assigned_at=at[who],
        offer=offer[who],
        arm=offered[who].astype(np.int64),
        propensity=propensity[who],
        cost=np.where(offered, fixed(cost, 2), 0.0)[who],
    )
    taken = picked & offered
    standing.offer_effect = np.where(taken, effects[np.arange(n), offer], standing.offer_effect)
    standing.offer_months = np.where(taken, t.effect_months, standing.offer_months)
