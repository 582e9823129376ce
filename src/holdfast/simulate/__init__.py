"""The built-in company: a subscription business with known truth.

`simulate` writes a telecom-like company's tables as Parquet, and the truth about it (each customer's monthly
hazard, each offer's effect on each customer) beside them. What is in it:

- about half of the customers signed up before history begins; their events exist only from then on. Nobody
  leaves in the calendar month of their own signup
- leaving is a monthly hazard of contract terms, price rises, tickets, failed payments, early life, season, a
  hidden engagement that usage follows with noise, and a frailty that no table shows. The hazard rests only on
  what stood before the month began; who leaves does so at a random instant of the month
- a retention programme, randomised with known propensities; offers act from the next month on, for months
- end-state columns, as of the extract, without history: ``customers.autopay`` and ``customers.paperless``. Many
  who leave switch off autopay; paperless comes with time. Used as features they leak

and, on purpose and at rates declared in ``params.yaml`` (``mess``):

- late rows: available days after the event (usage, payments, tickets; plans and signups too)
- corrected rows: the same id again, available days later, with the right value (usage, invoices, tickets)
- exact duplicates, all columns alike (usage, payments, tickets)
- nulls in ``minutes``, ``data_gb``, ``calls`` and ``severity``
- a ticket category that first appears late in the history
- ends for non-payment that reach the books days later

History covers events before the end of its last month; the extract is made ``extract_lag_days`` later, and
everything became available before that. A `Scenario` switches on an outage, a competitor, a shift of regions, a
change of unit or a feed that stops.
"""

from holdfast.simulate.company import SimulationSummary, is_current, simulate
from holdfast.simulate.scenario import Scenario

__all__ = ["Scenario", "SimulationSummary", "is_current", "simulate"]
