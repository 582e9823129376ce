"""The life of one chunk of customers, month by month."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from holdfast.simulate.arrays import NO_CODE, NULL, Columns, Floats, Ints, Rows, fixed
from holdfast.simulate.billing import Billed, bill
from holdfast.simulate.contacts import ask_nps, open_tickets
from holdfast.simulate.customers import Customers, draw_customers
from holdfast.simulate.hazard import hazard_of, leave
from holdfast.simulate.mess import muddle
from holdfast.simulate.plans import PlanBook
from holdfast.simulate.scenario import Scenario
from holdfast.simulate.sections import Params
from holdfast.simulate.standing import Standing, first_standing
from holdfast.simulate.stay import stay_of
from holdfast.simulate.streams import Purpose, Streams
from holdfast.simulate.tables import EVENT_TIMES, TRUTH_SCHEMAS
from holdfast.simulate.timeline import Timeline
from holdfast.simulate.treatments import treat, true_effects
from holdfast.simulate.usage import record_usage

_MESS: dict[str, Purpose] = {
    "usage": "mess_usage",
    "invoices": "mess_invoices",
    "payments": "mess_payments",
    "tickets": "mess_tickets",
    "nps": "mess_nps",
    "treatments": "mess_treatments",
}
EFFECT_DECIMALS = 9  # see HAZARD_DECIMALS


def live(
    number: Ints,
    timeline: Timeline,
    params: Params,
    scenario: Scenario,
    streams: Streams,
    month_done: Callable[[], None],
) -> dict[str, Columns]:
    """Let the customers with these numbers live; returns every table's and truth's columns."""
    people = draw_customers(number, timeline, params, scenario, streams)
    plans = PlanBook(people, timeline, params, streams)
    standing = first_standing(len(people), params, streams)
    effects = true_effects(people, plans, params, streams)
    rows = {name: Rows() for name in (*EVENT_TIMES, *TRUTH_SCHEMAS)}
    for month in range(timeline.months):
        before = stay_of(month, timeline, people, standing.left_at)
        hazard = hazard_of(before, people, plans, standing, timeline, params, scenario)
        leaving = leave(before, hazard, standing, params, streams)
        stay = stay_of(month, timeline, people, standing.left_at)
        at_risk = np.flatnonzero(before.at_risk)
        rows["hazard"].add(
            customer=number[at_risk],
            month_start=np.full(len(at_risk), before.start),
            hazard=hazard.probability[at_risk],
        )
        # Everything below happens within the month; the next month's hazard is the first to feel it.
        rise = plans.change(stay, leaving, streams)
        tickets = open_tickets(
            rows["tickets"], stay, hazard, people, plans, standing, timeline, params, scenario, streams
        )
        ask_nps(rows["nps"], stay, people, standing, params, streams)
        billed = bill(rows["invoices"], rows["payments"], stay, people, plans, standing, params, streams)
        treat(rows["treatments"], stay, effects, people, plans, standing, params, streams)
        earlier = standing.advance(stay.present, params, streams.at("engagement", month))
        engagement = (earlier, standing.engagement)
        record_usage(rows["usage"], stay, engagement, people, plans, timeline, params, scenario, streams)
        _settle(standing, rise, tickets, billed, params)
        month_done()
    tables = {name: rows[name].columns() for name in EVENT_TIMES}
    _drop_unpaid(tables, standing, timeline)
    tables = {
        name: muddle(name, EVENT_TIMES[name], columns, params.mess, streams.at(_MESS[name]))
        for name, columns in tables.items()
    }
    if scenario.stopped_feed_month is not None:
        stopped = timeline.edges[scenario.stopped_feed_month]
        arrived = tables["tickets"]["available_at"] < stopped
        tables["tickets"] = {name: values[arrived] for name, values in tables["tickets"].items()}
    tables["customers"] = _customers(people, standing, params, streams)
    tables["plans"] = plans.history(standing.left_at, standing.left_known_at)
    tables["hazard"] = rows["hazard"].columns()
    tables["effects"] = _effects(people, effects)
    return tables


def _settle(standing: Standing, rise: Floats, tickets: Floats, billed: Billed, params: Params) -> None:
    """Let the month's price rises, tickets and failed payments be felt, and older ones fade."""
    p = params.hazard
    standing.rise = p.price_rise_decay * standing.rise + rise
    standing.friction = p.friction_decay * standing.friction + tickets
    standing.arrears = p.arrears_decay * standing.arrears + billed.failed
    standing.fee_due = np.where(billed.billed, billed.fee_due, standing.fee_due)


def _drop_unpaid(tables: dict[str, Columns], standing: Standing, timeline: Timeline) -> None:
    """Drop payments that would have come after the customer's end or the end of history."""
    payments = tables["payments"]
    row = payments.pop("row")
    came = (payments["paid_at"] <= standing.left_at[row]) & (payments["paid_at"] < timeline.end)
    tables["payments"] = {name: values[came] for name, values in payments.items()}


def _customers(people: Customers, standing: Standing, params: Params, streams: Streams) -> Columns:
    """The customers table as of the extract."""
    left = standing.left_known_at != NULL
    # Who leaves often stops the direct debit: known only as of the extract, and a trap if used as a feature.
    turned_off = streams.at("autopay_off").random(len(people)) < params.customers.autopay_off_at_leaving
    return {
        "customer": people.number,
        "signup_at": people.signup_at,
        "signup_known_at": people.signup_known_at,
        "ended_at": np.where(left, standing.left_at, NULL),
        "end_known_at": standing.left_known_at,
        "end_reason": np.where(left, standing.involuntary.astype(np.int64), NO_CODE),
        "region": people.region,
        "age_band": people.age_band,
        "signup_channel": people.channel,
        "autopay": standing.autopay & ~(left & turned_off),
        "paperless": standing.paperless,
    }


def _effects(people: Customers, effects: Floats) -> Columns:
    n, offers = effects.shape
    return {
        "customer": np.repeat(people.number, offers),
        "offer": np.tile(np.arange(offers), n),
        "effect": fixed(effects.reshape(-1), EFFECT_DECIMALS),
        "frailty": np.repeat(fixed(people.frailty, EFFECT_DECIMALS), offers),
    }
