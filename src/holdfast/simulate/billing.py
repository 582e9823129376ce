"""Invoices and payments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.simulate.arrays import DAY, NULL, Bools, Rows, fixed, logistic, whole
from holdfast.simulate.customers import Customers
from holdfast.simulate.plans import PlanBook
from holdfast.simulate.sections import Params
from holdfast.simulate.standing import Standing
from holdfast.simulate.stay import Stay
from holdfast.simulate.streams import Streams

STATUSES = ("paid", "late", "failed")
PAID, LATE, FAILED = range(3)
ISSUE_HOUR = 6


@dataclass(frozen=True)
class Billed:
    """What a month's bills did: whose payment failed within it, who owes a fee, who was billed at all."""

    failed: Bools
    fee_due: Bools
    billed: Bools


def bill(
    invoices: Rows,
    payments: Rows,
    stay: Stay,
    people: Customers,
    plans: PlanBook,
    standing: Standing,
    params: Params,
    streams: Streams,
) -> Billed:
    """Send the month's invoices and draw their payments.

    A payment due after the customer's end is recorded here and dropped at the end of the simulation, when all
    ends are known.
    """
    p, n = params.billing, len(people)
    rng = streams.at("billing", stay.month)
    extra, extra_size, outcome, moment, lateness = (rng.random(n) for _ in range(5))
    issued = stay.start + (people.billing_day - 1) * DAY + ISSUE_HOUR * 3600
    billed = stay.covers(issued, np.arange(n))
    price = np.where(plans.changed_at <= issued, plans.price, plans.price_before)
    fee = np.where(standing.fee_due, p.late_fee, 0.0)
    extras = np.where(extra < p.extra, -p.extra_mean * np.log1p(-extra_size), 0.0)
    amount = fixed(price + fee + extras, 2)

    failing = logistic(
        p.failed_logit
        + p.failed_credit * people.credit
        + p.failed_again * (standing.arrears > 0.5)
        + p.failed_autopay * standing.autopay
    )
    slow = logistic(p.late_logit + p.late_credit * people.credit + p.late_autopay * standing.autopay)
    status = np.where(outcome < failing, FAILED, np.where(outcome < failing + (1 - failing) * slow, LATE, PAID))
    due = issued + p.due_days * DAY
    days_late = 1 + whole(lateness * p.most_days_late)
    early = issued + 3600 + whole(moment * (p.due_days * DAY - 3600))
    paid_at = np.select([status == FAILED, status == LATE], [due, due + days_late * DAY], early)

    keep = np.flatnonzero(billed)
    serial = np.full(len(keep), stay.month + 1)
    number = people.number[keep]
    invoices.add(customer=number, serial=serial, issued_at=issued[keep], amount=amount[keep], late_fee=fee[keep])
    payments.add(
        row=keep,
        customer=number,
        serial=serial,
        paid_at=paid_at[keep],
        # what came in: nothing, of a payment that failed
        amount=np.where(status == FAILED, 0.0, amount)[keep],
        status=status[keep],
        days_late=np.select([status == FAILED, status == LATE], [NULL, days_late], 0)[keep],
    )
    failed = billed & (status == FAILED) & (due <= stay.last)
    return Billed(failed=failed, fee_due=status != PAID, billed=billed)
