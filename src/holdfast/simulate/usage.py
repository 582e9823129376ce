"""Usage: one row for each customer and week, following hidden engagement with noise."""

from __future__ import annotations

import numpy as np

from holdfast.simulate.arrays import Floats, Rows, fixed
from holdfast.simulate.customers import Customers
from holdfast.simulate.plans import PlanBook
from holdfast.simulate.scenario import Scenario
from holdfast.simulate.sections import Params
from holdfast.simulate.stay import Stay
from holdfast.simulate.streams import Streams
from holdfast.simulate.timeline import WEEK, Timeline


def record_usage(
    rows: Rows,
    stay: Stay,
    engagement: tuple[Floats, Floats],
    people: Customers,
    plans: PlanBook,
    timeline: Timeline,
    params: Params,
    scenario: Scenario,
    streams: Streams,
) -> None:
    """Add the weeks that end in this month; ``engagement`` is at the month's start and end.

    A week is recorded at its end, for those still customers then; the first counts from the signup.
    """
    p, n = params.usage, len(people)
    ends, numbers = timeline.week_ends(stay.month)
    shape = (n, len(ends))
    rng = streams.at("usage", stay.month)
    noise = [rng.standard_normal(shape) for _ in range(3)]
    # A week's end exactly at a month's start is that month's event, so a first month may have fewer weeks.
    there = stay.present[:, None] & (ends[None, :] > people.signup_at[:, None]) & (ends[None, :] <= stay.last[:, None])
    who, week = np.nonzero(there)
    position = (ends[week] - stay.start) / (stay.end - stay.start)
    level = engagement[0][who] + position * (engagement[1][who] - engagement[0][who])
    minutes = people.minutes_level[who] * np.exp(p.minutes_per_engagement * level + p.minutes_noise * noise[0][there])
    calls = minutes / p.minutes_per_call * np.exp(p.calls_noise * noise[1][there])
    data = people.data_level[who] * p.data_median_gb.values[plans.internet[who]]
    data = data * np.exp(p.data_per_engagement * level + p.data_noise * noise[2][there])
    share = np.minimum((ends[week] - people.signup_at[who]) / WEEK, 1.0)
    if scenario.outage_in(stay.month):
        region = params.customers.regions.names.index(scenario.outage_region)
        share = np.where(people.region[who] == region, share * params.scenario.outage_usage, share)
    if scenario.unit_change_month is not None and stay.month >= scenario.unit_change_month:
        data = data * params.scenario.unit_factor
    rows.add(
        customer=people.number[who],
        serial=numbers[week],
        used_at=ends[week],
        minutes=fixed(minutes * share, 1),
        data_gb=fixed(data * share, 2),
        calls=np.rint(calls * share).astype(np.int64),
    )
