"""Why a customer got a decision, in one sentence."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.config.business import DecisionsSection
from holdfast.decisions.effects import Effect, Effects
from holdfast.decisions.policy import NOTHING, Options
from holdfast.decisions.words import escaped, fill, fixed

_UNKNOWN = "Revenue is unknown, so the customer's value is too: no action."
_WORTHLESS = "The customer's lifetime value is {clv} {currency}, not above zero: no action."
_CLOSED = "No action is open to this customer's tier and features."


def compute_why(
    probability: NDArray[np.float64],
    clv: NDArray[np.float64],
    status: NDArray[np.int64],
    action: NDArray[np.int64],
    options: Options,
    effects: Effects,
    config: DecisionsSection,
    price: float,
) -> pa.Array:
    """(n,) sentences.

    Parameters
    ----------
    status : (n,) index into `holdfast.decisions.policy.STATUSES`
    action : (n,) index of the action spoken of, -1 for none
    price : expected value per money that the budget asks
    """
    k = len(options.names)
    labels = [escaped(config.actions[name].label) for name in options.names]
    sums = [_sum(effects[name], config.actions[name].cost, config.currency) for name in options.names]
    templates = [
        *(f"{label}: {text}." for label, text in zip(labels, sums, strict=True)),
        *(
            f"Held out at random to measure the effect; otherwise {label}: {text}."
            for label, text in zip(labels, sums, strict=True)
        ),
        *(
            f"Over budget: {label} would pay ({text}), but the budget goes to actions that bring "
            f"{price:.2f} or more per {config.currency} spent."
            for label, text in zip(labels, sums, strict=True)
        ),
        *(
            f"No action pays; the best, {label}, {_harm(effects[name])}: {text}."
            for name, label, text in zip(options.names, labels, sums, strict=True)
        ),
        _UNKNOWN,
        _WORTHLESS,
        _CLOSED,
    ]
    rest = len(templates) - 3
    nothing = status == NOTHING
    # the action spoken of where none pays: the least bad of those open
    spoken = np.where(nothing, options.best(options.eligible & np.isfinite(options.value)), action)
    which = status * k + spoken
    which = np.select(
        [nothing & np.isnan(clv), nothing & (clv <= 0), nothing & (spoken < 0)], [rest, rest + 1, rest + 2], which
    )
    value = options.value[np.arange(len(clv)), spoken]
    fields = {
        "p": fixed(100.0 * probability, 1),
        "clv": fixed(clv),
        "ev": fixed(value),
        "currency": pa.repeat(pa.scalar(config.currency), len(clv)),
    }
    return fill(templates, which, fields)


def _sum(effect: Effect, cost: float, currency: str) -> str:
    text = (
        f"{{p}}% risk x {{clv}} lifetime value x {effect.retention:.1%} kept ({effect.source}) "
        f"- {cost:.2f} cost = {{ev}} {escaped(currency)}"
    )
    return text + "; the effect is not distinguishable from zero" if effect.distinguishable is False else text


def _harm(effect: Effect) -> str:
    return "keeps nobody" if effect.retention <= 0 else "costs more than it keeps"
