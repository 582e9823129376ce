"""Plans: what each customer has now, how it changes, and the history table of its versions."""

from __future__ import annotations

import numpy as np

from holdfast.simulate.arrays import DAY, NULL, Bools, Columns, Floats, Ints, Rows, fixed, pick, whole
from holdfast.simulate.customers import Customers
from holdfast.simulate.sections import Params
from holdfast.simulate.stay import Stay
from holdfast.simulate.streams import Streams
from holdfast.simulate.timeline import Timeline

MONTH_TO_MONTH = 0
ONE_YEAR = 1
TWO_YEAR = 2


class PlanBook:
    """The current plan of each customer in a chunk, and every version so far.

    A month brings at most one change a customer, so versions follow each other strictly.
    """

    def __init__(self, people: Customers, timeline: Timeline, params: Params, streams: Streams) -> None:
        p, n, rng = params.plans, len(people), streams.at("plans")
        self._params, self._people, self._rows = params, people, Rows()
        contract_draw = rng.random(n)
        self.contract = np.where(
            people.present,
            pick(contract_draw, p.contracts_present.values),
            pick(contract_draw, p.contracts_new.values),
        )
        self.internet = pick(rng.random(n), p.internet.values)
        self.addons = np.minimum(rng.poisson(p.addons_mean, n), p.most_addons).astype(np.int64)
        self.streaming = (rng.random(n) < p.streaming) & (self.internet > 0)
        self._factor = np.exp(rng.normal(0.0, p.price_sd, n))
        valid_from = self._signed(people, timeline, rng.random(n))
        self.contract_end = self._end_of(valid_from, self.contract)
        self.price = self._priced()
        self.price_before, self.changed_at = self.price.copy(), valid_from
        self.version = np.zeros(n, dtype=np.int64)
        self._record(np.arange(n), valid_from, rng)

    @property
    def in_contract(self) -> Bools:
        locked: Bools = self.contract != MONTH_TO_MONTH
        return locked

    def _signed(self, people: Customers, timeline: Timeline, draw: Floats) -> Ints:
        """When the first version began: at signup, or at its last change before history begins."""
        term = self._term(self.contract)
        tenure = np.maximum(timeline.begin - people.signup_at, 1)
        # whole terms already served; strictly before history, so that a first end never falls at its start
        renewed = people.signup_at + np.where(term > 0, (tenure - 1) // np.maximum(term, 1) * term, 0)
        rolling = people.signup_at + whole(draw * (tenure - 1))
        began = np.where(term > 0, renewed, rolling)
        return np.where(people.present, began, people.signup_at)

    def _term(self, contract: Ints) -> Ints:
        return self._params.plans.term_days.values.astype(np.int64)[contract] * DAY

    def _end_of(self, signed: Ints, contract: Ints) -> Ints:
        """A contract ends at the midnight after its term; ``NULL`` outside a contract."""
        end = (signed + self._term(contract)) // DAY * DAY + DAY
        return np.where(contract == MONTH_TO_MONTH, NULL, end)

    def _priced(self) -> Floats:
        p = self._params.plans
        parts = p.list_price.values[self.internet] + p.addon_price * self.addons
        parts = parts + p.streaming_price * self.streaming
        return fixed(parts * self._factor * (1.0 - p.discount.values[self.contract]), 2)

    def _record(self, rows: Ints, valid_from: Ints, rng: np.random.Generator) -> None:
        p, n = self._params.plans, len(rows)
        late = rng.random(n) < p.late
        delay = np.where(late, rng.random(n) * p.late_days * DAY, rng.random(n) * self._params.mess.prompt_seconds)
        self.version[rows] += 1
        self._rows.add(
            row=rows,
            customer=self._people.number[rows],
            serial=self.version[rows],
            valid_from=valid_from,
            available_at=valid_from + whole(delay),
            contract=self.contract[rows],
            contract_end=self.contract_end[rows],
            monthly_price=self.price[rows],
            internet=self.internet[rows],
            addons=self.addons[rows],
            streaming=self.streaming[rows],
        )

    def change(self, stay: Stay, leaving: Bools, streams: Streams) -> Floats:
        """Change the plans of a month; returns the relative price rise each customer feels.

        Who leaves after the contract's end in the same month had not renewed it: the plan lapsed.
        """
        p, n, rng = self._params.plans, len(leaving), streams.at("plans", 1 + stay.month)
        what, which, how, rise, moment = (rng.random(n) for _ in range(5))
        ends = self.in_contract & (self.contract_end < stay.end) & stay.at_risk
        at = np.where(ends, self.contract_end, stay.instants(moment))
        happens = stay.at_risk & stay.covers(np.maximum(at, stay.start + 1), np.arange(n))
        ends, free = ends & happens, ~self.in_contract & happens
        renews = ends & ~leaving & (which < p.renew)
        lapses = ends & (leaving | ((which >= p.renew) & (which < p.renew + p.lapse)))
        switches = ends & ~renews & ~lapses
        dearer = free & (what < p.price_rise)
        signs = free & ~dearer & (what < p.price_rise + p.sign_contract) & ~leaving
        parts = happens & ~ends & ~dearer & ~signs & (which < p.change_parts)

        old_price, old_list = self.price.copy(), self._factor.copy()
        raised = dearer | (renews & (how < p.renewal_rise))
        size = p.price_rise_low + rise * (p.price_rise_high - p.price_rise_low)
        self._factor = np.where(raised, old_list * (1.0 + size), old_list)
        signed = np.where(how < 2 / 3, ONE_YEAR, TWO_YEAR)
        other = np.where(self.contract == ONE_YEAR, TWO_YEAR, ONE_YEAR)
        self.contract = np.select([lapses, switches, signs], [0, other, signed], self.contract)
        new_terms = renews | switches | signs | lapses
        self.contract_end = np.where(new_terms, self._end_of(at, self.contract), self.contract_end)
        changed = new_terms | raised | self._change_parts(parts, how)
        self.price_before, self.changed_at = old_price, np.where(changed, at, self.changed_at)
        self.price = np.where(changed, self._priced(), old_price)
        self._record(np.flatnonzero(changed), at[changed], rng)
        return np.where(changed & ~parts, np.maximum(self.price / old_price - 1.0, 0.0), 0.0)

    def _change_parts(self, parts: Bools, how: Floats) -> Bools:
        """Add or drop an add-on, take up or drop streaming, or step up the internet; returns who changed."""
        most = self._params.plans.most_addons
        kind = pick(how, np.array([0.35, 0.25, 0.20, 0.20]))
        add = parts & (kind == 0) & (self.addons < most)
        drop = parts & (kind == 1) & (self.addons > 0)
        stream = parts & (kind == 2) & (self.internet > 0)
        step = parts & (kind == 3) & (self.internet < len(self._params.plans.internet.names) - 1)
        self.addons = self.addons + add - drop
        self.streaming = self.streaming ^ stream
        self.internet = self.internet + step
        changed: Bools = add | drop | stream | step
        return changed

    def history(self, left_at: Ints, left_known_at: Ints) -> Columns:
        """The versions with their closings: by the next version, or by the customer's end."""
        columns = self._rows.columns()
        order = np.lexsort((columns["serial"], columns["row"]))
        columns = {name: values[order] for name, values in columns.items()}
        row = columns.pop("row")
        last = np.append(row[1:] != row[:-1], True)
        gone = last & (left_known_at[row] != NULL)
        next_from = np.roll(columns["valid_from"], -1)
        next_known = np.roll(columns["available_at"], -1)
        columns["valid_to"] = np.where(last, np.where(gone, left_at[row], NULL), next_from)
        closed = np.where(last, left_known_at[row], next_known)
        # A late version may arrive after its successor: it cannot be known as closed before it is known.
        known = np.maximum(closed, columns["available_at"])
        columns["closed_known_at"] = np.where(last & ~gone, NULL, known)
        return columns
