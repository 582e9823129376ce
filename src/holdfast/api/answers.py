"""What the API answers with. Every model has an example; /docs shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from holdfast.api.examples import (
    API_KEY,
    COMPUTED,
    CUSTOMER,
    DECISION,
    EXPLAINED,
    EXPLANATIONS,
    FEATURE,
    FEATURES,
    FRESHNESS,
    MODEL,
    MODEL_CARD,
    PART,
    PROBLEM,
    PROBLEM_ITEM,
    REASON,
    STORED,
    STORED_SCORE,
    WORKLIST,
    WORKLIST_ROW,
)


def _example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [value]})


def written(answer: BaseModel) -> Response:
    """The response of an answer. FastAPI would check it once more, field by field, before it writes it."""
    return Response(answer.__pydantic_serializer__.to_json(answer), media_type="application/json")


def written_plain(answer: Mapping[str, Any]) -> Response:
    """The same of an answer in dictionaries: making models of a hundred parts takes longer than writing them.

    Nothing is checked here. Fields must come in the order of their model, and numbers as floats where it says float.
    """
    return Response(to_json(answer, inf_nan_mode="null"), media_type="application/json")


class Freshness(BaseModel):
    """How old the stored answer is."""

    model_config = _example(FRESHNESS)
    cutoff: datetime = Field(description="The instant the prediction was made for; everything used is before it.")
    age_days: float = Field(description="Days since the cutoff.")
    stale: bool = Field(description="Older than serving.ttl.")


class Model(BaseModel):
    """Which model made a score."""

    model_config = _example(MODEL)
    version: str
    bundle_sha256: str = Field(description="The bundle's identity: equal training gives an equal hash.")


class Reason(BaseModel):
    """One reason, in business words; windows of one measure are taken together."""

    model_config = _example(REASON)
    group: str = Field(description="The measure.")
    feature: str = Field(description="The feature of the measure that matters most.")
    label: str
    value: float | str | None = Field(description="The customer's value; null if unknown.")
    typical: float | str | None = Field(description="The training median or most frequent value.")
    direction: Literal["raises", "lowers"]
    contribution: float = Field(description="Of the whole measure, in log-odds.")


class Decision(BaseModel):
    """What was decided about the customer."""

    model_config = _example(DECISION)
    clv: float | None = Field(description="Lifetime value if kept, in the project's currency.")
    expected_loss: float | None = Field(description="Probability x clv.")
    action: str | None
    retention: float | None = Field(description="Share of would-be churners that the action keeps.")
    cost: float | None
    status: str | None = Field(description="contact, holdout, over_budget or no_action")
    why: str | None


class StoredScore(BaseModel):
    """One customer's score."""

    model_config = _example(STORED_SCORE)
    customer_id: str
    probability: float = Field(description="Calibrated probability of churn within the horizon.")
    tier: str
    segment: str | None
    expected_value: float | None = Field(description="Of contacting the customer, in the project's currency.")


class WorklistRow(StoredScore):
    """One customer of a work list."""

    model_config = _example(WORKLIST_ROW)
    reasons: list[Reason]
    decision: Decision


class Customer(WorklistRow):
    """Everything that is served about a customer."""

    model_config = _example(CUSTOMER)
    freshness: Freshness
    model: Model
    generation: str = Field(description="The state of the online store that answered.")


class Worklist(BaseModel):
    """One page of customers."""

    model_config = _example(WORKLIST)
    customers: list[WorklistRow]
    next_cursor: str | None = Field(description="Give it as ?cursor= for the next page; null on the last.")
    freshness: Freshness
    model: Model
    generation: str


class StoredScores(BaseModel):
    """Scores from the online store, in the order asked, each id once."""

    model_config = _example(STORED)
    scores: list[StoredScore]
    not_found: list[str]
    freshness: Freshness
    model: Model
    generation: str


class ComputedScore(BaseModel):
    """The score of one row that the client brought."""

    model_config = _example({"probability": 0.137})
    probability: float


class ComputedScores(BaseModel):
    """Scores of the rows that the client brought, in their order."""

    model_config = _example(COMPUTED)
    scores: list[ComputedScore]
    model: Model


class Part(BaseModel):
    """One feature's part of the margin."""

    model_config = _example(PART)
    feature: str
    group: str
    label: str
    value: float | str | None
    typical: float | str | None
    contribution: float = Field(description="In log-odds; positive raises the risk.")


class Explanation(BaseModel):
    """Why one probability is what it is: base + contributions = margin, the model's log-odds before calibration."""

    model_config = _example(EXPLAINED)
    customer_id: str | None = Field(description="null for a row that the client brought")
    probability: float
    margin: float
    base: float
    contributions: list[Part] = Field(description="Of every feature, strongest first.")
    raises: list[Reason]
    lowers: list[Reason]


class Explanations(BaseModel):
    """Explanations, in the order of the rows."""

    model_config = _example(EXPLANATIONS)
    explanations: list[Explanation]
    model: Model
    freshness: Freshness | None = Field(default=None, description="null for rows that the client brought")
    generation: str | None = None


class ModelCard(BaseModel):
    """The model that serves."""

    model_config = _example(MODEL_CARD)
    version: str
    bundle_sha256: str
    estimator: str
    params: dict[str, Any]
    metrics: dict[str, Any] = Field(description="What was measured before it was promoted.")
    trained_on: str = Field(description="The dataset's id.")
    provenance: dict[str, Any] = Field(description="Configuration, code, libraries, seed and what else training noted.")
    features: int


class Feature(BaseModel):
    """One feature of the model."""

    model_config = _example(FEATURE)
    name: str
    kind: Literal["number", "category"]
    group: str
    label: str
    unit: str
    source: str
    window: str = Field(description="[cutoff - window, cutoff); empty for a value at the cutoff.")
    null_means: str
    end_state: bool = Field(description="Known only as of the extract, with no history.")
    definition: str = Field(description="How it is computed.")
    typical: float | str | None
    levels: list[str] | None = Field(description="Known values of a category; others count as unknown.")


class Features(BaseModel):
    """What a row must hold, in the model's order."""

    model_config = _example(FEATURES)
    model: Model
    features: list[Feature]


class Health(BaseModel):
    """The process answers."""

    model_config = _example({"status": "alive"})
    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Customers can be served, and by which model."""

    model_config = _example({"status": "ready", "model": MODEL, "generation": "1f0c2a9be4d35768"})
    status: Literal["ready"] = "ready"
    model: Model
    generation: str


class ApiKey(BaseModel):
    """A key of the API, without its secret."""

    model_config = _example(API_KEY)
    key_id: str
    name: str
    role: str
    created_at: datetime
    last_used_at: datetime | None = Field(description="To within a minute or so; null if never.")
    revoked_at: datetime | None


class ApiKeys(BaseModel):
    """Every key of the API."""

    model_config = _example({"keys": [API_KEY]})
    keys: list[ApiKey]


class ProblemItem(BaseModel):
    """One thing that is wrong."""

    model_config = _example(PROBLEM_ITEM)
    where: str
    what: str
    fix: str
    count: int | None = Field(default=None, description="How many rows have it.")


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = _example(PROBLEM)
    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[ProblemItem] = Field(default_factory=list)
    more_errors: int = 0
