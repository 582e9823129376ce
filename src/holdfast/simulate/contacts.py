"""Tickets and NPS answers."""

from __future__ import annotations

import numpy as np

from holdfast.simulate.arrays import Floats, Rows, pick
from holdfast.simulate.customers import Customers
from holdfast.simulate.hazard import Hazard
from holdfast.simulate.plans import PlanBook
from holdfast.simulate.scenario import Scenario
from holdfast.simulate.sections import Params
from holdfast.simulate.standing import Standing
from holdfast.simulate.stay import Stay
from holdfast.simulate.streams import Streams
from holdfast.simulate.timeline import Timeline

MOST_TICKETS = 9  # a customer and month: the ticket's id has one digit for it
TOP_SCORE = 10


def open_tickets(
    rows: Rows,
    stay: Stay,
    hazard: Hazard,
    people: Customers,
    plans: PlanBook,
    standing: Standing,
    timeline: Timeline,
    params: Params,
    scenario: Scenario,
    streams: Streams,
) -> Floats:
    """Open the month's tickets; returns how many network and billing ones each customer had."""
    p, n = params.tickets, len(people)
    rng = streams.at("tickets", stay.month)
    names = params.categories
    bad_month = rng.random(n) < p.burst
    fiber = plans.internet == params.plans.internet.names.index("fiber")
    rate = p.rate * np.exp(p.fiber * fiber + p.disengaged * np.maximum(-standing.engagement, 0.0))
    rate = np.where(bad_month, rate * p.burst_factor, rate)
    if scenario.outage_in(stay.month):
        hit = people.region == params.customers.regions.names.index(scenario.outage_region)
        rate, bad_month = np.where(hit, rate * params.scenario.outage_tickets, rate), bad_month | hit
    count = np.minimum(rng.poisson(rate), MOST_TICKETS)

    weights = np.zeros((n, len(names)))
    weights[:, :-1] = p.categories.values
    weights[:, names.index("network")] *= np.where(bad_month, p.burst_network, 1.0)
    weights[:, names.index("billing")] *= 1.0 + p.billing_after_rise * standing.rise
    # Who is about to leave asks about it more often: a sign, not a cause.
    weights[:, names.index("cancel_inquiry")] *= np.exp(
        p.inquiry_per_log_hazard * (hazard.voluntary_log - params.hazard.base)
    )
    if stay.month >= p.late_category_from * timeline.months:
        weights[:, -1] = p.late_category_weight
    shares = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)

    who = np.repeat(np.arange(n), count)
    place = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    opened = stay.instants(rng.random(len(who)))
    # floating sums may end just below 1: the last category of all takes no such draw
    category = (rng.random(len(who))[:, None] * shares[who, -1:] >= shares[who]).sum(axis=1)
    severity = 1 + pick(rng.random(len(who)), p.severity.values)
    keep = stay.covers(opened, who)
    who, category = who[keep], category[keep]
    rows.add(
        customer=people.number[who],
        serial=(stay.month + 1) * 10 + place[keep],
        opened_at=opened[keep],
        category=category,
        severity=severity[keep],
    )
    felt = (category == names.index("network")) | (category == names.index("billing"))
    return np.bincount(who[felt], minlength=n).astype(np.float64)


def ask_nps(rows: Rows, stay: Stay, people: Customers, standing: Standing, params: Params, streams: Streams) -> None:
    """Add the month's NPS answers of the few who give one."""
    p, n = params.nps, len(people)
    rng = streams.at("nps", stay.month)
    answers, moment = rng.random(n) < p.response, stay.instants(rng.random(n))
    friction = np.minimum(standing.friction, params.hazard.friction_most)
    score = p.middle + p.engagement * standing.engagement + p.friction * friction
    score = np.clip(np.rint(score + rng.normal(0.0, p.noise, n)), 0, TOP_SCORE).astype(np.int64)
    who = np.flatnonzero(answers & stay.covers(moment, np.arange(n)))
    rows.add(
        customer=people.number[who],
        serial=np.full(len(who), stay.month + 1),
        answered_at=moment[who],
        score=score[who],
    )
