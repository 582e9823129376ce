"""The sections of ``params.yaml`` as frozen dataclasses; the file's comments say what each constant is."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.simulate.checked import Levels, Positive, Probability, Shares

EVENT_TABLES = ("usage", "invoices", "payments", "tickets", "nps", "treatments")
CORRECTABLE = {"usage": "minutes", "invoices": "amount", "tickets": "severity"}
"""The column whose first value was wrong in a corrected row; other tables have no corrections."""


@dataclass(frozen=True)
class CompanyParams:
    chunk_customers: int
    present_at_start: Probability
    mean_tenure_days: Positive
    longest_tenure_days: Positive
    extract_lag_days: int


@dataclass(frozen=True)
class CustomerParams:
    regions: Shares
    age_bands: Shares
    channels: Shares
    late_signup: Probability
    late_signup_days: int
    frailty_sd: Positive
    minutes_median: Positive
    minutes_sd: Positive
    data_sd: Positive
    billing_days: int
    autopay: Probability
    autopay_on: Probability
    autopay_off: Probability
    autopay_off_at_leaving: Probability
    paperless: Probability
    paperless_on: Probability


@dataclass(frozen=True)
class PlanParams:
    contracts_present: Shares
    contracts_new: Shares
    term_days: Levels
    discount: Levels
    internet: Shares
    list_price: Levels
    addon_price: Positive
    streaming_price: Positive
    addons_mean: Positive
    most_addons: int
    streaming: Probability
    price_sd: Positive
    price_rise: Probability
    price_rise_low: Probability
    price_rise_high: Probability
    renew: Probability
    lapse: Probability
    renewal_rise: Probability
    sign_contract: Probability
    change_parts: Probability
    late: Probability
    late_days: int


@dataclass(frozen=True)
class HazardParams:
    base: float
    early_life: float
    early_life_months: Positive
    contract_locked: Levels
    contract_near_months: Positive
    contract_near: float
    contract_ends: float
    price_rise: float
    price_rise_decay: Probability
    price_level: float
    price_reference: Positive
    engagement: float
    engagement_fall: float
    friction: float
    friction_most: Positive
    friction_decay: Probability
    internet: Levels
    region: Levels
    age_band: Levels
    channel: Levels
    season: tuple[float, ...]
    involuntary_base: float
    involuntary_arrears: float
    arrears_decay: Probability
    arrears_most: Positive
    involuntary_credit: float
    involuntary_known_days: int


@dataclass(frozen=True)
class EngagementParams:
    persistence: Probability
    innovation_sd: Positive
    decline_start: Probability
    decline_months_low: int
    decline_months_high: int
    decline_step: Positive
    usual_memory: Probability


@dataclass(frozen=True)
class UsageParams:
    minutes_per_engagement: float
    minutes_noise: Positive
    minutes_per_call: Positive
    calls_noise: Positive
    data_median_gb: Levels
    data_per_engagement: float
    data_noise: Positive


@dataclass(frozen=True)
class BillingParams:
    extra: Probability
    extra_mean: Positive
    late_fee: Positive
    due_days: int
    failed_logit: float
    failed_credit: float
    failed_again: float
    failed_autopay: float
    late_logit: float
    late_credit: float
    late_autopay: float
    most_days_late: int


@dataclass(frozen=True)
class TicketParams:
    rate: Positive
    fiber: float
    disengaged: float
    burst: Probability
    burst_factor: Positive
    burst_network: Positive
    categories: Shares
    billing_after_rise: float
    inquiry_per_log_hazard: float
    late_category: str
    late_category_from: Probability
    late_category_weight: Positive
    severity: Shares


@dataclass(frozen=True)
class NpsParams:
    response: Probability
    middle: float
    engagement: float
    friction: float
    noise: Positive


@dataclass(frozen=True)
class OfferParams:
    share: Probability
    propensity: Probability
    mean: float
    price: float
    fiber: float
    locked: float
    senior: float
    frailty: float
    sd: Positive
    cost: float
    cost_of_price: float


@dataclass(frozen=True)
class TreatmentParams:
    first_month: int
    share: Probability
    first_day: int
    last_day: int
    effect_months: int
    least_effect: float
    most_effect: float
    offers: dict[str, OfferParams]


@dataclass(frozen=True)
class MessRule:
    late: Probability
    corrected: Probability
    duplicated: Probability


@dataclass(frozen=True)
class MessParams:
    prompt_seconds: int
    late_days: int
    corrected_days: int
    rules: dict[str, MessRule]
    nulls: Levels


@dataclass(frozen=True)
class ScenarioParams:
    outage_usage: Probability
    outage_tickets: Positive
    competitor_hazard: float
    shifted_regions: Shares
    unit_factor: Positive


@dataclass(frozen=True)
class Params:
    """Everything in ``params.yaml``."""

    company: CompanyParams
    customers: CustomerParams
    plans: PlanParams
    hazard: HazardParams
    engagement: EngagementParams
    usage: UsageParams
    billing: BillingParams
    tickets: TicketParams
    nps: NpsParams
    treatments: TreatmentParams
    mess: MessParams
    scenario: ScenarioParams

    @property
    def categories(self) -> tuple[str, ...]:
        """Ticket categories; the last is the one that first appears late."""
        return (*self.tickets.categories.names, self.tickets.late_category)
