"""The company's constants: ``params.yaml``, checked on load."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

import yaml

from holdfast.errors import ConfigError, Problem
from holdfast.simulate.checked import read_section
from holdfast.simulate.sections import CORRECTABLE, EVENT_TABLES, Params

FILE = "params.yaml"


def parse(text: str) -> Params:
    """Read and check the text of a parameter file.

    Raises
    ------
    ConfigError
        A key is missing, unknown, of the wrong type or out of range; or two lists of names disagree.
    """
    problems: list[Problem] = []
    params = read_section(Params, yaml.safe_load(text), FILE, problems)
    if params is not None:
        problems += _disagreements(params)
    if params is None or problems:
        raise ConfigError(f"{FILE} is not valid", problems)
    return params


def _disagreements(params: Params) -> list[Problem]:
    """What no single key shows: vocabularies that must agree, delays that must fit before the extract."""
    people, plans, hazard = params.customers, params.plans, params.hazard
    pairs = [
        ("hazard.region", hazard.region.names, people.regions.names),
        ("hazard.age_band", hazard.age_band.names, people.age_bands.names),
        ("hazard.channel", hazard.channel.names, people.channels.names),
        ("hazard.internet", hazard.internet.names, plans.internet.names),
        ("hazard.contract_locked", hazard.contract_locked.names, plans.contracts_new.names),
        ("plans.contracts_present", plans.contracts_present.names, plans.contracts_new.names),
        ("plans.term_days", plans.term_days.names, plans.contracts_new.names),
        ("plans.discount", plans.discount.names, plans.contracts_new.names),
        ("plans.list_price", plans.list_price.names, plans.internet.names),
        ("usage.data_median_gb", params.usage.data_median_gb.names, plans.internet.names),
        ("scenario.shifted_regions", params.scenario.shifted_regions.names, people.regions.names),
    ]
    found = [Problem(where, f"names {have}, not {want}") for where, have, want in pairs if have != want]
    delays = {
        "customers.late_signup_days": people.late_signup_days,
        "plans.late_days": plans.late_days,
        "hazard.involuntary_known_days": hazard.involuntary_known_days,
        "mess.late_days": params.mess.late_days,
        "mess.corrected_days": params.mess.corrected_days,
    }
    lag = params.company.extract_lag_days
    found += [Problem(k, f"{v} days is not before the extract, {lag}") for k, v in delays.items() if v >= lag]
    rules = params.mess.rules
    if set(rules) != set(EVENT_TABLES):
        found.append(Problem("mess.rules", f"names {sorted(rules)}, not {sorted(EVENT_TABLES)}"))
    found += [
        Problem(f"mess.rules.{name}", "has corrections, but no column that can be wrong at first")
        for name, rule in rules.items()
        if rule.corrected > 0 and name not in CORRECTABLE
    ]
    if len(hazard.season) != 12:
        found.append(Problem("hazard.season", f"has {len(hazard.season)} values, not one for each month"))
    # A failed payment must fall in the month of its invoice: the next month's hazard counts it.
    if people.billing_days + params.billing.due_days > 28:
        found.append(Problem("billing.due_days", "a payment would fall due after day 28 of the month"))
    if abs(sum(offer.share for offer in params.treatments.offers.values()) - 1.0) > 1e-9:
        found.append(Problem("treatments.offers", "the shares of the offers do not sum to 1"))
    return found


def _text() -> str:
    return resources.files("holdfast.simulate").joinpath(FILE).read_text(encoding="utf-8")


@cache
def load_params() -> Params:
    """The packaged parameters."""
    return parse(_text())


@cache
def params_sha256() -> str:
    """The hash of the packaged parameters (line ends do not count)."""
    return hashlib.sha256(_text().replace("\r\n", "\n").encode()).hexdigest()
