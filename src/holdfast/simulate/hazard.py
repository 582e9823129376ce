"""The true monthly hazard, from what stood before the month began, and who leaves by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.simulate.arrays import DAY, Bools, Floats, whole
from holdfast.simulate.customers import Customers
from holdfast.simulate.plans import PlanBook
from holdfast.simulate.scenario import Scenario
from holdfast.simulate.sections import Params
from holdfast.simulate.standing import Standing
from holdfast.simulate.stay import Stay
from holdfast.simulate.streams import Streams
from holdfast.simulate.timeline import Timeline

MONTH_DAYS = 30.4375
# exp may differ in its last bits between processors; rounded, neither draws nor files show it.
HAZARD_DECIMALS = 9
MOST_HAZARD = 0.95


@dataclass(frozen=True)
class Hazard:
    """The probability of leaving in a month, and its parts; one entry a customer."""

    probability: Floats
    involuntary_share: Floats
    voluntary_log: Floats


def contract_effect(plans: PlanBook, stay: Stay, params: Params) -> Floats:
    """Locked in, near the contract's end, or in the month of the end; zero outside a contract."""
    p = params.hazard
    contract_end = np.where(plans.in_contract, plans.contract_end, stay.start)
    months_left = (contract_end - stay.start) / (MONTH_DAYS * DAY)
    effect = np.where(months_left > p.contract_near_months, p.contract_locked.values[plans.contract], p.contract_near)
    effect = np.where(contract_end < stay.end, p.contract_ends, effect)
    result: Floats = np.where(plans.in_contract, effect, 0.0)
    return result


def hazard_of(
    stay: Stay,
    people: Customers,
    plans: PlanBook,
    standing: Standing,
    timeline: Timeline,
    params: Params,
    scenario: Scenario,
) -> Hazard:
    """Two competing hazards, voluntary and involuntary, as one probability for the month."""
    p = params.hazard
    tenure = np.maximum(stay.start - people.signup_at, 0) / (MONTH_DAYS * DAY)
    voluntary = (
        p.base
        + people.frailty
        + p.early_life * np.exp(-tenure / p.early_life_months)
        + contract_effect(plans, stay, params)
        + p.price_rise * standing.rise
        + p.price_level * (plans.price - p.price_reference)
        + p.engagement * standing.engagement
        + p.engagement_fall * np.maximum(standing.usual - standing.engagement, 0.0)
        + p.friction * np.minimum(standing.friction, p.friction_most)
        + p.internet.values[plans.internet]
        + p.region.values[people.region]
        + p.age_band.values[people.age_band]
        + p.channel.values[people.channel]
        + p.season[timeline.month_of_year(stay.month)]
        + np.where(standing.offer_months > 0, standing.offer_effect, 0.0)
    )
    if scenario.competitor_in(stay.month):
        voluntary = voluntary + params.scenario.competitor_hazard
    involuntary = (
        p.involuntary_base
        + p.involuntary_arrears * np.minimum(standing.arrears, p.arrears_most)
        + p.involuntary_credit * people.credit
    )
    rate_left, rate_dropped = np.exp(voluntary), np.exp(involuntary)
    total = rate_left + rate_dropped
    probability = np.minimum(np.round(-np.expm1(-total), HAZARD_DECIMALS), MOST_HAZARD)
    return Hazard(probability, rate_dropped / total, voluntary)


def leave(stay: Stay, hazard: Hazard, standing: Standing, params: Params, streams: Streams) -> Bools:
    """Draw who leaves in the month, when and why; returns who does."""
    rng, n = streams.at("leaving", stay.month), len(hazard.probability)
    draw, reason, moment, delay = (rng.random(n) for _ in range(4))
    leaving = stay.at_risk & (draw < hazard.probability)
    involuntary = reason < hazard.involuntary_share
    # Non-payers are closed by a batch job days later; who cancels is in the books at once.
    known = np.where(
        involuntary, delay * params.hazard.involuntary_known_days * DAY, delay * params.mess.prompt_seconds
    )
    at = stay.instants(moment)
    standing.left_at = np.where(leaving, at, standing.left_at)
    standing.left_known_at = np.where(leaving, at + whole(known), standing.left_known_at)
    standing.involuntary = np.where(leaving, involuntary, standing.involuntary)
    return leaving
